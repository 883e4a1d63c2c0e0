//! The command line of `totp` and `mfa`.

use clap::{Args, Subcommand};

/// Keep TOTP seeds, for MFA without a person
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  vault totp add prod\n  vault totp code prod\n\n\
    DEVICE is an MFA serial (arn:aws:iam::…:mfa/…) or a profile that names it by mfa_serial.\n\
    A vault with both the key and the seed gives anyone who opens it both MFA factors.")]
pub enum TotpCommand {
    Add(TotpAdd),
    Code(TotpCode),
    #[command(visible_alias = "ls")]
    List(TotpList),
    #[command(visible_alias = "rm")]
    Remove(TotpRemove),
}

/// Store the seed of an MFA device: base32, or the otpauth:// URI of its QR code
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault totp add prod --verify\n  \
    zbarimg -q --raw qr.png | vault totp add arn:aws:iam::123456789012:mfa/ci --stdin")]
pub struct TotpAdd {
    /// The MFA serial, or a profile that names it
    pub device: String,
    /// Take the seed from stdin
    #[arg(long)]
    pub stdin: bool,
    /// Ask AWS whether it accepts a code of this seed before storing it
    #[arg(long)]
    pub verify: bool,
}

/// Print a code that no other process has used, and record it as used
#[derive(Debug, Args)]
#[command(
    after_help = "AWS accepts each code once, and those of two steps of 30 s before and after the present one. \
    So\nthe code may be of another step than the one that an app shows. If none is free, vault waits\nfor the next.\n\n\
    Example:\n  vault totp code prod"
)]
pub struct TotpCode {
    /// The MFA serial, or a profile that names it
    pub device: String,
}

/// Show which devices have a seed here
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vault totp list --json")]
pub struct TotpList {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Remove the seed of a device
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  vault totp remove prod")]
pub struct TotpRemove {
    /// The MFA serial, or a profile that names it
    pub device: String,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

/// Manage MFA devices at AWS
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:\n  vault mfa enroll ci")]
pub enum MfaCommand {
    Enroll(MfaEnroll),
}

/// Create a virtual MFA device for the IAM user of a profile's key, store its seed, enable and test it
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  vault mfa enroll ci\n  vault mfa enroll ci --device ci-runner-1\n\n\
    Prints the device's ARN, and writes it into the profile as mfa_serial. After a failure, the same\n\
    command continues where it stopped."
)]
pub struct MfaEnroll {
    /// The profile; its key's IAM user gets the device
    pub profile: String,
    /// The device's name at AWS [default: the user's name]
    #[arg(long, value_name = "NAME", overrides_with = "device")]
    pub device: Option<String>,
}
