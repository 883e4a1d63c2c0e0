//! Servers that answer without an end: an error that names them, and no memory taken for it.

use std::io::{Read, Write};
use std::net::TcpListener;

use crate::support::builder::Test;
use crate::support::scene::{self, PROFILES};
use crate::support::standin::{StandIn, World};

/// A server that reads a little, says `head`, and then `more` for ever; its `host:port`.
fn endless(head: &str, more: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("its address").to_string();
    let (head, more) = (head.to_owned(), more.repeat(65_536 / more.len() + 1));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (head, more) = (head.clone(), more.clone());
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 65_536]);
                let _ = stream.write_all(head.as_bytes());
                while stream.write_all(more.as_bytes()).is_ok() {}
            });
        }
    });
    place
}

const BODY: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/xml\r\n\r\n";

const HINT: &str =
    "vault: hint: is endpoint_url right, and is there a proxy or a login page in between?\n";

fn too_much(who: &str, place: &str, hint: &str) -> String {
    format!(
        "vault: error: {who} at {place} sent too much: an answer may have 256 KiB, and 100 headers \
         of 64 KiB in all\n{hint}"
    )
}

/// With 32 MiB for all that it writes to in memory.
fn in_little_memory(run: Test) -> Test {
    run.under("prlimit", ["--data=33554432"])
}

#[test]
fn an_answer_without_an_end_is_an_error_that_takes_no_memory() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let kib = "x".repeat(1024);
    let chunk = format!("400\r\n{kib}\r\n");
    let test = Test::new().vault_with("demo").config(PROFILES).env("AWS_REGION", "us-east-1");
    for (head, more) in [
        (BODY, "x"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1099511627776\r\n\r\n", "x"),
        ("HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n", "\x1f\0\0\0"),
        (chunked, &*chunk),
        (chunked, "1\r\nx\r\n"),
        // What stands round the chunks.
        (chunked, &*format!("400;{kib}\r\n{kib}\r\n")),
        (&*format!("{chunked}400;"), "x"),
        (&*format!("{chunked}0\r\n"), "a: b\r\n"),
        (&*format!("{chunked}0\r\na: "), "b"),
        // Refusals, and what is tried again.
        ("HTTP/1.1 403 Forbidden\r\ncontent-type: text/xml\r\n\r\n", "<ErrorResponse>"),
        ("HTTP/1.1 500 Oh\r\n\r\n", "x"),
        ("HTTP/1.1 302 Found\r\nlocation: /\r\n\r\n", "x"),
        // Before the answer.
        ("HTTP/1.1 200 ", "x"),
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ("HTTP/1.1 200 OK\r\na: ", "b"),
        ("HTTP/1.1 200 OK\r\n", "b"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
        ("", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"),
    ] {
        let place = endless(head, more);
        let test = test.clone().env("AWS_ENDPOINT_URL_STS", format!("http://{place}"));
        let stderr = too_much("STS", &place, HINT);
        let run = test.command(["exec", "--json", "demo"]).expect_error(9, &stderr);
        in_little_memory(run).run();
    }
}

/// There is no other way to send a request.
#[test]
fn every_service_s_answers_end() {
    let place = endless(BODY, "x");
    let url = format!("http://{place}");
    let (_standin, sts) = scene::usual();
    let world = StandIn::start(World::demo());
    let config = "[profile dev]\nsso_start_url = https://example.awsapps.com/start\n\
                  sso_region = us-east-1\nsso_account_id = 123456789012\nsso_role_name = Any\n\
                  [profile task]\ncredential_source = EcsContainer\n\
                  [profile web]\ncredential_source = Ec2InstanceMetadata\n";
    let center = Test::new().vault_with("key").config(config).env("AWS_REGION", "us-east-1");
    let center =
        center.env("AWS_ENDPOINT_URL_SSO", &url).env("AWS_ENDPOINT_URL_SSO_OIDC", world.endpoint());
    center.command(["sso", "login", "dev"]).run();
    let container =
        "vault: hint: is this the container that AWS_CONTAINER_CREDENTIALS_* were set for?\n";
    let instance = "vault: hint: is this an EC2 instance? for containers on it, its hop limit has to \
                    be 2 or more\n";
    let with = |test: &Test, name: &str| test.clone().env(name, &url);
    for (test, words, who, hint) in [
        (with(&sts, "AWS_ENDPOINT_URL_IAM"), ["rotate", "demo", ""], "IAM", HINT),
        (
            with(&sts, "AWS_ENDPOINT_URL_SIGNIN"),
            ["login", "role", ""],
            "AWS's sign-in service",
            HINT,
        ),
        (center.clone(), ["exec", "--json", "dev"], "IAM Identity Center", HINT),
        (
            with(&center, "AWS_ENDPOINT_URL_SSO_OIDC"),
            ["sso", "login", "dev"],
            "IAM Identity Center",
            HINT,
        ),
        (
            with(&center, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            ["exec", "--json", "task"],
            "the container's credentials agent",
            container,
        ),
        (
            with(&center, "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            ["exec", "--json", "web"],
            "the instance metadata service",
            instance,
        ),
    ] {
        let words = words.into_iter().filter(|word| !word.is_empty());
        let run = test.command(words).expect_error(9, &too_much(who, &place, hint));
        in_little_memory(run).run();
    }
}

#[test]
fn a_proxy_s_answers_end() {
    let test = Test::new().vault_with("demo").config(PROFILES).env("AWS_REGION", "eu-west-1");
    // With a code, so that it is tried once.
    let words = ["exec", "--json", "mfa", "-t", "123456"];
    for (head, more) in
        [("HTTP/1.1 200 OK\r\n", "a: b\r\n"), ("", "x"), ("HTTP/1.1 200 OK\r\na: ", "b")]
    {
        let place = endless(head, more);
        let stderr = format!(
            "vault: error: the proxy {place} does not connect to sts.eu-west-1.amazonaws.com:443\n\
             vault: hint: the proxy was named by HTTPS_PROXY\n"
        );
        let run = test.clone().env("HTTPS_PROXY", &place).command(words);
        in_little_memory(run.expect_error(9, &stderr)).run();
    }
    // One that passes plain requests on.
    let place = endless(BODY, "x");
    let test = test.env("HTTP_PROXY", &place).env("AWS_ENDPOINT_URL_STS", "http://sts.invalid");
    let stderr = too_much("STS", "sts.invalid:80", HINT);
    in_little_memory(test.command(words).expect_error(9, &stderr)).run();
}
