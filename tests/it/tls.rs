//! TLS roots and proxies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use crate::support::agent::Agent;
use crate::support::builder::Test;
use crate::support::scene::{self, PROFILES};
use crate::support::standin::StandIn;
use crate::support::standin::client::Client;

/// A home whose STS is AWS's own, which no test reaches.
fn stage() -> Test {
    Test::new().vault_with("demo").config(PROFILES).env("AWS_REGION", "eu-west-1")
}

// A bundle that is no bundle.

#[test]
fn a_bad_bundle_is_an_error() {
    let hint = "vault: hint: it must be a file of PEM certificates (-----BEGIN CERTIFICATE-----)\n";
    let cut = "-----BEGIN CERTIFICATE-----\nMIIB\n";
    for (contents, what) in [
        ("", "no certificate in it that can be used"),
        ("not a certificate\n", "no certificate in it that can be used"),
        (cut, "damaged after certificate 0"),
    ] {
        let test = stage().file("bundle.pem", contents, 0o644);
        let stderr = format!("vault: error: CA bundle [HOME]/bundle.pem: {what}\n{hint}");
        let bundle = test.home().join("bundle.pem");
        for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
            let test = test.clone().env(name, &bundle);
            test.command(["exec", "--json", "demo"]).expect_error(1, &stderr).run();
        }
        let config = format!("[profile demo]\nca_bundle = {}\n", bundle.display());
        test.config(&config).command(["exec", "--json", "demo"]).expect_error(1, &stderr).run();
    }
}

#[test]
fn a_bundle_that_cannot_be_read_is_an_error() {
    let test = stage().env("AWS_CA_BUNDLE", "/nonexistent/bundle.pem");
    test.command(["exec", "--json", "demo"])
        .expect_error(
            1,
            "vault: error: CA bundle /nonexistent/bundle.pem: no such file or directory\n",
        )
        .run();
    // What needs no TLS needs no roots.
    let (standin, test) = scene::usual();
    let test = test.env("AWS_CA_BUNDLE", "/nonexistent/bundle.pem");
    test.command(["exec", "--json", "demo"]).expect_stderr("").run();
    assert_eq!(standin.calls().len(), 1);
    test.command(["exec", "-n", "--json", "demo"]).expect_stderr("").run();
}

#[test]
fn directories_without_a_certificate_are_an_error() {
    let test = stage().env("SSL_CERT_DIR", "empty:/nonexistent");
    let missing = "vault: error: CA bundle empty: no such file or directory\n";
    test.command(["exec", "--json", "demo"]).expect_error(1, missing).run();
    let test = test.env("SSL_CERT_DIR", "empty").file("empty/README", "none\n", 0o644);
    let stderr = "vault: error: CA bundle empty: no certificate in it that can be used\n\
                  vault: hint: SSL_CERT_DIR names directories of PEM certificates\n";
    test.command(["exec", "--json", "demo"]).expect_error(1, stderr).run();
}

// Through a proxy.

/// A proxy that answers every request with this; and the heads of the requests.
pub fn proxy(answer: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("its address").to_string();
    let (send, receive) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let lines = std::iter::from_fn(|| {
                let mut line = String::new();
                stream.read_line(&mut line).ok().filter(|n| *n > 2).map(|_| line)
            });
            let _ = send.send(lines.collect());
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    (place, receive)
}

#[test]
fn https_goes_through_the_proxy_that_is_named() {
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let (place, asked) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        stage()
            .env(name, format!("http://{place}"))
            // With a code, so that it is tried once.
            .command(["exec", "--json", "mfa", "-t", "123456"])
            .expect_error(
                9,
                &format!(
                    "vault: error: the proxy {place} does not connect to \
                     sts.eu-west-1.amazonaws.com:443\n\
                     vault: hint: the proxy was named by {name}\n"
                ),
            )
            .run();
        let asked = asked.recv().expect("a request");
        assert!(
            asked.starts_with("CONNECT sts.eu-west-1.amazonaws.com:443 HTTP/1.1\r\n"),
            "{asked}"
        );
    }
}

