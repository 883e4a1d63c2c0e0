//! moto's server: AWS as others imitate it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server on a free port, ended with the test.
pub struct Moto {
    server: Child,
    /// What AWS_ENDPOINT_URL_… is set to.
    pub endpoint: String,
}

impl Moto {
    /// Starts it with this directory as its home.
    #[allow(clippy::disallowed_methods)] // moto is found in the test's own PATH
    pub fn start(home: &Path) -> Self {
        let path = std::env::var_os("PATH").expect("PATH");
        let program = std::env::split_paths(&path).map(|dir| dir.join("moto_server"));
        let mut command = Command::new(program.into_iter().find(|p| p.is_file()).expect("moto"));
        command.args(["-H", "127.0.0.1", "-p", "0"]).current_dir(home).env_clear();
        command.env("PATH", path).env("HOME", home).env("PYTHONUNBUFFERED", "1");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut server = command.spawn().expect("moto");
        let mut lines = BufReader::new(server.stderr.take().expect("stderr")).lines();
        let endpoint = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once("Running on ").map(|(_, url)| url.trim().to_owned()));
        // Its log is read until it ends, so that it never waits for us.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Self { server, endpoint: endpoint.expect("moto's address") }
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
