//! `vault login`: an address that opens the console.

use crate::support::builder::{Output, Test};
use crate::support::standin::identity::Provider;
use crate::support::standin::{Fault, Role, StandIn, World};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

const CONFIG: &str = "[profile demo]\nregion = us-east-1\n\
    [profile role]\nsource_profile = demo\nrole_arn = arn:aws:iam::123456789012:role/admin\n\
    role_session_name = me\n\
    [profile chain]\nsource_profile = role\nrole_arn = arn:aws:iam::123456789012:role/next\n\
    role_session_name = me\n";

fn world() -> StandIn {
    let roles = World::demo().role(Role::new("admin")).role(Role::new("next"));
    StandIn::start(roles)
}

fn home(standin: &StandIn) -> Test {
    let test = Test::new().config(CONFIG).vault_with("demo").standin(standin);
    test.env("AWS_ENDPOINT_URL_SIGNIN", standin.endpoint())
}

/// The address that a run printed, with the token that the stand-in gave last as `[TOKEN]`.
fn address(standin: &StandIn, output: &Output) -> String {
    let token = standin.signin_tokens().pop().expect("a token");
    assert!(token.contains(['+', '/', '=']), "nothing to encode");
    let token = token.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    output.stdout.replace(&token, "[TOKEN]")
}

/// The console's address for this page, as the stand-in's login would be told it.
fn opens(page: &str) -> String {
    let page = page.replace(':', "%3A").replace('/', "%2F").replace('?', "%3F").replace('=', "%3D");
    format!(
        "http://127.0.0.1:[PORT]/federation?Action=login&Issuer=vault&Destination={page}&SigninToken=[TOKEN]\n"
    )
}

const HOME: &str = "https://console.aws.amazon.com/console/home?region=us-east-1";

#[test]
fn a_role_opens_the_console() {
    let standin = world();
    let output = home(&standin).command(["login", "role"]).expect_stderr("").run();
    assert_eq!(address(&standin, &output), opens(HOME));
    assert_eq!(
        standin.log(),
        format!(
            "AssumeRole by {ACCESS_KEY_ID} in us-east-1 role=arn:aws:iam::123456789012:role/admin name=me duration=3600: ok\n\
             getSigninToken for session 1: ok\n"
        )
    );
}

#[test]
fn the_page_and_its_region_can_be_named() {
    let standin = world();
    let words = ["login", "--path", "/s3/home", "--region", "eu-west-1", "role"];
    let test = home(&standin);
    standin.change(|world| world.region = None);
    let output = test.command(words).expect_stderr("").run();
    let page = "https://console.aws.amazon.com/s3/home?region=eu-west-1";
    assert_eq!(address(&standin, &output), opens(page));
    test.command(["login", "--path", "a b", "role"])
        .expect_error(
            2,
            "vault: error: --path: not the path of a page\n\
             vault: hint: it looks like s3/home, as behind the host in the console's address\n",
        )
        .run();
}

#[test]
fn the_console_s_session_may_be_longer_than_the_role_s() {
    let standin = world();
    let test = home(&standin);
    test.command(["login", "--duration", "12h", "role"]).expect_stderr("").run();
    assert!(standin.log().contains(" name=me duration=3600: ok\n"), "{}", standin.log());
    assert!(
        standin.log().ends_with("getSigninToken for session 1 session-duration=43200: ok\n"),
        "{}",
        standin.log()
    );
    // Up to an hour it is the role's own length.
    test.command(["login", "--duration", "30m", "--refresh", "role"]).expect_stderr("").run();
    assert!(standin.log().contains(" name=me duration=1800: ok\n"), "{}", standin.log());
    assert!(standin.log().ends_with("getSigninToken for session 2: ok\n"), "{}", standin.log());
}

#[test]
fn what_aws_would_refuse_is_not_asked() {
    let standin = world();
    for (words, what) in [
        (
            ["--duration", "2h", "chain"],
            "--duration: a role from a role, or from temporary credentials, lasts 1h at most",
        ),
        (["--duration", "13h", "role"], "--duration: AWS gives a role for 15m to 12h, not for 13h"),
        (
            ["--duration", "37h", "demo"],
            "--duration: AWS takes 15m to 36h, and 12h at most for a role",
        ),
    ] {
        let test = home(&standin).command(["login"]).args(words);
        let output = test.expect_status(2).expect_stdout("").run();
        assert!(output.stderr.starts_with(&format!("vault: error: {what}\n")), "{}", output.stderr);
    }
    assert_eq!(standin.log(), "");
}

