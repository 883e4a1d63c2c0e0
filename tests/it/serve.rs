//! `serve`: credentials over HTTP, and the commands round it.

mod imds;
mod many;

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use crate::support::builder::Test;
use crate::support::scene::{self, PROFILES};
use crate::support::served::{Served, answer};
use crate::support::standin::{Fault, StandIn, World, time, totp};
use crate::support::{AGE_KEY, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

/// What the server gives for the stand-in's credentials of this number.
fn body(standin: &StandIn, number: usize, account: bool) -> String {
    let given = &standin.issued()[number - 1];
    let account = if account { "\"AccountId\":\"123456789012\"," } else { "" };
    format!(
        "{{\"AccessKeyId\":\"{}\",{account}\"Expiration\":\"{}\",\"SecretAccessKey\":\"{}\",\"Token\":\"{}\"}}",
        given.access_key_id,
        time::rfc3339(given.expiration),
        given.secret_access_key,
        given.session_token
    )
}

#[test]
fn each_profile_has_a_path_and_one_token_opens_all() {
    let (standin, test) = scene::usual();
    let mut served = Served::start(&test, &["--profile", "demo", "--profile", "role"]);
    served.expect("vault: serving role at ");
    assert_eq!(
        test.placeholders(served.said.join("\n").as_bytes()).replace(&served.port.to_string(), "N"),
        "vault: serving demo at http://127.0.0.1:N/credentials/demo\n\
         vault: serving role at http://127.0.0.1:N/credentials/role"
    );
    let demo = served.get("/credentials/demo");
    assert_eq!((demo.status, demo.body), (200, body(&standin, 1, false)));
    assert!(demo.head.contains("content-type: application/json\r\n"), "{}", demo.head);
    assert!(demo.head.contains("cache-control: no-store\r\n"), "{}", demo.head);
    let role = served.get("/credentials/role");
    assert_eq!((role.status, role.body), (200, body(&standin, 2, true)));
    assert_eq!(standin.calls().len(), 2, "AWS is not asked for each request");
    // 256 bits, and no line's end: an SDK sends the file as it is.
    assert_eq!(served.token.len(), 43);
    assert!(served.token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    let mode = test.home().join("token").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn without_a_profile_it_is_the_one_of_the_environment() {
    let (_standin, test) = scene::usual();
    let served = Served::start(&test.env("AWS_PROFILE", "demo"), &[]);
    assert_eq!(served.get("/credentials/demo").status, 200);
}

#[test]
fn the_token_is_new_at_each_start_and_its_file_can_be_a_groups() {
    let (_standin, test) = scene::usual();
    let args = ["--profile", "demo", "--token-mode", "0440"];
    let served = Served::start(&test, &args);
    let first = served.token.clone();
    let file = test.home().join("token");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o440);
    drop(served); // killed: the file stays
    assert!(file.exists());
    let served = Served::start(&test, &args);
    assert_ne!(served.token, first);
    let old = served.request("/credentials/demo").replace(&served.token, &first);
    assert_eq!(served.ask(&old).unwrap().status, 403);
}

#[test]
fn it_stops_at_once_and_takes_its_files_away() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let (standin, test) = scene::usual();
        let served = Served::start(&test, &["--profile", "demo", "--health-socket", "health"]);
        // Even while somebody waits, and AWS does not answer.
        let _idle = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
        standin.fail_always(Some(Fault::HangForever));
        let (status, took) = served.end(signal);
        assert_eq!(status, 0);
        assert!(took.as_millis() < 1000, "{took:?}");
        for gone in ["token", "health"] {
            assert!(!test.home().join(gone).exists(), "{gone}");
        }
    }
}

#[test]
fn the_token_of_a_server_that_came_after_stays() {
    let (_standin, test) = scene::usual();
    let first = Served::start(&test, &["--profile", "demo"]);
    let token = test.home().join("token");
    std::fs::write(test.home().join("new"), "another's").unwrap();
    std::fs::rename(test.home().join("new"), &token).unwrap();
    assert_eq!(first.end(libc::SIGTERM).0, 0);
    assert_eq!(std::fs::read_to_string(&token).unwrap(), "another's");
}

