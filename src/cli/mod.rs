//! The command line as types. It is only parsed here: nothing is read or changed.

pub mod complete;
pub mod fleet;
pub mod import;
pub mod key_slots;
pub mod login;
pub mod man;
mod parse;
pub mod rotate;
pub mod serve;
pub mod sso;
pub mod totp;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use parse::{Answer, Parsed, parse};

/// The whole command line without the command of `exec`, which is split off before clap parses the rest.
#[derive(Debug, Parser)]
#[command(
    name = "vault",
    version,
    about = "AWS credentials for machines without a keyring: one encrypted file, no daemon",
    disable_help_subcommand = true,
    after_help = "Examples:\n  vault init --generate-identity ~/.config/vault/identity.txt\n  \
                  vault add prod\n  vault exec prod -- aws sts get-caller-identity\n\n\
                  Exit codes: 0 done, 2 usage, 3 not found, 4 cannot unlock, 5 damaged, 6 \
                  refused, 7 not saved,\n\
                  8 busy or out of time, 9 AWS, 10 saved but not confirmed by the disk, 125-127 as env(1)."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Flags before or after the subcommand; repeated ones add up.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The vault file, or s3://BUCKET/PREFIX [env: AWS_VAULT_FILE; default: ~/.local/share/vault/vault.age]
    #[arg(long, value_name = "FILE", overrides_with = "vault")]
    pub vault: Option<PathBuf>,
    /// A file with the key that opens the vault (age, ssh or plugin); - is stdin
    /// [env: AWS_VAULT_AGE_KEY, AWS_VAULT_AGE_KEY_FILE]
    #[arg(short, long, value_name = "FILE")]
    pub identity: Vec<PathBuf>,
    /// A file with the passphrase; - is stdin
    /// [env: AWS_VAULT_PASSPHRASE_FILE, AWS_VAULT_PASSPHRASE, AWS_VAULT_FILE_PASSPHRASE]
    #[arg(long, value_name = "FILE", overrides_with = "passphrase_file")]
    pub passphrase_file: Option<PathBuf>,
    /// Accept only the vault with this fingerprint [env: AWS_VAULT_PIN]
    #[arg(long, value_name = "FINGERPRINT")]
    pub pin: Vec<String>,
    /// Refuse a vault of a lower generation: an older copy [env: AWS_VAULT_MIN_GENERATION]
    #[arg(long, value_name = "N", overrides_with = "min_generation")]
    pub min_generation: Option<u64>,
    /// The most memory that a passphrase may cost, in MiB (64 to 1024), unless this machine has opened
    /// the vault by it before [env: AWS_VAULT_MAX_PASSPHRASE_MEMORY; default: 256]
    #[arg(long, value_name = "MIB", overrides_with = "max_passphrase_memory",
          value_parser = clap::value_parser!(u32).range(64..=1024))]
    pub max_passphrase_memory: Option<u32>,
    /// Where sessions are kept [env: AWS_VAULT_CACHE_DIR; default: ~/.cache/vault]
    #[arg(long, value_name = "DIR", overrides_with = "cache_dir")]
    pub cache_dir: Option<PathBuf>,
    /// Never ask on the terminal
    #[arg(long, overrides_with = "no_input")]
    pub no_input: bool,
    /// No warnings
    #[arg(long, overrides_with = "quiet")]
    pub quiet: bool,
    /// Say which files, keys and calls were chosen (never a secret)
    #[arg(long, overrides_with = "debug")]
    pub debug: bool,

    // aws-vault's flags, accepted so that its command lines work.
    #[arg(long, hide = true, value_name = "BACKEND", overrides_with = "backend")]
    pub backend: Option<String>,
    #[arg(long, hide = true, value_name = "DRIVER", overrides_with = "prompt")]
    pub prompt: Option<String>,
    #[arg(long, hide = true, value_name = "DIR")]
    pub file_dir: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "NAME")]
    pub keychain: Option<String>,
    #[arg(long, hide = true, value_name = "NAME")]
    pub secret_service_collection: Option<String>,
    #[arg(long, hide = true, value_name = "DIR")]
    pub pass_dir: Option<PathBuf>,
    #[arg(long, hide = true, value_name = "CMD")]
    pub pass_cmd: Option<String>,
    #[arg(long, hide = true, value_name = "PREFIX")]
    pub pass_prefix: Option<String>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Init(Init),
    Add(Add),
    Import(import::Import),
    #[command(visible_alias = "ls")]
    List(List),
    #[command(visible_alias = "rm")]
    Remove(Remove),
    Clear(Clear),
    Exec(Exec),
    Serve(serve::Serve),
    Export(Export),
    Login(login::Login),
    Explain(Explain),
    Doctor(Doctor),
    #[command(subcommand)]
    Totp(totp::TotpCommand),
    #[command(subcommand)]
    Mfa(totp::MfaCommand),
    Rotate(rotate::Rotate),
    #[command(subcommand)]
    Sso(sso::SsoCommand),
    #[command(subcommand)]
    Fleet(fleet::FleetCommand),
    #[command(subcommand)]
    Recipient(key_slots::RecipientCommand),
    #[command(subcommand)]
    Passphrase(key_slots::PassphraseCommand),
    Unlock(key_slots::Unlock),
    /// Lock a vault that `vault unlock` opened; needs no key
    #[command(after_help = "Example:\n  vault lock")]
    Lock,
    /// Renew the vault's own keys for the same recipients, and print its new fingerprint
    #[command(after_help = "Example:\n  vault rekey\n\n\
        For a vault that was forged or copied: the file's key, the key behind the fingerprint and the\n\
        cache's key are new, and sessions are made anew. AWS keys, seeds, recipients and the passphrase stay.")]
    Rekey,
    Pin(key_slots::PinArgs),
    Completions(complete::Completions),
    Man(man::Man),
    #[command(name = "__complete", hide = true)]
    Complete(complete::Complete),
}

