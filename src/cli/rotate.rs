//! The command line of `rotate`.

use clap::Args;

/// Replace a profile's access key at AWS and in the vault
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault rotate prod\n  vault rotate --all --json\n  \
    vault rotate --all --dry-run\n  vault rotate --resume\n\n\
    Makes a new key, saves it, tests it, and only then deletes the old one. After a failure,\n\
    --resume continues where it stopped. Copies of the vault elsewhere keep the old key: replace them.")]
pub struct Rotate {
    /// The profile; with source_profile, the key at the end of the chain is replaced
    #[arg(required_unless_present_any = ["all", "resume"])]
    pub profile: Option<String>,
    /// Every key in the vault; a failure of one does not stop the others
    #[arg(long, conflicts_with = "profile")]
    pub all: bool,
    /// Only finish what an earlier run began
    #[arg(long)]
    pub resume: bool,
    /// Say what would be done; no code is spent, and nothing is changed
    #[arg(long)]
    pub dry_run: bool,
    /// Delete the user's other key, if there is one, to make room (AWS allows two)
    #[arg(long, requires = "profile", conflicts_with = "all")]
    pub delete_other: bool,
    /// Use the key itself: no MFA session, and no code is spent
    #[arg(short, long)]
    pub no_session: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// The MFA code, if the policies want one
    #[arg(
        short = 't',
        long,
        value_name = "CODE",
        overrides_with = "mfa_token",
        conflicts_with = "all"
    )]
    pub mfa_token: Option<String>,
}