#[test]
fn readiness_is_served_without_a_token_and_asked_by_check() {
    let (_standin, test) = scene::usual();
    let served = Served::start(&test, &["--profile", "demo", "--health-socket", "health"]);
    let host = format!("127.0.0.1:{}", served.port);
    let health = served.ask(&format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
    assert_eq!((health.status, health.body.as_str()), (200, "{\"status\":\"ready\"}"));
    let check = |test: &Test, args: &[&str]| {
        test.command(["serve", "--check"].iter().chain(args)).expect_stdout("").expect_stderr("")
    };
    check(&test, &["--listen", &host]).run();
    check(&test.clone().env("AWS_VAULT_LISTEN", &host), &[]).run();
    check(&test, &["--health-socket", "health"]).run();
    // It needs neither a vault nor a home.
    check(&Test::new().env("HOME", "/none"), &["--listen", &host]).run();
    drop(served);
    let error = "vault: error: not ready: no answer from [HOME]/health: connection refused\n";
    let socket = test.home().join("health");
    test.command(["serve", "--check", "--health-socket"]).arg(&socket).expect_error(1, error).run();
}

#[test]
fn a_check_takes_no_other_program_for_the_server() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // With a request that nobody read, the kernel breaks the connection off at its close.
            stream.peek(&mut [0]).unwrap();
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_10.0\r\n");
        }
    });
    let stderr = format!("vault: error: not ready: no vault server answers at {address}\n");
    Test::new().command(["serve", "--check", "--listen", &address]).expect_error(1, &stderr).run();
}

#[test]
fn the_unix_socket_gives_no_credentials() {
    let (_standin, test) = scene::usual();
    let served = Served::start(&test, &["--profile", "demo", "--health-socket", "health"]);
    let path = test.home().join("health");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let ask = |request: &str| {
        let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        answer(&mut stream).unwrap()
    };
    assert_eq!(ask("GET /health HTTP/1.1\r\n\r\n").status, 200);
    assert_eq!(ask(&served.request("/credentials/demo")).status, 404);
}

#[test]
#[ignore = "needs root, to become another user (see .ci/run)"]
fn the_unix_socket_answers_no_other_user() {
    use std::os::unix::process::CommandExt;
    let (_standin, test) = scene::usual();
    let _served = Served::start(&test, &["--profile", "demo", "--health-socket", "health"]);
    let socket = test.home().join("health");
    // The file's mode would keep others out already.
    for (path, mode) in [(test.home(), 0o711), (socket.as_path(), 0o666)] {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }
    let python = "import socket, sys\n\
                  s = socket.socket(socket.AF_UNIX)\n\
                  s.connect(sys.argv[1])\n\
                  try: s.sendall(b'GET /health HTTP/1.1\\r\\n\\r\\n'); print(s.recv(12))\n\
                  except ConnectionError: print(b'')";
    let asked = |uid: u32| {
        let mut command = std::process::Command::new("python3");
        command.args(["-c", python]).arg(&socket).uid(uid).gid(uid);
        let output = command.output().expect("python3");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text).unwrap()
    };
    assert_eq!(asked(12_345), "b''\n");
    assert_eq!(asked(0), "b'HTTP/1.1 200'\n");
}

#[test]
fn a_socket_that_a_killed_server_left_is_taken_over_and_nothing_else_is() {
    let (_standin, test) = scene::usual();
    let args = ["--profile", "demo", "--health-socket", "health"];
    let served = Served::start(&test, &args);
    let serve = |socket: &str| {
        test.command(["serve", "--listen", "127.0.0.1:0", "--token-file", "t", "--profile", "demo"])
            .args(["--health-socket", socket])
    };
    let taken = |name: &str| {
        format!(
            "vault: error: {name} is there already\n\
             vault: hint: another server may use it; name another file with --health-socket\n"
        )
    };
    serve("health").expect_error(8, &taken("health")).run();
    drop(served);
    let served = Served::start(&test, &args);
    assert_eq!(served.get("/credentials/demo").status, 200);
    let test = test.clone().file("file", "mine", 0o600);
    serve("file").expect_error(8, &taken("file")).run();
    assert_eq!(test.read("file"), b"mine");
}

