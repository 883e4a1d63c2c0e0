//! What AWS's answers mean for an enrolment.

use crate::aws::{Identity, ServiceError};
use crate::error::{Error, Result};

/// Whose key it is.
pub struct User {
    /// `arn:aws:iam::123456789012`
    pub account: String,
    /// Its last part, without the path.
    pub name: String,
}

impl User {
    /// From what GetCallerIdentity says.
    ///
    /// # Errors
    /// [`crate::error::Class::Refused`]: anybody else's.
    pub fn of(arn: &str) -> Result<Self> {
        match Identity::of(arn) {
            Identity::User { account, name } => Ok(Self { account, name }),
            Identity::Root => Err(Error::refused("this is the root user's key")
                .hint("delete it, and give an IAM user a key and a device")),
            Identity::Other => {
                Err(Error::refused("this key is no IAM user's, so it can have no MFA device"))
            }
        }
    }
}

/// The name is another device's.
pub fn name_is_taken(device: &str, serial: &str) -> Error {
    Error::refused(format!("there is a device {device:?} at AWS, and its seed is not in the vault"))
        .hint(format!(
            "choose another name by --device, or, if nobody uses it: aws iam delete-virtual-mfa-device --serial-number {serial}"
        ))
}

/// AWS's refusal, with what it most often comes from.
pub fn denied(error: ServiceError) -> Error {
    let policies = error.is("AccessDenied");
    let error = error.into_error();
    if policies && error.hint.is_none() {
        return error.hint(
            "the user must be allowed to create and enable its own MFA device; if it has one already, many policies want a session made with that",
        );
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    #[test]
    fn only_an_iam_user_can_have_a_device() {
        assert_eq!(User::of("arn:aws:iam::123456789012:user/a/ci").unwrap().name, "ci");
        for arn in ["arn:aws:iam::123456789012:root", "arn:aws:sts::123456789012:assumed-role/a/b"]
        {
            assert_eq!(User::of(arn).err().unwrap().class, Class::Refused, "{arn}");
        }
    }
}
