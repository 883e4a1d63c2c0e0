//! The command line of `fleet`.

use clap::{Args, Subcommand, ValueEnum};

/// Share sessions and codes among hosts, through an S3-compatible store
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  vault fleet join s3://bucket/prefix --profile store\n  \
    vault fleet status\n\n\
    Hosts with copies of one vault make one session with MFA together, and send no code twice. The\n\
    store has only encrypted objects. AWS_VAULT_SHARED=off keeps one host out.")]
pub enum FleetCommand {
    Join(FleetJoin),
    Check(FleetCheck),
    Status(FleetStatus),
    /// Update the vault from the store, or the store from the vault, whichever is older
    #[command(after_help = "Example:\n  vault fleet pull\n\n\
        Done automatically when AWS no longer knows a key. Ends with 6 if the vault was changed\n\
        here and elsewhere since they were the same: then neither is replaced.")]
    Pull,
    /// Stop sharing a store: remove its record from the vault
    #[command(after_help = "Example:\n  vault fleet leave\n\n\
        For all hosts, once they have the new file. One host stays out by AWS_VAULT_SHARED=off. The\n\
        objects stay: remove them in the store.")]
    Leave,
}

/// Check a store, and record it in the vault as shared by all its hosts
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault fleet join s3://bucket/prefix --profile store\n  \
    vault fleet join s3://bucket/prefix --region eu-central-1 --credentials ambient\n  \
    vault fleet join s3://bucket/prefix --endpoint https://ceph.example:8080 --profile store\n\n\
    Refused (6) if the store does not support conditional writes. Every copy of the vault has to\n\
    get the new file once.")]
pub struct FleetJoin {
    /// The bucket, and what the objects' keys begin with
    #[arg(value_name = "S3-URL")]
    pub store: String,
    /// The bucket's region [default: the profile's, AWS_REGION, else us-east-1]
    #[arg(long, value_name = "REGION", overrides_with = "region")]
    pub region: Option<String>,
    /// An endpoint other than AWS's [default: AWS_ENDPOINT_URL_S3, the profile's]
    #[arg(long, value_name = "URL", overrides_with = "endpoint")]
    pub endpoint: Option<String>,
    /// Send no MFA code while the store cannot be reached
    #[arg(long)]
    pub required: bool,
    /// The profile whose key in the vault reaches the store
    #[arg(long, value_name = "PROFILE", overrides_with = "profile")]
    pub profile: Option<String>,
    /// Which credentials access the store: ambient, each host's own (web identity, role, environment)
    #[arg(long, value_name = "WHOSE", value_enum, hide_possible_values = true,
          conflicts_with = "profile", default_value_t = StoreCredentials::Ambient)]
    pub credentials: StoreCredentials,
}

/// Whose credentials reach the store, if no key in the vault does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoreCredentials {
    /// The host's.
    Ambient,
}

/// Test whether the store supports conditional writes, in sequence and concurrently
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vault fleet check\n\n\
    Leaves ten small objects under c/. Ends with 6 if hosts must not share this store.")]
pub struct FleetCheck {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Show which store is shared, and what is there
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault fleet status\n  vault fleet status --json\n\n\
    Of each session that costs a code: when it ends, which generation of the vault its host had, and\n\
    whether a host is making one now.")]
pub struct FleetStatus {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}
