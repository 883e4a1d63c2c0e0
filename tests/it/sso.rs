//! IAM Identity Center: logging in by device code, refreshing, logging out, and what a login gives. The
//! stand-in follows RFC 8628, answers a question that comes too fast with `slow_down`, and its log is
//! the witness.

use std::time::{Duration, Instant};

use crate::support::builder::{Output, Test};
use crate::support::diff::assert_same;
use crate::support::standin::{Fault, Person, Role, StandIn, World};

const SOON: Duration = Duration::from_secs(20);

const CONFIG: &str = "\
[sso-session corp]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
sso_registration_scopes = sso:account:access

[profile dev]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = ReadOnly

[profile ops]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Admin

[profile older]
sso_start_url = https://example.awsapps.com/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = ReadOnly

[profile none]
sso_session = corp
sso_account_id = 123456789012
sso_role_name = Nobody

[profile deploy]
source_profile = dev
role_arn = arn:aws:iam::123456789012:role/deploy
";

/// What is said to a person.
const INVITATION: &str = "\
Open this page in a browser, on any machine, and allow the request:
  https://device.example.com/?user_code=ABCD-EFGH
Check that the page shows the code ABCD-EFGH
";

const LOGGED_IN: &str = "Logged in; refreshed automatically for as long as AWS allows it\n";

const NOBODY: &str = "\
vault: error: not logged in to IAM Identity Center for profile \"dev\"
vault: hint: vault sso login dev
";

/// What the log has of a login.
const LOGIN: &str = "\
RegisterClient by nobody: ok
StartDeviceAuthorization by client 1: ok
CreateToken by device code 1: ok
";

pub fn scene() -> (StandIn, Test) {
    let standin = StandIn::start(World::demo().role(Role::new("deploy")));
    let test = Test::new().vault_with("key").config(CONFIG).standin(&standin);
    let test = test
        .env("AWS_ENDPOINT_URL_SSO", standin.endpoint())
        .env("AWS_ENDPOINT_URL_SSO_OIDC", standin.endpoint());
    (standin, test)
}

fn log(standin: &StandIn) -> String {
    standin.log().replace("arn:aws:iam::123456789012:", "").replace(" in us-east-1", "")
}

pub fn logged_in() -> (StandIn, Test) {
    let (standin, test) = scene();
    login(&test).run();
    (standin, test)
}

fn login(test: &Test) -> Test {
    test.command(["sso", "login", "dev"]).expect_stdout("")
}

fn json(test: &Test, profile: &str) -> Test {
    test.command(["exec", "--json", profile])
}

/// Lets so many seconds of every access token pass, by the stand-in giving none that lasts longer.
fn tokens_last(standin: &StandIn, seconds: i64) {
    standin.change(|world| world.sso.token_lasts = seconds);
}

// Logging in.

#[test]
fn a_person_is_shown_a_page_and_waited_for() {
    let (standin, test) = scene();
    standin.change(|world| world.sso.person.extend([Person::Waits, Person::Waits]));
    login(&test).expect_stderr(format!("{INVITATION}{LOGGED_IN}")).run();
    assert_same(
        "log",
        "RegisterClient by nobody: ok\n\
         StartDeviceAuthorization by client 1: ok\n\
         CreateToken by device code 1: AuthorizationPendingException\n\
         CreateToken by device code 1: AuthorizationPendingException\n\
         CreateToken by device code 1: ok\n",
        &log(&standin),
    );
    let output = json(&test, "dev").expect_stderr("").run();
    assert_same(
        "stdout",
        "{\"AccessKeyId\":\"[ID 1]\",\"AccountId\":\"123456789012\",\"Expiration\":\"[EXPIRATION 1]\",\
         \"SecretAccessKey\":\"[SECRET 1]\",\"SessionToken\":\"[TOKEN 1]\",\"Version\":1}\n",
        &output.hide(&standin.issued()),
    );
    let calls = log(&standin);
    let last = "GetRoleCredentials by access token 1 role=ReadOnly in 123456789012: ok\n";
    assert!(calls.ends_with(last) && calls.lines().count() == 6, "{calls}");
}

