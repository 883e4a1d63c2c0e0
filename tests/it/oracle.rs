//! botocore, the AWS CLI's library, as the judge of what AWS files mean: both read files that are made by
//! chance, and must agree on the region, on the credentials that a profile starts from, and on each call
//! to STS with its parameters, or must both refuse. Where they differ on purpose, a line of
//! [`DIFFERENCES`] says so, and docs/profiles.md has the same table.
//!
//! `ORACLE_SEED` and `ORACLE_COUNT` choose the files: `ORACLE_COUNT=10000 cargo test --test it oracle:: --
//! --ignored`, with the Python of `.ci/requirements.txt` first in PATH.

mod botocore;
mod differences;
mod grammar;
mod sent;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use botocore::Botocore;
use differences::DIFFERENCES;
use grammar::{Case, Chance, NAMES};
use vault::env::Env;
use vault::profile::{self, Base, Files, PlanRequest, Profiles, Step, TokenSource};

use crate::support::place::TestHome;

/// The first of the files that are read where nobody names one: the same in every run, so that a change
/// breaks it and chance does not.
const SEED: u64 = 60_000;

/// What a reader makes of one profile.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Why, in the reader's own words.
    Refused(String),
    Plan(Planned),
}

/// Where a profile leads.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    pub region: Option<String>,
    /// What signs the first call, or is handed out: a key's id, a program, a token, a login.
    pub base: String,
    pub calls: Vec<Call>,
}

/// A call to STS. What nobody set is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    pub action: String,
    pub role_arn: String,
    pub session_name: Option<String>,
    pub external_id: Option<String>,
    pub duration: Option<u64>,
}

