//! The command line of `serve`.

use std::path::PathBuf;

use clap::Args;

use super::CredentialOptions;

/// Serve credentials over HTTP to a container or pod, renewed for as long as it runs
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    vault serve --profile prod --token-file /run/vault/token\n  \
    vault serve --profile prod --imds 127.0.0.1:9912\n  \
    vault serve --check\n\n\
    For a client in the same network namespace:\n  \
    AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:9911/credentials/prod\n  \
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/vault/token\n\n\
    Older clients (boto3 before 1.29, AWS CLI 2.9) read the token only from a variable:\n  \
    AWS_CONTAINER_AUTHORIZATION_TOKEN=$(cat /run/vault/token)\n\n\
    For a client of --imds:\n  \
    AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:9912\n\n\
    GET /health needs no token and tells whether the server is ready. SIGTERM and SIGINT end it;\n\
    it exits with 0.")]
pub struct Serve {
    /// A profile to serve, at /credentials/NAME (repeatable)
    /// [default: AWS_PROFILE, AWS_DEFAULT_PROFILE or default]
    #[arg(long, value_name = "NAME")]
    pub profile: Vec<String>,
    /// Where to listen [env: AWS_VAULT_LISTEN; default: 127.0.0.1:9911]
    #[arg(long, value_name = "ADDRESS:PORT", overrides_with = "listen")]
    pub listen: Option<String>,
    /// Listen on an address that other hosts or containers may reach, too: the token alone guards the
    /// credentials then, and both cross that network in the clear
    #[arg(long, overrides_with = "allow_non_loopback")]
    pub allow_non_loopback: bool,
    /// Write the token that clients need into FILE, a new one at each start
    #[arg(long, value_name = "FILE", overrides_with = "token_file")]
    pub token_file: Option<PathBuf>,
    /// The mode of that file: 0600, or 0640, 0440 for a group
    #[arg(long, value_name = "MODE", overrides_with = "token_mode", default_value = "0600")]
    pub token_mode: String,
    /// Stand in for an EC2 instance's metadata service (IMDSv2) at this IPv4 address, too, with the
    /// credentials of the first --profile, for clients that ask nowhere else. Anyone who reaches it
    /// gets them: it must be a loopback address, or 169.254.169.254 in a container's own network. Then
    /// --token-file may be left out
    #[arg(long, value_name = "ADDRESS:PORT", overrides_with = "imds")]
    pub imds: Option<String>,
    /// Answer version 1 of the metadata service as well, which takes no session token
    #[arg(long, requires = "imds", overrides_with = "imds_v1")]
    pub imds_v1: bool,
    /// Also report readiness on a Unix socket, to this user and root only
    #[arg(long, value_name = "SOCKET", overrides_with = "health_socket")]
    pub health_socket: Option<PathBuf>,
    /// Ask a running server (--listen, --health-socket) whether it is ready; exit with 0 if it is
    #[arg(long, overrides_with = "check")]
    pub check: bool,
    #[command(flatten)]
    pub options: CredentialOptions,
}