#[test]
fn slow_down_makes_the_questions_slower_by_five_seconds() {
    let (standin, test) = scene();
    standin.change(|world| world.sso.person.push_back(Person::SlowsDown));
    let start = Instant::now();
    login(&test).expect_stderr(format!("{INVITATION}{LOGGED_IN}")).run();
    assert!(start.elapsed() >= Duration::from_secs(6), "{:?}", start.elapsed());
    // Another one would have been called too early, and have got another slow_down.
    let asked =
        "CreateToken by device code 1: SlowDownException\nCreateToken by device code 1: ok\n";
    assert!(log(&standin).ends_with(asked), "{}", log(&standin));
}

#[test]
fn a_refusal_and_no_answer_are_errors() {
    let late = "vault: error: the login was not approved within 10m; the code has expired\n\
                vault: hint: start again, and open the new page\n";
    for (person, error) in [
        (Person::Refuses, "vault: error: the login was refused in the browser\n"),
        (Person::IsLate, late),
    ] {
        let (standin, test) = scene();
        standin.change(|world| world.sso.person.push_back(person));
        login(&test).expect_error(9, &format!("{INVITATION}{error}")).run();
        assert_eq!(standin.calls().len(), 3, "{}", log(&standin));
        json(&test, "dev").expect_error(9, NOBODY).run();
    }
}

#[test]
fn no_wait_is_longer_than_the_codes_lifetime() {
    let (standin, test) = scene();
    standin.change(|world| {
        world.sso.code_lasts = 2;
        world.sso.person.extend([Person::Waits; 10]);
    });
    let error = "vault: error: the login was not approved within 2s; the code has expired\n\
                 vault: hint: start again, and open the new page\n";
    login(&test).expect_error(9, &format!("{INVITATION}{error}")).run();
    let asked = standin.calls().iter().filter(|call| call.action == "CreateToken").count();
    assert!((1..=2).contains(&asked), "{}", log(&standin));
}

#[test]
fn an_answer_that_fails_to_come_is_asked_for_again() {
    for fault in [Fault::Internal, Fault::DropBefore] {
        let (standin, test) = scene();
        standin.pass_next(2);
        standin.fail_next(fault);
        let said = login(&test).run().stderr;
        let (warning, rest) =
            said.strip_prefix(INVITATION).and_then(|rest| rest.split_once('\n')).expect(&said);
        assert!(
            warning.starts_with("vault: warning: ") && warning.ends_with("; trying again"),
            "{said}"
        );
        assert_eq!(rest, LOGGED_IN);
    }
}

#[test]
fn what_is_not_the_services_answer_is_an_error() {
    for (fault, error) in [
        (
            Fault::Html(200),
            "IAM Identity Center answered with something that is not IAM Identity Center (HTTP 200, text/html)",
        ),
        (
            Fault::Html(403),
            "IAM Identity Center answered with something that is not IAM Identity Center (HTTP 403, text/html)",
        ),
    ] {
        for calls in 0..3 {
            let (standin, test) = scene();
            standin.pass_next(calls);
            standin.fail_always(None);
            standin.fail_next(fault);
            let output = login(&test).expect_status(9).run();
            assert!(output.stderr.contains(error), "{calls} {}", output.stderr);
        }
    }
}

