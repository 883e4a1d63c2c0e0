//! Programs that the AWS files name and nobody starts.

use super::Report;
use crate::profile::{self, Profiles};

/// Profiles whose `credential_process` the AWS CLI and the SDKs never reach.
pub fn check(profiles: &Profiles, report: &mut Report) {
    let found = profile::before_process(profiles, &profiles.names());
    for profile::BeforeProcess { what, advice } in found {
        report.problem("aws.process", what).advise(advice);
    }
}
