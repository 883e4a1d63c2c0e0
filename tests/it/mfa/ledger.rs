//! A code is written down before it is sent: what happens where that cannot be done.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{SESSION, json, steps, usual, with_seed};
use crate::faults::inject::{record, try_inject};
use crate::support::builder::Test;
use crate::support::diff::assert_same;
use crate::support::place::TestHome;
use crate::support::scene::{self, PROFILES, log};
use crate::support::standin::{Fault, StandIn, User, World};
use crate::support::{ACCESS_KEY_ID, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

/// What renames a file, on any architecture.
#[cfg(target_arch = "x86_64")]
const RENAMES: [libc::c_long; 3] = [libc::SYS_rename, libc::SYS_renameat, libc::SYS_renameat2];
#[cfg(not(target_arch = "x86_64"))]
const RENAMES: [libc::c_long; 2] = [libc::SYS_renameat, libc::SYS_renameat2];

const HINT: &str = "vault: hint: no code was sent; repair that file or its disk, or name another \
                    directory with --cache-dir\n";

/// The error where the ledger, or its lock, cannot be opened.
fn error(file: &str, why: &str) -> String {
    format!("vault: error: cannot record the use of an MFA code in {file}: {why}\n{HINT}")
}

/// The ledger in a cache directory, if there is one. Its name is a hash.
fn ledger(cache: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(cache.join("ledger")).ok()?;
    let mut files = entries.map(|entry| entry.expect("an entry").path());
    files.find(|path| path.extension().is_none())
}

/// A ledger that has a claim in it.
fn claimed(test: &Test) -> String {
    test.command(["totp", "code", "mfa"]).run();
    let path = ledger(&test.home().join(".cache/vault")).expect("a ledger");
    path.display().to_string().replace(&test.home().display().to_string(), "[HOME]")
}

#[test]
fn a_claim_that_cannot_be_written_down_sends_no_code() {
    for (errno, why) in [
        (libc::ENOSPC, "no space left on device"),
        (libc::EDQUOT, "disk quota exceeded"),
        (libc::EIO, "input/output error"),
        (libc::EROFS, "read-only file system"),
        (libc::EACCES, "permission denied"),
        (libc::EFBIG, "file too large"),
    ] {
        let (standin, test) = usual();
        let file = claimed(&test);
        let test = test.refuse(&RENAMES, errno);
        json(&test, "mfa").expect_error(9, &error(&file, why)).run();
        test.command(["totp", "code", "mfa"]).expect_error(9, &error(&file, why)).run();
        assert_eq!(standin.connections(), 0, "{why}");
    }
}

#[test]
fn without_locks_no_code_is_sent() {
    for (errno, why) in
        [(libc::ENOLCK, "no locks available"), (libc::EOPNOTSUPP, "operation not supported")]
    {
        let (standin, test) = usual();
        let lock = format!("{}.lock", claimed(&test));
        let test = test.refuse(&[libc::SYS_flock], errno);
        let warning = format!(
            "vault: warning: cannot use the cache in [HOME]/.cache/vault: {why}; continuing without it\n"
        );
        json(&test, "mfa").expect_error(9, &(warning + &error(&lock, why))).run();
        test.command(["totp", "code", "mfa"]).expect_error(9, &error(&lock, why)).run();
        // Whoever needs no code goes on.
        test.command(["exec", "--json", "role"]).run();
        assert_eq!(steps(&standin).len(), 0);
    }
}

#[test]
fn over_a_limit_on_files_no_code_is_sent() {
    let (standin, test) = usual();
    let file = claimed(&test);
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$@\"";
    let vault = env!("CARGO_BIN_EXE_vault");
    test.command(["-c", script, "sh", vault, "exec", "--json", "mfa"])
        .program("sh")
        .expect_error(9, &error(&file, "file too large"))
        .run();
    assert_eq!(standin.connections(), 0);
}

/// Every command that uses codes, with a ledger whose lock cannot be taken.
#[test]
fn every_command_that_uses_codes_refuses_without_the_ledger() {
    let (standin, test) = usual();
    let lock = format!("{}.lock", claimed(&test));
    let path = lock.replace("[HOME]", &test.home().display().to_string());
    std::fs::remove_file(&path).expect("the lock");
    std::fs::create_dir(&path).expect("a directory in its place");
    let error = error(&lock, "is a directory");
    for words in [
        &["exec", "--json", "mfa"][..],
        &["exec", "--json", "mfa-role"],
        &["exec", "--json", "--no-session", "mfa-role"],
        &["totp", "code", MFA_SERIAL],
        &["login", "mfa-role"],
        &["export", "mfa"],
    ] {
        test.command(words).expect_error(9, &error).run();
        assert_eq!(steps(&standin).len(), 0, "{words:?}");
    }
    test.command(["exec", "mfa", "--", "true"]).expect_error(125, &error).run();
    // A code that is given has no ledger.
    let code = scene::code(&standin);
    json(&test, "mfa").args(["--mfa-token", &code]).expect_stderr("").run();
}

/// A cache in a directory that cannot be looked up, which is not the same as none.
fn in_a_circle(test: Test) -> Test {
    std::os::unix::fs::symlink("circle", test.home().join("circle")).expect("a link");
    let cache = test.home().join("circle");
    test.env("AWS_VAULT_CACHE_DIR", cache)
}

/// The last line but one of an error, without the ledger's name.
fn named(stderr: &str) -> String {
    let (before, rest) = stderr.split_once("circle/ledger/").expect(stderr);
    format!("{before}circle/ledger/NAME{}", &rest[64..])
}

#[test]
fn enrolling_makes_no_device_whose_codes_could_not_be_recorded() {
    let world = World::empty().user(User::new("robot").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY));
    let standin = StandIn::start(world);
    let test = Test::new().config("[profile ci]\n").vault_with("ci").standin(&standin);
    let test = test.env("AWS_ENDPOINT_URL_IAM", standin.endpoint());
    let test = in_a_circle(test);
    let output = test.command(["mfa", "enroll", "ci"]).expect_status(9).expect_stdout("").run();
    let expected = error("[HOME]/circle/ledger/NAME.lock", "too many levels of symbolic links");
    assert_same("stderr", &expected, &named(&output.stderr));
    assert_eq!(standin.devices().len(), 0);
    // Without any place it is made and proven all the same, by one code.
    let nowhere = test.env("AWS_VAULT_CACHE_DIR", "/proc/none");
    nowhere.command(["mfa", "enroll", "ci"]).expect_status(0).run();
    let proofs = standin.calls().iter().filter(|call| call.action == "GetSessionToken").count();
    assert_eq!(proofs, 1, "{}", standin.log());
}

