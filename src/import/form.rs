//! What an access key can be, and what AWS's look like.

use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The characters of AWS's secret access keys.
const SECRET_LENGTH: usize = 40;

/// An access key as aws-vault takes it: any id and any secret, in one line and without blanks, since a
/// service other than AWS gives what it likes (LocalStack takes `test`).
///
/// # Errors
/// [`crate::error::Class::Usage`]: one of both is empty or could not be sent, or the id is that of
/// temporary credentials, which are worth nothing without their token.
pub fn checked(id: &str, secret: Secret) -> Result<Credentials> {
    let fits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    // Quotes are left over from a file that was not understood.
    if !fits(id) || id.len() > 128 || id.contains(['"', '\'']) {
        return Err(Error::usage(
            "that is not an access key id: 1 to 128 printable characters without blanks, such as AKIA…",
        ));
    }
    if id.starts_with("ASIA") {
        return Err(Error::usage("that is the id of temporary credentials (ASIA…)").hint(
            "a vault keeps long-term access keys (AKIA…), and makes temporary ones from them",
        ));
    }
    if !fits(secret.expose()) {
        return Err(Error::usage(
            "that is not a secret access key: printable characters without blanks, 40 of them in AWS's",
        ));
    }
    Ok(Credentials::long_term(id.to_owned(), secret))
}

/// The same for a key from a file or variables, which no person checks: its secret must not become an ID,
/// which is shown.
///
/// # Errors
/// As [`checked`]; [`crate::error::Class::Usage`] too where the two are swapped.
pub fn not_swapped(id: &str, secret: Secret) -> Result<Credentials> {
    let key = checked(id, secret)?;
    if is_swapped(&key) {
        return Err(Error::usage("access key ID and secret access key are swapped"));
    }
    Ok(key)
}

/// An id of AWS's (IAM User Guide, "IAM identifiers"): 16 to 128 word characters that begin with AKIA; those
/// that it has given so far have 20.
fn is_id(text: &str) -> bool {
    (16..=32).contains(&text.len())
        && text.starts_with("AKIA")
        && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn is_swapped(key: &Credentials) -> bool {
    is_id(key.secret_access_key.expose()) && !is_id(&key.access_key_id)
}

/// What makes it unlikely that a key is AWS's, in the words of a warning.
pub fn doubt(key: &Credentials) -> Option<String> {
    let (id, secret) = (key.access_key_id.as_str(), &key.secret_access_key);
    if is_swapped(key) {
        return Some(
            "the secret access key looks like an access key ID: were the two swapped?".to_owned(),
        );
    }
    if !is_id(id) {
        return Some(
            "the access key ID does not look like one of AWS's: AKIA and 16 letters and digits"
                .to_owned(),
        );
    }
    let length = secret.len();
    (length != SECRET_LENGTH).then(|| {
        format!("the secret access key has {length} characters, and AWS's have {SECRET_LENGTH}")
    })
}

/// A key's id for a message. One that is as long as a secret may be one, put into the wrong place.
pub fn shown_id(id: &str) -> &str {
    if id.len() < SECRET_LENGTH { id } else { "an ID that is not shown, since it may be a secret" }
}