#[test]
fn a_login_that_could_not_be_kept_is_not_begun() {
    let (standin, test) = scene();
    let output =
        login(&test.file("file", "", 0o600)).args(["--cache-dir", "file/x"]).expect_status(7).run();
    let end = "vault: error: the login was not saved: there is no cache directory\n\
               vault: hint: name one with --cache-dir\n";
    assert!(output.stderr.ends_with(end), "{}", output.stderr);
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn without_a_vault_there_is_no_login() {
    let (standin, test) = scene();
    std::fs::remove_file(test.vault_file()).expect("the vault");
    let error = "vault: error: no vault at [HOME]/.local/share/vault/vault.age\n\
                 vault: hint: make one: vault init --generate-identity \
                [HOME]/.config/vault/identity.txt; or name it with --vault or AWS_VAULT_FILE\n";
    login(&test).expect_error(3, error).run();
    json(&test, "dev").expect_error(3, error).run();
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn a_profile_without_sso_is_an_error() {
    let (_standin, test) = scene();
    let test = test.config("[profile dev]\n");
    for word in ["login", "logout"] {
        test.command(["sso", word, "dev"])
            .expect_error(
                2,
                "vault: error: profile \"dev\" does not use IAM Identity Center\n\
                 vault: hint: it needs sso_session, or sso_start_url and sso_region\n",
            )
            .run();
    }
}

// On a terminal, and without one.

#[test]
fn without_a_terminal_exec_says_how_to_log_in() {
    let (standin, test) = scene();
    json(&test, "dev").expect_error(9, NOBODY).run();
    test.command(["export", "dev"]).expect_error(9, NOBODY).run();
    test.command(["exec", "dev", "true"]).expect_error(125, NOBODY).run();
    // Through a chain, it is the profile that logs in which is named.
    json(&test, "deploy").expect_error(9, NOBODY).run();
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn on_a_terminal_exec_shows_the_page_itself() {
    let (standin, test) = scene();
    standin.change(|world| world.sso.person.push_back(Person::Waits));
    let words = ["exec", "dev", "--", "sh", "-c", "echo got $AWS_VAULT $AWS_ACCESS_KEY_ID"];
    let mut pty = test.command(words).pty();
    pty.expect("Check that the page shows the code ABCD-EFGH\n", SOON);
    let (status, screen) = pty.end(SOON);
    let got = format!("got dev {}\n", standin.issued()[0].access_key_id);
    assert_eq!((status, screen), (0, format!("{INVITATION}{got}")));
}

#[test]
fn no_page_is_shown_to_a_machine_or_without_input() {
    let (standin, test) = scene();
    for words in [&["exec", "--json", "dev"][..], &["export", "--no-input", "dev"]] {
        let (status, screen) = test.command(words).pty().end(SOON);
        assert_eq!((status, screen.as_str()), (9, NOBODY), "{words:?}");
    }
    assert_eq!(standin.calls().len(), 0);
}

#[test]
fn the_page_is_shown_on_the_terminal_also_under_a_pipe() {
    let (_standin, test) = scene();
    let login = login(&test).expect_stderr(LOGGED_IN);
    let (mut pty, pipes) = login.pty_with_pipes();
    pty.expect("Check that the page shows the code ABCD-EFGH\n", SOON);
    login.finish(pty, pipes);
}

#[test]
fn control_c_ends_the_wait_and_leaves_nothing() {
    let (standin, test) = scene();
    standin.change(|world| world.sso.person.extend([Person::Waits; 600]));
    let mut pty = login(&test).pty();
    pty.expect("Check that the page shows the code ABCD-EFGH\n", SOON);
    pty.press("\x03");
    assert_eq!(pty.end(SOON).0, 128 + 2);
    assert_eq!(kept(&test), 0);
    standin.change(|world| world.sso.person.clear());
    login(&test).run();
    assert_eq!(kept(&test), 1);
}

/// Files of the cache but for locks; what a writer that died left counts too.
fn kept(test: &Test) -> usize {
    files(test).iter().filter(|(name, _)| !name.ends_with(".lock")).count()
}

/// All files of the cache.
fn files(test: &Test) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for folder in ["sessions", "logins", "ledger"] {
        let folder = test.home().join(".cache/vault").join(folder);
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            found.push((name, std::fs::read(entry.path()).expect("a file")));
        }
    }
    found
}

// What a login gives.

#[test]
fn profiles_that_name_one_place_share_a_login_and_each_role_its_credentials() {
    let (standin, test) = logged_in();
    for profile in ["dev", "ops", "older", "dev", "ops"] {
        json(&test, profile).expect_stderr("").run();
    }
    assert_same(
        "log",
        &format!(
            "{LOGIN}GetRoleCredentials by access token 1 role=ReadOnly in 123456789012: ok\n\
             GetRoleCredentials by access token 1 role=Admin in 123456789012: ok\n"
        ),
        &log(&standin),
    );
}

#[test]
fn a_role_is_assumed_from_a_login_s() {
    let (standin, test) = logged_in();
    json(&test, "deploy").expect_stderr("").run();
    json(&test, "deploy").expect_stderr("").run();
    json(&test, "dev").expect_stderr("").run();
    assert_same(
        "log",
        &format!(
            "{LOGIN}GetRoleCredentials by access token 1 role=ReadOnly in 123456789012: ok\n\
             AssumeRole by session 1 role=role/deploy name=vault-deploy duration=3600: ok\n"
        ),
        &log(&standin),
    );
}

#[test]
fn a_role_that_the_person_does_not_have_is_an_error() {
    let (_standin, test) = logged_in();
    json(&test, "none")
        .expect_error(
            9,
            "vault: error: the logged-in user has no role Nobody in account 123456789012\n\
             vault: hint: check sso_account_id and sso_role_name of profile \"none\"\n",
        )
        .run();
}

#[test]
fn too_many_requests_are_repeated() {
    let (standin, test) = logged_in();
    standin.fail_next(Fault::Throttling);
    json(&test, "dev").expect_stderr("").run();
    let role = "GetRoleCredentials by access token 1 role=ReadOnly in 123456789012: ok\n";
    assert_same(
        "log",
        &format!("{LOGIN}GetRoleCredentials by : Throttling\n{role}"),
        &log(&standin),
    );
}

#[test]
fn another_login_another_session() {
    let (standin, test) = logged_in();
    json(&test, "deploy").run();
    login(&test).run();
    json(&test, "deploy").expect_stderr("").run();
    let calls = log(&standin);
    let again = "GetRoleCredentials by access token 2 role=ReadOnly in 123456789012: ok\n\
                 AssumeRole by session 3 role=role/deploy name=vault-deploy duration=3600: ok\n";
    assert!(calls.ends_with(again), "{calls}");
}

// Refreshing.

#[test]
fn a_token_that_soon_ends_is_refreshed_before_it_is_used() {
    let (standin, test) = scene();
    tokens_last(&standin, 299);
    login(&test).run();
    json(&test, "dev").expect_stderr("").run();
    // The new refresh token was kept: the old one is good once.
    json(&test, "ops").expect_stderr("").run();
    assert_same(
        "log",
        &format!(
            "{LOGIN}CreateToken by refresh token 1: ok\n\
             GetRoleCredentials by access token 2 role=ReadOnly in 123456789012: ok\n\
             CreateToken by refresh token 2: ok\n\
             GetRoleCredentials by access token 3 role=Admin in 123456789012: ok\n"
        ),
        &log(&standin),
    );
}

#[test]
fn a_hundred_cold_starts_refresh_once_and_ask_once() {
    let (standin, test) = scene();
    tokens_last(&standin, 60);
    login(&test).run();
    tokens_last(&standin, 3600);
    let outputs = at_once(100, || json(&test, "dev").expect_stderr(""));
    assert!(outputs.iter().all(|output| output.raw_stdout == outputs[0].raw_stdout));
    assert_same(
        "log",
        &format!(
            "{LOGIN}CreateToken by refresh token 1: ok\n\
             GetRoleCredentials by access token 2 role=ReadOnly in 123456789012: ok\n"
        ),
        &log(&standin),
    );
}

/// So many runs at once.
fn at_once(count: usize, run: impl Fn() -> Test + Sync) -> Vec<Output> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(|| run().run())).collect();
        threads.into_iter().map(|thread| thread.join().expect("a run")).collect()
    })
}