/// Make a vault
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    vault init --generate-identity ~/.config/vault/identity.txt\n  \
    vault init -r age1… -r \"$(cat ~/.ssh/id_ed25519.pub)\" --passphrase")]
pub struct Init {
    /// Who may open it: an age or ssh public key, or a plugin's recipient (repeatable)
    #[arg(short, long, value_name = "RECIPIENT")]
    pub recipient: Vec<String>,
    /// A file of recipients, one a line (repeatable); - is stdin
    #[arg(short = 'R', long, value_name = "FILE")]
    pub recipients_file: Vec<PathBuf>,
    /// A passphrase opens it too: asked for, or by --passphrase-file or AWS_VAULT_PASSPHRASE
    #[arg(long)]
    pub passphrase: bool,
    /// Memory that one try of the passphrase costs, in MiB (64 to 1024)
    #[arg(long, value_name = "MIB", requires = "passphrase", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(64..=1024))]
    pub passphrase_memory: u32,
    /// Make a new age key in FILE (0600), let it open the vault, and print its public key
    #[arg(long, value_name = "FILE")]
    pub generate_identity: Option<PathBuf>,
    /// Write the vault as text
    #[arg(long)]
    pub armor: bool,
}

/// Store the access key of a profile
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault add prod\n  \
    vault add prod --verify\n  \
    aws iam create-access-key --user-name ci | vault add ci --stdin\n\n\
    With no vault yet, on a terminal, at the default path: asks for a new passphrase and makes one.\n\
    Another key that the vault has for the profile is replaced only after a yes on the terminal, or\n\
    with --overwrite.")]
pub struct Add {
    /// The profile
    pub profile: String,
    /// Take the key from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
    #[arg(long)]
    pub env: bool,
    /// Take the key from stdin: the JSON of `aws iam create-access-key`, or the console's CSV
    #[arg(long, conflicts_with = "env")]
    pub stdin: bool,
    /// Check the key at AWS (GetCallerIdentity) first; if AWS refuses it, store nothing
    #[arg(long)]
    pub verify: bool,
    /// Write this MFA device into the profile's section of the AWS config
    #[arg(long, value_name = "ARN", conflicts_with = "no_add_config")]
    pub mfa_serial: Option<String>,
    /// Leave the AWS config file alone
    #[arg(long)]
    pub no_add_config: bool,
    /// Replace a different key that the vault has for the profile
    #[arg(long)]
    pub overwrite: bool,
    /// aws-vault's spelling of the default
    #[arg(long, hide = true, conflicts_with = "no_add_config")]
    pub add_config: bool,
}

/// Show profiles, credentials and sessions
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  vault list\n  vault list -l\n  vault list --credentials\n  vault list --json"
)]
pub struct List {
    /// With each key's id and age, the role, and the MFA device
    #[arg(short, long, conflicts_with_all = ["profiles", "credentials", "sessions"])]
    pub long: bool,
    /// As JSON, with all that -l shows
    #[arg(long, conflicts_with_all = ["profiles", "credentials", "sessions"])]
    pub json: bool,
    /// Only the names of profiles
    #[arg(long)]
    pub profiles: bool,
    /// Only the names of profiles that have a key in the vault
    #[arg(long)]
    pub credentials: bool,
    /// Only sessions
    #[arg(long)]
    pub sessions: bool,
}

/// Remove the access key of a profile
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault remove prod\n  vault rm -f prod")]
pub struct Remove {
    /// The profile
    pub profile: String,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    /// An old flag of aws-vault; removes no key
    #[arg(short, long, hide = true)]
    pub sessions_only: bool,
}

/// Forget cached sessions and logins
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault clear\n  vault clear prod")]
pub struct Clear {
    /// Only this profile's
    pub profile: Option<String>,
}

/// Flags that `exec`, `serve`, `export` and `explain` share: how credentials are made.
#[derive(Debug, Args)]
pub struct CredentialOptions {
    /// Use the key itself: no GetSessionToken
    #[arg(short, long)]
    pub no_session: bool,
    /// How long the credentials are valid, such as 30m or 12h
    #[arg(
        short,
        long,
        value_name = "DURATION",
        overrides_with = "duration",
        allow_hyphen_values = true
    )]
    pub duration: Option<String>,
    /// The region, for STS and for the command
    #[arg(long, value_name = "REGION", overrides_with = "region")]
    pub region: Option<String>,
    /// The MFA code
    #[arg(short = 't', long, value_name = "CODE", overrides_with = "mfa_token")]
    pub mfa_token: Option<String>,
    /// Take no session from the cache
    #[arg(long)]
    pub refresh: bool,
    // aws-vault's flags. Here an SSO login always waits until it is needed, and its link is always printed.
    #[arg(long, hide = true)]
    pub lazy: bool,
    #[arg(long, hide = true)]
    pub stdout: bool,
}

