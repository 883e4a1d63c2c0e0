//! SeaweedFS: a real store that speaks S3.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// All of it in one process, for little data; without what has a port of its own, which two of them would both
/// want, and without a report to its makers.
pub const LITTLE: [&str; 7] = [
    "-filer",
    "-s3",
    "-volume.max=20",
    "-master.volumeSizeLimitMB=64",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-master.telemetry=false",
];

/// A server on free ports of loopback, ended with the test.
pub struct Weed {
    server: Child,
    ports: Vec<u16>,
    /// What `--endpoint` is set to.
    pub endpoint: String,
}

impl Weed {
    /// Starts it with this directory for its data.
    #[allow(clippy::disallowed_methods)] // its own environment is the test's PATH
    pub fn start(home: &Path) -> Self {
        let config = home.join("weed.json");
        std::fs::write(&config, identities()).expect("a file");
        let mut command = Command::new(program());
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]).args(LITTLE);
        command.arg(format!("-dir={}", home.display()));
        command.arg(format!("-s3.config={}", config.display()));
        let ports = ports();
        for (name, port) in [
            "s3.port",
            "master.port",
            "master.port.grpc",
            "volume.port",
            "volume.port.grpc",
            "filer.port",
            "filer.port.grpc",
            "s3.port.grpc",
        ]
        .into_iter()
        .zip(&ports)
        {
            command.arg(format!("-{name}={port}"));
        }
        let path = std::env::var_os("PATH").expect("PATH");
        command.current_dir(home).env_clear().env("PATH", path).env("HOME", home);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().expect("weed");
        let address = format!("127.0.0.1:{}", ports[0]);
        let mut weed = Self { server, ports, endpoint: format!("http://{address}") };
        weed.wait(&address);
        weed
    }

    /// Until it answers.
    fn wait(&mut self, address: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while !answers(address) {
            assert!(self.server.try_wait().expect("its status").is_none(), "weed has ended");
            assert!(Instant::now() < end, "weed does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The program in the test's own PATH.
pub fn program() -> PathBuf {
    find().expect("weed")
}

/// The same; `None` if it is not there.
#[allow(clippy::disallowed_methods)]
pub fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").expect("PATH");
    let mut programs = std::env::split_paths(&path).map(|dir| dir.join("weed"));
    programs.find(|program| program.is_file())
}

/// Its `s3.config`, which lets the example key do everything.
pub fn identities() -> String {
    let key = format!(r#"{{"accessKey":"{ACCESS_KEY_ID}","secretKey":"{SECRET_ACCESS_KEY}"}}"#);
    let actions = r#"["Admin","Read","Write","List"]"#;
    format!(r#"{{"identities":[{{"name":"t","credentials":[{key}],"actions":{actions}}}]}}"#)
}

/// True if S3 is served at this address.
pub fn answers(address: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let get = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let mut answer = String::new();
    stream.write_all(get).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// What SeaweedFS names its sockets by.
const PARTS: [&str; 8] =
    ["filer", "filer-grpc", "master", "master-grpc", "s3", "s3-grpc", "volume", "volume-grpc"];

/// Free ports. Somebody else may take one before the server does; then it ends, and the test says so.
fn ports() -> Vec<u16> {
    let held: Vec<_> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    held.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

impl Drop for Weed {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        // Its sockets, which it makes there whatever it is told, and leaves.
        for (part, port) in
            PARTS.iter().flat_map(|part| self.ports.iter().map(move |it| (part, it)))
        {
            let _ = std::fs::remove_file(format!("/tmp/seaweedfs-{part}-{port}.sock"));
        }
    }
}