#[test]
fn of_two_roles_at_once_one_refreshes_what_aws_no_longer_takes() {
    let (standin, test) = logged_in();
    // By AWS's clock, not by ours: whoever comes first learns of it, and the other has to wait.
    standin.change(|world| world.sso.granted[0].expires = 0);
    std::thread::scope(|scope| {
        for profile in ["dev", "ops", "deploy"] {
            let test = &test;
            scope.spawn(move || json(test, profile).expect_stderr("").run());
        }
    });
    let calls = standin.calls();
    let refreshes = calls.iter().filter(|call| call.subject.as_deref() == Some("refresh token 1"));
    assert_eq!(refreshes.count(), 1, "{}", log(&standin));
}

#[test]
fn a_refresh_that_fails_for_a_while_is_no_end() {
    let (standin, test) = scene();
    tokens_last(&standin, 60);
    login(&test).run();
    // The token still lasts, so it is used as it is.
    for _ in 0..3 {
        standin.fail_next(Fault::Internal);
    }
    json(&test, "dev").expect_stderr("").run();
    json(&test, "ops").expect_stderr("").run();
    let calls = log(&standin);
    let end = "GetRoleCredentials by access token 1 role=ReadOnly in 123456789012: ok\n\
               CreateToken by refresh token 1: ok\n\
               GetRoleCredentials by access token 2 role=Admin in 123456789012: ok\n";
    assert!(calls.ends_with(end), "{calls}");
}

