//! What AWS's answers mean for an enrolment.

use crate::error::{Error, Result};
use crate::user_change::User;

/// Whose key it is.
pub fn user_of(arn: String) -> Result<User> {
    User::of(arn, "a key and a device", "can have no MFA device")
}

/// The name is another device's.
pub fn name_is_taken(device: &str, serial: &str) -> Error {
    Error::refused(format!("there is a device {device:?} at AWS, and its seed is not in the vault"))
        .hint(format!(
            "choose another name by --device, or, if nobody uses it: aws iam delete-virtual-mfa-device --serial-number {serial}"
        ))
}

/// What AWS most often refuses for want of.
pub const MUST: &str = "the user must be allowed to create and enable its own MFA device; if it has one \
                        already, many policies want a session made with that";