#[test]
fn strangers_are_let_in_only_if_told_twice() {
    let test = Test::new().vault_with("demo");
    let serve = |args: &[&str]| {
        test.command(
            ["serve", "-n", "--profile", "demo", "--token-file", "token"].iter().chain(args),
        )
    };
    let refused = |ip: &str| {
        format!(
            "vault: error: {ip} is not a loopback address: others may reach it, and the token and the \
             credentials would cross that network in the clear\n\
             vault: hint: share a network namespace and listen on 127.0.0.1, or add \
             --allow-non-loopback\n"
        )
    };
    for ip in ["169.254.170.2", "10.0.0.1"] {
        serve(&["--listen", &format!("{ip}:9911")]).expect_error(6, &refused(ip)).run();
    }
    for (ip, listen) in [
        ("0.0.0.0", "0.0.0.0:80"),
        ("::", "[::]:80"),
        ("0.0.0.0", "[::ffff:0.0.0.0]:80"),
        ("224.0.0.1", "224.0.0.1:80"),
        ("255.255.255.255", "255.255.255.255:80"),
    ] {
        let stderr = format!(
            "vault: error: {ip} is not a single address of this host (unspecified, multicast or broadcast)\n\
             vault: hint: SDKs take credentials over plain HTTP only from a loopback address, \
             169.254.170.2, 169.254.170.23 and fd00:ec2::23\n"
        );
        serve(&["--allow-non-loopback", "--listen", listen]).expect_error(6, &stderr).run();
    }
    // Told twice, it tries: no host has this address.
    let stderr = "vault: error: cannot listen on 192.0.2.1:9911: cannot assign requested address\n";
    serve(&["--allow-non-loopback", "--listen", "192.0.2.1:9911"]).expect_error(1, stderr).run();
}

#[test]
fn what_cannot_be_served_is_an_error_and_nothing_is_left() {
    let (standin, test) = scene::usual();
    let serve = |line: &str| test.command(["serve"].into_iter().chain(line.split_whitespace()));
    let usage = |what: &str| format!("vault: error: {what}\n");
    let free = "--listen 127.0.0.1:0 --token-file token";
    for (line, status, stderr) in [
        (
            "--profile demo".to_owned(),
            2,
            "--token-file is missing\nvault: hint: clients read the token from that file",
        ),
        (
            format!("--profile demo --token-mode 0444 {free}"),
            2,
            "--token-mode: it takes 0600, 0400, 0640 or 0440\n\
             vault: hint: let the clients have the server's user or group",
        ),
        (
            "--listen localhost:80 --token-file token".to_owned(),
            2,
            "--listen: not an IP address with a port\n\
             vault: hint: it looks like 127.0.0.1:9911 or [::1]:9911",
        ),
        (
            format!("--profile demo -n {free}"),
            2,
            "serve serves temporary credentials only, and profile demo gives a long-term key\n\
             vault: hint: leave out --no-session",
        ),
        (
            "--profile demo --listen 127.0.0.1:0 --token-file none/token".to_owned(),
            1,
            "cannot write the token to none/token: no such file or directory",
        ),
    ] {
        serve(&line).expect_error(status, &usage(stderr)).run();
    }
    let nobody = serve(&format!("--profile nobody {free} --health-socket health"));
    let nobody = nobody.expect_status(3).expect_stdout("").run();
    assert!(nobody.stderr.starts_with("vault: error: no profile \"nobody\""), "{}", nobody.stderr);
    let before = standin.calls().len();
    let second = serve(&format!("--profile role --profile nobody {free}"));
    second.expect_status(3).expect_stdout("").run();
    assert_eq!(standin.calls().len(), before, "nor is AWS asked for the first profile before");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    let stderr = format!(
        "vault: error: cannot listen on {address}: address already in use\n\
         vault: hint: another program uses this port; choose another with --listen\n"
    );
    serve(&format!("--profile role --token-file token --listen {address}"))
        .expect_error(8, &stderr)
        .run();
    assert_eq!(standin.calls().len(), before, "no code is spent for nothing");
    test.clone()
        .env("AWS_VAULT_LISTEN", "")
        .command(["serve", "--token-file", "token"])
        .expect_error(
            2,
            "vault: error: AWS_VAULT_LISTEN is set but empty\n\
             vault: hint: give it an address and a port, or unset it\n",
        )
        .run();
    for gone in ["token", "health"] {
        assert!(!test.home().join(gone).exists(), "{gone}");
    }
    std::fs::create_dir(test.home().join("open")).unwrap();
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(test.home().join("open"), open).unwrap();
    serve("--profile role --listen 127.0.0.1:0 --token-file open/token")
        .expect_error(
            6,
            "vault: error: the token file's directory may be written by everybody: open/token\n\
             vault: hint: set the sticky bit (chmod +t), as /tmp has; in Kubernetes, use an \
                 emptyDir with medium: Memory\n",
        )
        .run();
    assert_eq!(standin.calls().len(), before, "nor for this");
}