/// A login whose access token AWS no longer takes, and whose refreshes get this answer.
fn no_refresh(status: u16, exception: &'static str) -> (StandIn, Test) {
    let (standin, test) = logged_in();
    standin.change(|world| {
        world.sso.granted[0].expires = 0;
        world.sso.no_refresh = Some((status, exception));
    });
    (standin, test)
}

#[test]
fn a_refresh_token_that_aws_has_no_time_for_is_kept() {
    let throttled = |code: &str| {
        format!(
            "vault: error: AWS is throttling requests ({code})\n\
             vault: hint: wait a while, or let fewer jobs ask at once\n"
        )
    };
    let failed = |status: u16, code: &str| {
        format!(
            "vault: error: IAM Identity Center failed (HTTP {status}, {code})\n\
             vault: hint: try again later\n"
        )
    };
    let refused = |code: &str| format!("vault: error: AWS refused CreateToken: {code}\n");
    let answers = [
        (400, "SlowDownException", throttled("SlowDownException")),
        (429, "TooManyRequestsException", throttled("TooManyRequestsException")),
        (400, "ThrottlingException", throttled("ThrottlingException")),
        (429, "Whatever", throttled("Whatever")),
        (500, "InternalServerException", failed(500, "InternalServerException")),
        (503, "ServiceUnavailable", failed(503, "ServiceUnavailable")),
        // Odd for a refresh, and no word of the token.
        (400, "AuthorizationPendingException", refused("AuthorizationPendingException")),
        (400, "AccessDeniedException", refused("AccessDeniedException")),
        (400, "InvalidScopeException", refused("InvalidScopeException")),
    ];
    std::thread::scope(|scope| {
        for (status, exception, said) in answers {
            scope.spawn(move || {
                let (standin, test) = no_refresh(status, exception);
                json(&test, "dev").expect_error(9, &said).run();
                // It is tried again as soon as it is asked for again.
                json(&test, "ops").expect_error(9, &said).run();
                standin.change(|world| world.sso.no_refresh = None);
                json(&test, "dev").expect_stderr("").run();
                let end = "CreateToken by refresh token 1: ok\n\
                           GetRoleCredentials by access token 2 role=ReadOnly in 123456789012: ok\n";
                assert!(log(&standin).ends_with(end), "{exception}: {}", log(&standin));
            });
        }
    });
}

#[test]
fn a_refresh_token_is_kept_where_the_access_token_lasts() {
    for exception in ["SlowDownException", "AccessDeniedException"] {
        let (standin, test) = scene();
        tokens_last(&standin, 60);
        login(&test).run();
        standin.change(|world| world.sso.no_refresh = Some((400, exception)));
        json(&test, "dev").expect_stderr("").run();
        standin.change(|world| world.sso.no_refresh = None);
        json(&test, "ops").expect_stderr("").run();
        let end = "CreateToken by refresh token 1: ok\n\
                   GetRoleCredentials by access token 2 role=Admin in 123456789012: ok\n";
        assert!(log(&standin).ends_with(end), "{exception}: {}", log(&standin));
    }
}

#[test]
fn a_refresh_whose_answer_is_lost_is_tried_again() {
    for fault in [Fault::DropBefore, Fault::Html(200), Fault::Empty(502)] {
        let (standin, test) = logged_in();
        standin.change(|world| world.sso.granted[0].expires = 0);
        standin.pass_next(1);
        for _ in 0..3 {
            standin.fail_next(fault);
        }
        json(&test, "dev").any_status().run();
        standin.obey_no_more();
        json(&test, "dev").expect_stderr("").run();
    }
}