#[test]
fn a_seed_is_not_verified_by_a_code_that_could_not_be_recorded() {
    let (standin, test) = usual();
    let test = in_a_circle(test);
    let verify = test.command(["totp", "add", "mfa", "--verify", "--stdin"]).stdin(MFA_SEED);
    let output = verify.expect_status(9).expect_stdout("").run();
    let expected = error("[HOME]/circle/ledger/NAME.lock", "too many levels of symbolic links");
    assert_same("stderr", &expected, &named(&output.stderr));
    assert_eq!(steps(&standin).len(), 0);
}

// Where there is no place for a ledger.

const NOWHERE: &str = "vault: warning: cannot use the cache in /proc/none: no such file or directory; \
                       continuing without it\n";

fn nowhere() -> (StandIn, Test) {
    let (standin, test) = usual();
    (standin, test.env("AWS_VAULT_CACHE_DIR", "/proc/none"))
}

#[test]
fn without_a_place_for_a_ledger_one_code_is_sent() {
    let (standin, test) = nowhere();
    json(&test, "mfa").expect_stderr(NOWHERE).run();
    assert_same("log", SESSION, &log(&standin));
    let lost = "vault: error: 127.0.0.1:[PORT] closed the connection before the response was complete\n\
                vault: hint: try again\n";
    let throttled = "vault: error: AWS is throttling requests (SlowDown)\n\
                     vault: hint: wait a while, or let fewer jobs ask at once\n";
    for (at, (fault, said)) in
        [(Fault::DropAfter, lost), (Fault::SlowDown, throttled)].into_iter().enumerate()
    {
        standin.fail_next(fault);
        json(&test, "mfa").expect_error(9, &format!("{NOWHERE}{said}")).run();
        assert_eq!(standin.calls().len(), at + 2, "{}", standin.log());
    }
}