#[test]
fn sessions_are_renewed_ahead_of_time_and_an_outage_is_survived() {
    let (standin, test) = scene::usual();
    // The shortest that the rules of renewal leave time for.
    standin.change(|world| world.session_limit = Some(9));
    let mut served = Served::start(&test, &["--profile", "role"]);
    served.expect("vault: renewed role, which now lasts until ");
    let renewed = standin.calls().len();
    let body = |number: usize| body(&standin, number, true);
    assert_eq!(served.get("/credentials/role").body, body(renewed));
    // Not a 503: that is tried three times, which is longer than these sessions last.
    standin.fail_always(Some(Fault::AccessDenied));
    served.expect("vault: warning: the session for role could not be renewed");
    let old = served.get("/credentials/role");
    assert_eq!((old.status, old.body), (200, body(renewed)), "the old one, as long as it lasts");
    served.expect("vault: warning: no new credentials for role: ");
    let over = served.get("/credentials/role");
    assert_eq!(over.status, 503);
    assert_eq!(
        over.body,
        "{\"code\":\"CredentialsUnavailable\",\
         \"message\":\"the credentials have ended and could not be renewed yet\"}"
    );
    served.expect_not_ready(&test);
    standin.fail_always(None);
    served.expect("vault: renewed role, which now lasts until ");
    assert_eq!(served.get("/credentials/role").status, 200);
}

#[test]
fn codes_of_a_seed_renew_without_a_person() {
    let standin = scene::sts();
    standin.change(|world| world.session_limit = Some(60));
    let test = scene::with(&standin, PROFILES);
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(format!("{MFA_SEED}\n")).run();
    let mut served = Served::start(&test, &["--profile", "mfa"]);
    served.expect("vault: renewed mfa, which now lasts until ");
    let calls = standin.calls();
    let steps: Vec<_> = calls.iter().filter_map(|call| call.step).collect();
    assert_eq!(steps.len(), 2, "{}", standin.log());
    assert_ne!(steps[0], steps[1]);
}

#[test]
fn where_a_person_gives_the_code_a_warning_says_that_it_cannot_last() {
    let (standin, test) = scene::usual();
    let code = scene::code(&standin);
    let served = Served::start(&test, &["--profile", "mfa", "-t", &code]);
    assert_eq!(
        served.said[0],
        format!(
            "vault: warning: the codes of {MFA_SERIAL} come from a person, so the credentials of \
             profile mfa end with their MFA session"
        )
    );
}

