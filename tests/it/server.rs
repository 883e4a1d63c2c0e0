//! The server under attack: no credential leaves, and who may ask is answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::scene;
use crate::support::served::{Served, answer};
use crate::support::standin::StandIn;

const PATH: &str = "/credentials/demo";

fn served() -> (StandIn, Served) {
    let (standin, test) = scene::usual();
    let served = Served::start(&test, &["--profile", "demo"]);
    assert_eq!(served.get(PATH).status, 200);
    (standin, served)
}

/// Everything that comes back until the server closes, or for a moment.
fn all(port: u16, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a server");
    stream.set_read_timeout(Some(Duration::from_millis(300))).expect("a timeout");
    let _ = stream.write_all(request);
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn no_credential_leaves_by_another_request() {
    let (standin, served) = served();
    let good = served.request(PATH);
    let (host, token) = (format!("127.0.0.1:{}", served.port), served.token.clone());
    let with = |line: &str| good.replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1);
    let swapped = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    let (authorization, host_line) =
        (format!("Authorization: {token}\r\n"), format!("Host: {host}\r\n"));
    let mut wrong = token.clone();
    let last = wrong.pop();
    wrong.push(if last == Some('A') { 'B' } else { 'A' });
    let requests = [
        // Tokens.
        swapped(&authorization, ""),
        swapped(&token, &wrong),
        swapped(&token, &token[1..]),
        swapped(&token, &token.to_ascii_lowercase()),
        swapped(&token, &format!("Bearer {token}")),
        swapped(&token, &format!("{token},{token}")),
        with(&authorization[..authorization.len() - 2]),
        swapped(&authorization, &format!("Authorization:\r\n {token}\r\n")),
        format!("GET {PATH}?token={token} HTTP/1.1\r\n{host_line}\r\n"),
        // Hosts: DNS rebinding, other names for the same place, none, two.
        swapped(&host_line, ""),
        swapped(&host, "attacker.example"),
        swapped(&host, &format!("attacker.example:{}", served.port)),
        swapped(&host, &format!("localhost.attacker.example:{}", served.port)),
        swapped(&host, "localhost:1"),
        swapped(&host, &format!("127.0.0.1.nip.io:{}", served.port)),
        swapped(&host, &format!("user@{host}")),
        swapped(&host, "127.0.0.1:1"),
        swapped(&host, "127.0.0.2"),
        with("Host: attacker.example"),
        // Browsers and proxies.
        with("Origin: null"),
        with("Referer: http://attacker.example/"),
        with("X-Forwarded-For: 127.0.0.1"),
        with("X-FORWARDED-FOR: 127.0.0.1"),
        with("Forwarded: for=127.0.0.1"),
        with("Via: 1.1 proxy"),
        with("Sec-Fetch-Mode: no-cors"),
        // Methods, versions and targets.
        swapped("GET", "POST"),
        swapped("GET", "HEAD"),
        swapped("GET", "get"),
        swapped("GET", "OPTIONS"),
        swapped("GET", "TRACE"),
        swapped("GET /", "CONNECT /"),
        swapped("HTTP/1.1", "HTTP/1.0"),
        swapped("HTTP/1.1", "HTTP/2.0"),
        swapped("HTTP/1.1", "HTTP/0.9"),
        format!("GET {PATH}\r\n\r\n"),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        swapped(PATH, &format!("http://{host}{PATH}")),
        swapped(PATH, &format!("http://attacker.example{PATH}")),
        swapped(PATH, &format!("/{PATH}")),
        swapped(PATH, &format!("{PATH}/")),
        swapped(PATH, &format!("{PATH}?x")),
        swapped(PATH, "/credentials/../credentials/demo"),
        swapped(PATH, "/credentials/%64emo"),
        swapped(PATH, "/Credentials/demo"),
        swapped(PATH, "/credentials/demo\u{0}"),
        swapped(PATH, "/"),
        swapped(PATH, "*"),
        // Bodies, and two lengths for one.
        with("Content-Length: 5"),
        with("Content-Length: 0\r\nContent-Length: 5"),
        with("Content-Length: -1"),
        with("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        with("Transfer-Encoding: chunked"),
        with("Transfer-Encoding: chunked, identity"),
        with("Transfer-Encoding : chunked"),
        // Heads that are too much, or none.
        with(&format!("X: {}", "x".repeat(8200))),
        with(&"X: x\r\n".repeat(40)[..238]),
        swapped(PATH, &format!("{PATH}{}", "x".repeat(9000))),
        with("X: a\u{0}b"),
        swapped("Host:", "Host :"),
        swapped("\r\nHost", "\r\n Host"),
        "\r\n".repeat(5000),
        "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}".to_owned(),
    ];
    let secrets: Vec<_> = standin
        .issued()
        .into_iter()
        .flat_map(|given| [given.secret_access_key, given.session_token])
        .collect();
    for request in requests {
        let came = all(served.port, request.as_bytes());
        for secret in secrets.iter().chain([&token]) {
            assert!(!came.contains(secret), "{request}\n{came}");
        }
        assert!(!came.starts_with("HTTP/1.1 2"), "{request}\n{came}");
    }
    let paths = [PATH, "/none"].map(|path| {
        served.ask(&served.request(path).replace(&token, &wrong)).map(|answer| answer.body)
    });
    assert_eq!(paths[0], paths[1], "which paths there are is not told");
    assert_eq!(served.get(PATH).status, 200);
}

#[test]
fn the_host_may_lack_the_port_or_be_localhost() {
    let (_standin, served) = served();
    let good = served.request(PATH);
    let host = format!("127.0.0.1:{}", served.port);
    for own in ["127.0.0.1", "localhost", &format!("localhost:{}", served.port)] {
        assert_eq!(served.ask(&good.replacen(&host, own, 1)).unwrap().status, 200, "{own}");
    }
}

#[test]
fn head_of_health_answers_as_get_does_without_the_body() {
    let (_standin, served) = served();
    let ask = |method: &str| {
        format!("{method} /health HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", served.port)
    };
    let get = all(served.port, ask("GET").as_bytes());
    let head = all(served.port, ask("HEAD").as_bytes());
    assert!(get.starts_with("HTTP/1.1 200 OK\r\n"), "{get}");
    assert_eq!(format!("{head}{{\"status\":\"ready\"}}"), get);
}

#[test]
fn a_refusal_says_why_and_ends_the_connection() {
    let (_standin, served) = served();
    let answer = served.ask(&served.request("/credentials/other")).unwrap();
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.body,
        "{\"code\":\"NotFound\",\"message\":\"there are no credentials at this path\"}"
    );
    assert!(answer.head.contains("connection: close\r\n"), "{}", answer.head);
    let post = served.request(PATH).replace("GET", "POST");
    let answer = served.ask(&post).unwrap();
    assert_eq!(answer.status, 405);
    assert!(answer.head.contains("allow: GET\r\n"), "{}", answer.head);
    // What a refused request has behind it is not read as another one.
    let smuggled = format!(
        "{}{}",
        post.replace("\r\n\r\n", "\r\nContent-Length: 0\r\n\r\n"),
        served.request(PATH)
    );
    assert_eq!(all(served.port, smuggled.as_bytes()).matches("HTTP/1.1 ").count(), 1);
}

