//! Containers of a real engine: a network of the test's own, the stand-in for AWS beside them, and
//! the images that `docker/images` builds.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::builder::Test;
use super::{AGE_KEY, scene};

/// From docker/Dockerfile.
pub const VAULT: &str = "vault:ci";
/// From docker/pipeline.Dockerfile.
pub const PIPELINE: &str = "vault-pipeline:ci";
/// Where the stand-in is, by its name in the network.
pub const STS: &str = "http://sts:8080";
/// Whoever this is: no image knows it.
pub const NOBODY: &str = "12345:12345";

/// A network, and a place on the host for what is mounted. Both go with it, and every container.
pub struct Engine {
    name: String,
    place: Test,
}

/// A second network, which goes with this. Every container in it has to be gone by then.
pub struct Network(pub String);

impl Network {
    /// Beside the engine's own.
    pub fn new(engine: &str) -> Self {
        let name = format!("{engine}-beside");
        let made = docker(["network", "create", &name]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        Self(name)
    }

    /// Lets a container in under this name.
    pub fn connect(&self, name: &str, id: &str) {
        let joined = docker(["network", "connect", "--alias", name, &self.0, id]);
        assert_eq!(joined.status, 0, "{}", joined.stderr);
    }

    /// Cuts a container off.
    pub fn disconnect(&self, id: &str) {
        let cut = docker(["network", "disconnect", &self.0, id]);
        assert_eq!(cut.status, 0, "{}", cut.stderr);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        docker(["network", "rm", "-f", &self.0]);
    }
}

/// What a container left.
#[derive(Debug, PartialEq)]
pub struct Left {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Engine {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vault-test-{}-{count}", std::process::id());
        for image in [VAULT, PIPELINE] {
            let found = docker(["image", "inspect", image]);
            assert_eq!(found.status, 0, "no image {image}: run docker/images\n{}", found.stderr);
        }
        let made = docker(["network", "create", &name]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        Self { name, place: Test::new() }
    }

    /// The test's own network.
    pub fn network(&self) -> &str {
        &self.name
    }

    /// A file on the host for a mount, readable to whoever the container's user is.
    pub fn file(&self, path: &str, contents: impl AsRef<[u8]>) -> String {
        let file = self.place.clone().file(path, contents, 0o644).home().join(path);
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(file.parent().expect("a directory"), open).expect("chmod");
        file.display().to_string()
    }

    /// `-v` and environment for a vault in /vault with the key of `demo`, the profiles of
    /// [`scene::PROFILES`], and the key that opens it in /run/secrets.
    pub fn vault(&self) -> Vec<String> {
        let made = Test::new().vault_with("demo");
        let vault = std::fs::read(made.vault_file()).expect("a vault");
        let directory = self.file("vault/vault.age", vault);
        let directory = Path::new(&directory).parent().expect("a directory").display();
        self.file("vault/config", scene::PROFILES);
        let key = self.file("secret/vault.age-key", AGE_KEY);
        // For the group of the image's own user, which every container's user is in.
        std::os::unix::fs::chown(&key, Some(0), Some(65532)).expect("root");
        std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o440))
            .expect("chmod");
        [
            "-v".to_owned(),
            format!("{directory}:/vault:ro"),
            "-v".to_owned(),
            format!("{key}:/run/secrets/vault.age-key:ro"),
            "--group-add=65532".to_owned(),
            "-eAWS_VAULT_FILE=/vault/vault.age".to_owned(),
            "-eAWS_CONFIG_FILE=/vault/config".to_owned(),
            format!("-eAWS_ENDPOINT_URL_STS={STS}"),
            "-eAWS_REGION=us-east-1".to_owned(),
            "-eAWS_DEFAULT_REGION=us-east-1".to_owned(),
        ]
        .into()
    }

    /// Runs a container to its end.
    pub fn run<A: AsRef<OsStr>>(&self, options: &[A], image: &str, words: &[&str]) -> Left {
        docker(self.words(&["run", "--rm"], options, image, words))
    }

