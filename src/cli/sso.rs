//! The command line of `sso`.

use clap::{Args, Subcommand};

/// Log in to IAM Identity Center (SSO), with a browser on any machine
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  vault sso login prod\n  vault sso logout prod\n\n\
    sso_session, or sso_start_url and sso_region, of the profile say where to log in. Profiles with\n\
    the same place share one login.")]
pub enum SsoCommand {
    Login(SsoLogin),
    Logout(SsoLogout),
}

/// Show a URL and a code, and wait until the request is allowed on that page
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vault sso login prod\n\n\
    The URL and the code are shown on the terminal, or on stderr if there is none. The login is\n\
    kept, encrypted, in the cache of the vault, and refreshed for as long as AWS allows it.")]
pub struct SsoLogin {
    /// The profile [default: AWS_PROFILE, AWS_DEFAULT_PROFILE or default]
    pub profile: Option<String>,
}

/// Log out at AWS, and remove the login and its sessions from the cache
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vault sso logout prod\n\n\
    Credentials that were handed out before stay valid until they expire: AWS revokes none.")]
pub struct SsoLogout {
    /// The profile [default: AWS_PROFILE, AWS_DEFAULT_PROFILE or default]
    pub profile: Option<String>,
}
