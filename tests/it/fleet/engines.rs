//! Stores of others: they judge signatures and conditions, and what `check` finds is what they are known for.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;
use vault::clock::Clock;

use crate::support::builder::Test;
use crate::support::moto::Moto;
use crate::support::standin::http::Request;
use crate::support::standin::sigv4::{self, Scope};
use crate::support::weed::Weed;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// Makes the bucket `fleet`.
fn make_bucket(endpoint: &str) {
    let host = endpoint.strip_prefix("http://").expect("plain HTTP");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let headers = [("host", host), ("x-amz-content-sha256", empty)];
    let mut request = Request {
        method: "PUT".to_owned(),
        target: "/fleet".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
        body: Vec::new(),
    };
    let now = Clock::system().now().0;
    let date = crate::support::standin::time::amz(now)[..8].to_owned();
    let scope = Scope { date, region: "us-east-1".to_owned(), service: "s3".to_owned() };
    sigv4::sign(&mut request, ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, now, &scope);
    let head: String =
        request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let mut stream = TcpStream::connect(host).unwrap();
    let text =
        format!("PUT /fleet HTTP/1.1\r\n{head}Content-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn join(test: &Test, endpoint: &str) -> Test {
    let words = ["fleet", "join", "s3://fleet/vault", "--profile", "store", "--endpoint", endpoint];
    test.command(words)
}

fn vault() -> Test {
    Test::new().vault_with("demo").stored("store", ACCESS_KEY_ID, SECRET_ACCESS_KEY)
}

#[test]
#[ignore = "needs weed (.ci/requirements.txt)"]
fn seaweedfs_keeps_the_conditions() {
    let test = vault();
    let data = test.home().join("weed");
    std::fs::create_dir(&data).unwrap();
    let weed = Weed::start(&data);
    make_bucket(&weed.endpoint);
    let said = format!("Joined s3://fleet/vault at {}\n", weed.endpoint);
    join(&test, &weed.endpoint).expect_stdout(said).expect_stderr("").run();
    let status = test.command(["fleet", "status"]).expect_stderr("").run();
    assert!(status.stdout.contains("\ncopy         of 20"), "{}", status.stdout);
    // Another key than the store's is not let in.
    test.stored("store", "AKIAI44QH8DHBEXAMPLE", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY")
        .command(["fleet", "status"])
        .expect_error(
            9,
            "vault: error: s3://fleet/vault does not know the access key that it is asked with\n\
             vault: hint: it was deleted, is inactive, or is another store's\n",
        )
        .run();
}

/// moto checks a condition and writes without a lock: a race may show that, or not. In turn it keeps them.
#[test]
#[ignore = "needs moto (.ci/requirements.txt)"]
fn moto_keeps_the_conditions_in_turn() {
    let test = vault();
    let moto = Moto::start(test.home());
    make_bucket(&moto.endpoint);
    let joined = join(&test, &moto.endpoint).any_status().run();
    assert!([0, 6].contains(&joined.status), "{}", joined.stderr);
    if joined.status == 6 {
        assert!(joined.stderr.contains(" at once, one does, but it told "), "{}", joined.stderr);
        return;
    }
    let output = test.command(["fleet", "check", "--json"]).any_status().run();
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    for finding in &json["findings"].as_array().unwrap()[..4] {
        assert_eq!(finding["good"], true, "{finding}");
    }
}