#[test]
fn a_refresh_token_that_aws_says_is_bad_is_thrown_away() {
    for (status, exception) in [
        (400, "InvalidGrantException"),
        (401, "InvalidClientException"),
        (400, "UnauthorizedClientException"),
        (400, "ExpiredTokenException"),
    ] {
        let (standin, test) = no_refresh(status, exception);
        json(&test, "dev").expect_error(9, NOBODY).run();
        let calls = log(&standin);
        json(&test, "dev").expect_error(9, NOBODY).run();
        assert_same(exception, &calls, &log(&standin));
    }
}

#[test]
fn a_login_without_a_refresh_token_lasts_until_its_end() {
    let (standin, test) = scene();
    standin.change(|world| world.sso.refreshes = false);
    let said = login(&test).run().stderr;
    let (_, until) = said.split_once("Logged in until ").expect(&said);
    assert!(until.ends_with("Z\n"), "{said}");
    tokens_last(&standin, 60);
    json(&test, "dev").expect_stderr("").run();
    standin.change(|world| world.sso.granted[0].expires = 0);
    json(&test, "ops").expect_error(9, &NOBODY.replace("dev", "ops")).run();
}

// The end of a login.

#[test]
fn a_login_that_aws_has_ended_is_none() {
    let (standin, test) = logged_in();
    json(&test, "ops").run();
    standin.change(|world| world.sso.granted[0].over = true);
    json(&test, "dev").expect_error(9, NOBODY).run();
    let end = "GetRoleCredentials by access token 1 role=ReadOnly in 123456789012: UnauthorizedException\n\
               CreateToken by refresh token 1: InvalidGrantException\n";
    let calls = log(&standin);
    assert!(calls.ends_with(end), "{calls}");
    // From then on AWS is not asked, and what was given is served until it ends.
    json(&test, "dev").expect_error(9, NOBODY).run();
    json(&test, "ops").expect_stderr("").run();
    assert_same("log", &calls, &log(&standin));
    login(&test).run();
    json(&test, "dev").expect_stderr("").run();
}

#[test]
fn a_session_that_is_left_is_served_with_a_warning() {
    let (standin, test) = logged_in();
    let first = json(&test, "dev").run();
    standin.change(|world| world.sso.granted[0].over = true);
    // More than there is left is wanted, so it is to be renewed.
    let output = json(&test.clone().env("AWS_MIN_TTL", "2h"), "dev").run();
    assert_eq!(output.raw_stdout, first.raw_stdout);
    let warning = "vault: warning: the session for dev could not be renewed; it is valid until ";
    let why = ": not logged in to IAM Identity Center for profile \"dev\"\n";
    let said = &output.stderr;
    assert!(said.starts_with(warning) && said.ends_with(why), "{said}");
}

#[test]
fn a_login_made_meanwhile_is_used() {
    let (standin, test) = logged_in();
    standin.change(|world| world.sso.granted[0].over = true);
    // The portal's no takes its time, and a person logs in again meanwhile.
    standin.fail_next(Fault::Hang(Duration::from_secs(3)));
    std::thread::scope(|scope| {
        let late = scope.spawn(|| json(&test, "dev").any_status().run());
        wait_for(&standin, "GetRoleCredentials");
        login(&test).run();
        assert_eq!(late.join().expect("a run").status, 0);
    });
    json(&test, "ops").expect_stderr("").run();
}

/// Waits until the stand-in was asked for this.
fn wait_for(standin: &StandIn, action: &str) {
    let deadline = Instant::now() + SOON;
    while standin.calls().iter().all(|call| call.action != action) {
        assert!(Instant::now() < deadline, "{}", log(standin));
        std::thread::yield_now();
    }
}

#[test]
fn a_server_serves_by_a_login() {
    let (_standin, test) = scene();
    let words = [
        "exec",
        "--server",
        "dev",
        "--",
        "sh",
        "-c",
        "echo ${AWS_CONTAINER_CREDENTIALS_FULL_URI##*/}",
    ];
    test.command(words).expect_error(125, NOBODY).run();
    login(&test).run();
    test.command(words).expect_stdout("dev\n").expect_stderr("").run();
}

