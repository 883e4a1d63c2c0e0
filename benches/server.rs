//! `cargo bench --bench server`: what the server of credentials gives, from a warm cache, to 64 clients
//! at once, each on a connection that it keeps, and on a new one for each request. The processor time
//! is the server's own, as the kernel counts it, so that the clients beside it on the same machine do
//! not count; what a client waits is measured where it waits.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;
const LASTS: Duration = Duration::from_secs(5);
/// Credentials that need no renewal, from a program, so that nobody has to play AWS.
const CONFIG: &str = "[profile p]\ncredential_process = cat session.json\n";
const SESSION: &str = r#"{"Version": 1, "AccessKeyId": "ASIAIOSFODNN7EXAMPLE",
    "SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "SessionToken": "TOKEN",
    "Expiration": "2099-01-01T00:00:00Z"}"#;

/// A server in a directory of its own; both are gone when it is dropped.
struct Server {
    process: Child,
    directory: PathBuf,
    port: u16,
    request: Vec<u8>,
}

impl Server {
    fn start() -> io::Result<Self> {
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("serve-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        // A session token as long as AWS's.
        let session = SESSION.replace("TOKEN", &"IQoJb3JpZ2luX2VjEXAMPLE".repeat(40));
        std::fs::write(directory.join("session.json"), session)?;
        std::fs::write(directory.join("config"), CONFIG)?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_vault"))
            .args(["serve", "--profile", "p", "--listen", "127.0.0.1:0", "--token-file", "token"])
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("AWS_CONFIG_FILE", "config")])
            .env("HOME", &directory)
            .current_dir(&directory)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(process.stderr.take().ok_or(io::ErrorKind::Other)?).read_line(&mut line)?;
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split('/').next());
        let port = port.and_then(|port| port.parse().ok()).ok_or_else(|| io::Error::other(line))?;
        let token = std::fs::read_to_string(directory.join("token"))?;
        let request = format!(
            "GET /credentials/p HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {token}\r\n\
             Accept: */*\r\nUser-Agent: Boto3/1.43.11 md/Botocore#1.43.11\r\n\r\n"
        );
        Ok(Self { process, directory, port, request: request.into_bytes() })
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Processor time of the process: user and system, the 14th and 15th field of its `stat`.
    fn processor(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
        // USER_HZ, which is 100 on every Linux.
        Ok(Duration::from_millis(ticks.sum::<u64>() * 10))
    }

    /// A line of the process's `status`, in KiB.
    fn status(&self, name: &str) -> io::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        Ok(line.split_whitespace().next().and_then(|kib| kib.parse().ok()).unwrap_or(0))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// One request and its answer, to the last byte.
fn ask(stream: &mut TcpStream, server: &Server, buffer: &mut [u8]) -> io::Result<()> {
    stream.write_all(&server.request)?;
    let mut filled = 0;
    loop {
        let count = stream.read(buffer.get_mut(filled..).unwrap_or_default())?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        filled += count;
        // The body is the one object.
        if buffer.get(filled - 1) == Some(&b'}') {
            break;
        }
    }
    match buffer.starts_with(b"HTTP/1.1 200 ") {
        true => Ok(()),
        false => Err(io::Error::other("refused")),
    }
}

/// What one client waited for each answer.
fn client(server: &Server, keeps: bool, end: Instant) -> io::Result<Vec<Duration>> {
    let mut waits = Vec::new();
    let mut buffer = [0; 4096];
    let mut stream = server.connect()?;
    while Instant::now() < end {
        let start = Instant::now();
        if !keeps {
            stream = server.connect()?;
        }
        ask(&mut stream, server, &mut buffer)?;
        waits.push(start.elapsed());
    }
    Ok(waits)
}

fn measure(server: &Server, name: &str, keeps: bool) -> io::Result<()> {
    let before = server.processor()?;
    let start = Instant::now();
    let waits: io::Result<Vec<Vec<Duration>>> = std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..CLIENTS).map(|_| scope.spawn(|| client(server, keeps, start + LASTS))).collect();
        clients.into_iter().map(|client| client.join().map_err(|_| io::ErrorKind::Other)?).collect()
    });
    let took = start.elapsed();
    let used = server.processor()? - before;
    let mut waits = waits?.concat();
    waits.sort_unstable();
    let count = waits.len();
    let at = |share: usize| waits.get(count * share / 1000).copied().unwrap_or_default();
    let per = |time: Duration| count as f64 / time.as_secs_f64();
    println!(
        "{name:20} {:>9.0} {:>12.0} {:>9.2} {:>9.2} {:>9.2} {:>8.1}",
        per(took),
        per(used),
        at(500).as_secs_f64() * 1e3,
        at(990).as_secs_f64() * 1e3,
        at(999).as_secs_f64() * 1e3,
        server.status("VmRSS:")? as f64 / 1024.0,
    );
    Ok(())
}

fn run() -> io::Result<()> {
    let server = Server::start()?;
    println!("{CLIENTS} clients at once, {} s each", LASTS.as_secs());
    println!("memory before: {:.1} MiB", server.status("VmRSS:")? as f64 / 1024.0);
    println!(
        "{:20} {:>9} {:>12} {:>9} {:>9} {:>9} {:>8}",
        "", "per s", "per CPU s", "p50 ms", "p99 ms", "p99.9 ms", "RSS MiB"
    );
    measure(&server, "kept connections", true)?;
    measure(&server, "a new one each", false)?;
    println!("peak memory: {:.1} MiB", server.status("VmHWM:")? as f64 / 1024.0);
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