/// The environment of both readers.
const ENV: [(&str, &str); 4] = [
    ("AWS_ACCESS_KEY_ID", "AKIAENVIRONMENT00000"),
    ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("AWS_SECURITY_TOKEN", "env"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/container"),
];

/// Both readers of the files of a case.
struct Readers {
    place: TestHome,
    botocore: Botocore,
}

impl Readers {
    fn new() -> Self {
        let place = TestHome::new();
        let botocore = Botocore::start(place.path());
        Self { place, botocore }
    }

    /// Writes the files.
    fn read(&mut self, case: &Case, name: &str) -> (Files, Profiles) {
        let path = |file: &str, text: &str| -> PathBuf {
            self.place.file(&format!("{name}/{file}"), text.as_bytes(), 0o600)
        };
        let files = Files {
            config: Some(path("config", &case.config)),
            credentials: Some(path("credentials", &case.credentials)),
        };
        let profiles = profile::read(&files, &environment())
            .expect("a file that the AWS CLI reads is never refused");
        (files, profiles)
    }

    /// The name of the first difference of a case that no rule has; and counts those that one has.
    fn differs(
        &mut self,
        case: &Case,
        counts: &mut BTreeMap<&'static str, usize>,
    ) -> Option<String> {
        let (mended, _) = self.read(&case.mended(), "mended");
        let (files, profiles) = self.read(case, "whole");
        for name in NAMES {
            let mut judge = self.botocore.ask(&files, name);
            let ours = ours(&profiles, name);
            if judge == Answer::Refused("file".to_owned()) {
                // The profiles whose lines are understood mean what they mean without the others.
                judge = self.botocore.ask(&mended, name);
            }
            if same(&judge, &ours) {
                *counts.entry("no difference").or_default() += 1;
                continue;
            }
            let rule =
                DIFFERENCES.iter().find(|rule| (rule.holds)(case, &profiles, name, &judge, &ours));
            match rule {
                Some(rule) => *counts.entry(rule.what).or_default() += 1,
                None => {
                    return Some(format!(
                        "profile {name:?}\nbotocore: {judge:#?}\nvault: {ours:#?}"
                    ));
                }
            }
        }
        None
    }

    /// The case without each line that it fails without.
    fn shrunk(&mut self, case: &Case) -> Case {
        let mut case = case.clone();
        loop {
            let before = case.clone();
            for at in [0, 1] {
                let text = |case: &Case| {
                    if at == 0 { case.config.clone() } else { case.credentials.clone() }
                };
                let mut line = 0;
                while line < text(&case).split_inclusive('\n').count() {
                    let less: String = text(&case)
                        .split_inclusive('\n')
                        .enumerate()
                        .filter(|(number, _)| *number != line)
                        .map(|(_, line)| line)
                        .collect();
                    let mut smaller = case.clone();
                    *(if at == 0 { &mut smaller.config } else { &mut smaller.credentials }) = less;
                    match self.differs(&smaller, &mut BTreeMap::new()) {
                        Some(_) => case = smaller,
                        None => line += 1,
                    }
                }
            }
            if case == before {
                return case;
            }
        }
    }
}

/// True if both say the same. What nobody set, each fills in for itself.
fn same(judge: &Answer, ours: &Answer) -> bool {
    match (judge, ours) {
        (Answer::Refused(_), Answer::Refused(_)) => true,
        (Answer::Plan(judge), Answer::Plan(ours)) => {
            let mut ours = ours.clone();
            for (call, judge) in ours.calls.iter_mut().zip(&judge.calls) {
                if judge.duration.is_none() {
                    call.duration = None;
                }
            }
            *judge == ours
        }
        _ => false,
    }
}

/// The environment of all cases.
fn environment() -> Env {
    Env::of(&ENV)
}

/// What vault would do, with no vault and `--no-session`.
fn ours(profiles: &Profiles, name: &str) -> Answer {
    let request =
        PlanRequest { profile: name.to_owned(), no_session: true, ..PlanRequest::default() };
    let plan = match profile::plan(profiles, &BTreeSet::new(), &request) {
        Ok(plan) => plan,
        Err(error) => return Answer::Refused(error.what),
    };
    let sso_role = plan.steps.iter().find_map(|step| match step {
        Step::SsoRole { account, name } => Some(format!("{account}:{name}")),
        _ => None,
    });
    let with = |id: &str, token: Option<&str>| match token {
        Some(token) => format!("{id}+{token}"),
        None => id.to_owned(),
    };
    let base = match &plan.base {
        Base::Plaintext { profile } => {
            let key = profiles.plaintext(profile).expect("the key that is planned");
            with(key.id, key.token)
        }
        Base::Process { command, .. } => format!("process:{command}"),
        Base::Environment => with(ENV[0].1, Some(ENV[2].1)),
        Base::Container { .. } => "container".to_owned(),
        Base::Instance { .. } => "instance".to_owned(),
        Base::WebIdentity(TokenSource::File { path, .. }) => format!("token:{}", path.display()),
        Base::Sso { sign_on, .. } => format!(
            "sso:{}:{}:{}",
            sign_on.start_url,
            sign_on.oidc.region,
            sso_role.unwrap_or_default()
        ),
        other => format!("{other:?}"),
    };
    let calls = plan.steps.iter().filter_map(|step| match step {
        Step::Role { role, .. } => Some(Call {
            action: "AssumeRole".to_owned(),
            role_arn: role.arn.clone(),
            session_name: set(&role.session_name),
            external_id: role.external_id.clone(),
            duration: Some(role.duration.as_secs()),
        }),
        Step::WebIdentity { role_arn, session_name, duration } => Some(Call {
            action: "AssumeRoleWithWebIdentity".to_owned(),
            role_arn: role_arn.clone(),
            session_name: set(session_name),
            external_id: None,
            duration: Some(duration.as_secs()),
        }),
        _ => None,
    });
    Answer::Plan(Planned { region: plan.region.clone(), base, calls: calls.collect() })
}

/// A session's name, unless it is one that is made up where nobody gives one.
fn set(name: &str) -> Option<String> {
    let made_up = ["vault-", "botocore-session-"].iter().any(|prefix| name.starts_with(prefix));
    (!made_up).then(|| name.to_owned())
}

/// A number from the environment.
#[allow(clippy::disallowed_methods)] // whoever runs the test chooses its files
fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
#[ignore = "needs python3 with botocore (see .ci/run)"]
fn files_mean_what_they_mean_to_the_aws_cli() {
    let seed = number("ORACLE_SEED").unwrap_or(SEED);
    let count = number("ORACLE_COUNT").unwrap_or(500);
    println!("ORACLE_SEED={seed} ORACLE_COUNT={count}");
    let (mut readers, mut counts, mut failures) = (Readers::new(), BTreeMap::new(), Vec::new());
    for at in (0..count).map(|at| seed.wrapping_add(at)) {
        let case = grammar::case(&mut Chance::new(at));
        if readers.differs(&case, &mut counts).is_some() {
            let case = readers.shrunk(&case);
            let how = readers.differs(&case, &mut counts).expect("a case that fails");
            let shown = |text: &str| text.escape_debug().to_string().replace("\\n", "\n");
            let (config, credentials) = (shown(&case.config), shown(&case.credentials));
            failures.push(format!(
                "ORACLE_SEED={at} ORACLE_COUNT=1\n--- config\n{config}--- credentials\n{credentials}---\n{how}\n"
            ));
        }
        if failures.len() == MOST {
            break;
        }
    }
    for (what, count) in counts {
        println!("{count:6}  {what}");
    }
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// So many failures are shown.
const MOST: usize = 4;

#[test]
fn the_table_of_differences_is_in_the_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/profiles.md");
    let docs = std::fs::read_to_string(path).expect("docs/profiles.md");
    let row =
        |rule: &differences::Rule| format!("| {} | {} | {} |", rule.what, rule.aws, rule.vault);
    let table: Vec<String> = DIFFERENCES.iter().map(row).collect();
    let rows: Vec<&str> =
        docs.lines().skip_while(|line| *line != "| --- | --- | --- |").skip(1).collect();
    let rows: Vec<&str> = rows.into_iter().take_while(|line| line.starts_with('|')).collect();
    assert_eq!(rows, table);
}
