//! Opening AWS's console: which credentials, where they are exchanged for a sign-in token, and which page they
//! open.
//!
//! | the profile ends with | credentials | `--duration` |
//! | --- | --- | --- |
//! | one role, from a key, for over 1 h | AssumeRole, straight from the key | the console's session (`SessionDuration`) |
//! | any other role | as `exec` gets them | theirs, and the console's session ends with them |
//! | a user's own key | GetFederationToken | theirs |
//! | temporary credentials of elsewhere | as they are | none |
//!
//! AWS takes `SessionDuration` for a role that a user's key assumed and for nothing else (IAM User
//! Guide, "Enable custom identity broker access to the AWS console"). GetFederationToken is what
//! aws-vault asks of a key without a role: what GetSessionToken gives opens no console.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::base::Base;
use super::durations::{Asked, HOUR, SESSION_RANGE};
use super::plan::{Plan, PlanRequest, arn, plan};
use super::read::Profiles;
use super::region::{partition, region};
use super::settings::Settings;
use super::step::Step;
use super::sts::{self, Target};
use super::variables::Variables;
use super::variant::EndpointVariant;
use crate::error::{Error, Result};
use crate::name;

/// How to open the console: pure data, without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Console {
    pub plan: Plan,
    /// The call if the plan gives a user's own key, which opens no console.
    pub federation: Federation,
    /// `SessionDuration`, where AWS takes one: 900 to 43,200 s.
    pub session: Option<Duration>,
    pub signin: Signin,
    pub destination: String,
}

/// GetFederationToken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Federation {
    pub sts: Target,
    /// 900 to 129,600 s.
    pub duration: Duration,
    /// True if the command line says how long.
    pub asked: bool,
    /// True if the profile names an MFA device, for which this call has no parameter.
    pub without_mfa: bool,
}

/// AWS's sign-in service, one per partition, which exchanges credentials for a sign-in token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signin {
    /// `https://signin.aws.amazon.com`, or what `AWS_ENDPOINT_URL_SIGNIN` names.
    pub url: String,
    /// `AWS_CA_BUNDLE` or `ca_bundle`.
    pub ca_bundle: Option<PathBuf>,
}

/// Partition, sign-in service, console.
const SIGNIN_SERVICES: [(&str, &str, &str); 3] = [
    ("aws", "https://signin.aws.amazon.com", "https://console.aws.amazon.com/"),
    ("aws-cn", "https://signin.amazonaws.cn", "https://console.amazonaws.cn/"),
    ("aws-us-gov", "https://signin.amazonaws-us-gov.com", "https://console.amazonaws-us-gov.com/"),
];

/// Plans how to open the console for a profile. `path`: the page, as in a console's address after the host.
///
/// # Errors
/// As [`plan`]; usage (2) too for a duration that AWS would refuse for the profile's credentials, for an
/// invalid path, and for a partition whose console is not known.
pub fn console(
    profiles: &Profiles,
    stored: &BTreeSet<String>,
    request: &PlanRequest,
    path: Option<&str>,
) -> Result<Console> {
    let as_exec = plan(profiles, stored, request)?;
    let with_mfa = as_exec.steps.iter().any(|step| step.mfa().is_some());
    // A user's own key is needed as it is, and the duration is GetFederationToken's.
    let itself = PlanRequest { no_session: true, duration: None, ..request.clone() };
    let (plan, session) = match as_exec.steps.last() {
        None | Some(Step::Session { .. }) => (plan(profiles, stored, &itself)?, None),
        Some(last) => match request.duration.filter(|asked| *asked > HOUR) {
            None => (as_exec, None),
            Some(asked) if last.duration().is_some_and(|given| given < asked) => {
                return Err(Error::usage(
                    "--duration: a role from a role, or from temporary credentials, lasts 1h at most",
                ));
            }
            Some(asked) => match (&as_exec.base, as_exec.steps.as_slice()) {
                (
                    Base::Vault { .. } | Base::Plaintext { .. } | Base::Environment,
                    [Step::Role { .. }],
                ) => (plan(profiles, stored, &itself)?, Some(asked)),
                _ => (as_exec, None),
            },
        },
    };
    let settings = Settings::of(profiles, &request.profile)?;
    console_of(plan, session, with_mfa, request, path, &settings)
}

/// The same for the key in `AWS_ACCESS_KEY_ID` and its companions, with the settings of the profile that is
/// asked for.
pub fn console_of_environment(
    profiles: &Profiles,
    request: &PlanRequest,
    path: Option<&str>,
) -> Result<Console> {
    let settings = Settings::of(profiles, &request.profile)?;
    let region = region(request.region.as_deref(), &settings)?;
    let variant = EndpointVariant::of(&settings)?;
    let plan = Plan::of_base(Base::Environment, &request.profile, region, variant);
    console_of(plan, None, false, request, path, &settings)
}

