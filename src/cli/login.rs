//! The command line of `login`.

use clap::Args;

use super::CredentialOptions;

/// Print a URL that opens AWS's console
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault login prod\n  \
    vault login prod --path s3/home --region eu-central-1\n  \
    vault login prod --duration 12h\n\n\
    Anyone who has the URL is signed in, for 15 minutes after it was made: keep it out of logs.\n\n\
    A role's console session lasts as long as the role's credentials, or up to 12h by --duration where\n\
    the role is assumed straight from a key. A key without a role opens the console by\n\
    sts:GetFederationToken, for 15m to 36h, 1h by default: with what its user may do, but without MFA.\n\n\
    Without PROFILE, uses AWS_ACCESS_KEY_ID and its related variables if they are set, else\n\
    AWS_PROFILE, AWS_DEFAULT_PROFILE or default. AWS_ENDPOINT_URL_SIGNIN names another sign-in service.")]
pub struct Login {
    /// The profile
    pub profile: Option<String>,
    /// The page to open, such as s3/home
    #[arg(long, value_name = "PATH", overrides_with = "path")]
    pub path: Option<String>,
    #[command(flatten)]
    pub options: CredentialOptions,
    // aws-vault opens a browser without it.
    #[arg(short, hide = true)]
    pub s: bool,
}
