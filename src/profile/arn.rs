//! ARNs of roles and MFA devices, checked before anything is sent: AWS's own refusal would come after a code
//! is spent.
//!
//! A server other than AWS's may have accounts and partitions of its own (Ceph's have no number), so those are
//! checked only where AWS itself is asked.

use super::value::{of_value, wrong_value};
use crate::error::{Error, Result};
use crate::name::{arn_partition, is_account};

/// AWS's partitions (botocore, `partitions.json`).
const PARTITIONS: [&str; 8] =
    ["aws", "aws-cn", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-us-gov"];

/// Checks the ARN of a role. `by` is what an error calls it.
pub(super) fn role(arn: &str, by: &str, from_aws: bool) -> Result<()> {
    let hint = "it looks like arn:aws:iam::123456789012:role/NAME";
    let graphic = arn.bytes().all(|b| b.is_ascii_graphic());
    if arn_partition(arn).is_none() || !(20..=2048).contains(&arn.len()) || !graphic {
        return Err(wrong_value(by, "not an ARN", arn).hint(hint));
    }
    check(arn, by, from_aws, ("role/", "not the ARN of a role", hint))
}

/// Checks the serial of an MFA device: that of a virtual one is an ARN (STS API reference: 9 to 256 of
/// `[\w+=/:,.@-]`).
pub fn device(serial: &str, by: &str, from_aws: bool) -> Result<()> {
    let hint = "it looks like arn:aws:iam::123456789012:mfa/NAME";
    let fits = (9..=256).contains(&serial.len())
        && serial.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=/:,.@-".contains(&b));
    if !fits {
        return Err(wrong_value(by, "neither an ARN nor a serial number", serial).hint(hint));
    }
    match arn_partition(serial) {
        None => Ok(()),
        Some(_) => check(serial, by, from_aws, ("mfa/", "not the ARN of an MFA device", hint)),
    }
}

/// The warning for an ARN that AWS may accept: a partition that is not known here can be new.
pub(super) fn doubt(arn: &str, by: &str) -> Option<Error> {
    let partition = arn_partition(arn).filter(|it| is_partition(it) && !PARTITIONS.contains(it))?;
    let known = PARTITIONS.join(", ");
    Some(
        Error::usage(format!("{by} names a partition of AWS that is not known: {partition}"))
            .hint(format!("the partitions are {known}")),
    )
}

fn is_partition(text: &str) -> bool {
    text == "aws"
        || text
            .strip_prefix("aws-")
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
}

/// The parts of an ARN of IAM. `expected`: how the resource begins, what it is otherwise, and the hint.
fn check(arn: &str, by: &str, from_aws: bool, expected: (&str, &str, &str)) -> Result<()> {
    let (beginning, otherwise, hint) = expected;
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let error = match parts[..] {
        [_, partition, "iam", _, account, resource] if resource.starts_with(beginning) => {
            if from_aws && !is_partition(partition) {
                wrong_value(by, "not an ARN of AWS", arn)
            } else if from_aws && !is_account(account) {
                Error::usage(format!("{by} has no account of twelve digits{}", of_value(arn)))
            } else {
                return Ok(());
            }
        }
        _ => wrong_value(by, otherwise, arn),
    };
    Err(error.hint(hint))
}
