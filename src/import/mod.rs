//! Access keys from elsewhere: what AWS prints when it makes one, what aws-vault keeps, and what
//! stands in the clear.
//!
//! | file | what |
//! | --- | --- |
//! | `given` | the JSON of AWS's CLI and the console's CSV |
//! | `aws_vault` | aws-vault's file backend: a directory, its names, its items |
//! | `jwe` | what each of those files is encrypted as |
//! | `pass` | aws-vault's items in the password store `pass` |
//! | `plaintext` | `~/.aws/credentials` |
//! | `plan` | what becomes of each item that was found |

pub mod aws_vault;
mod given;
pub mod jwe;
pub mod pass;
pub mod plaintext;
pub mod plan;

use crate::credential::Credentials;
use crate::error::{Class, Error, Result};
use crate::secret::Secret;

pub use given::{access_key, csv, json};

/// What a source holds under one name.
#[derive(Debug)]
pub struct Item {
    /// The profile that it belongs to.
    pub profile: String,
    /// What it is.
    pub content: Content,
}

/// What an item turned out to be.
#[derive(Debug)]
pub enum Content {
    /// A long-term access key.
    Key(Credentials),
    /// Nothing for a vault, and no fault: why.
    Skipped(String),
    /// It could not be had: what that is to the exit code, and why.
    Failed(Class, String),
}

impl Content {
    /// A key that was read, or why it is none.
    fn of(read: Result<Credentials>) -> Self {
        match read {
            Ok(key) => Self::Key(key),
            Err(error) => Self::Failed(error.class, error.what),
        }
    }
}

/// An access key that can be one: AWS documents 16 to 128 word characters for the id, and a secret
/// of printable characters without blanks.
///
/// # Errors
/// [`crate::error::Class::Usage`].
pub fn checked(id: &str, secret: Secret) -> Result<Credentials> {
    if !(16..=128).contains(&id.len())
        || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return Err(Error::usage(
            "that is not an access key id: 16 to 128 letters and digits, such as AKIA…",
        ));
    }
    if id.starts_with("ASIA") {
        return Err(Error::usage("that is the id of temporary credentials (ASIA…)").hint(
            "a vault keeps long-term access keys (AKIA…), and makes temporary ones from them",
        ));
    }
    if secret.len() < 16 || !secret.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::usage("that is not a secret access key: 40 characters without blanks"));
    }
    Ok(Credentials::long_term(id.to_owned(), secret))
}
