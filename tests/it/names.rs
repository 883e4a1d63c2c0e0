//! The look-up of names, against resolvers that answer half or late, and what is done with more than
//! one address. All tests but the last have a network of their own with nothing but loopback, and name
//! servers there.

use std::net::{IpAddr, Ipv6Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::support::builder::Test;
use crate::support::scene::{self, PROFILES};
use crate::support::standin::StandIn;

/// What a name server says of a name.
#[derive(Clone, Copy)]
enum Said {
    /// These addresses; none of that family, if there are none.
    Addresses(&'static [&'static str]),
    /// Nothing, ever.
    Nothing,
    /// This code (RFC 1035, section 4.1.1).
    Code(u8),
}

const SERVFAIL: Said = Said::Code(2);
const NXDOMAIN: Said = Said::Code(3);
const NONE: Said = Said::Addresses(&[]);

/// What it says of a name's A records, and of its AAAA records.
type Answers = (Said, Said);

/// A session is there within this time, whatever half of DNS does.
const SOON: Duration = Duration::from_secs(20);

/// Runs this in a new network and mount namespace, with this resolv.conf and hosts file.
fn alone(resolv: &str, hosts: &str, work: impl FnOnce() + Send) {
    let files = Test::new().file("resolv", resolv, 0o644).file("hosts", hosts, 0o644);
    std::thread::scope(|scope| {
        // The namespaces are this thread's, and of what it starts.
        let inside = scope.spawn(|| {
            // SAFETY: flags only.
            let apart = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
            assert_eq!(apart, 0, "{}", std::io::Error::last_os_error());
            mount(c"none".to_bytes(), b"/", libc::MS_REC | libc::MS_PRIVATE);
            for name in ["resolv", "hosts"] {
                let target = if name == "hosts" { "/etc/hosts" } else { "/etc/resolv.conf" };
                let file = files.home().join(name);
                mount(file.as_os_str().as_encoded_bytes(), target.as_bytes(), libc::MS_BIND);
            }
            loopback_up();
            work();
        });
        inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

fn mount(source: &[u8], target: &[u8], flags: libc::c_ulong) {
    let [source, target] = [source, target].map(|path| std::ffi::CString::new(path).unwrap());
    let null = std::ptr::null();
    // SAFETY: two C strings; type and data may be null for these flags.
    let done = unsafe { libc::mount(source.as_ptr(), target.as_ptr(), null, flags, null.cast()) };
    assert_eq!(done, 0, "{target:?}: {}", std::io::Error::last_os_error());
}

fn loopback_up() {
    let socket = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    // SAFETY: all zero is a valid ifreq; a name and flags are set, and the ioctl reads no more.
    let done = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as libc::c_char;
        request.ifr_name[1] = b'o' as libc::c_char;
        request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// A name server at this address, port 53, that says this of every name.
fn name_server(address: &str, (a, aaaa): Answers) {
    let socket = UdpSocket::bind((address, 53)).expect("port 53");
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(reply) = reply(&buffer[..length], a, aaaa) {
                let _ = socket.send_to(&reply, from);
            }
        }
    });
}

/// RFC 1035, section 4: header, question, and for each address a record of the question's name.
fn reply(query: &[u8], a: Said, aaaa: Said) -> Option<Vec<u8>> {
    let name = query[12..].iter().position(|byte| *byte == 0)? + 1;
    let question = &query[12..12 + name + 4];
    let kind = question[name + 1];
    let (addresses, code): (&[&str], u8) = match if kind == 28 { aaaa } else { a } {
        Said::Nothing => return None,
        Said::Code(code) => (&[], code),
        Said::Addresses(addresses) => (addresses, 0),
    };
    let mut reply = query[..2].to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    reply.extend(question);
    for address in addresses {
        let data = match address.parse().expect("an address") {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
        reply.extend(data);
    }
    Some(reply)
}

/// STS at this address, by a name.
fn sts(address: &str) -> (StandIn, Test) {
    let ip: IpAddr = address.parse().expect("an address");
    let standin = scene::sts_at(&std::net::SocketAddr::new(ip, 0).to_string());
    let test = Test::new().vault_with("demo").config(PROFILES).standin(&standin);
    let url = format!("http://sts.test:{}", standin.port());
    (standin, test.env("AWS_ENDPOINT_URL_STS", url))
}

#[track_caller]
fn has_a_session(standin: &StandIn, test: &Test) {
    let start = Instant::now();
    test.command(["exec", "--json", "demo"]).expect_stderr("").run();
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
    assert_eq!(standin.calls().len(), 1);
}

/// For each of these, a session of an STS at `address`.
fn all_have_a_session(address: &str, answers: &[Answers]) {
    for options in ["", "options single-request\n", "options single-request-reopen edns0\n"] {
        for answers in answers {
            alone(&format!("nameserver 127.0.0.1\n{options}"), "", || {
                name_server("127.0.0.1", *answers);
                let (standin, test) = sts(address);
                has_a_session(&standin, &test);
            });
        }
    }
}

const V4: Said = Said::Addresses(&["127.0.0.1"]);
const V6: Said = Said::Addresses(&["::1"]);

#[test]
#[ignore = "needs root, for a network of its own (see .ci/run)"]
fn an_address_is_used_though_the_other_family_gets_no_answer() {
    all_have_a_session("127.0.0.1", &[(V4, Said::Nothing), (V4, SERVFAIL), (V4, NONE)]);
    all_have_a_session("::1", &[(Said::Nothing, V6), (SERVFAIL, V6), (NONE, V6)]);
}

/// The one that does not listen refuses.
#[test]
#[ignore = "needs root, for a network of its own (see .ci/run)"]
fn the_other_family_is_tried_where_one_refuses() {
    all_have_a_session("127.0.0.1", &[(V4, V6)]);
    all_have_a_session("::1", &[(V4, V6)]);
}

#[test]
#[ignore = "needs root, for a network of its own (see .ci/run)"]
fn a_second_name_server_is_waited_for() {
    alone("nameserver 127.0.0.2\nnameserver 127.0.0.1\n", "", || {
        name_server("127.0.0.2", (Said::Nothing, Said::Nothing));
        name_server("127.0.0.1", (V4, NONE));
        let (standin, test) = sts("127.0.0.1");
        has_a_session(&standin, &test);
    });
}

#[test]
#[ignore = "needs root, for a network of its own (see .ci/run)"]
fn the_hosts_file_outranks_dns() {
    for (hosts, address) in [("127.0.0.3 sts.test\n", "127.0.0.3"), ("::1 sts.test\n", "::1")] {
        alone("nameserver 127.0.0.1\n", hosts, || {
            name_server("127.0.0.1", (V4, V6));
            let (standin, test) = sts(address);
            let other = if address == "::1" { "127.0.0.1" } else { "::1" };
            let other = TcpListener::bind((other, standin.port())).expect("the port");
            other.set_nonblocking(true).expect("a listener");
            has_a_session(&standin, &test);
            assert!(other.accept().is_err(), "{address} was passed over");
        });
    }
}

#[test]
#[ignore = "needs root, for a network of its own (see .ci/run)"]
fn the_next_address_is_tried_where_one_does_not_answer() {
    let found = Said::Addresses(&["127.0.0.1", "127.0.0.3"]);
    for answers in [(found, NONE), (found, Said::Nothing)] {
        alone("nameserver 127.0.0.1\n", "", || {
            name_server("127.0.0.1", answers);
            let (standin, test) = sts("127.0.0.3");
            // A full queue: what comes on top of it is dropped, as by a host that is not there.
            let silent = TcpListener::bind(("127.0.0.1", standin.port())).expect("the port");
            // SAFETY: a listening socket; it only gets another length of its queue.
            assert_eq!(unsafe { libc::listen(silent.as_raw_fd(), 0) }, 0);
            let _queued = TcpStream::connect(silent.local_addr().expect("an address"));
            has_a_session(&standin, &test);
        });
    }
}

#[test]
#[ignore = "needs root, for a network of its own (see .ci/run)"]
fn a_name_without_an_address_is_an_error_at_once() {
    let stderr = "vault: error: no address found for sts.test\n\
                  vault: hint: check region, endpoint_url and this host's DNS\n";
    for answers in [(NXDOMAIN, NXDOMAIN), (SERVFAIL, SERVFAIL), (NONE, NONE)] {
        alone("nameserver 127.0.0.1\n", "", || {
            name_server("127.0.0.1", answers);
            let (_standin, test) = sts("127.0.0.1");
            let start = Instant::now();
            test.command(["exec", "--json", "demo"]).expect_error(9, stderr).run();
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        });
    }
    // No name server at all.
    alone("nameserver 127.0.0.1\n", "", || {
        let (_standin, test) = sts("127.0.0.1");
        test.command(["exec", "--json", "demo"]).expect_error(9, stderr).run();
    });
}

#[test]
#[ignore = "takes 20 s, and needs root, for a network of its own (see .ci/run)"]
fn a_resolver_that_never_answers_is_an_error() {
    // Two at 5 s each, twice.
    alone("nameserver 127.0.0.1\nnameserver 127.0.0.2\n", "", || {
        name_server("127.0.0.1", (Said::Nothing, Said::Nothing));
        name_server("127.0.0.2", (Said::Nothing, Said::Nothing));
        let (_standin, test) = sts("127.0.0.1");
        let start = Instant::now();
        let run = test.command(["exec", "--json", "demo"]).expect_status(9).expect_stdout("").run();
        assert!(run.stderr.contains(" for sts.test"), "{}", run.stderr);
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    });
}

#[test]
#[ignore = "needs root, for a network of its own (see .ci/run)"]
fn addresses_are_not_looked_up() {
    alone("nameserver 127.0.0.1\n", "", || {
        name_server("127.0.0.1", (Said::Nothing, Said::Nothing));
        for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::from(Ipv6Addr::LOCALHOST)] {
            let (standin, test) = sts(&address.to_string());
            let place = std::net::SocketAddr::new(address, standin.port());
            let test = test.env("AWS_ENDPOINT_URL_STS", format!("http://{place}"));
            has_a_session(&standin, &test);
        }
    });
}

#[test]
fn without_threads_a_name_is_looked_up_all_the_same() {
    let (standin, test) = scene::usual();
    let place = standin.endpoint().replace("127.0.0.1", "localhost");
    let run = test.env("AWS_ENDPOINT_URL_STS", place).command(["exec", "--json", "demo"]);
    run.refuse(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN).expect_stderr("").run();
    assert_eq!(standin.calls().len(), 1);
}
