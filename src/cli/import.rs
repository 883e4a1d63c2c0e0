//! The command line of `import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Take access keys over from aws-vault, pass, the AWS credentials file, CSV or JSON
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    vault import --from aws-vault\n  \
    vault import --from aws-vault --dir /mnt/old/.awsvault/keys --source-passphrase-file old.txt\n  \
    vault import --from pass\n  \
    vault import --from credentials --remove-source --write-config\n  \
    vault import --from csv prod <accessKeys.csv\n  \
    aws iam create-access-key | vault import --from json ci\n\n\
    CSV and JSON come by stdin. CSV: the console's file, also with several rows, called by their\n\
    column \"User name\". JSON: what aws iam create-access-key prints, a list of that (called by\n\
    UserName), or {\"PROFILE\": {\"AccessKeyId\": …, \"SecretAccessKey\": …}, …}.\n\n\
    What the vault has already stays. Ends with 4 if an item did not open (another passphrase), with\n\
    5 if one is damaged, with 7 if --write-config could not write; the others are saved all the same.")]
pub struct Import {
    /// Where the keys are
    #[arg(long, value_enum, value_name = "SOURCE")]
    pub from: Source,
    /// Only this profile; for a single key of CSV or JSON, the profile that it becomes
    pub profile: Option<String>,
    /// The directory of aws-vault's files [env: AWS_VAULT_FILE_DIR; default: ~/.awsvault/keys], or
    /// the password store of pass [env: AWS_VAULT_PASS_PASSWORD_STORE_DIR, PASSWORD_STORE_DIR;
    /// default: ~/.password-store]
    #[arg(long, value_name = "DIR", overrides_with = "dir")]
    pub dir: Option<PathBuf>,
    /// A file with the passphrase of aws-vault's files; - is stdin [env: AWS_VAULT_FILE_PASSPHRASE]
    #[arg(long, value_name = "FILE", overrides_with = "source_passphrase_file")]
    pub source_passphrase_file: Option<PathBuf>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
    /// Replace a different key that the vault has for the profile
    #[arg(long)]
    pub overwrite: bool,
    /// Add to the AWS config the sections [profile NAME] that it lacks for these profiles, and the
    /// credential_process line where the AWS CLI and SDKs would reach it; no other line is changed
    #[arg(long)]
    pub write_config: bool,
    /// Take the keys out of the credentials file, once they have been read back from the vault
    #[arg(long)]
    pub remove_source: bool,
}

/// Where `import` takes keys from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Source {
    /// aws-vault's file backend
    AwsVault,
    /// aws-vault's entries in the password store pass
    Pass,
    /// The AWS credentials file, whose keys are not encrypted
    Credentials,
    /// The CSV file that the AWS console gives, by stdin
    Csv,
    /// JSON by stdin
    Json,
}
