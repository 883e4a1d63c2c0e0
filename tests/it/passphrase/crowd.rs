//! Many processes that derive a key from a passphrase at the same time.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use crate::support::builder::{Test, WAITS};
use crate::support::scene;
use crate::support::standin::Fault;

const SOON: Duration = Duration::from_secs(60);
const LIST: [&str; 2] = ["list", "--credentials"];

/// More than the program takes without a derivation, and less than with one: KiB.
const DERIVES: u64 = 48 << 10;

/// The memory of a process, in KiB; of one that has ended, none.
fn resident(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Waits for all of them to succeed; how many had the memory for a derivation at the same time. Each
/// derives once, so one that has it when looked at twice has it in between.
#[track_caller]
fn most_at_once(mut crowd: Vec<Child>) -> usize {
    let deadline = Instant::now() + SOON;
    let (mut before, mut most) = (BTreeSet::new(), 0);
    loop {
        assert!(Instant::now() < deadline, "some of {} have not ended", crowd.len());
        let seen: Vec<_> = crowd.iter().map(resident).collect();
        if seen.iter().all(Option::is_none) {
            break;
        }
        let now: BTreeSet<_> =
            (0..seen.len()).filter(|at| seen[*at].is_some_and(|kib| kib > DERIVES)).collect();
        most = most.max(now.intersection(&before).count());
        before = now;
        std::thread::sleep(Duration::from_millis(2));
    }
    for child in &mut crowd {
        assert!(child.wait().expect("a child").success());
    }
    most
}

/// So many cold starts, each with a home and a cache of its own.
fn crowd(count: usize) -> usize {
    let test = Test::new().vault_with_passphrase("demo");
    let file = test.vault_file();
    let test = test.env("AWS_VAULT_FILE", file);
    let start = |number: usize| {
        let home = test.home().join(number.to_string());
        std::fs::create_dir(&home).expect("a home");
        let run = test.command(LIST).env("AWS_VAULT_CACHE_DIR", home.join("cache"));
        let runtime = if number.is_multiple_of(2) { "XDG_RUNTIME_DIR" } else { "XDG_CACHE_HOME" };
        run.env(runtime, &home).env("HOME", home).start()
    };
    most_at_once((0..count).map(start).collect())
}

fn cores() -> usize {
    std::thread::available_parallelism().expect("a number of cores").get()
}

#[test]
fn no_more_processes_derive_at_once_than_there_are_cores() {
    let most = crowd(24);
    assert!((1..=cores()).contains(&most), "{most} at once, of {} cores", cores());
}

#[test]
#[ignore = "takes half a minute of both cores"]
fn a_hundred_cold_starts_take_the_memory_of_one_for_each_core() {
    let most = crowd(100);
    assert!((1..=cores()).contains(&most), "{most} at once, of {} cores", cores());
}

/// A user whom nothing else runs as, so that the locks are the test's alone: the home is theirs, and
/// so is the directory that is given. It is removed at the end.
struct User {
    test: Test,
    uid: u32,
    locks: PathBuf,
}

impl User {
    fn new(uid: u32) -> Self {
        let test = Test::new().vault_with_passphrase("demo");
        let home = test.home().display().to_string();
        test.command(["-R", &uid.to_string(), &home]).program("chown").run();
        let user = Self { test, uid, locks: Path::new("/dev/shm").join(format!("vault-{uid}")) };
        user.remove_locks();
        user
    }

    fn command(&self, words: &[&str]) -> Test {
        let as_user = [format!("--reuid={}", self.uid), "--clear-groups".to_owned()];
        self.test.command(words).under("setpriv", as_user)
    }

    /// Makes what the program would make, and takes these locks.
    fn lock(&self, names: &[String]) -> Vec<File> {
        let own = self.locks.join("passphrase");
        for directory in [&self.locks, &own] {
            let _ = std::fs::create_dir(directory);
            std::fs::set_permissions(directory, PermissionsExt::from_mode(0o700)).unwrap();
            chown(directory, Some(self.uid), None).unwrap();
        }
        let lock = |name: &String| {
            let path = own.join(format!("{name}.lock"));
            let file = File::options().write(true).create(true).truncate(false).open(&path);
            let file = file.expect("a lock file");
            chown(&path, Some(self.uid), None).unwrap();
            file.lock().unwrap();
            file
        };
        names.iter().map(lock).collect()
    }

    fn remove_locks(&self) {
        let _ = std::fs::remove_dir_all(&self.locks);
        let _ = std::fs::remove_dir_all(Path::new("/tmp").join(format!("vault-{}", self.uid)));
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.remove_locks();
    }
}

const IN_VAIN: &str = "vault: error: other processes of this user are trying a passphrase, waited 45 s\n\
    vault: hint: start fewer at a time, use a key, or run vault unlock before\n";

#[test]
#[ignore = "needs root, to be a user of its own, and 45 s"]
fn a_waiting_process_says_so_and_waits_45_s() {
    let user = User::new(47_611);
    let all: Vec<_> = (0..cores()).map(|core| core.to_string()).collect();
    for held in [all.as_slice(), &["queue".to_owned()]] {
        let locks = user.lock(held);
        let runs = [
            (user.command(&LIST), false),
            (user.command(&["list", "--debug"]), true),
            (user.command(&["exec", "--json", "-n", "demo"]), false),
            (user.command(&["exec", "--json", "-n", "demo", "--debug"]), true),
        ];
        std::thread::scope(|scope| {
            for (run, said) in &runs {
                scope.spawn(move || {
                    let output = run.clone().expect_status(8).expect_stdout("").run();
                    let stderr = String::from_utf8(output.raw_stderr).unwrap();
                    assert!(stderr.ends_with(IN_VAIN), "{stderr}");
                    assert_eq!(stderr.contains(WAITS), *said, "{stderr}");
                });
            }
        });
        drop(locks);
    }
    // A holder that is gone holds nothing; and on a terminal it is shown what is waited for.
    user.command(&LIST).expect_stdout("demo\n").expect_stderr("").run();
    let locks = user.lock(&all);
    let mut pty = user.command(&LIST).env("TERM", "xterm").pty();
    let shown = "vault: waiting 2 of 45 s for other processes of this user that try a passphrase";
    pty.expect(shown, Duration::from_secs(60));
    drop(locks);
    let (status, screen) = pty.end(Duration::from_secs(60));
    assert!(screen.ends_with("\x1b[Kdemo\n"), "{screen:?}");
    assert_eq!(status, 0);
}

#[test]
#[ignore = "needs root, to be a user of its own, and 50 s"]
fn where_a_machine_waits_all_waits_together_end_after_50_s() {
    let user = User::new(47_614);
    let standin = scene::sts();
    standin.fail_always(Some(Fault::HangForever));
    let locks = user.lock(&(0..cores()).map(|core| core.to_string()).collect::<Vec<_>>());
    let start = Instant::now();
    std::thread::scope(|scope| {
        let run = user.command(&["exec", "--json", "demo"]).env("AWS_REGION", "us-east-1");
        let run = run.env("AWS_ENDPOINT_URL_STS", standin.endpoint()).any_status();
        let running = scope.spawn(move || run.run());
        std::thread::sleep(Duration::from_secs(25));
        drop(locks);
        let output = running.join().unwrap();
        assert_eq!((output.status, output.stdout.as_str()), (8, ""), "{}", output.stderr);
    });
    assert!(!standin.calls().is_empty());
    // An SDK kills it after 60.
    assert!(start.elapsed() < Duration::from_secs(58), "{:?}", start.elapsed());
}

#[test]
#[ignore = "needs root, to be two users"]
fn a_directory_that_another_user_planted_is_not_used_and_not_waited_for() {
    let user = User::new(47_612);
    let temporary = Path::new("/tmp").join(format!("vault-{}", user.uid));
    let list = || user.command(&LIST).expect_stdout("demo\n").expect_stderr("").run();
    let planted = |place: &Path| {
        std::fs::create_dir(place).unwrap();
        std::fs::set_permissions(place, PermissionsExt::from_mode(0o777)).unwrap();
        chown(place, Some(47_613), None).unwrap();
    };
    planted(&user.locks);
    list();
    assert_eq!(temporary.metadata().unwrap().uid(), user.uid);
    assert!(temporary.join("passphrase/0.lock").exists());
    std::fs::remove_dir_all(&temporary).unwrap();
    std::os::unix::fs::symlink(user.test.home(), &temporary).unwrap();
    list();
    std::fs::remove_file(&temporary).unwrap();
    assert_eq!(std::fs::read_dir(&user.locks).unwrap().count(), 0);

    // A lock of ours that cannot be taken is not needed.
    std::fs::remove_dir(&user.locks).unwrap();
    drop(user.lock(&[]));
    std::fs::create_dir(user.locks.join("passphrase/0.lock")).unwrap();
    list();
}
