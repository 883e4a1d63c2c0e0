//! Many profiles: what holds one up is no other's concern.

use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::scene::{self, PROFILES};
use crate::support::served::Served;
use crate::support::standin::{Fault, StandIn, totp};
use crate::support::{MFA_SEED, MFA_SERIAL};

/// Profiles that assume a role at this STS, each under a name of its own; the key is `demo`'s.
fn roles(names: &[String], standin: &StandIn) -> String {
    let section = |name: &String| {
        format!(
            "[profile {name}]\nsource_profile = demo\nrole_session_name = {name}\n\
             role_arn = arn:aws:iam::123456789012:role/deploy\nendpoint_url = {}\n\n",
            standin.endpoint()
        )
    };
    names.iter().map(section).collect()
}

/// Words of `serve` for these profiles.
fn words(names: &[String]) -> Vec<&str> {
    names.iter().flat_map(|name| ["--profile", name]).collect()
}

/// Eight profiles whose renewals hang from the start, and `well`, at an STS that answers. All of them
/// want renewals at once, since AWS gives less than the hour that is asked for.
fn eight_that_hang() -> (StandIn, StandIn, Test, Vec<String>) {
    let (hangs, answers) = (scene::sts(), scene::sts());
    let mut names: Vec<String> = (1..=8).map(|number| format!("hangs-{number}")).collect();
    let well = ["well".to_owned()];
    hangs.change(|world| world.session_limit = Some(900));
    hangs.pass_next(names.len());
    hangs.fail_always(Some(Fault::HangForever));
    // The shortest that the rules of renewal leave time for.
    answers.change(|world| world.session_limit = Some(9));
    let config = format!("[profile demo]\n\n{}{}", roles(&names, &hangs), roles(&well, &answers));
    let test = scene::with(&hangs, &config).env_remove("AWS_ENDPOINT_URL_STS");
    names.extend(well);
    (hangs, answers, test, names)
}

#[test]
fn a_renewal_that_hangs_holds_up_no_other() {
    let (hangs, answers, test, names) = eight_that_hang();
    let mut served = Served::start(&test, &words(&names));
    // Once more than the credentials of the start would last.
    for _ in 0..3 {
        served.expect("vault: renewed well, which now lasts until ");
    }
    assert_eq!(hangs.calls().len(), 16, "all eight are asked for at once\n{}", hangs.log());
    let well = served.get("/credentials/well");
    assert_eq!(well.status, 200);
    assert!(well.body.contains(&answers.issued().last().unwrap().session_token), "{}", well.body);
    // The others have their old ones meanwhile.
    for (number, given) in hangs.issued().iter().enumerate() {
        let old = served.get(&format!("/credentials/hangs-{}", number + 1));
        assert_eq!(old.status, 200);
        assert!(old.body.contains(&given.session_token), "{}", old.body);
    }
    let host = format!("127.0.0.1:{}", served.port);
    test.command(["serve", "--check", "--listen", &host]).expect_stderr("").run();
    let (status, took) = served.end(libc::SIGTERM);
    assert_eq!(status, 0);
    assert!(took.as_millis() < 1000, "{took:?}");
    assert!(!test.home().join("token").exists());
}

#[test]
fn a_program_that_hangs_holds_up_no_other() {
    let answers = scene::sts();
    answers.change(|world| world.session_limit = Some(9));
    let names = ["hangs", "well"].map(str::to_owned);
    // The first time it gives what ends soon, and then nothing.
    let program = "#!/bin/sh\n\
                   [ -e asked ] && exec sleep 60\n\
                   : >asked\n\
                   end=$(date -u -d '+5 seconds' +%Y-%m-%dT%H:%M:%SZ)\n\
                   echo '{\"Version\": 1, \"AccessKeyId\": \"ASIAIOSFODNN7EXAMPLE\", \
                   \"SecretAccessKey\": \"x\", \"SessionToken\": \"y\", \"Expiration\": \"'$end'\"}'\n";
    let config = format!(
        "[profile demo]\n\n[profile hangs]\ncredential_process = ./program\n\n{}",
        roles(&names[1..], &answers)
    );
    let test = scene::with(&answers, &config).env_remove("AWS_ENDPOINT_URL_STS");
    let test = test.file("program", program, 0o755);
    let mut served = Served::start(&test, &words(&names));
    for _ in 0..3 {
        served.expect("vault: renewed well, which now lasts until ");
    }
    // One that has none is said by health, and by itself.
    assert_eq!(served.get("/credentials/hangs").status, 503);
    assert_eq!(served.get("/credentials/well").status, 200);
    served.expect_not_ready(&test);
    let (status, took) = served.end(libc::SIGTERM);
    assert_eq!(status, 0);
    assert!(took.as_millis() < 1000, "{took:?}");
}