/// No vault is there, and a token is no long-term key: the length is the role's own.
#[test]
fn a_web_identity_opens_the_console_without_a_vault() {
    let subject = "repo:example/shop:ref:refs/heads/main";
    let role = Role::new("deploy").max_duration(43_200).subject(subject);
    let world = World::demo().provider(Provider::github()).role(role);
    let standin = StandIn::start(world);
    let token = Provider::github().token(subject, standin.now() + 300);
    let test = Test::new().standin(&standin).file("token", token, 0o644);
    let path = test.home().join("token");
    let test = test
        .env("AWS_WEB_IDENTITY_TOKEN_FILE", path)
        .env("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/deploy")
        .env("AWS_ENDPOINT_URL_SIGNIN", standin.endpoint());
    test.command(["login", "--duration", "2h"]).expect_stderr("").run();
    let log = standin.log();
    assert!(log.starts_with("AssumeRoleWithWebIdentity by repo:example/shop"), "{log}");
    assert!(log.contains(" duration=7200: ok\ngetSigninToken for session 1: ok\n"), "{log}");
    assert!(!test.vault_file().exists());
}

#[test]
fn a_chain_of_roles_opens_the_console_for_the_last_of_them() {
    let standin = world();
    home(&standin).command(["login", "chain"]).expect_stderr("").run();
    assert!(standin.log().ends_with("getSigninToken for session 2: ok\n"), "{}", standin.log());
}

#[test]
fn a_code_is_spent_once_and_a_cached_role_with_most_of_its_time_left_is_used() {
    let standin = StandIn::start(World::demo().role(Role::new("admin").requires_mfa()));
    let test = home(&standin);
    let test = test.config(&format!("{CONFIG}[profile mfa]\nsource_profile = demo\nmfa_serial = {MFA_SERIAL}\nrole_arn = arn:aws:iam::123456789012:role/admin\n"));
    let seed = test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED);
    seed.run();
    for _ in 0..2 {
        test.command(["login", "mfa"]).expect_stderr("").run();
    }
    let actions: Vec<_> = standin.calls().into_iter().map(|call| call.action).collect();
    assert_eq!(
        actions,
        ["GetSessionToken", "AssumeRole", "getSigninToken", "getSigninToken"],
        "{}",
        standin.log()
    );
}

/// Profiles of one device whose codes a person gives; the last one's base is this program.
fn by_hand() -> String {
    let mfa = format!("source_profile = demo\nmfa_serial = {MFA_SERIAL}\n");
    let role = "role_arn = arn:aws:iam::123456789012:role";
    format!(
        "{CONFIG}[profile mfa]\n{mfa}\
         [profile one]\n{mfa}{role}/admin\n\
         [profile two]\n{mfa}{role}/next\n\
         [profile by-program]\ncredential_process = vault exec --json mfa\n\
         [profile three]\nsource_profile = by-program\n{role}/next\nrole_session_name = three\n"
    )
}

#[test]
fn an_mfa_session_need_not_last_as_long_as_the_role() {
    let standin = StandIn::start(
        World::demo()
            .role(Role::new("admin").requires_mfa())
            .role(Role::new("next").requires_mfa()),
    );
    let test = home(&standin).config(&by_hand()).on_path("vault");
    let code = standin.totp_now(MFA_SEED);
    let session = ["exec", "--json", "mfa", "-d", "40m", "-t", &code];
    test.command(session).expect_stderr("").run();
    // The code was used, and nobody is there to give another.
    test.command(["login", "one", "-t", &code]).expect_stderr("").run();
    for profile in ["two", "three"] {
        test.command(["login", profile]).expect_stderr("").run();
    }
    let calls = standin.calls();
    let count = |action: &str| calls.iter().filter(|call| call.action == action).count();
    assert_eq!(count("GetSessionToken"), 1, "{}", standin.log());
    assert_eq!(count("AssumeRole"), 3, "{}", standin.log());
}

