//! SeaweedFS: a real store that speaks S3.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

/// A server on free ports of loopback, ended with the test.
pub struct Weed {
    server: Child,
    /// What `--endpoint` is set to.
    pub endpoint: String,
}

impl Weed {
    /// Starts it with this directory for its data, and the bucket `fleet`.
    #[allow(clippy::disallowed_methods)] // weed is found in the test's own PATH
    pub fn start(home: &Path) -> Self {
        let key = format!(r#"{{"accessKey":"{ACCESS_KEY_ID}","secretKey":"{SECRET_ACCESS_KEY}"}}"#);
        let actions = r#"["Admin","Read","Write","List"]"#;
        let identities = format!(
            r#"{{"identities":[{{"name":"t","credentials":[{key}],"actions":{actions}}}]}}"#
        );
        let config = home.join("weed.json");
        std::fs::write(&config, identities).expect("a file");
        let path = std::env::var_os("PATH").expect("PATH");
        let program = std::env::split_paths(&path).map(|dir| dir.join("weed"));
        let program = program.into_iter().find(|it| it.is_file()).expect("weed");
        let mut command = Command::new(program);
        command.args(["server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3"]);
        command.args(["-volume.max=20", "-master.volumeSizeLimitMB=64"]);
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
        command.current_dir(home).env_clear().env("PATH", path).env("HOME", home);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().expect("weed");
        let mut weed = Self { server, endpoint: format!("http://127.0.0.1:{}", ports[0]) };
        weed.wait(ports[0]);
        weed
    }

    /// Until it answers.
    fn wait(&mut self, port: u16) {
        let end = Instant::now() + Duration::from_secs(60);
        while Instant::now() < end {
            assert!(self.server.try_wait().expect("its status").is_none(), "weed has ended");
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                use std::io::Write;
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let get = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
                let mut answer = String::new();
                if stream.write_all(get).is_ok()
                    && stream.read_to_string(&mut answer).is_ok()
                    && answer.starts_with("HTTP/1.1 200")
                {
                    return;
                }
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("weed does not answer");
    }
}

/// Free ports. Somebody else may take one before the server does; then it ends, and the test says so.
fn ports() -> Vec<u16> {
    let held: Vec<_> = (0..8).map(|_| TcpListener::bind("127.0.0.1:0").expect("a port")).collect();
    held.iter().map(|listener| listener.local_addr().expect("an address").port()).collect()
}

impl Drop for Weed {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