#[test]
fn without_the_token_a_connection_gets_one_answer() {
    let (_standin, served) = served();
    let health = format!("GET /health HTTP/1.1\r\nHost: 127.0.0.1:{}\r\n\r\n", served.port);
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    stream.write_all(health.repeat(20).as_bytes()).unwrap();
    assert_eq!(answer(&mut stream).unwrap().status, 200);
    assert!(answer(&mut stream).is_none(), "a second one");
}

#[test]
fn one_connection_serves_many_requests_also_at_once() {
    let (_standin, served) = served();
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    let request = served.request(PATH);
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(answer(&mut stream).unwrap().status, 200);
    }
    stream.write_all(request.repeat(20).as_bytes()).unwrap();
    for _ in 0..20 {
        assert_eq!(answer(&mut stream).unwrap().status, 200);
    }
}

/// `VmRSS`, in KiB.
fn memory(served: &Served) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Asks while an attack goes on: always answered, and each time in under a second.
#[track_caller]
fn answered_in_time(served: &Served, times: u32) {
    for _ in 0..times {
        let start = Instant::now();
        assert_eq!(served.get(PATH).status, 200);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

/// Opens so many connections, sends each these bytes, and holds them all.
fn crowd(served: &Served, count: usize, bytes: &[u8]) -> Vec<TcpStream> {
    let connect = || {
        let mut stream = TcpStream::connect(("127.0.0.1", served.port)).expect("a connection");
        let _ = stream.write_all(bytes);
        stream
    };
    (0..count).map(|_| connect()).collect()
}

/// Lets this process have enough descriptors for all of them.
fn many_descriptors(wanted: u64) {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: valid pointers to a struct of plain numbers.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
        assert!(limit.rlim_max >= wanted, "the hard limit of descriptors is {}", limit.rlim_max);
        limit.rlim_cur = limit.rlim_cur.max(wanted);
        assert_eq!(libc::setrlimit(libc::RLIMIT_NOFILE, &limit), 0);
    }
}

#[test]
fn ten_thousand_idle_connections_keep_no_client_out() {
    let (_standin, served) = served();
    many_descriptors(12_000);
    let before = memory(&served);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) {
                answered_in_time(&served, 1);
            }
        });
        // Nothing, half a line, a head without an end: slow ones stay as long as they may.
        let heads = ["", "GET /credent", "GET / HTTP/1.1\r\nHost: x\r\nX: "];
        let held = heads.map(|bytes| crowd(&served, 3400, bytes.as_bytes()));
        answered_in_time(&served, 20);
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 10_200);
        let grown = memory(&served).saturating_sub(before);
        assert!(grown < 50 * 1024, "{grown} KiB more");
        println!("10,200 connections: {grown} KiB more");
        over.store(true, Ordering::SeqCst);
        asking.join().unwrap();
    });
}

#[test]
fn wrong_tokens_in_any_number_keep_no_client_out_and_are_reported_once() {
    let (_standin, mut served) = served();
    let wrong = served.request(PATH).replace(&served.token, "wrong");
    let before = memory(&served);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    assert_eq!(served.ask(&wrong).expect("an answer").status, 403);
                }
            });
        }
        answered_in_time(&served, 50);
    });
    assert!(memory(&served) < before + 50 * 1024);
    served.expect("a request was refused: the Authorization header is missing or wrong");
    assert_eq!(served.end(libc::SIGTERM).0, 0);
}

#[test]
fn a_slow_head_is_cut_off() {
    let (_standin, served) = served();
    let mut stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    let start = Instant::now();
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let request = served.request(PATH);
    // A byte now and then, which would take a minute.
    for byte in request.as_bytes() {
        let closed = stream.write_all(&[*byte]).is_err();
        let mut rest = [0; 512];
        match stream.read(&mut rest) {
            Ok(0) => break,
            Ok(_) => panic!("answered"),
            Err(_) if closed => break,
            Err(_) => {}
        }
    }
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}
