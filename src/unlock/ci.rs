//! Detection of CI jobs by their environment.
//!
//! The crates for this (is_ci, ci_info) read the process's environment, so a unit test would depend on the
//! machine that it runs on. They also treat `CI=false` and empty variables as a yes, and none of them has
//! all of the variables below.

use crate::env::Env;

/// Variables that CI systems document to set in each job. Most set `CI` too; Azure Pipelines, CodeBuild,
/// Jenkins, TeamCity, Bamboo and GoCD do not.
const SYSTEMS: [&str; 44] = [
    "AC_APPCIRCLE",
    "AGOLA_GIT_REF",
    "APPVEYOR",
    "BITBUCKET_BUILD_NUMBER",
    "BITBUCKET_COMMIT",
    "BITRISE_IO",
    "BUDDY_WORKSPACE_ID",
    "BUILDER_OUTPUT",
    "BUILDKITE",
    "CF_BUILD_ID",
    "CIRCLECI",
    "CIRRUS_CI",
    "CM_BUILD_ID",
    "CODEBUILD_BUILD_ARN",
    "CODEBUILD_BUILD_ID",
    "CONTINUOUS_INTEGRATION",
    "DRONE",
    "EARTHLY_CI",
    "EAS_BUILD",
    "FORGEJO_ACTIONS",
    "GITEA_ACTIONS",
    "GITHUB_ACTIONS",
    "GITLAB_CI",
    "GO_PIPELINE_LABEL",
    "GO_PIPELINE_NAME",
    "HARNESS_BUILD_ID",
    "HEROKU_TEST_RUN_ID",
    "HUDSON_URL",
    "JENKINS_URL",
    "NETLIFY",
    "NOW_BUILDER",
    "PROW_JOB_ID",
    "SAIL_CI",
    "SCREWDRIVER",
    "SEMAPHORE",
    "STRIDER",
    "TASKCLUSTER_ROOT_URL",
    "TEAMCITY_VERSION",
    "TF_BUILD",
    "TRAVIS",
    "VELA",
    "WERCKER_GIT_BRANCH",
    "bamboo_buildKey",
    "bamboo_planKey",
];

/// True if `CI` is set, or, if it is unset or empty, one of [`SYSTEMS`]. The values `false`, `0`, `no` and
/// `off` mean no; in `CI` they do so whatever else is set.
pub(super) fn is_job(env: &Env) -> bool {
    match env.get("CI") {
        Some(value) => !is_no(value),
        None => SYSTEMS.iter().any(|name| env.get(name).is_some_and(|value| !is_no(value))),
    }
}

fn is_no(value: &str) -> bool {
    ["false", "0", "no", "off"].iter().any(|no| value.eq_ignore_ascii_case(no))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_detected_by_the_variables_of_its_system() {
        for vars in [
            &[("CI", "true")][..],
            &[("CI", "1")],
            &[("CI", "woodpecker")],
            &[("CI", ""), ("TF_BUILD", "True")],
        ] {
            assert!(is_job(&Env::of(vars)), "{vars:?}");
        }
        for name in SYSTEMS {
            assert!(is_job(&Env::of(&[(name, "1")])), "{name}");
            assert!(!is_job(&Env::of(&[(name, "1"), ("CI", "false")])), "{name}");
            for no in ["", "False", "0"] {
                assert!(!is_job(&Env::of(&[(name, no)])), "{name}={no}");
            }
        }
        for vars in [
            &[][..],
            &[("CI", "")],
            &[("CI", "false")],
            &[("CI", "False")],
            &[("CI", "0")],
            &[("BUILD_ID", "1")],
            &[("HOME", "/root")],
        ] {
            assert!(!is_job(&Env::of(vars)), "{vars:?}");
        }
    }
}