#[test]
fn without_a_place_for_a_ledger_a_refused_code_is_followed_by_none() {
    let standin = scene::sts();
    let test = scene::with(&standin, PROFILES);
    let seed = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP";
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(seed).run();
    let test = test.env("AWS_VAULT_CACHE_DIR", "/proc/none");
    let refused = "vault: error: AWS refused the MFA code of the device's seed\n\
                   vault: hint: another process may have used it: name a cache directory that all \
                   jobs share with --cache-dir\n";
    json(&test, "mfa").expect_error(9, &format!("{NOWHERE}{refused}")).run();
    // Less than a step is no reason for another one.
    standin.move_clock(25);
    json(&test, "mfa").expect_error(9, &format!("{NOWHERE}{refused}")).run();
    assert_eq!(standin.calls().len(), 2, "{}", standin.log());
    let verify = ["totp", "add", "mfa", "--verify", "--stdin"];
    test.command(verify).stdin(seed).expect_status(9).expect_stdout("").run();
    let sent = standin.calls().iter().filter(|call| call.action == "GetSessionToken").count();
    assert_eq!(sent, 3, "{}", standin.log());
}

#[test]
fn without_a_place_for_a_ledger_a_clock_that_is_off_gets_a_second_code() {
    let (standin, test) = nowhere();
    standin.move_clock(-200);
    let output = json(&test, "mfa").run();
    assert!(output.stderr.starts_with(NOWHERE), "{}", output.stderr);
    assert_eq!(steps(&standin).len(), 2, "{}", standin.log());
    assert_eq!(standin.calls()[1].outcome, "ok");
    // And no third.
    standin.pass_next(1);
    standin.fail_next(Fault::SlowDown);
    json(&test, "mfa").expect_status(9).expect_stdout("").run();
    assert_eq!(standin.calls().len(), 4, "{}", standin.log());
}

// Real disks and other users.

/// A directory that others may look into, with the vault's cache in it.
struct Disk {
    place: TestHome,
}

impl Disk {
    fn full() -> Self {
        let disk = Self { place: TestHome::new() };
        let words = ["-t", "tmpfs", "-o", "size=1m,mode=0700", "none"];
        let status = Command::new("mount").args(words).arg(disk.place.path()).status();
        assert!(status.is_ok_and(|it| it.success()), "only root can mount");
        disk
    }

    fn cache(&self) -> PathBuf {
        self.place.path().join("cache")
    }

    /// Leaves no room.
    fn fill(&self) -> PathBuf {
        let ballast = self.place.path().join("ballast");
        let filled = std::fs::write(&ballast, vec![0; 2 << 20]);
        assert_eq!(filled.unwrap_err().raw_os_error(), Some(libc::ENOSPC));
        ballast
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.place.path()).status();
    }
}

#[test]
#[ignore = "needs root"]
fn on_a_full_disk_forty_starts_send_no_code() {
    for before in [true, false] {
        let (standin, disk) = (scene::sts(), Disk::full());
        let test = with_seed(&standin, PROFILES).env("AWS_VAULT_CACHE_DIR", disk.cache());
        if before {
            test.command(["totp", "code", "mfa"]).run();
        }
        let ballast = disk.fill();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    let output = json(&test, "mfa").expect_status(9).expect_stdout("").run();
                    assert!(output.stderr.contains("no space left on device"), "{}", output.stderr);
                    assert!(output.stderr.ends_with(HINT), "{}", output.stderr);
                });
            }
        });
        assert_eq!(standin.connections(), 0, "{}", standin.log());
        std::fs::remove_file(ballast).expect("the ballast");
        json(&test, "mfa").expect_stderr("").run();
        assert_same("log", SESSION, &log(&standin));
    }
}

