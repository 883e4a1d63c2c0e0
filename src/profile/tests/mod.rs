//! Whole plans, case by case: files, environment, vault and command line in, every field of the plan
//! out. `ACCT:` means `arn:aws:iam::123456789012:`.

mod bases;
mod calls;
mod durations;
mod explain;
mod files;
mod identity;
mod mfa;
mod order;
mod roles;
mod settings;
mod sso;

use std::collections::BTreeSet;

use super::{
    Base, Files, Mfa, Plan, PlanRequest, Profiles, Role, SignOn, Step, Target, TokenSource, plan,
};
use crate::duration::{parse_duration, show_duration};
use crate::env::Env;
use crate::error::Result;

const ARN: &str = "arn:aws:iam::123456789012:";

/// One case of a table.
#[derive(Default)]
struct Case {
    /// What the case shows.
    says: &'static str,
    config: &'static str,
    credentials: &'static str,
    env: &'static [(&'static str, &'static str)],
    stored: &'static [&'static str],
    /// `PROFILE [--no-session] [--duration D] [--region R] [--mfa-token] [--seed S]`
    ask: &'static str,
    gives: &'static str,
}

fn run(cases: &[Case]) {
    for case in cases {
        let gives = match planned(case) {
            Ok(plan) => shown(&plan),
            Err(error) => format!(
                "error {}: {}{}",
                error.class.code(),
                error.what,
                error.hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default()
            ),
        };
        let expected: Vec<_> = case.gives.trim().lines().map(str::trim).collect();
        assert_eq!(gives.replace(ARN, "ACCT:"), expected.join("\n"), "\ncase: {}", case.says);
    }
}

fn files() -> Files {
    Files { config: Some("/h/.aws/config".into()), credentials: Some("/h/.aws/credentials".into()) }
}

fn planned(case: &Case) -> Result<Plan> {
    let config = case.config.replace("ACCT:", ARN);
    let pairs =
        case.env.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.replace("ACCT:", ARN).into_bytes()));
    let stored: BTreeSet<String> = case.stored.iter().map(|s| (*s).to_owned()).collect();
    let profiles = Profiles::parse_in(&Env::from_raw(pairs), &files(), &config, case.credentials);
    plan(&profiles, &stored, &asked(case.ask))
}

fn asked(line: &str) -> PlanRequest {
    // A profile's name may have a blank.
    let (profile, flags) = line.split_at(line.find(" --").unwrap_or(line.len()));
    let mut words = flags.split_whitespace();
    let mut request = PlanRequest { profile: profile.to_owned(), ..PlanRequest::default() };
    while let Some(flag) = words.next() {
        match flag {
            "--no-session" => request.no_session = true,
            "--mfa-token" => request.mfa_token_given = true,
            "--duration" => {
                request.duration = Some(parse_duration(words.next().unwrap(), "").unwrap())
            }
            "--region" => request.region = words.next().map(str::to_owned),
            "--seed" => request.seeds.extend(words.next().map(|s| s.replace("ACCT:", ARN))),
            other => panic!("{other}"),
        }
    }
    request
}

