//! Access keys from elsewhere: what AWS prints when it makes one, what aws-vault keeps, and what
//! stands in the clear.
//!
//! | file | what |
//! | --- | --- |
//! | `form` | what an access key can be |
//! | `given` | the JSON of AWS's CLI and the console's CSV |
//! | `aws_vault` | aws-vault's file backend: a directory, its names, its items |
//! | `jwe` | what each of those files is encrypted as |
//! | `pass` | aws-vault's items in the password store `pass` |
//! | `plaintext` | `~/.aws/credentials` |
//! | `plan` | what becomes of each item that was found |

pub mod aws_vault;
mod form;
mod given;
pub mod jwe;
pub mod pass;
pub mod plaintext;
pub mod plan;

use crate::credential::Credentials;
use crate::error::{Class, Result};

pub use form::{checked, doubt, shown_id};
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