/// Run a command with credentials
#[derive(Debug, Args)]
#[command(
    override_usage = "vault exec [OPTIONS] [PROFILE] [--] [COMMAND…]",
    after_help = "Examples:\n  vault exec prod -- terraform apply\n  vault exec --server prod -- ./hours-long-job\n  \
    vault exec --server --token-by file prod -- python3 polars-job.py\n  vault exec prod\n  \
    credential_process = /usr/local/bin/vault exec --json prod\n\n\
    Without PROFILE (vault exec -- COMMAND) it is AWS_PROFILE, AWS_DEFAULT_PROFILE or default.\n\
    Without COMMAND, it runs $SHELL. Exits with the status of the command; 125: vault failed\n\
    before the command started, 126: not executable, 127: not found."
)]
pub struct Exec {
    /// The profile
    pub profile: Option<String>,
    /// Print credentials in the format of credential_process, and run nothing
    #[arg(short, long)]
    pub json: bool,
    #[command(flatten)]
    pub options: CredentialOptions,
    /// Serve renewed credentials to the command from a local server until it ends; the command has
    /// no keys in its environment
    #[arg(short, long, visible_alias = "ecs-server", conflicts_with = "json")]
    pub server: bool,
    /// How the command of --server gets the server's token: variable, file or both. polars, deltalake and
    /// other clients of object_store read only a file, which is in memory and is removed at the end
    #[arg(long, value_name = "HOW", value_enum, hide_possible_values = true, requires = "server",
          conflicts_with = "json", overrides_with = "token_by", default_value_t = TokenBy::Variable)]
    pub token_by: TokenBy,
    #[arg(long, hide = true)]
    pub ec2_server: bool,
}

/// How a command gets the token of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TokenBy {
    /// AWS_CONTAINER_AUTHORIZATION_TOKEN
    Variable,
    /// AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE
    File,
    /// Both variables
    Both,
}

/// Print credentials
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  eval \"$(vault export --format export-env prod)\"\n  \
    vault export --format ini prod >>credentials\n  \
    vault export --format fish prod | source\n  \
    vault export --format powershell prod | Out-String | Invoke-Expression\n  \
    vault export --format docker prod | docker run --env-file /dev/stdin IMAGE")]
pub struct Export {
    /// The profile [default: AWS_PROFILE, AWS_DEFAULT_PROFILE or default]
    pub profile: Option<String>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Env)]
    pub format: Format,
    #[command(flatten)]
    pub options: CredentialOptions,
}

/// What `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// KEY=VALUE lines
    Env,
    /// `export KEY=VALUE` lines for a shell
    ExportEnv,
    /// What credential_process prints
    Json,
    /// A section of a credentials file
    Ini,
    /// A .env file
    Dotenv,
    /// `set -gx` lines for fish
    Fish,
    /// `$env:` lines for PowerShell
    Powershell,
    /// Raw KEY=VALUE lines for `docker run --env-file`
    Docker,
    /// In a GitHub Actions step: masks, and variables for the steps that follow
    Github,
}

/// Show how a profile's credentials would be made, without making them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault explain prod\n  vault explain --json prod")]
pub struct Explain {
    /// The profile [default: AWS_PROFILE, AWS_DEFAULT_PROFILE or default]
    pub profile: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub options: CredentialOptions,
}

/// Check this host and a profile for problems, without changes and without prompts
#[derive(Debug, Args)]
#[command(after_help = "Ends with 0 if no problem was found, else with 1.\n\n\
    Examples:\n  vault doctor\n  vault doctor prod\n  vault doctor --all\n  vault doctor --json")]
pub struct Doctor {
    /// The profile [default: AWS_PROFILE, AWS_DEFAULT_PROFILE or default]
    pub profile: Option<String>,
    /// All profiles of the AWS files and of the vault
    #[arg(long, conflicts_with = "profile")]
    pub all: bool,
    /// Show each check, also those that found nothing wrong
    #[arg(short, long)]
    pub verbose: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

impl Global {
    /// The aws-vault flags that were given and have no effect, or one for import only.
    pub fn ignored(&self) -> Vec<&'static str> {
        [
            (self.backend.is_some(), "--backend"),
            (self.file_dir.is_some(), "--file-dir"),
            (self.keychain.is_some(), "--keychain"),
            (self.secret_service_collection.is_some(), "--secret-service-collection"),
            (self.pass_dir.is_some(), "--pass-dir"),
            (self.pass_cmd.is_some(), "--pass-cmd"),
            (self.pass_prefix.is_some(), "--pass-prefix"),
        ]
        .into_iter()
        .filter_map(|(given, flag)| given.then_some(flag))
        .collect()
    }
}