#[test]
fn on_a_terminal_a_login_that_is_over_is_made_again() {
    let (standin, test) = logged_in();
    standin.change(|world| world.sso.granted[0].over = true);
    let (status, screen) = test.command(["exec", "dev", "--", "echo", "done"]).pty().end(SOON);
    assert_eq!((status, screen), (0, format!("{INVITATION}done\n")));
}

#[test]
fn a_refresh_that_is_refused_is_the_end() {
    let (standin, test) = scene();
    tokens_last(&standin, 60);
    login(&test).run();
    standin.change(|world| world.sso.granted[0].over = true);
    json(&test, "dev").expect_error(9, NOBODY).run();
    json(&test, "dev").expect_error(9, NOBODY).run();
    assert_same(
        "log",
        &format!(
            "{LOGIN}CreateToken by refresh token 1: InvalidGrantException\n\
             GetRoleCredentials by access token 1 role=ReadOnly in 123456789012: UnauthorizedException\n"
        ),
        &log(&standin),
    );
}

#[test]
fn logging_out_ends_the_login_at_aws_and_forgets_everything() {
    let (standin, test) = logged_in();
    for profile in ["dev", "ops", "deploy", "key"] {
        json(&test, profile).run();
    }
    assert_eq!(kept(&test), 1 + 4);
    let logout = || test.command(["sso", "logout", "ops"]).expect_stderr("");
    logout().expect_stdout("Logged out.\n").run();
    let calls = log(&standin);
    assert!(calls.ends_with("Logout by access token 1: ok\n"), "{calls}");
    // The session of a key of the vault's has nothing to do with it.
    assert_eq!(kept(&test), 1);
    json(&test, "dev").expect_error(9, NOBODY).run();
    logout().expect_stdout("Nobody was logged in.\n").run();
    assert_same("log", &calls, &log(&standin));
}

#[test]
fn a_login_is_forgotten_also_where_aws_cannot_be_told() {
    let (standin, test) = logged_in();
    json(&test, "dev").run();
    standin.fail_always(Some(Fault::Internal));
    test.command(["sso", "logout", "dev"])
        .expect_error(
            9,
            "vault: error: the login was removed here, but the logout at AWS failed: IAM Identity Center \
             failed (HTTP 500, InternalServerException)\n\
             vault: hint: the login stays valid at AWS until it expires; an administrator can end it now\n",
        )
        .run();
    assert_eq!(kept(&test), 0);
}

#[test]
fn clear_forgets_logins_too() {
    for words in [&["clear"][..], &["clear", "dev"]] {
        let (_standin, test) = logged_in();
        json(&test, "dev").run();
        test.command(words).expect_stdout("Cleared 2 sessions.\n").expect_stderr("").run();
        json(&test, "dev").expect_error(9, NOBODY).run();
    }
    // Without a config nobody knows of a login.
    let (_standin, test) = logged_in();
    json(&test, "dev").run();
    let test = test.config("[profile\n");
    test.command(["clear", "dev"]).expect_stdout("Cleared 1 sessions.\n").expect_stderr("").run();
}

// What is seen of it.

