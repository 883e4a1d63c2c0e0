//! What AWS's answers mean for an enrolment.

use crate::aws::StsError;
use crate::error::{Error, Result};

/// Whose key it is.
pub struct User {
    /// `arn:aws:iam::123456789012`
    pub account: String,
    /// Its last part, without the path.
    pub name: String,
}

impl User {
    /// From what GetCallerIdentity says: `arn:aws:iam::123456789012:user/path/name`.
    ///
    /// # Errors
    /// [`crate::error::Class::Refused`]: anybody else's.
    pub fn of(arn: &str) -> Result<Self> {
        let (account, resource) = arn.rsplit_once(':').unwrap_or_default();
        match resource.split_once('/') {
            Some(("user", path)) => {
                let name = path.rsplit('/').next().unwrap_or(path);
                Ok(Self { account: account.to_owned(), name: name.to_owned() })
            }
            _ if resource == "root" => Err(Error::refused("this is the root user's key")
                .hint("delete it, and give an IAM user a key and a device")),
            _ => Err(Error::refused("this key is no IAM user's, so it can have no MFA device")),
        }
    }
}

/// True if AWS said no with this code.
pub fn is(error: &StsError, wanted: &str) -> bool {
    matches!(error, StsError::Denied { code, .. } if code == wanted)
}

/// True for what may be otherwise in a moment.
pub fn may_pass(error: &StsError) -> bool {
    matches!(error, StsError::Throttled { .. }) || may_have_arrived(error)
}

/// True if AWS may have done what was asked, and only the answer is missing.
pub fn may_have_arrived(error: &StsError) -> bool {
    matches!(
        error,
        StsError::Unavailable { .. }
            | StsError::Timeout { .. }
            | StsError::BadAnswer { .. }
            | StsError::Unreachable { lost: true, .. }
    )
}

/// The name is another device's.
pub fn taken(device: &str, serial: &str) -> Error {
    Error::refused(format!("there is a device {device:?} at AWS, and its seed is not in the vault"))
        .hint(format!(
            "choose another name by --device, or, if nobody uses it: aws iam delete-virtual-mfa-device --serial-number {serial}"
        ))
}

/// AWS's refusal, with what it most often comes from.
pub fn denied(error: StsError) -> Error {
    let policies = is(&error, "AccessDenied");
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
        let user = User::of("arn:aws:iam::123456789012:user/ci/robots/build").unwrap();
        assert_eq!(
            (user.account.as_str(), user.name.as_str()),
            ("arn:aws:iam::123456789012", "build")
        );
        for arn in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:sts::123456789012:assumed-role/deploy/x",
            "arn:aws:sts::123456789012:federated-user/x",
            "",
        ] {
            assert_eq!(User::of(arn).err().unwrap().class, Class::Refused, "{arn}");
        }
    }

    #[test]
    fn a_connection_that_was_never_made_leaves_nothing_behind() {
        let unreachable = |lost| StsError::Unreachable { why: String::new(), hint: None, lost };
        assert!(may_have_arrived(&unreachable(true)));
        assert!(!may_have_arrived(&unreachable(false)));
        assert!(may_pass(&StsError::Throttled { code: String::new() }));
    }
}