fn console_of(
    mut plan: Plan,
    session: Option<Duration>,
    with_mfa: bool,
    request: &PlanRequest,
    path: Option<&str>,
    settings: &Settings,
) -> Result<Console> {
    let ttl = &settings.variables.federation_token_ttl;
    let duration = match (request.duration, ttl.text()?) {
        (Some(asked), _) => Asked::by_flag(asked),
        (None, _) => Asked::by_variable(ttl)?.unwrap_or_else(|| Asked::by_default(HOUR)),
    };
    let (signin, console, is_named) = signin_service(&plan, settings.variables)?;
    if plan.variant.is_dual_stack() && !is_named {
        plan.notes
            .push("use_dualstack_endpoint does not count for AWS's sign-in service".to_owned());
    }
    let region = plan.region.as_deref();
    let endpoint = sts::endpoint(settings, "sts")?;
    let federation = Federation {
        sts: sts::target(settings, endpoint, region, arn(&plan.steps), plan.variant)?,
        duration: duration.within("a federated session", SESSION_RANGE)?,
        asked: request.duration.is_some(),
        without_mfa: with_mfa,
    };
    let destination = destination(console, path, region)?;
    if plan.sts.is_none() {
        plan.notes.extend(federation.sts.overridden());
    }
    let signin = Signin { url: signin, ca_bundle: federation.sts.ca_bundle.clone() };
    Ok(Console { plan, federation, session, signin, destination })
}

/// The sign-in service, the console of a plan's partition, and true if a variable names the service. The
/// partition is that of the plan's last role, else that of its region.
fn signin_service(plan: &Plan, variables: &Variables) -> Result<(String, &'static str, bool)> {
    let by_region = partition(plan.region.as_deref().unwrap_or_default());
    let partition = arn(&plan.steps).and_then(name::arn_partition).unwrap_or(by_region);
    let Some((_, signin, console)) = SIGNIN_SERVICES.iter().find(|(name, _, _)| *name == partition)
    else {
        return Err(Error::usage(format!(
            "the console of the partition {partition} is not known here"
        )));
    };
    let named = variables.endpoint_of("signin")?;
    if named.is_some_and(|url| url.contains(['?', '#', '@']) || url.contains(char::is_whitespace)) {
        return Err(Error::usage("AWS_ENDPOINT_URL_SIGNIN: not an http or https URL")
            .hint("it looks like https://signin.aws.amazon.com"));
    }
    if named.is_none() && plan.variant.is_fips() {
        return Err(Error::usage(
            "AWS's sign-in service has no FIPS endpoint that opens the console",
        )
        .hint("use_fips_endpoint asks for one; AWS_USE_FIPS_ENDPOINT=false goes without"));
    }
    let url = named.unwrap_or(signin).trim_end_matches('/').to_owned();
    Ok((url, console, named.is_some()))
}

