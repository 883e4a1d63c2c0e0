//! Access keys from other sources: AWS's output for a new key, aws-vault's stores, and plaintext files.
//!
//! | file | what |
//! | --- | --- |
//! | `form` | what an access key can be |
//! | `key_file` | the JSON of AWS's CLI and the console's CSV |
//! | `aws_vault` | aws-vault's file backend: the directory, its file names, its items |
//! | `jwe` | the encryption of those files |
//! | `pass` | aws-vault's items in the password store `pass` |
//! | `plaintext` | `~/.aws/credentials` |
//! | `plan` | what is done with each item |
//! | `sections` | what the AWS config lacks for the imported profiles |

pub mod aws_vault;
mod form;
pub mod jwe;
mod key_file;
pub mod pass;
pub mod plaintext;
pub mod plan;
pub mod sections;

use crate::credential::Credentials;
use crate::error::{Class, Result};
use crate::name::ProfileName;

pub use form::{checked, doubt, not_swapped, shown_id};
pub use key_file::{access_key, csv, json};

/// Why an item is not imported that no passphrase opened.
const OTHER_PASSPHRASE: &str = "it has another passphrase";

/// The most items that a line names.
const NAMED: usize = 5;

/// The names of items in a sentence: `a`, `a, b`, `a, b, c, d, e and 2 more`.
fn listed(names: &[&str]) -> String {
    let (named, rest) = names.split_at(names.len().min(NAMED));
    match rest.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

/// An item of a source.
#[derive(Debug)]
pub struct Item {
    /// The profile for which it is imported.
    pub profile: String,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    Key(Credentials),
    /// An item that is not imported and is not an error, with the reason.
    Skipped(String),
    /// An item that could not be read, with the class of the error and the reason.
    Failed(Class, String),
}

impl Content {
    fn skipped(why: &str) -> Self {
        Self::Skipped(why.to_owned())
    }

    fn failed(class: Class, why: impl Into<String>) -> Self {
        Self::Failed(class, why.into())
    }

    /// The error of an item whose name no profile can have.
    fn bad_name(name: &str) -> Option<Self> {
        let bad = ProfileName::new(name).is_err();
        bad.then(|| Self::failed(Class::Usage, "no profile can have this name"))
    }

    /// A key, or the error for it.
    fn of(read: Result<Credentials>) -> Self {
        match read {
            Ok(key) => Self::Key(key),
            Err(error) => Self::Failed(error.class, error.what),
        }
    }
}
