//! What is sent: both ask the strict stand-in for the credentials of a profile.

use vault::profile::Files;

use super::botocore::Botocore;
use super::grammar::{self, Chance, NAMES};
use super::{Answer, environment, number, ours, same, set};
use crate::support::SECRET_ACCESS_KEY;
use crate::support::builder::Test;
use crate::support::standin::{Call, Role, StandIn, User, World};

/// So many profiles with a role are asked for.
const COUNT: usize = 20;

/// STS, with every key and role that a case may have.
fn sts() -> StandIn {
    let mut world = World::empty().any_region();
    for number in 0..60 {
        let (name, id) = (format!("u{number}"), format!("AKIA{number:016}"));
        world = world.user(User::new(&name).key(&id, SECRET_ACCESS_KEY));
        world = world.role(Role::new(&format!("r{number}")).max_duration(43_200));
    }
    StandIn::start(world)
}

/// A call as far as the files say it.
fn shown(call: &Call) -> String {
    let Call { action, role_arn, external_id, outcome, .. } = call;
    let name = call.session_name.as_deref().and_then(set);
    format!("{action} {role_arn:?} {external_id:?} {name:?} {outcome}")
}

fn has_device(text: &str) -> bool {
    text.to_ascii_lowercase().contains("mfa_serial")
}

#[test]
#[ignore = "needs python3 with botocore (see .ci/run)"]
fn what_is_sent_is_what_the_aws_cli_sends() {
    let seed = number("ORACLE_SEED").unwrap_or(1);
    let sts = sts();
    let test = Test::new().standin(&sts);
    let mut botocore = Botocore::start(test.home());
    let mut compared = 0;
    for at in seed.. {
        let case = grammar::case(&mut Chance::new(at));
        // Nobody is here to give a code.
        if [&case.config, &case.credentials].iter().any(|text| has_device(text)) {
            continue;
        }
        let test = test.clone().config(&case.config).aws_credentials(&case.credentials);
        let path = |name: &str| Some(test.home().join(".aws").join(name));
        let files = Files { config: path("config"), credentials: path("credentials") };
        for name in NAMES {
            let judge = botocore.ask(&files, name);
            let Answer::Plan(plan) = &judge else { continue };
            let profiles =
                vault::profile::read(&files, &environment()).expect("files that are read");
            let by_key = plan.base.starts_with("AKIA0") && !plan.base.contains('+');
            if !by_key || plan.calls.is_empty() || !same(&judge, &ours(&profiles, name)) {
                continue;
            }
            let before = sts.calls().len();
            let given = botocore.send(&files, name, &sts.endpoint());
            let between = sts.calls().len();
            let words = ["exec", "--no-session", "--refresh", "--json", name];
            let run = test.command(words).any_status().run();
            let calls = sts.calls();
            let (theirs, own) = (&calls[before..between], &calls[between..]);
            let case =
                format!("ORACLE_SEED={at} {name:?}\n{}\n---\n{}", case.config, case.credentials);
            assert_eq!(given.is_some(), run.status == 0, "{case}\n{}", run.stderr);
            let all = |calls: &[Call]| calls.iter().map(shown).collect::<Vec<_>>();
            assert_eq!(all(theirs), all(own), "{case}");
            assert_eq!(theirs[0].access_key_id, own[0].access_key_id, "{case}");
            compared += 1;
        }
        if compared >= COUNT {
            break;
        }
    }
}