    /// Starts a container that stays, under this name in the network; its id.
    pub fn start<A: AsRef<OsStr>>(
        &self,
        name: &str,
        options: &[A],
        image: &str,
        words: &[&str],
    ) -> String {
        let started =
            docker(self.words(&["run", "-d", "--network-alias", name], options, image, words));
        assert_eq!(started.status, 0, "{}", started.stderr);
        started.stdout.trim().to_owned()
    }

    fn words<A: AsRef<OsStr>>(
        &self,
        run: &[&str],
        options: &[A],
        image: &str,
        words: &[&str],
    ) -> Vec<std::ffi::OsString> {
        let mut all: Vec<std::ffi::OsString> = run.iter().map(Into::into).collect();
        all.push(format!("--label={}", self.name).into());
        if !options
            .iter()
            .any(|option| option.as_ref().as_encoded_bytes().starts_with(b"--network="))
        {
            all.push(format!("--network={}", self.name).into());
        }
        all.extend(options.iter().map(|option| option.as_ref().to_owned()));
        all.push(image.into());
        all.extend(words.iter().map(Into::into));
        all
    }

    /// Starts the stand-in for AWS as a container called `sts`; see [`serve_if_asked`].
    #[allow(clippy::disallowed_methods)] // the test binary itself
    pub fn sts(&self, entry: &str) -> Sts {
        let binary = std::env::current_exe().expect("the test binary");
        let mount = format!("{}:/it:ro", binary.display());
        let options = ["-v", &mount, "--entrypoint=/it", "-eVAULT_TEST_ROLE=sts"];
        let words = ["--ignored", "--exact", entry, "--nocapture"];
        let sts = Sts { id: self.start("sts", &options, VAULT, &words) };
        until("the stand-in listens", || sts.log().contains(READY));
        sts
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let label = format!("label={}", self.name);
        let left = docker(["ps", "-aq", "--filter", &label]).stdout;
        for id in left.lines() {
            docker(["rm", "-fv", id]);
        }
        docker(["network", "rm", &self.name]);
    }
}

/// The stand-in in its container.
pub struct Sts {
    pub id: String,
}

impl Sts {
    /// All calls so far, a line each, as [`scene::log`] writes them.
    pub fn calls(&self) -> Vec<String> {
        // What was answered is printed a moment later.
        std::thread::sleep(3 * PAUSE);
        let log = self.log();
        let calls = log.lines().filter_map(|line| line.strip_prefix(CALL));
        calls.map(str::to_owned).collect()
    }

    fn log(&self) -> String {
        docker(["logs", &self.id]).stdout
    }
}

const READY: &str = "listening on";
const CALL: &str = "call: ";
const PAUSE: Duration = Duration::from_millis(50);

/// Where the process is the stand-in's container: serves, until it is killed. An entry test calls
/// it, and goes on where it returns.
#[allow(clippy::disallowed_methods)] // how the container is told
pub fn serve_if_asked() {
    if std::env::var_os("VAULT_TEST_ROLE").is_none_or(|role| role != "sts") {
        return;
    }
    let sts = scene::sts_at("0.0.0.0:8080");
    println!("{READY} 8080");
    let mut printed = 0;
    loop {
        let log = scene::log(&sts);
        for line in log.lines().skip(printed) {
            println!("{CALL}{line}");
        }
        printed = log.lines().count();
        std::thread::sleep(PAUSE);
    }
}

/// Runs the docker client.
pub fn docker<A: AsRef<OsStr>>(words: impl IntoIterator<Item = A>) -> Left {
    let output = Command::new("docker").args(words).output().expect("docker");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Left {
        status: output.status.code().expect("an end"),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// Waits until it is so, for half a minute.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < end, "{what}: not after 30 s");
        std::thread::sleep(PAUSE);
    }
}
