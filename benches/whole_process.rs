//! `cargo bench`: what one start of the program costs, beside `/bin/true` and `age -d` on the same
//! machine, in medians of whole processes from spawn to exit. No harness: the numbers that matter are
//! ratios, and a table shows them.
//!
//! The program is copied first, as an installation does: a linker writes a file page by page, and the
//! kernel keeps what was written so in pages of their own, which costs a start 0.3 ms that an installed
//! program does not have. `VAULT_BIN` names another program than the one that was built for this:
//! `.ci/release` makes the one that people get.
//!
//! Memory is measured first and by `wait4`: the kernel counts what the parent occupied at the moment
//! of the spawn, so the numbers are upper bounds, and this program stays small until they are taken.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use argon2::{Algorithm, Argon2, Params, Version};
use vault::clock::Timestamp;
use vault::credential::Credentials;
use vault::sealed;
use vault::secret::Secret;
use vault::store::Location;
use vault::vault::{Fleet, Payload, RecipientEntry};

/// Runs of each fast command, interleaved with the others.
const FAST_RUNS: usize = 300;
/// Runs of what derives a key from a passphrase.
const SLOW_RUNS: usize = 40;
/// Where programs to compare with are looked for.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// How many other files lie in the cache.
const FILES: [usize; 3] = [10, 1_000, 10_000];
/// How many keys are in the vault, and whether its hosts have joined a fleet.
const VAULTS: [(usize, bool); 3] = [(10, false), (1_000, false), (10, true)];
/// What STS answers to GetSessionToken.
const SESSION: &str = "<GetSessionTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
    <GetSessionTokenResult><Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>\
    <SecretAccessKey>wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey>\
    <SessionToken>a session token</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>\
    </Credentials></GetSessionTokenResult></GetSessionTokenResponse>";

/// One row: a command in a clean environment.
struct Case {
    name: String,
    program: PathBuf,
    args: Vec<String>,
    vars: Vec<(&'static str, String)>,
}

impl Case {
    fn var(mut self, name: &'static str, value: String) -> Self {
        self.vars.push((name, value));
        self
    }

