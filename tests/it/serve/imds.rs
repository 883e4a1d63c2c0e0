//! `serve --imds`: credentials as an EC2 instance's metadata service gives them.

use std::net::TcpListener;

use crate::support::builder::Test;
use crate::support::scene;
use crate::support::served::{Answer, Served, ask};
use crate::support::standin::{StandIn, time};

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// A server that stands for an instance, and its port. Where the test runs there may be a real service:
/// this environment says that there is none.
fn instance(test: &Test, args: &[&str]) -> (Served, u16) {
    let test = test.clone().env(ENDPOINT, "http://127.0.0.1:1");
    let words = [&["--imds", "127.0.0.1:0"], args].concat();
    let served = Served::start(&test, &words);
    let warning =
        served.said.iter().find(|line| line.contains("every process")).expect("a warning");
    let (_, rest) = warning.split_once("http://127.0.0.1:").expect("an address");
    let port = rest.split(' ').next().and_then(|port| port.parse().ok()).expect("a port");
    (served, port)
}

fn request(port: u16, method: &str, path: &str, headers: &[&str]) -> Answer {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    ask(port, &format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{lines}\r\n"))
        .expect("an answer")
}

/// As an SDK asks: for a token first.
fn get(port: u16, path: &str) -> Answer {
    let life = "X-aws-ec2-metadata-token-ttl-seconds: 21600";
    let token = request(port, "PUT", "/latest/api/token", &[life]);
    assert_eq!(token.status, 200);
    assert!(
        token.head.contains("x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n"),
        "{}",
        token.head
    );
    request(port, "GET", path, &[&format!("X-aws-ec2-metadata-token: {}", token.body)])
}

fn given(standin: &StandIn, number: usize) -> (String, String, String) {
    let given = &standin.issued()[number - 1];
    (given.secret_access_key.clone(), given.session_token.clone(), time::rfc3339(given.expiration))
}

#[test]
fn a_client_that_knows_only_the_metadata_service_gets_the_first_profile() {
    let (standin, test) = scene::usual();
    let (served, port) = instance(&test, &["--profile", "role", "--profile", "demo"]);
    assert_eq!(get(port, ROLES).body, "role");
    let answer = get(port, &format!("{ROLES}role"));
    assert_eq!(answer.status, 200);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let (secret, token, expiration) = given(&standin, 1);
    for (field, value) in [
        ("Code", "Success"),
        ("Type", "AWS-HMAC"),
        ("AccessKeyId", &standin.issued()[0].access_key_id),
        ("SecretAccessKey", &secret),
        ("Token", &token),
        ("Expiration", &expiration),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    assert!(body["LastUpdated"].as_str().is_some_and(|time| time.ends_with('Z')), "{body}");
    assert_eq!(get(port, &format!("{ROLES}demo")).status, 404, "one instance has one role");
    assert_eq!(get(port, "/latest/meta-data/placement/region").body, "us-east-1");
    assert_eq!(get(port, "/latest/meta-data/placement/availability-zone").body, "us-east-1a");
    assert_eq!(
        get(port, "/latest/dynamic/instance-identity/document").body,
        "{\"accountId\":\"123456789012\",\"availabilityZone\":\"us-east-1a\",\
         \"region\":\"us-east-1\",\"version\":\"2017-09-30\"}"
    );
    assert_eq!(served.get("/credentials/demo").status, 200, "the other server serves both");
}

#[test]
fn vault_itself_is_such_a_client() {
    let (standin, test) = scene::usual();
    let (_served, port) = instance(&test, &["--profile", "demo"]);
    let client = Test::new()
        .config("[profile here]\ncredential_source = Ec2InstanceMetadata\nregion = us-east-1\n")
        .env(ENDPOINT, format!("http://127.0.0.1:{port}"));
    let output = client.command(["exec", "--json", "here"]).expect_stderr("").run();
    assert_eq!(
        output.hide(&standin.issued()),
        "{\"AccessKeyId\":\"[ID 1]\",\"Expiration\":\"[EXPIRATION 1]\",\"SecretAccessKey\":\"[SECRET 1]\",\
         \"SessionToken\":\"[TOKEN 1]\",\"Version\":1}\n"
    );
}

#[test]
fn what_the_real_one_refuses_is_refused() {
    let (standin, test) = scene::usual();
    let (mut served, port) = instance(&test, &["--profile", "demo"]);
    let (secret, token, _) = given(&standin, 1);
    let role = format!("{ROLES}demo");
    let life = "X-aws-ec2-metadata-token-ttl-seconds: 60";
    for (method, path, headers, status) in [
        // Version 1.
        ("GET", &*role, &[][..], 401),
        ("GET", ROLES, &["X-aws-ec2-metadata-token: wrong"], 401),
        // A proxy that is open to others, and a browser.
        ("PUT", "/latest/api/token", &[life, "X-Forwarded-For: 10.0.0.1"], 403),
        ("PUT", "/latest/api/token", &[life, "Origin: http://attacker.example"], 403),
        ("PUT", "/latest/api/token", &[], 400),
        ("PUT", "/latest/api/token", &["X-aws-ec2-metadata-token-ttl-seconds: 21601"], 400),
        ("PUT", &role, &[life], 405),
        ("POST", &role, &[], 405),
        ("GET", "/credentials/demo", &[], 401),
        ("GET", "/health", &[], 401),
    ] {
        let answer = request(port, method, path, headers);
        assert_eq!(answer.status, status, "{method} {path} {headers:?}");
        assert!(answer.head.contains("connection: close\r\n"), "{}", answer.head);
        assert!(!answer.body.contains(&secret) && !answer.body.contains(&token), "{}", answer.body);
    }
    // DNS rebinding.
    let rebound =
        ask(port, &format!("PUT /latest/api/token HTTP/1.1\r\nHost: a.example\r\n{life}\r\n\r\n"));
    assert_eq!(rebound.unwrap().status, 403);
    served.expect("vault: warning: a request was refused: the X-aws-ec2-metadata-token header is missing, wrong or too old");
    // The server's own token opens nothing here, and its path is not there.
    let token = format!("Authorization: {}", served.token);
    assert_eq!(request(port, "GET", "/credentials/demo", &[&token]).status, 401);
    assert_eq!(get(port, "/credentials/demo").status, 404);
}

#[test]
fn version_1_is_answered_only_if_it_was_asked_for() {
    let (standin, test) = scene::usual();
    let (_served, port) = instance(&test, &["--imds-v1", "--profile", "demo"]);
    let answer = request(port, "GET", &format!("{ROLES}demo"), &[]);
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains(&given(&standin, 1).1), "{}", answer.body);
    let forwarded = request(port, "GET", ROLES, &["X-Forwarded-For: 10.0.0.1"]);
    assert_eq!(forwarded.status, 403);
}

#[test]
fn an_instance_s_credentials_are_renewed_too() {
    let (standin, test) = scene::usual();
    standin.change(|world| world.session_limit = Some(9));
    let (mut served, port) = instance(&test, &["--profile", "role"]);
    served.expect("vault: renewed role, which now lasts until ");
    let renewed = standin.issued().len();
    let answer = get(port, &format!("{ROLES}role"));
    assert!(answer.body.contains(&given(&standin, renewed).1), "{}", answer.body);
}

#[test]
fn alone_it_needs_no_token_file_and_says_who_gets_the_credentials() {
    let (_standin, test) = scene::usual();
    let test = test.on_path("vault").env(ENDPOINT, "http://127.0.0.1:1");
    let script = "vault serve --listen 127.0.0.1:0 --imds 127.0.0.1:0 --profile demo 2>said &\n\
                  while ! grep -qs serving said; do sleep 0.02; done\n\
                  kill $!; wait $!; echo $?; ls; sed 's/:[0-9][0-9]*/:N/g' said";
    let stdout = "0\nbin\nsaid\n\
                  vault: warning: every process that reaches http://127.0.0.1:N gets the credentials of \
                  profile demo there: a metadata service knows no token of vault's\n\
                  vault: serving demo at http://127.0.0.1:N/credentials/demo\n";
    test.command(["-c", script]).program("sh").expect_stdout(stdout).expect_stderr("").run();
}

#[test]
fn where_others_reach_it_and_beside_a_real_one_it_does_not_listen() {
    let (standin, test) = scene::usual();
    let test = test.env(ENDPOINT, "http://127.0.0.1:1");
    let before = standin.calls().len();
    let serve = |test: &Test, args: &[&str]| {
        test.command(["serve", "--listen", "127.0.0.1:0", "--profile", "demo"].iter().chain(args))
    };
    for ip in ["0.0.0.0", "10.0.0.1", "169.254.170.2"] {
        let error = format!(
            "vault: error: --imds: anyone who reaches {ip} would get the credentials, since clients of a \
             metadata service send no token of vault's\n\
             vault: hint: listen on a loopback address, or on 169.254.169.254 in a container's own \
             network\n"
        );
        let args = ["--allow-non-loopback", "--imds", &format!("{ip}:80")];
        serve(&test, &args).expect_error(6, &error).run();
    }
    let usage = "vault: error: --imds: not an IPv4 address with a port\n\
                 vault: hint: it looks like 127.0.0.1:9912 or 169.254.169.254:80\n";
    serve(&test, &["--imds", "[::1]:9912"]).expect_error(2, usage).run();
    let alone =
        "vault: error: --imds <ADDRESS:PORT> is missing\nvault: hint: see vault serve --help\n";
    serve(&test, &["--imds-v1"]).expect_error(2, alone).run();
    // Another program on the port, and a real service elsewhere.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let busy = format!(
        "vault: error: cannot listen on {address}: address already in use\n\
         vault: hint: another program uses this port; choose another with --imds\n"
    );
    serve(&test, &["--imds", &address.to_string()]).expect_error(8, &busy).run();
    assert_eq!(standin.calls().len(), before, "AWS is not asked for nothing");
    // Another vault's is one.
    let (_real, port) = instance(&test, &["--profile", "demo"]);
    let address = format!("127.0.0.1:{port}");
    let before = standin.calls().len();
    let beside = format!(
        "vault: error: --imds: this machine has a metadata service: {address} answers\n\
         vault: hint: give the instance a role, or hand credentials out by exec --server or serve \
         --token-file\n"
    );
    let test = test.env(ENDPOINT, format!("http://{address}"));
    serve(&test, &["--imds", "127.0.0.1:0"]).expect_error(6, &beside).run();
    assert_eq!(standin.calls().len(), before, "AWS is not asked for nothing");
}