/// The page's address: with the region, unless the path has one.
fn destination(console: &str, path: Option<&str>, region: Option<&str>) -> Result<String> {
    let path = path.unwrap_or_default().trim_start_matches('/');
    if path.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err(Error::usage("--path: not the path of a page")
            .hint("it looks like s3/home, as behind the host in the console's address"));
    }
    let (path, region) = match (path, region) {
        ("", None) => return Ok(console.to_owned()),
        ("", region) => ("console/home", region),
        given => given,
    };
    let (page, anchor) = path.split_once('#').map_or((path, None), |(page, at)| (page, Some(at)));
    let mut address = format!("{console}{page}");
    if let Some(region) = region.filter(|_| !page.contains("region=")) {
        address.push(if page.contains('?') { '&' } else { '?' });
        address.push_str(&format!("region={region}"));
    }
    if let Some(anchor) = anchor {
        address.push_str(&format!("#{anchor}"));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;
    use crate::profile::Files;

    const CONFIG: &str = "[profile key]\nregion = eu-central-1\n\
        [profile device]\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n\
        [profile role]\nsource_profile = key\nrole_arn = arn:aws:iam::123456789012:role/a\n\
        [profile long]\nsource_profile = key\nrole_arn = arn:aws:iam::123456789012:role/a\n\
        duration_seconds = 7200\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n\
        [profile chain]\nsource_profile = role\nrole_arn = arn:aws:iam::123456789012:role/b\n\
        [profile china]\nregion = cn-north-1\n\
        [profile gov]\nsource_profile = key\nrole_arn = arn:aws-us-gov:iam::123456789012:role/a\n\
        [profile iso]\nregion = us-iso-east-1\n\
        [profile process]\ncredential_process = x\nrole_arn = arn:aws:iam::123456789012:role/a\n\
        [profile temporary]\naws_access_key_id = a\naws_secret_access_key = b\naws_session_token = c\n\
        role_arn = arn:aws:iam::123456789012:role/a\nsource_profile = temporary\n\
        [profile web]\nweb_identity_token_file = /t\nrole_arn = arn:aws:iam::123456789012:role/a\n";

    fn planned(profile: &str, hours: Option<u64>, path: Option<&str>) -> Result<Console> {
        let files = Files { config: None, credentials: None };
        let profiles = Profiles::parse(&files, CONFIG, "");
        let stored = ["key", "device", "china", "iso"].map(str::to_owned).into();
        let duration = hours.map(|hours| Duration::from_secs(hours * 3600));
        let request =
            PlanRequest { profile: profile.to_owned(), duration, ..PlanRequest::default() };
        console(&profiles, &stored, &request, path)
    }

    /// What the plan does, and how long the console's session is to be.
    fn described(profile: &str, hours: Option<u64>) -> String {
        let console = planned(profile, hours, None).unwrap();
        let steps = console.plan.steps.iter().map(|step| match step {
            Step::Session { .. } => "session".to_owned(),
            Step::Role { role, mfa } => {
                let code = if mfa.is_some() { " with a code" } else { "" };
                format!("role {}s{code}", role.duration.as_secs())
            }
            other => format!("token {:?}", other.duration()),
        });
        let mut way = steps.collect::<Vec<_>>().join(", ");
        if way.is_empty() {
            way = format!("federation {}s", console.federation.duration.as_secs());
        }
        if let Some(session) = console.session {
            way += &format!("; SessionDuration={}", session.as_secs());
        }
        way
    }

    #[test]
    fn credentials_and_durations_are_those_that_the_console_takes() {
        for (profile, hours, wanted) in [
            ("key", None, "federation 3600s"),
            ("key", Some(36), "federation 129600s"),
            ("device", None, "federation 3600s"),
            ("role", None, "role 3600s"),
            ("role", Some(1), "role 3600s"),
            ("role", Some(12), "role 3600s; SessionDuration=43200"),
            ("long", None, "role 7200s with a code"),
            ("long", Some(1), "session, role 3600s"),
            ("long", Some(12), "role 7200s with a code; SessionDuration=43200"),
            ("chain", None, "role 3600s, role 3600s"),
            ("process", Some(2), "role 7200s"),
            ("temporary", None, "role 3600s"),
            ("web", Some(2), "token Some(7200s)"),
        ] {
            assert_eq!(described(profile, hours), wanted, "{profile}");
        }
        assert!(planned("device", None, None).unwrap().federation.without_mfa);
        assert!(!planned("key", None, None).unwrap().federation.without_mfa);
    }

    #[test]
    fn a_duration_that_aws_would_refuse_is_a_usage_error() {
        for (profile, hours) in [("chain", 2), ("temporary", 2), ("role", 13), ("key", 37)] {
            let error = planned(profile, Some(hours), None).unwrap_err();
            assert_eq!(error.class, Class::Usage, "{profile}: {error:?}");
            assert!(error.what.starts_with("--duration"), "{}", error.what);
        }
    }

    #[test]
    fn each_partition_has_its_own_places() {
        for (profile, signin, destination) in [
            (
                "key",
                "https://signin.aws.amazon.com",
                "https://console.aws.amazon.com/console/home?region=eu-central-1",
            ),
            ("device", "https://signin.aws.amazon.com", "https://console.aws.amazon.com/"),
            (
                "china",
                "https://signin.amazonaws.cn",
                "https://console.amazonaws.cn/console/home?region=cn-north-1",
            ),
            ("gov", "https://signin.amazonaws-us-gov.com", "https://console.amazonaws-us-gov.com/"),
        ] {
            let console = planned(profile, None, None).unwrap();
            assert_eq!(
                (console.signin.url.as_str(), console.destination.as_str()),
                (signin, destination)
            );
        }
        let error = planned("iso", None, None).unwrap_err();
        assert_eq!(error.what, "the console of the partition aws-iso is not known here");
    }

    #[test]
    fn a_path_is_a_page_of_the_console_and_nowhere_else() {
        for (path, wanted) in [
            ("s3/home", "s3/home?region=eu-central-1"),
            ("/s3/", "s3/?region=eu-central-1"),
            ("ec2/home?tab=1#Instances:x=1", "ec2/home?tab=1&region=eu-central-1#Instances:x=1"),
            ("ec2/home?region=us-east-1", "ec2/home?region=us-east-1"),
            ("//evil.example/x", "evil.example/x?region=eu-central-1"),
            ("@evil.example", "@evil.example?region=eu-central-1"),
            ("", "console/home?region=eu-central-1"),
        ] {
            let console = planned("key", None, Some(path)).unwrap();
            assert_eq!(console.destination, format!("https://console.aws.amazon.com/{wanted}"));
        }
        for path in ["a b", "a\nb", "\\\\evil.example"] {
            let error = planned("key", None, Some(path)).unwrap_err();
            assert_eq!(error.what, "--path: not the path of a page");
        }
    }
}
