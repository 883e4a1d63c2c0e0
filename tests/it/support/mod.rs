//! What the tests stand on: a clean place to run the program in, a terminal, and a strict STS.
#![allow(dead_code)] // each feature uses its part

pub mod agent;
pub mod builder;
pub mod child;
pub mod counted;
pub mod diff;
pub mod docker;
pub mod documents;
pub mod inside;
pub mod moto;
pub mod place;
pub mod pty;
pub mod scene;
pub mod seccomp;
pub mod served;
pub mod standin;
pub mod weed;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// The program: what cargo has built, or what `VAULT_BIN` names, such as the released one.
#[allow(clippy::disallowed_methods)] // a switch of the tests', not of the program
pub fn program() -> &'static Path {
    static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
        let Some(path) = std::env::var_os("VAULT_BIN") else {
            return env!("CARGO_BIN_EXE_vault").into();
        };
        let path = PathBuf::from(path).canonicalize().expect("VAULT_BIN");
        assert!(path.is_file(), "VAULT_BIN is no file");
        path
    });
    &PROGRAM
}

/// AWS's documented example key: the only access key in the tests.
pub const ACCESS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The age key of the test vaults: the well-known one of age's own test suite, so nobody's.
pub const AGE_KEY: &str =
    "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
/// Its public key.
pub const AGE_RECIPIENT: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
/// The passphrase of the test vaults.
pub const PASSPHRASE: &str = "correct horse battery staple";
/// The account of AWS's documentation.
pub const ACCOUNT: &str = "123456789012";
/// The MFA device of the stand-in's demo user.
pub const MFA_SERIAL: &str = "arn:aws:iam::123456789012:mfa/demo";
/// Its seed: RFC 6238's own, `12345678901234567890`, in base32.
pub const MFA_SEED: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