    fn command(&self) -> Command {
        // An absolute path and no pre_exec, so that std takes posix_spawn.
        let mut command = Command::new(&self.program);
        command.args(&self.args).env_clear().envs(self.vars.iter().map(|(k, v)| (k, v)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs it once with its output kept, and says what went wrong.
    fn check(&self) -> Result<(), String> {
        let output = self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        let output = output.map_err(|e| format!("{}: {e}", self.name))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{}: {}: {}", self.name, output.status, said.trim()))
    }

    /// From spawn to exit, once.
    fn time(&self) -> io::Result<Duration> {
        let start = Instant::now();
        self.command().spawn()?.wait()?;
        Ok(start.elapsed())
    }

    /// Peak resident memory in bytes: the least of a few runs.
    fn peak(&self) -> io::Result<u64> {
        let mut least = u64::MAX;
        for _ in 0..10 {
            let child = self.command().spawn()?;
            let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
            // SAFETY: rusage is plain numbers, for which zero is a value, and wait4 is given valid
            // pointers and a child of ours that nobody else waits for.
            let usage = unsafe {
                let mut usage: libc::rusage = std::mem::zeroed();
                if libc::wait4(pid, std::ptr::null_mut(), 0, &raw mut usage) != pid {
                    return Err(io::Error::last_os_error());
                }
                usage
            };
            least = least.min(u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024);
        }
        Ok(least)
    }
}

/// Ends what `vault unlock` began.
struct Locking(Case);

impl Drop for Locking {
    fn drop(&mut self) {
        let _ = self.0.command().status();
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Medians of several cases, run in turns so that all of them see the same machine.
fn race(cases: &[&Case], runs: usize) -> io::Result<Vec<Duration>> {
    let mut times = vec![Vec::with_capacity(runs); cases.len()];
    for turn in 0..runs + runs / 10 {
        for (case, times) in cases.iter().zip(&mut times) {
            let took = case.time()?;
            // The first tenth warms the caches.
            if turn >= runs / 10 {
                times.push(took);
            }
        }
    }
    Ok(times.into_iter().map(median).collect())
}

/// The key derivation alone, at the demo vault's cost, in this process.
fn argon2id() -> Result<Duration, String> {
    let params = Params::new(65_536, 3, 4, Some(32)).map_err(|e| e.to_string())?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut key = [0; 32];
    let start = Instant::now();
    argon2
        .hash_password_into(b"a demo passphrase", b"0123456789abcdef", &mut key)
        .map_err(|e| e.to_string())?;
    std::hint::black_box(key);
    Ok(start.elapsed())
}

/// What is measured.
#[allow(clippy::disallowed_methods)] // no part of vault
fn program() -> PathBuf {
    std::env::var_os("VAULT_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_vault").into()).into()
}

fn find(program: &str) -> Option<PathBuf> {
    PATH.split(':').map(|dir| Path::new(dir).join(program)).find(|path| path.is_file())
}

/// An STS that gives so many sessions, one a connection, and is gone then. It looks at no signature.
struct Sts {
    endpoint: String,
    served: JoinHandle<io::Result<()>>,
}

impl Sts {
    fn start(sessions: usize) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let serve = move || (0..sessions).try_for_each(|_| answer(&listener.accept()?.0));
        Ok(Self { endpoint, served: std::thread::spawn(serve) })
    }

    /// Waits until nobody listens any more.
    fn gone(self) -> Result<(), String> {
        let served = self.served.join().map_err(|_| "STS panicked".to_owned())?;
        served.map_err(|e| format!("STS: {e}"))
    }
}

/// Reads one request whole, and answers it.
fn answer(mut stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line)? > 0 && !line.trim_end().is_empty() {
        let lower = line.to_ascii_lowercase();
        if let Some(number) = lower.strip_prefix("content-length:") {
            length = number.trim().parse().map_err(io::Error::other)?;
        }
        line.clear();
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{SESSION}",
        SESSION.len()
    )
}

/// Adds files to the cache's sessions, named as theirs are; the program knows none of them.
fn fill(cache: &Path, files: usize) -> io::Result<()> {
    for number in 0..files {
        fs::write(cache.join("sessions").join(format!("{number:064x}")), [0; 1024])?;
    }
    Ok(())
}

/// A vault for this recipient, with the key of `demo` and others; of a fleet whose store nobody reaches, or
/// of none.
fn vault_of(keys: usize, recipient: &str, fleet: bool) -> vault::error::Result<Vec<u8>> {
    let entry = RecipientEntry { recipient: recipient.to_owned(), name: None };
    let mut payload = Payload::new(&[entry], &[])?;
    let others = (1..keys).map(|number| format!("profile-{number}"));
    for profile in others.chain(["demo".to_owned()]) {
        let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let key = Credentials::long_term("AKIAIOSFODNN7EXAMPLE".to_owned(), secret);
        payload.set_credential(&profile, &key, Timestamp(0));
    }
    if let Some(store) = Location::parse("s3://fleet/vault").filter(|_| fleet) {
        let endpoint = Some("http://127.0.0.1:1".to_owned());
        let (region, profile) = ("us-east-1".to_owned(), Some("demo".to_owned()));
        payload.set_fleet(&Fleet { store, region, endpoint, profile, required: false });
    }
    let recipient = sealed::parse_recipient(recipient)?;
    Ok(sealed::seal(&payload.to_plaintext(), &[recipient], &[], false)?.bytes)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[allow(clippy::cast_precision_loss)] // sizes of files and processes
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn verdict(ok: bool) -> &'static str {
    if ok { "ok" } else { "over" }
}

fn run(home: &Path) -> Result<String, String> {
    let io = |e: io::Error| e.to_string();
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo");
    let file = |name: &str| demo.join(name).display().to_string();
    let text = |name: &str| fs::read_to_string(demo.join(name)).map_err(io);
    let built = program();
    let vault = home.join("vault");
    let size = fs::copy(&built, &vault).map_err(|e| format!("{}: {e}", built.display()))?;

    let case = |name: &str, args: &str, vault_file: String| Case {
        name: name.to_owned(),
        program: vault.clone(),
        args: args.split(' ').map(str::to_owned).collect(),
        vars: vec![
            ("PATH", PATH.to_owned()),
            ("HOME", home.display().to_string()),
            ("AWS_VAULT_FILE", vault_file),
        ],
    };
    let age_key = text("key.txt")?;
    let by_key = |name: &str, args: &str| {
        case(name, args, file("by-key.age")).var("AWS_VAULT_AGE_KEY", age_key.clone())
    };
    // A session is another one at another endpoint, so the variable stays when the endpoint is gone.
    let cached = |name: &str, vault_file: String, cache: &Path, sts: &Sts| {
        case(name, "exec --json demo", vault_file)
            .var("AWS_VAULT_AGE_KEY", age_key.clone())
            .var("AWS_VAULT_CACHE_DIR", cache.display().to_string())
            .var("AWS_ENDPOINT_URL_STS", sts.endpoint.clone())
    };

    let nothing = Case {
        name: "/bin/true".to_owned(),
        program: PathBuf::from("/bin/true"),
        args: vec![],
        vars: vec![],
    };
    let age = find("age").map(|program| Case {
        name: "age -d -i KEY".to_owned(),
        program,
        args: vec!["-d".to_owned(), "-i".to_owned(), file("key.txt"), file("by-key.age")],
        vars: vec![],
    });
    let json = "exec --no-session --json demo";
    let version = by_key("vault --version", "--version");
    let key = by_key("vault exec --json, age key", json);
    let child = by_key("vault exec -- /bin/true", "exec --no-session demo -- /bin/true");
    let passphrase = text("passphrase.txt")?;
    let by_word = |name: &str, args: &str| {
        case(name, args, file("by-passphrase.age")).var("AWS_VAULT_PASSPHRASE", passphrase.clone())
    };
    let word = by_word("vault exec --json, passphrase", json);
    // Where there is a keyring, the demo vault is unlocked in it for as long as this takes.
    let unlock = by_word("vault unlock", "unlock --for 1h");
    let no_keyring = unlock.check().err();
    let _locked_at_the_end = Locking(by_word("vault lock", "lock"));

    let sts = Sts::start(if no_keyring.is_none() { 2 } else { 1 }).map_err(io)?;
    let session =
        cached("vault exec --json, cached session", file("by-key.age"), &home.join("cache"), &sts);
    let mut unlocked = cached(
        "  the same by passphrase, unlocked",
        file("by-passphrase.age"),
        &home.join("unlocked"),
        &sts,
    );
    unlocked.vars.retain(|(name, _)| *name != "AWS_VAULT_AGE_KEY");

    let mut fast = vec![&nothing, &version, &key, &session];
    fast.extend(no_keyring.is_none().then_some(&unlocked));
    fast.push(&child);
    fast.extend(age.as_ref());
    for case in fast.iter().chain([&&word]) {
        case.check()?;
    }
    sts.gone()?;
    let peaks = fast.iter().map(|case| case.peak()).collect::<io::Result<Vec<_>>>().map_err(io)?;
    let word_peak = word.peak().map_err(io)?;
    let times = race(&fast, FAST_RUNS).map_err(io)?;

    let sts = Sts::start(FILES.len() + VAULTS.len()).map_err(io)?;
    let mut grown = vec![];
    for files in FILES {
        let cache = home.join(format!("files-{files}"));
        let name = format!("  and {files} other files in the cache");
        let case = cached(&name, file("by-key.age"), &cache, &sts);
        case.check()?;
        fill(&cache, files).map_err(io)?;
        grown.push(case);
    }
    for (keys, fleet) in VAULTS {
        let vault_file = home.join(format!("keys-{keys}-{fleet}.age"));
        let bytes = vault_of(keys, text("recipient.txt")?.trim(), fleet).map_err(|e| e.what)?;
        fs::write(&vault_file, bytes).map_err(io)?;
        let of = if fleet { ", of a fleet" } else { "" };
        let name = format!("  and {keys} keys in the vault{of}");
        let cache = home.join(format!("keys-{keys}-{fleet}"));
        let case = cached(&name, vault_file.display().to_string(), &cache, &sts);
        case.check()?;
        grown.push(case);
    }
    sts.gone()?;
    let grown_times = race(&grown.iter().collect::<Vec<_>>(), FAST_RUNS).map_err(io)?;

    let (mut word_times, mut kdf_times) = (vec![], vec![]);
    for _ in 0..SLOW_RUNS {
        word_times.push(word.time().map_err(io)?);
        kdf_times.push(argon2id()?);
    }
    let (word_time, kdf_time) = (median(word_times), median(kdf_times));

    let (
        &[true_time, version_time, key_time, session_time, ..],
        &[_, _, key_peak, session_peak, ..],
    ) = (&times[..], &peaks[..])
    else {
        return Err("a case is missing".to_owned());
    };
    let &[few_files, _, many_files, few_keys, _, of_fleet] = &grown_times[..] else {
        return Err("a case is missing".to_owned());
    };
    let mut table = String::new();
    let mut row = |name: &str, time: Option<Duration>, peak: Option<u64>| {
        let time = time.map_or(String::new(), |t| format!("{:.2} ms", ms(t)));
        let peak = peak.map_or(String::new(), |p| format!("{:.1} MB", mb(p)));
        writeln!(table, "{name:<38}{time:>12}{peak:>12}").map_err(|e| e.to_string())
    };
    for ((case, time), peak) in fast.iter().zip(&times).zip(&peaks) {
        row(&case.name, Some(*time), Some(*peak))?;
    }
    if let Some(why) = &no_keyring {
        row(&format!("unlocked: {why}"), None, None)?;
    }
    if age.is_none() {
        row("age -d -i KEY: age is not here", None, None)?;
    }
    row("argon2id alone (64 MiB, 3, 4)", Some(kdf_time), None)?;
    row(&word.name, Some(word_time), Some(word_peak))?;
    row("a cached session, in turns:", None, None)?;
    for (case, time) in grown.iter().zip(&grown_times) {
        row(&case.name, Some(*time), None)?;
    }

    let mut aims = vec![
        (
            "age key: over /bin/true",
            format!("{:+.2} ms", ms(key_time) - ms(true_time)),
            "at most +1.2 ms",
            ms(key_time) - ms(true_time) <= 1.2,
        ),
        (
            "cached session: over /bin/true",
            format!("{:+.2} ms", ms(session_time) - ms(true_time)),
            "at most +0.7 ms",
            ms(session_time) - ms(true_time) <= 0.7,
        ),
        (
            "10,000 other files: over 10",
            format!("{:+.2} ms", ms(many_files) - ms(few_files)),
            "at most +0.1 ms",
            ms(many_files) - ms(few_files) <= 0.1,
        ),
        (
            "cached session: of a fleet's vault",
            format!("{:.2}", ms(of_fleet) / ms(few_keys)),
            "at most 1.05",
            ms(of_fleet) / ms(few_keys) <= 1.05,
        ),
        (
            "passphrase: over argon2id",
            format!("{:+.2} ms", ms(word_time) - ms(kdf_time)),
            "at most +2 ms",
            ms(word_time) - ms(kdf_time) <= 2.0,
        ),
        (
            "--version: of the age key",
            format!("{:.2}", ms(version_time) / ms(key_time)),
            "less than 1",
            version_time < key_time,
        ),
        (
            "peak memory of both",
            format!("{:.1} MB", mb(key_peak.max(session_peak))),
            "at most 6.1 MB",
            mb(key_peak.max(session_peak)) <= 6.1,
        ),
        ("binary", format!("{:.2} MB", mb(size)), "at most 7.6 MB", mb(size) <= 7.6),
    ];
    if no_keyring.is_none() {
        let share = times.get(4).map_or(f64::NAN, |unlocked| ms(*unlocked) / ms(session_time));
        aims.insert(
            2,
            (
                "unlocked: of a cached session by key",
                format!("{share:.2}"),
                "at most 1.10",
                share <= 1.1,
            ),
        );
    }
    if let Some(age_time) = age.as_ref().and(times.last()) {
        let share = ms(key_time) / ms(*age_time);
        aims.insert(
            1,
            ("age key: of age -d", format!("{share:.2}"), "at most 0.57", share <= 0.57),
        );
    }
    let mut text = format!("{:<38}{:>12}{:>12}\n{table}\n", "whole process", "median", "peak");
    for (what, is, aim, ok) in aims {
        writeln!(text, "{what:<38}{is:>12}   {aim:<18}{}", verdict(ok))
            .map_err(|e| e.to_string())?;
    }
    Ok(text)
}

fn main() -> ExitCode {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{}", std::process::id()));
    let result = fs::create_dir_all(&home).map_err(|e| e.to_string()).and_then(|()| run(&home));
    let _ = fs::remove_dir_all(&home);
    match result {
        Ok(table) => {
            print!("{table}");
            ExitCode::SUCCESS
        }
        Err(what) => {
            eprintln!("bench: {what}");
            ExitCode::FAILURE
        }
    }
}