#[test]
fn a_code_that_a_person_gave_buys_a_session_of_the_whole_length() {
    let (standin, test) = scene::usual();
    let code = |steps: i64| totp::code(MFA_SEED, totp::step(standin.now()) + steps);
    let short = ["exec", "--json", "mfa", "-d", "15m", "-t", &code(-1)];
    test.command(short).expect_stderr("").run();
    let served = Served::start(&test, &["--profile", "mfa", "-t", &code(0)]);
    let given = served.get("/credentials/mfa").body;
    assert!(given.contains(&standin.issued()[1].session_token), "{given}");
    // That is enough for another server, which needs no code.
    let another = Served::start(&test, &["--profile", "mfa", "--profile", "mfa-role"]);
    assert_eq!(another.get("/credentials/mfa").body, given);
    assert_eq!(
        scene::log(&standin),
        "GetSessionToken by key duration=900 mfa=mfa/demo: ok\n\
         GetSessionToken by key duration=28800 mfa=mfa/demo: ok\n\
         AssumeRole by session 2 role=role/deploy name=vault-mfa-role duration=3600: ok\n"
    );
}

#[test]
fn without_a_code_the_session_there_is_serves_and_is_not_renewed_before_its_time() {
    let (standin, test) = scene::usual();
    let code = scene::code(&standin);
    test.command(["exec", "--json", "mfa", "-d", "15m", "-t", &code]).expect_stderr("").run();
    let warning = format!(
        "vault: warning: the codes of {MFA_SERIAL} come from a person, so the credentials of \
         profile mfa end with their MFA session\n"
    );
    let sleep = ["exec", "--server", "mfa", "--", "sleep", "2"];
    test.command(sleep).expect_stderr(warning).run();
}

#[test]
fn the_log_holds_no_secret() {
    let (standin, test) = scene::usual();
    standin.change(|world: &mut World| world.session_limit = Some(9));
    let mut served = Served::start(&test, &["--debug", "--profile", "role"]);
    served.expect("vault: renewed role");
    served.ask(&served.request("/credentials/other")).unwrap();
    served.expect("vault: warning: a request was refused: there are no credentials at this path");
    let said = served.said.join("\n");
    let mut secrets = vec![served.token.clone(), AGE_KEY.to_owned(), SECRET_ACCESS_KEY.to_owned()];
    for given in standin.issued() {
        secrets.extend([given.secret_access_key, given.session_token]);
    }
    for secret in secrets {
        assert!(!said.contains(&secret), "{said}");
    }
}

/// Whether a process's writable memory holds these bytes.
fn in_memory(pid: u32, bytes: &[u8]) -> bool {
    use std::io::{Read, Seek, SeekFrom};
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("its maps");
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("root");
    maps.lines().filter(|line| line.contains(" rw")).any(|line| {
        let (start, end) = line.split(' ').next().and_then(|range| range.split_once('-')).unwrap();
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut part = vec![0; usize::try_from(end - start).unwrap()];
        memory.seek(SeekFrom::Start(start)).unwrap();
        memory.read_exact(&mut part).is_ok() && part.windows(bytes.len()).any(|w| w == bytes)
    })
}

#[test]
#[ignore = "needs root, to read another process's memory (see .ci/run)"]
fn the_memory_of_a_server_holds_what_it_renews_with_and_nothing_that_opens_the_vault() {
    let other = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";
    let (_standin, test) = scene::usual();
    let test = test.stored("other", "AKIAI44QH8DHBEXAMPLE", other);
    let served = Served::start(&test, &["--profile", "demo"]);
    assert_eq!(served.get("/credentials/demo").status, 200);
    let pid = served.pid();
    assert!(in_memory(pid, SECRET_ACCESS_KEY.as_bytes()), "the way of looking finds nothing");
    assert!(in_memory(pid, served.token.as_bytes()));
    assert!(!in_memory(pid, AGE_KEY.as_bytes()));
    assert!(!in_memory(pid, other.as_bytes()));
}