#[test]
fn a_user_s_own_key_opens_it_by_a_federated_session() {
    let standin = world();
    let test = home(&standin);
    let output = test.command(["login", "demo"]).expect_stderr("").run();
    assert_eq!(address(&standin, &output), opens(HOME));
    let calls = |duration: &str| {
        format!(
            "GetCallerIdentity by {ACCESS_KEY_ID} in us-east-1: ok\n\
             GetFederationToken by {ACCESS_KEY_ID} in us-east-1 name=demo duration={duration}: ok\n\
             getSigninToken for session 1: ok\n"
        )
    };
    assert_eq!(standin.log(), calls("3600"));
    for (words, variable, seconds) in
        [(&["--duration", "36h"][..], "1h", "129600"), (&[], "2h", "7200")]
    {
        let standin = world();
        let test = home(&standin).env("AWS_FEDERATION_TOKEN_TTL", variable);
        test.command(["login", "demo"]).args(words).expect_stderr("").run();
        assert_eq!(standin.log(), calls(seconds));
    }
}

#[test]
fn a_user_s_own_key_says_that_mfa_is_left_out() {
    let standin = world();
    let config = format!("[profile demo]\nmfa_serial = {MFA_SERIAL}\n");
    home(&standin)
        .config(&config)
        .command(["login", "demo"])
        .expect_stderr(
            "vault: warning: GetFederationToken takes no MFA code, so the console session has no \
             MFA: AWS denies what a policy allows only with MFA\n",
        )
        .run();
}

#[test]
fn a_user_who_may_not_federate_learns_what_to_do() {
    let standin = world();
    standin.change(|world| world.denied.push("GetFederationToken".to_owned()));
    home(&standin)
        .command(["login", "demo"])
        .expect_error(
            9,
            "vault: error: AWS refused GetFederationToken: AccessDenied: User: \
             arn:aws:iam::123456789012:user/demo is not authorized to perform: \
             sts:GetFederationToken on resource: arn:aws:sts::123456789012:federated-user/demo\n\
             vault: hint: name a profile with a role, or allow sts:GetFederationToken\n",
        )
        .run();
}

#[test]
fn without_a_profile_the_variables_are_taken_as_aws_vault_does() {
    let standin = world();
    let given = home(&standin).command(["exec", "--json", "role"]).run();
    let given: serde_json::Value = serde_json::from_slice(&given.raw_stdout).expect("JSON");
    let text = |name: &str| given[name].as_str().expect("a text").to_owned();
    // No vault here, and no config.
    let bare = Test::new().standin(&standin).env("AWS_ENDPOINT_URL_SIGNIN", standin.endpoint());
    let test = bare
        .clone()
        .env("AWS_ACCESS_KEY_ID", text("AccessKeyId"))
        .env("AWS_SECRET_ACCESS_KEY", text("SecretAccessKey"))
        .env("AWS_SESSION_TOKEN", text("SessionToken"));
    let output = test.command(["login"]).expect_stderr("").run();
    assert_eq!(address(&standin, &output), opens(HOME));
    assert_eq!(standin.calls().len(), 2, "{}", standin.log());
    test.command(["login", "--duration", "2h"])
        .expect_stderr(
            "vault: warning: --duration has no effect: the credentials are used as they are\n",
        )
        .run();

    let bare = bare.env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID);
    let key = bare.clone().env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    key.command(["login", "-s", "--stdout"]).expect_stderr("").run();
    assert!(standin.log().contains("GetFederationToken"), "{}", standin.log());
    bare.command(["login"])
        .expect_error(1, "vault: error: the environment gives an incomplete access key\n")
        .run();
}

#[test]
fn a_profile_that_is_named_outranks_the_variables() {
    let standin = world();
    let test = home(&standin).env("AWS_ACCESS_KEY_ID", "AKIAI44QH8DHBEXAMPLE");
    let test = test.env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    test.command(["login", "role"]).expect_stderr("").run();
    // And AWS_PROFILE counts where there are none.
    let test = test.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
    test.env("AWS_PROFILE", "role").command(["login"]).expect_stderr("").run();
    assert_eq!(standin.signin_tokens().len(), 2, "{}", standin.log());
}

