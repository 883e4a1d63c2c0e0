//! Renewing ahead of the end: less than 15 minutes or a quarter of the session's length are left. The
//! program has no clock that tests can set, so a part of it, run here by a clock that is behind, makes
//! the session that the program then finds in its cache.

use std::time::Instant;

use vault::clock::{Clock, Timestamp};
use vault::env::Env;
use vault::prompt::Prompt;
use vault::provider::{CredentialSession, DEADLINE, Options, Parts};

use super::{CACHE, json, only_session, quiet, wait_for_calls};
use crate::support::AGE_KEY;
use crate::support::builder::Test;
use crate::support::inside;
use crate::support::scene::{self, log};
use crate::support::served::Served;
use crate::support::standin::{Fault, StandIn};

/// The session of the profile `role`, made so many seconds ago and good for so many more.
fn made_ago(test: &Test, standin: &StandIn, ago: i64, left: i64) {
    let vars =
        [("AWS_ENDPOINT_URL_STS", standin.endpoint()), ("AWS_VAULT_AGE_KEY", AGE_KEY.to_owned())];
    let env = Env::from_raw(vars.map(|(name, value)| (name.into(), value.into_bytes())));
    let prompt = Prompt::new(true, Some(Instant::now() + DEADLINE));
    let config = Some(test.home().join(".aws/config"));
    let clock = Clock::fixed(Timestamp(Clock::system().now().0 - ago));
    let parts = Parts {
        cache_dir: Some(test.home().join(CACHE)),
        options: Options { refresh: true, ..Options::default() },
        ..inside::parts(test.vault_file(), config, &env, prompt, clock)
    };
    let session = CredentialSession::open(parts).expect("the vault");
    standin.change(|world| world.session_limit = Some(left));
    let plan = session.plan("role").expect("a plan");
    session.run(&plan).map(|_| ()).expect("the session");
    standin.change(|world| world.session_limit = None);
}

#[test]
fn a_session_is_renewed_before_it_ends_by_one_and_the_others_get_the_old_one() {
    let (standin, test) = scene::usual();
    // Of an hour in all: less than a quarter.
    made_ago(&test, &standin, 3000, 600);
    let old = &standin.issued()[0].access_key_id;
    assert!(only_session(&test, CACHE).exists());

    standin.fail_next(Fault::HangForever);
    let mut renewing = json(&test, "role").start();
    wait_for_calls(&standin, 2);
    for _ in 0..3 {
        assert!(quiet(&test, "role").stdout.contains(old), "{}", log(&standin));
    }
    assert_eq!(standin.calls().len(), 2, "{}", log(&standin));
    renewing.kill().and_then(|()| renewing.wait()).expect("its end");

    let new = quiet(&test, "role");
    assert!(!new.stdout.contains(old));
    assert_eq!(quiet(&test, "role").raw_stdout, new.raw_stdout);
    assert_eq!(standin.calls().len(), 3, "{}", log(&standin));
}

#[test]
fn a_session_is_renewed_at_fifteen_minutes_or_a_quarter_whichever_is_less() {
    // Seconds ago, seconds left, and whether it is due. Between the two, a test may take half a minute.
    for (ago, left, due) in [
        (2700 - 60, 900 + 60, false),
        (2700, 890, true),
        (10_000, 900 + 60, false),
        (10_000, 890, true),
        (300, 300, false),
        (900, 290, true),
    ] {
        let (standin, test) = scene::usual();
        made_ago(&test, &standin, ago, left);
        quiet(&test, "role");
        let calls = 1 + usize::from(due);
        assert_eq!(standin.calls().len(), calls, "{ago} {left}: {}", log(&standin));
    }
}

#[test]
fn a_server_starts_with_what_still_lasts_and_renews_it_in_the_background() {
    let (standin, test) = scene::usual();
    made_ago(&test, &standin, 3000, 600);
    standin.fail_next(Fault::HangForever);
    let served = Served::start(&test, &["--profile", "role"]);
    wait_for_calls(&standin, 2);
    let old = &standin.issued()[0].session_token;
    assert!(served.get("/credentials/role").body.contains(old), "{}", log(&standin));
    drop(served);
    let mut served = Served::start(&test, &["--profile", "role"]);
    served.expect("vault: renewed role, which now lasts until ");
    assert!(!served.get("/credentials/role").body.contains(old), "{}", log(&standin));

    // What is nearly over is renewed first.
    let (standin, test) = scene::usual();
    made_ago(&test, &standin, 3000, 50);
    let served = Served::start(&test, &["--profile", "role"]);
    let new = &standin.issued()[1].session_token;
    assert!(served.get("/credentials/role").body.contains(new), "{}", log(&standin));
}