#[test]
#[ignore = "needs root"]
fn another_users_ledger_is_none_to_go_on_without() {
    let (standin, test) = usual();
    let own = |path: &Path, uid: u32, mode: u32| {
        use std::os::unix::fs::{PermissionsExt, chown};
        chown(path, Some(uid), Some(uid)).expect("an owner");
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("a mode");
    };
    let cache = test.home().join("cache");
    let test = test.env("AWS_VAULT_CACHE_DIR", &cache);
    test.command(["totp", "code", "mfa"]).run();
    let file = ledger(&cache).expect("a ledger");
    let shown = file.display().to_string().replace(&test.home().display().to_string(), "[HOME]");
    let all = Command::new("chown").arg("-R").arg("54321:54321").arg(test.home()).status();
    assert!(all.is_ok_and(|it| it.success()), "only root can do that");
    let as_user = |words: &[&str]| {
        let user = ["--reuid=54321", "--regid=54321", "--clear-groups"];
        test.command(words).under("setpriv", user)
    };
    let code = ["totp", "code", "mfa"];
    as_user(&code).run();
    let (folder, lock) = (cache.join("ledger"), file.with_extension("lock"));
    // A directory that nothing new can be made in.
    own(&folder, 0, 0o755);
    as_user(&code).expect_error(9, &error(&shown, "permission denied")).run();
    // A lock that is somebody else's.
    own(&lock, 0, 0o600);
    let locked = error(&format!("{shown}.lock"), "permission denied");
    as_user(&code).expect_error(9, &locked).run();
    // The ledger alone is there.
    std::fs::remove_file(&lock).expect("the lock");
    as_user(&code).expect_error(9, &locked).run();
    // A directory that nobody sees into.
    own(&folder, 0, 0o700);
    as_user(&code).expect_error(9, &locked).run();
    as_user(&["exec", "--json", "mfa"]).expect_error(9, &locked).run();
    assert_eq!(standin.connections(), 0);
    // A ledger that cannot be read.
    own(&folder, 54_321, 0o700);
    own(&file, 0, 0o600);
    as_user(&code).expect_error(9, &error(&shown, "permission denied")).run();
    // There is none, and none can be made: that is no place for one.
    std::fs::remove_file(&file).expect("the ledger");
    std::fs::remove_file(&lock).expect("the lock");
    own(&folder, 0, 0o755);
    let warning = "vault: warning: cannot use the cache in [HOME]/cache: permission denied; continuing \
                   without it\n";
    as_user(&code).expect_stderr(warning).run();
}

#[test]
#[ignore = "needs strace"]
fn whatever_call_fails_no_code_goes_out_that_is_not_in_the_ledger() {
    let scene = || {
        let (standin, test) = usual();
        claimed(&test);
        let file = ledger(&test.home().join(".cache/vault")).expect("a ledger");
        (standin, json(&test, "mfa").any_status(), file)
    };
    let (_standin, run, _) = scene();
    let (_, calls) = record(&run);
    let calls: Vec<_> = calls.into_iter().filter(|call| call.line.contains("/ledger")).collect();
    assert!(calls.len() > 8, "{} calls", calls.len());
    let mut failed = 0;
    for call in &calls {
        for error in ["EIO", "ENOSPC", "EDQUOT", "ENOLCK", "EROFS", "EACCES"] {
            let (standin, run, file) = scene();
            let length = || file.metadata().map_or(0, |about| about.len());
            let before = length();
            let what = format!("{}:error={error}:when={}", call.name, call.nth);
            let Some(output) = try_inject(&run, &what) else { continue };
            let (sent, recorded) = (standin.calls().len(), length() > before);
            let shown = format!("{what}\n{}\n{}", call.line, output.stderr);
            assert!(sent == 0 || recorded && sent == 1, "{sent} sent: {shown}");
            assert!(matches!((output.status, sent), (0, 1) | (9, 0)), "{}: {shown}", output.status);
            failed += usize::from(sent == 0);
        }
    }
    assert!(failed > 30, "{failed}");
}