/// Every field of a plan. Destructured in full, so that a new field cannot be forgotten here.
fn shown(plan: &Plan) -> String {
    let Plan {
        profile: _,
        region,
        base,
        inside,
        within: _,
        sts,
        variant,
        steps,
        mfa_left_out,
        session_left_out,
        notes,
    } = plan;
    let mut lines = vec![match base {
        Base::Vault { profile } => format!("vault {profile}"),
        Base::Process { profile, command } => format!("process {profile}: {command}"),
        Base::Plaintext { profile } => format!("plaintext {profile}"),
        Base::Environment => "environment".to_owned(),
        Base::Container { url } => format!("container {url}"),
        Base::Instance { endpoint } => format!("instance {endpoint}"),
        Base::WebIdentity(TokenSource::File { path, profile }) => {
            format!("token {} by {}", path.display(), profile.as_deref().unwrap_or("variable"))
        }
        Base::WebIdentity(TokenSource::Process { profile, command }) => {
            format!("token of {command} by {profile}")
        }
        Base::Sso { profile, sign_on } => {
            let SignOn { start_url, scopes, oidc, portal } = sign_on;
            let mut line = format!("login {start_url} {} by {profile}", scopes.join(" "));
            for Target { region, endpoint, variant: _, ca_bundle } in [oidc, portal] {
                let more = [endpoint.clone(), ca_bundle.as_ref().map(|b| b.display().to_string())];
                line += &format!(", {region}");
                more.iter().flatten().for_each(|more| line += &format!(" {more}"));
            }
            line
        }
    }];
    let with = |mfa: &Option<Mfa>| match mfa {
        None => String::new(),
        Some(Mfa { serial, process: None }) => format!(", mfa {serial}"),
        Some(Mfa { serial, process: Some(process) }) => format!(", mfa {serial} by {process}"),
    };
    lines.extend(inside.iter().map(|plan| format!("inside: {} {}", plan.profile, shown(plan))));
    for step in steps {
        lines.push(match step {
            Step::Session { duration, mfa, .. } => {
                format!("session {}{}", show_duration(*duration), with(mfa))
            }
            Step::WebIdentity { role_arn, session_name, duration } => {
                format!("identity {role_arn} {} as {session_name}", show_duration(*duration))
            }
            Step::SsoRole { account, name } => format!("sso {name} in {account}"),
            Step::Role { role, mfa } => {
                let Role { arn, session_name, duration, .. } = role;
                let Role { external_id, tags, transitive, source_identity, .. } = role;
                let mut line = format!(
                    "role {arn} {} as {session_name}{}",
                    show_duration(*duration),
                    with(mfa)
                );
                if let Some(id) = external_id {
                    line += &format!(", external {id}");
                }
                if !tags.is_empty() || !transitive.is_empty() {
                    line += &format!(", tags {tags:?} {transitive:?}");
                }
                if let Some(identity) = source_identity {
                    line += &format!(", identity {identity}");
                }
                line
            }
        });
    }
    lines.extend(region.as_ref().map(|region| format!("region {region}")));
    lines.extend(sts.as_ref().map(|Target { region, endpoint, variant: _, ca_bundle }| {
        let endpoint = endpoint.as_ref().map(|e| format!(" at {e}")).unwrap_or_default();
        let bundle = ca_bundle.as_ref().map(|b| format!(" ca {}", b.display())).unwrap_or_default();
        format!("sts {region}{endpoint}{bundle}")
    }));
    lines.extend(variant.variables().map(|(name, value)| format!("{name}={value}")));
    lines.extend(mfa_left_out.as_ref().map(|serial| match session_left_out {
        Some(Step::Session { duration, .. }) => {
            format!("left out {serial}, session {}", show_duration(*duration))
        }
        _ => format!("left out {serial}"),
    }));
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// The config of the tutorial that aws-vault's users start with.
const TUTORIAL: &str = "\
; comments with a semicolon
[profile caktus]
credential_process=aws-vault exec --no-session --json caktus

[profile caktus-mfa] ; and after a header
mfa_serial=ACCT:mfa/me
source_profile=caktus
region=us-east-1
output=json

# the account of a client
[profile client]
mfa_serial=ACCT:mfa/me
role_arn=arn:aws:iam::210987654321:role/CaktusAdmin
source_profile=caktus
region=eu-west-1
";

/// A role, and a role from it, without and with MFA.
const ONE: &str =
    "[profile base]\n[profile one]\nrole_arn = ACCT:role/one\nsource_profile = base\n";
const ONE_MFA: &str = "\
[profile base]
[profile one]
role_arn = ACCT:role/one
source_profile = base
mfa_serial = ACCT:mfa/me
";
const TWO: &str = "\
[profile base]
[profile one]
role_arn = ACCT:role/one
source_profile = base
[profile two]
role_arn = ACCT:role/two
source_profile = one
";
const TWO_MFA: &str = "\
[default]
mfa_serial = ACCT:mfa/me
[profile base]
[profile one]
role_arn = ACCT:role/one
source_profile = base
[profile two]
role_arn = ACCT:role/two
source_profile = one
";

/// A profile with a key in the vault.
const A: Case = Case {
    says: "",
    config: "[profile a]\n",
    credentials: "",
    env: &[],
    stored: &["a"],
    ask: "a",
    gives: "",
};
