//! The command lines of `recipient`, `passphrase`, `unlock`, `lock`, `rekey` and `pin`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Manage the keys that open the vault
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  vault recipient list\n  \
    vault recipient add --name laptop \"$(cat ~/.ssh/id_ed25519.pub)\"\n  \
    vault recipient remove laptop")]
pub enum RecipientCommand {
    Add(RecipientAdd),
    #[command(visible_alias = "ls")]
    List(RecipientList),
    #[command(visible_alias = "rm")]
    Remove(RecipientRemove),
}

/// Add a recipient, whose key opens the vault from then on
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault recipient add --name laptop age1…\n  \
    vault recipient add --name web1 \"$(ssh web1 cat /etc/ssh/ssh_host_ed25519_key.pub)\"\n  \
    vault recipient add -R team.txt\n\n\
    A plugin's program (age-plugin-…) must be installed now and at every later write.")]
pub struct RecipientAdd {
    /// An age or ssh public key, or a plugin's recipient
    pub recipient: Vec<String>,
    /// A file of recipients, one a line (repeatable); - is stdin
    #[arg(short = 'R', long, value_name = "FILE")]
    pub recipients_file: Vec<PathBuf>,
    /// A name for the recipient (one recipient only); renames an existing recipient
    #[arg(long, value_name = "NAME", overrides_with = "name")]
    pub name: Option<String>,
}

/// Show who may open the vault
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vault recipient list --json")]
pub struct RecipientList {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Remove a recipient, and print the vault's new fingerprint
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  vault recipient remove laptop\n  vault recipient rm -f age1…\n\n\
    A removed recipient can still read old copies of the vault: rotate the AWS keys that are listed."
)]
pub struct RecipientRemove {
    /// The recipient, or its name
    pub recipient: String,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// Manage the passphrase that opens the vault
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  vault passphrase set\n  vault passphrase remove")]
pub enum PassphraseCommand {
    Set(PassphraseSet),
    #[command(visible_alias = "rm")]
    Remove(PassphraseRemove),
}

/// Set or replace the passphrase: the old one no longer opens the vault
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault passphrase set\n  \
    vault passphrase set -i key.txt --new-passphrase-file new.txt\n\n\
    --passphrase-file and AWS_VAULT_PASSPHRASE are the passphrase that opens the vault now.")]
pub struct PassphraseSet {
    /// A file with the new passphrase, instead of asking for it; - is stdin
    #[arg(long, value_name = "FILE", overrides_with = "new_passphrase_file")]
    pub new_passphrase_file: Option<PathBuf>,
    /// Memory that one try of the passphrase costs, in MiB (64 to 1024)
    #[arg(long, value_name = "MIB", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(64..=1024))]
    pub passphrase_memory: u32,
}

/// Remove the passphrase, and print the vault's new fingerprint
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vault passphrase remove")]
pub struct PassphraseRemove {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// Keep a vault with a passphrase unlocked for a time
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault unlock\n  vault unlock --for 8h\n  vault lock\n\n\
    What the passphrase opens is kept in the Linux kernel's keyring, for the processes of\n\
    this user only. It is removed after that time, by vault lock, and when the machine stops.")]
pub struct Unlock {
    /// For how long, such as 30m; 24h at most
    #[arg(
        long = "for",
        value_name = "DURATION",
        default_value = "1h",
        overrides_with = "time",
        allow_hyphen_values = true
    )]
    pub time: String,
}

/// Show the vault's fingerprint, or accept a changed one
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault pin\n  vault pin --accept SHA256:…\n  \
    AWS_VAULT_PIN=SHA256:… AWS_VAULT_MIN_GENERATION=17 vault exec prod -- make deploy\n\n\
    A fingerprint tells this vault from a forged one, a generation the latest from an older copy. This\n\
    machine remembers both; where nothing is remembered yet, as on a CI runner, set the variables.")]
pub struct PinArgs {
    /// Remember this fingerprint in place of the old one; the vault must have it
    #[arg(long, value_name = "FINGERPRINT")]
    pub accept: Option<String>,
    /// Accept this older copy of the vault as the latest
    #[arg(long, conflicts_with = "accept")]
    pub accept_rollback: bool,
    /// As JSON, with the generation: how often the vault was written
    #[arg(long)]
    pub json: bool,
}