#[test]
fn explain_and_doctor_say_who_is_logged_in() {
    let (standin, test) = scene();
    let explain = |end: &str| {
        test.command(["explain", "dev"])
            .expect_stdout(format!(
                "profile   dev\n\
                 from      IAM Identity Center, where profile dev logs in: https://example.awsapps.com/start in us-east-1\n\
                 step 1    GetRoleCredentials of ReadOnly in 123456789012\n\
                 region    us-east-1\n\
                 login     {end}\n"
            ))
            .expect_stderr("")
            .run();
    };
    let doctor = |mark: &str, end: &str| {
        let text = test.command(["doctor", "-v"]).any_status().run().stdout;
        let line = format!("{mark:8} sso     https://example.awsapps.com/start: {end}\n");
        assert!(text.contains(&line), "{line}{text}");
    };
    explain("none; vault sso login dev");
    doctor("note", "not logged in; run: vault sso login dev");
    login(&test).run();
    explain("there, and refreshed automatically");
    doctor("ok", "logged in, and refreshed automatically");
    let plan = test.command(["explain", "--json", "dev"]).run().stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(plan["login"], serde_json::json!({ "logged_in": true, "refreshed": true }));
    assert_eq!(plan["base"]["kind"], "sso");
    assert_eq!(plan["steps"][0]["call"], "GetRoleCredentials");
    assert_eq!(plan["sts"], serde_json::Value::Null);
    standin.change(|world| world.sso.refreshes = false);
    login(&test).run();
    let plan = test.command(["explain", "--json", "dev"]).run().stdout;
    let plan: serde_json::Value = serde_json::from_str(&plan).expect("JSON");
    assert_eq!(plan["login"]["refreshed"], false);
    assert!(plan["login"]["until"].as_str().is_some_and(|end| end.ends_with('Z')), "{plan}");
}

#[test]
fn no_token_and_no_code_is_shown_or_stored_unencrypted() {
    let (standin, test) = scene();
    let test = &test;
    standin.change(|world| world.sso.person.push_back(Person::Waits));
    tokens_last(&standin, 60);
    let mut said = String::new();
    let mut run = |words: &[&str]| {
        let output = test.command(words).arg("--debug").any_status().run();
        said.push_str(&output.stderr);
        if words[0] != "exec" {
            said.push_str(&output.stdout);
        }
    };
    run(&["sso", "login", "dev"]);
    run(&["exec", "--json", "dev"]);
    run(&["exec", "--json", "none"]);
    run(&["explain", "--json", "dev"]);
    run(&["list", "--json"]);
    run(&["doctor", "--json"]);
    let lying: Vec<_> = files(test).into_iter().map(|(_, bytes)| bytes).collect();
    standin.fail_next(Fault::Html(403));
    run(&["exec", "--json", "ops"]);
    standin.change(|world| world.sso.granted.iter_mut().for_each(|granted| granted.over = true));
    run(&["exec", "--json", "ops"]);
    run(&["sso", "logout", "dev"]);
    let mut secrets = Vec::new();
    standin.change(|world| secrets.clone_from(&world.sso.secrets));
    assert!(secrets.len() >= 6 && lying.len() >= 2, "{secrets:?}");
    assert!(said.contains("vault: debug: CreateToken at "), "{said}");
    for secret in &secrets {
        assert!(!said.contains(secret.as_str()), "{secret}\n{said}");
    }
    // In the files nothing shows, not even where people log in.
    let in_files = secrets.iter().map(String::as_str).chain(["awsapps.com", "ReadOnly"]);
    for text in in_files {
        let found =
            lying.iter().any(|bytes| bytes.windows(text.len()).any(|w| w == text.as_bytes()));
        assert!(!found, "{text}");
    }
}

#[test]
fn a_damaged_login_is_none_and_one_warning() {
    let (_standin, test) = logged_in();
    let folder = test.home().join(".cache/vault/logins");
    for entry in std::fs::read_dir(folder).expect("logins").map(|entry| entry.expect("a file")) {
        if !entry.path().to_string_lossy().ends_with(".lock") {
            std::fs::write(entry.path(), b"x").expect("a file");
        }
    }
    let warning =
        "vault: warning: a file of the cache in [HOME]/.cache/vault is damaged and is not used\n";
    json(&test, "dev").expect_error(9, &format!("{warning}{NOBODY}")).run();
    login(&test).run();
    json(&test, "dev").expect_stderr("").run();
}

#[test]
fn a_login_opens_the_console() {
    let (standin, test) = logged_in();
    let test = test.env("AWS_ENDPOINT_URL_SIGNIN", standin.endpoint());
    test.command(["login", "dev"]).expect_stderr("").run();
    assert!(log(&standin).ends_with("getSigninToken for session 1: ok\n"), "{}", log(&standin));
    // And a role from there.
    test.command(["login", "deploy"]).expect_stderr("").run();
    assert!(log(&standin).ends_with("getSigninToken for session 2: ok\n"), "{}", log(&standin));
}