#[test]
fn the_legacy_endpoint_is_the_global_one() {
    let (place, asked) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    let test = stage().env("HTTPS_PROXY", place).env("AWS_STS_REGIONAL_ENDPOINTS", "legacy");
    test.command(["exec", "--json", "demo"]).expect_status(9).run();
    let asked = asked.recv().expect("a request");
    assert!(asked.starts_with("CONNECT sts.amazonaws.com:443 HTTP/1.1\r\n"), "{asked}");
}

#[test]
fn a_proxy_gets_its_password_and_no_other_server_does() {
    let (place, asked) =
        proxy("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    stage()
        .env("HTTPS_PROXY", format!("http://alice:hunter2@{place}"))
        .command(["exec", "--json", "--debug", "demo"])
        .expect_status(9)
        .run()
        .stderr
        .lines()
        .for_each(|line| assert!(!line.contains("hunter2"), "{line}"));
    let asked = asked.recv().expect("a request").to_ascii_lowercase();
    assert!(asked.contains("proxy-authorization: basic ywxpy2u6ahvudgvymg=="), "{asked}");
}

/// What is not encrypted is handed to the proxy, which looks the name up.
#[test]
fn plain_http_goes_to_the_proxy_as_a_whole_request() {
    let (place, asked) = proxy("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
    stage()
        .env("HTTP_PROXY", format!("http://alice:hunter2@{place}"))
        .env("AWS_ENDPOINT_URL_STS", "http://sts.invalid")
        .command(["exec", "--json", "demo"])
        .expect_error(
            9,
            "vault: error: STS answered with something that is not STS (HTTP 403, no content type)\n\
             vault: hint: is endpoint_url right, and is there a proxy or a login page in between?\n",
        )
        .run();
    let asked = asked.recv().expect("a request").to_ascii_lowercase();
    assert!(asked.starts_with("post http://sts.invalid/ http/1.1\r\n"), "{asked}");
    assert!(asked.contains("host: sts.invalid\r\n"), "{asked}");
    assert!(asked.contains("proxy-authorization: basic ywxpy2u6ahvudgvymg==\r\n"), "{asked}");
}

#[test]
fn no_proxy_goes_round_it() {
    let (standin, test) = scene::usual();
    // For what is plain HTTP it is HTTP_PROXY; and the stand-in on loopback needs no NO_PROXY.
    let test =
        test.env("HTTP_PROXY", "http://127.0.0.1:1").env("HTTPS_PROXY", "http://127.0.0.1:1");
    test.command(["exec", "--json", "demo"]).expect_stderr("").run();
    assert_eq!(standin.calls().len(), 1);
    // Another way to this machine, which counts as any other address.
    let test = test.env("AWS_ENDPOINT_URL_STS", format!("http://0.0.0.0:{}", standin.port()));
    test.command(["exec", "--json", "demo"])
        .expect_error(
            9,
            "vault: error: the proxy 127.0.0.1:1 refused the connection\n\
             vault: hint: the proxy was named by HTTP_PROXY\n",
        )
        .run();
    for rules in ["0.0.0.0", "example.com, 0.0.0.0/8", "*"] {
        let test = test.clone().env("NO_PROXY", rules);
        test.command(["exec", "--json", "--refresh", "demo"]).expect_stderr("").run();
    }
    assert_eq!(standin.calls().len(), 4);
}

#[test]
fn an_unusable_proxy_is_an_error_without_its_value() {
    for (value, stderr) in [
        (
            "socks5://alice:hunter2@127.0.0.1:1",
            "vault: error: HTTPS_PROXY names a SOCKS proxy, which is not supported\n\
             vault: hint: set HTTPS_PROXY to an HTTP proxy, or \
             NO_PROXY=sts.eu-west-1.amazonaws.com\n",
        ),
        (
            "ftp://hunter2",
            "vault: error: HTTPS_PROXY is not the address of an HTTP proxy\n\
             vault: hint: it looks like http://proxy.example:3128\n",
        ),
    ] {
        let test = stage().env("HTTPS_PROXY", value);
        test.command(["exec", "--json", "demo"]).expect_error(2, stderr).run();
    }
}

// Against a TLS server: one in Python, in front of the stand-in.

/// `localhost` and `sts.invalid`, with a certificate that is its own authority.
pub struct TlsServer {
    process: Child,
    pub port: String,
    _home: Test,
    pub certificate: PathBuf,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Arguments: certificate, key, the port behind, and where to listen. Prints its own port.
pub const FORWARD: &str = r#"
import socket, ssl, sys, threading
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
host, port = sys.argv[4].split(":")
listener = socket.create_server((host, int(port)))
print(listener.getsockname()[1], flush=True)
def pump(a, b):
    try:
        while data := a.recv(65536):
            b.sendall(data)
        b.shutdown(socket.SHUT_WR)
    except OSError:
        pass
def serve(plain):
    try:
        secure = context.wrap_socket(plain, server_side=True)
    except OSError:
        return
    behind = socket.create_connection(("127.0.0.1", int(sys.argv[3])))
    threading.Thread(target=pump, args=(secure, behind), daemon=True).start()
    pump(behind, secure)
    secure.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;

/// A key and a certificate that is its own authority, for these names; where they are.
pub fn certificate(home: &Test, authority: bool, names: &str) -> (PathBuf, PathBuf) {
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| home.home().join(name));
    let config = "[req]\ndistinguished_name = name\nx509_extensions = more\nprompt = no\n\
                  [name]\nCN = localhost\n[more]\nbasicConstraints = critical,CA:CA_OR_NOT\n\
                  subjectAltName = NAMES\n";
    let config = config.replace("CA_OR_NOT", if authority { "TRUE" } else { "FALSE" });
    let home = home.clone().file("openssl.cnf", config.replace("NAMES", names), 0o600);
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config"])
        .arg(home.home().join("openssl.cnf"))
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .expect("openssl");
    assert!(made.success());
    (key, certificate)
}

impl TlsServer {
    fn before(standin: &StandIn, authority: bool) -> Self {
        Self::before_port(standin.port(), authority)
    }

    pub fn before_port(port: u16, authority: bool) -> Self {
        let home = Test::new();
        let (key, certificate) = certificate(&home, authority, "DNS:localhost,DNS:sts.invalid");
        let mut process = Command::new("python3")
            .args(["-c", FORWARD])
            .args([&certificate, &key])
            .args([&port.to_string(), "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut port = String::new();
        BufReader::new(process.stdout.take().expect("stdout"))
            .read_line(&mut port)
            .expect("a port");
        Self { process, port: port.trim().to_owned(), _home: home, certificate }
    }

    pub fn url(&self, host: &str) -> String {
        format!("https://{host}:{}", self.port)
    }
}

#[test]
#[ignore = "needs python3 and openssl"]
fn an_unknown_authority_is_refused() {
    let (standin, test) = scene::usual();
    let server = TlsServer::before(&standin, false);
    let port = &server.port;
    // Nothing vouches for it but the built-in or system's roots.
    let test = test.env("AWS_ENDPOINT_URL_STS", server.url("localhost"));
    let output = test.command(["exec", "--json", "demo"]).expect_status(9).expect_stdout("").run();
    let start = format!(
        "vault: error: the certificate of localhost:{port} is signed by none of the roots in "
    );
    let end = "\nvault: hint: if your network inspects TLS, name a bundle with its root certificate in \
               AWS_CA_BUNDLE\n";
    assert!(output.stderr.starts_with(&start) && output.stderr.ends_with(end), "{}", output.stderr);
    assert_eq!(standin.calls().len(), 0);
}

#[test]
#[ignore = "needs python3 and openssl"]
fn a_bundle_that_vouches_for_the_server_is_enough() {
    let (standin, test) = scene::usual();
    let server = TlsServer::before(&standin, false);
    let test = test.env("AWS_ENDPOINT_URL_STS", server.url("localhost"));
    for name in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let test = test.clone().env(name, &server.certificate);
        test.command(["exec", "--json", "--refresh", "demo"]).expect_stderr("").run();
    }
    let certs = std::path::Path::new(&server.certificate).parent().expect("a directory");
    let directory = test.clone().env("SSL_CERT_DIR", certs);
    directory.command(["exec", "--json", "--refresh", "demo"]).expect_stderr("").run();
    assert_eq!(standin.calls().len(), 3);
    // But not for another name.
    test.env("AWS_CA_BUNDLE", &server.certificate)
        .env("AWS_ENDPOINT_URL_STS", server.url("127.0.0.1"))
        .command(["exec", "--json", "demo"])
        .expect_error(
            9,
            &format!(
                "vault: error: the certificate of 127.0.0.1:{} is for another name\n\
                 vault: hint: check endpoint_url\n",
                server.port
            ),
        )
        .run();
}

#[test]
#[ignore = "needs python3 and openssl"]
fn a_container_s_agent_is_checked_like_aws_itself() {
    let standin = StandIn::demo();
    let issued = Client::demo(&standin).get("GetSessionToken", &[]);
    let agent = Agent::container("Basic abc", &issued);
    let server = TlsServer::before_port(agent.port(), false);
    let test = Test::new()
        .config("[profile task]\ncredential_source = EcsContainer\n")
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", server.url("localhost") + "/creds")
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc");
    let run = |test: &Test| test.command(["exec", "--json", "task"]).any_status().run();
    let refused = run(&test);
    assert!(refused.stderr.contains(" is signed by none of the roots in "), "{refused:?}");
    assert_eq!((refused.status, agent.log().len()), (9, 0));
    let given = run(&test.env("AWS_CA_BUNDLE", &server.certificate));
    assert!(given.stdout.contains(&issued.access_key_id), "{given:?}");
}

#[test]
#[ignore = "needs python3 and openssl"]
fn a_server_that_shows_an_authority_s_own_certificate_is_an_error() {
    let (standin, test) = scene::usual();
    let server = TlsServer::before(&standin, true);
    test.env("AWS_ENDPOINT_URL_STS", server.url("localhost"))
        .env("AWS_CA_BUNDLE", &server.certificate)
        .command(["exec", "--json", "demo"])
        .expect_error(
            9,
            &format!(
                "vault: error: the certificate of localhost:{} is a CA certificate, which a \
                 server must not use\n\
                 vault: hint: give the server a certificate with basicConstraints CA:FALSE\n",
                server.port
            ),
        )
        .run();
}

/// Credentials go there, so nobody else may answer.
#[test]
#[ignore = "needs python3 and openssl"]
fn the_sign_in_service_s_certificate_is_checked() {
    let (standin, test) = scene::usual();
    let server = TlsServer::before(&standin, false);
    let test = test.env("AWS_ENDPOINT_URL_SIGNIN", server.url("localhost"));
    let login = test.command(["login", "demo"]);
    let refused = login.clone().expect_status(9).expect_stdout("").run().stderr;
    assert!(refused.contains("is signed by none of the roots in "), "{refused}");
    assert!(standin.signin_tokens().is_empty());
    let opened = login.env("AWS_CA_BUNDLE", &server.certificate).expect_stderr("").run().stdout;
    let start = format!("{}/federation?Action=login&", server.url("localhost"));
    assert!(opened.starts_with(&start), "{opened}");
}

/// A proxy that connects to this port of this machine, whatever it is asked for.
fn tunnel(port: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = listener.local_addr().expect("its address").to_string();
    let server = format!("127.0.0.1:{port}");
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.expect("a connection");
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && client.read_exact(&mut byte).is_ok() {
                head.push(byte[0]);
            }
            let mut server = TcpStream::connect(&server).expect("the server");
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("the client");
            let mut from = client.try_clone().expect("a clone");
            let mut to = server.try_clone().expect("a clone");
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
            std::thread::spawn(move || std::io::copy(&mut server, &mut client));
        }
    });
    place
}

#[test]
#[ignore = "needs python3 and openssl"]
fn a_call_through_a_proxy_arrives() {
    let (standin, test) = scene::usual();
    let server = TlsServer::before(&standin, false);
    // A name that only the proxy knows (RFC 2606: there is no such domain).
    test.env("AWS_ENDPOINT_URL_STS", server.url("sts.invalid"))
        .env("AWS_CA_BUNDLE", &server.certificate)
        .env("HTTPS_PROXY", format!("http://{}", tunnel(&server.port)))
        .command(["exec", "--json", "demo"])
        .expect_stderr("")
        .run();
    assert_eq!(standin.calls().len(), 1);
}