#[test]
fn refreshed_profiles_of_one_device_want_one_code() {
    let (standin, test) = scene::usual();
    let config = format!(
        "{PROFILES}\n[profile mfa-audit]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\n\
         role_arn = arn:aws:iam::123456789012:role/audit\n"
    );
    let test = test.config(&config);
    let old = totp::code(MFA_SEED, totp::step(standin.now()) - 1);
    for profile in ["mfa-role", "mfa-audit"] {
        test.command(["exec", "--json", profile, "-t", &old]).expect_stderr("").run();
    }
    let code = scene::code(&standin);
    let words = ["--profile", "mfa-role", "--profile", "mfa-audit", "--refresh", "-t", &code];
    let served = Served::start(&test, &words);
    for (at, profile) in [4, 5].into_iter().zip(["mfa-role", "mfa-audit"]) {
        let given = served.get(&format!("/credentials/{profile}"));
        assert!(given.body.contains(&standin.issued()[at].session_token), "{}", given.body);
    }
    assert_same(
        "log",
        "GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
         AssumeRole by session 1 role=role/deploy name=vault-mfa-role duration=3600: ok\n\
         AssumeRole by session 1 role=role/audit name=vault-mfa-audit duration=3600: ok\n\
         GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
         AssumeRole by session 4 role=role/deploy name=vault-mfa-role duration=3600: ok\n\
         AssumeRole by session 4 role=role/audit name=vault-mfa-audit duration=3600: ok\n",
        &scene::log(&standin),
    );
}

/// The key's own session lasts an hour, and that of its roles eight.
#[test]
fn one_code_serves_a_key_and_its_role_in_either_order() {
    for order in [["demo", "role"], ["role", "demo"]] {
        let (standin, test) = scene::usual();
        let test = test.config(&format!(
            "[profile demo]\nmfa_serial = {MFA_SERIAL}\n\n[profile role]\nsource_profile = demo\n\
             mfa_serial = {MFA_SERIAL}\nrole_arn = arn:aws:iam::123456789012:role/deploy\n"
        ));
        let code = scene::code(&standin);
        let words = ["--profile", order[0], "--profile", order[1], "-t", &code];
        let served = Served::start(&test, &words);
        for (profile, at) in [("demo", 0), ("role", 1)] {
            let given = served.get(&format!("/credentials/{profile}"));
            assert!(given.body.contains(&standin.issued()[at].session_token), "{}", given.body);
        }
        let log = scene::log(&standin);
        assert_eq!(log.matches("GetSessionToken").count(), 1, "{order:?}\n{log}");
    }
}

const NO_THREAD: &str = "vault: error: cannot start a thread\n";

#[test]
fn without_threads_it_ends_and_leaves_nothing() {
    let (_standin, test) = scene::usual();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--token-file", "token", "--profile", "demo"];
    let calls = [libc::SYS_clone, libc::SYS_clone3];
    let serve =
        test.command(serve).args(["--health-socket", "health"]).refuse(&calls, libc::EAGAIN);
    let output = serve.expect_status(1).expect_stdout("").run();
    let (note, rest) = output.stderr.split_once('\n').unwrap();
    assert!(note.starts_with("vault: serving demo at http://127.0.0.1:"), "{note}");
    assert_eq!(rest, NO_THREAD);
    for gone in ["token", "health"] {
        assert!(!test.home().join(gone).exists(), "{gone}");
    }
    let exec = test.command(["exec", "--server", "demo", "--", "touch", "started"]);
    exec.refuse(&calls, libc::EAGAIN).expect_error(125, NO_THREAD).run();
    assert!(!test.home().join("started").exists());
}

#[test]
#[ignore = "needs root, to become a user who may have few threads (see .ci/run)"]
fn without_a_thread_for_each_profile_it_ends_too() {
    let (_standin, test) = scene::usual();
    let uid = 54_321;
    // The main thread, the server's, and two more.
    let limits = [&format!("--reuid={uid}"), "--clear-groups", "--", "prlimit", "--nproc=4"];
    let three = ["--profile", "demo", "--profile", "role", "--profile", "hops"];
    let serve = test.command(["serve", "--listen", "127.0.0.1:0", "--token-file", "token"]);
    let serve = serve.args(three).under("setpriv", limits);
    let mut chown = std::process::Command::new("chown");
    assert!(chown.args(["-R", &uid.to_string()]).arg(test.home()).status().unwrap().success());
    let output = serve.expect_status(1).expect_stdout("").run();
    assert!(output.stderr.ends_with(NO_THREAD), "{}", output.stderr);
    assert!(!test.home().join("token").exists());
}