#[test]
fn a_session_of_get_session_token_is_refused_with_a_reason() {
    let standin = world();
    let given = home(&standin).command(["exec", "--json", "demo"]).run();
    let given: serde_json::Value = serde_json::from_slice(&given.raw_stdout).expect("JSON");
    let mut test = home(&standin);
    for (variable, field) in [
        ("AWS_ACCESS_KEY_ID", "AccessKeyId"),
        ("AWS_SECRET_ACCESS_KEY", "SecretAccessKey"),
        ("AWS_SESSION_TOKEN", "SessionToken"),
    ] {
        test = test.env(variable, given[field].as_str().expect("a text"));
    }
    test.command(["login"])
        .expect_error(
            9,
            "vault: error: AWS's sign-in service refused the credentials (HTTP 400)\n\
             vault: hint: the sign-in service accepts credentials from AssumeRole or \
                 GetFederationToken, not from GetSessionToken\n",
        )
        .run();
}

#[test]
fn a_sign_in_service_that_fails_is_named_and_nothing_is_printed() {
    let standin = world();
    let test = home(&standin);
    // The role is in the cache from here on.
    test.command(["login", "role"]).run();
    let none = "vault: hint: is there a proxy or a login page in between?\n";
    for (fault, status, wanted) in [
        (
            Fault::Internal,
            9,
            "vault: error: AWS's sign-in service failed (HTTP 500)\nvault: hint: try again later\n".to_owned(),
        ),
        (
            Fault::Empty(429),
            9,
            "vault: error: AWS's sign-in service is throttling requests (HTTP 429)\nvault: hint: wait a while\n".to_owned(),
        ),
        (
            Fault::Html(200),
            9,
            format!("vault: error: AWS's sign-in service answered without a sign-in token (HTTP 200, text/html)\n{none}"),
        ),
        (
            Fault::Html(302),
            9,
            format!("vault: error: AWS's sign-in service answered without a sign-in token (HTTP 302, text/html)\n{none}"),
        ),
        (
            Fault::DropBefore,
            9,
            "vault: error: 127.0.0.1:[PORT] closed the connection before the response was \
             complete\nvault: hint: try again\n".to_owned(),
        ),
    ] {
        standin.fail_next(fault);
        test.command(["login", "role"]).expect_error(status, &wanted).run();
    }
}

#[test]
fn credentials_go_nowhere_in_the_clear() {
    let standin = world();
    home(&standin)
        .env("AWS_ENDPOINT_URL_SIGNIN", "http://signin.example")
        .command(["login", "role"])
        .expect_error(
            2,
            "vault: error: AWS_ENDPOINT_URL_SIGNIN: credentials go there, so it must be https, or \
             http to this host\n",
        )
        .run();
    assert_eq!(standin.log(), "");
    home(&standin)
        .env("AWS_ENDPOINT_URL_SIGNIN", "https://127.0.0.1:1")
        .env("AWS_CA_BUNDLE", "/nonexistent")
        .command(["login", "role"])
        .expect_error(1, "vault: error: CA bundle /nonexistent: no such file or directory\n")
        .run();
}

#[test]
fn no_message_holds_the_credentials_or_the_token() {
    let standin = world();
    let test = home(&standin);
    let output = test.command(["login", "--debug", "role"]).run();
    standin.fail_next(Fault::Html(400));
    let failed = test.command(["login", "--debug", "role"]).expect_status(9).run();
    let issued = standin.issued().remove(0);
    for said in [&output.stderr, &failed.stderr] {
        assert!(said.contains("getSigninToken at 127.0.0.1:[PORT]\n"), "{said}");
        let token = standin.signin_tokens().remove(0);
        for secret in [&issued.secret_access_key, &issued.session_token, &token] {
            assert!(!said.contains(secret.as_str()), "{said}");
        }
        assert!(!said.contains("%22"), "{said}");
    }
    // A key is sent nowhere: the address holds the token alone.
    assert!(!output.stdout.contains(&issued.access_key_id), "{}", output.stdout);
}
