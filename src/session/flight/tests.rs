mod lengths;

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Barrier, mpsc};

use super::super::testing::{NOON, cache, cache_of, long, session};
use super::*;
use crate::clock::Timestamp;
use crate::error::Class;
use crate::file::testing::Directory;
use crate::os::testing;
use crate::secret::Secret;
use crate::session::{Choice, Listed, clear_all};

const HOUR: i64 = 3600;

fn wanted(key: &[String]) -> Wanted<'_> {
    Wanted {
        profile: "prod",
        kind: SessionKind::Role,
        key,
        length: None,
        not_before: None,
        min_left: None,
    }
}

fn key(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

fn token(credentials: &Credentials) -> &str {
    credentials.session_token.as_ref().unwrap().expose()
}

/// Obtains the session `a`, an hour long from when it is made; returns its token, or the failure.
fn obtain(cache: &Cache, mint: &mut dyn FnMut() -> Result<Credentials>) -> Result<String> {
    let key = key("a");
    cache.made(&wanted(&key), long(), mint).map(|made| token(&made.credentials).to_owned())
}

impl Cache {
    /// A session that needs no prompt.
    fn made(
        &self,
        wanted: &Wanted<'_>,
        deadline: Instant,
        mint: &mut dyn FnMut() -> Result<Credentials>,
    ) -> Result<Obtained> {
        let made = self
            .obtain(wanted, deadline, &mut |_| mint().map(Minted::Here).map_err(MintError::Failed));
        made.map_err(|not_made| match not_made {
            MintError::Failed(error) | MintError::Refused(error) => error,
            MintError::NeedsCode => panic!("nobody is to be asked here"),
        })
    }
}

fn never() -> Result<Credentials> {
    panic!("nothing is to be made here")
}

fn refused() -> Result<Credentials> {
    Err(Error::aws("AWS refused"))
}

/// The only session in the directory.
fn only(d: &Directory) -> std::path::PathBuf {
    let mut names: Vec<_> =
        fs::read_dir(d.path.join("sessions")).unwrap().map(|e| e.unwrap().path()).collect();
    names.retain(|path| path.extension().is_none());
    assert_eq!(names.len(), 1);
    names.remove(0)
}

fn everything(dir: &Path) -> Vec<(std::path::PathBuf, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        let about = entry.metadata().unwrap();
        found.push((entry.path(), about.modified().unwrap()));
        if about.is_dir() {
            found.extend(everything(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_session_is_made_once_and_then_served_without_a_lock_and_without_a_write() {
    let d = Directory::new();
    assert_eq!(obtain(&cache(&d.path, 0), &mut || Ok(session("first", HOUR))).unwrap(), "first");
    let path = only(&d);
    let lock = path.with_extension("lock");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
    let folder = d.path.join("sessions").metadata().unwrap();
    assert_eq!(folder.permissions().mode() & 0o7777, 0o700);
    let content = fs::read(&path).unwrap();
    for text in ["prod", "ASIA", "first"] {
        assert!(!content.windows(text.len()).any(|part| part == text.as_bytes()), "{text}");
    }

    fs::remove_file(&lock).unwrap();
    let before = everything(&d.path);
    let second = cache(&d.path, 1000);
    assert_eq!(obtain(&second, &mut never).unwrap(), "first");
    assert_eq!(everything(&d.path), before);
}

#[test]
fn whatever_shapes_the_answer_makes_another_session() {
    let d = Directory::new();
    let cache = cache(&d.path, 0);
    let count = Cell::new(0);
    let mut mint = || {
        count.set(count.get() + 1);
        Ok(session("x", HOUR))
    };
    let (a, b) = (key("a"), [key("a"), key("")].concat());
    for wanted in [
        wanted(&a),
        wanted(&b),
        Wanted { kind: SessionKind::Session, ..wanted(&a) },
        Wanted { not_before: Some(Timestamp(i64::MAX)), ..wanted(&a) },
    ] {
        let before = count.get();
        cache.made(&wanted, long(), &mut mint).unwrap();
        assert_eq!(count.get(), before + 1, "{wanted:?}");
    }
    let other = Wanted { profile: "the same for another profile", ..wanted(&a) };
    cache.made(&other, long(), &mut mint).unwrap();
    assert_eq!(count.get(), 4);
    let other_vault = cache_of(Some(&d.path), [7; 16], 0);
    other_vault.made(&wanted(&a), long(), &mut mint).unwrap();
    assert_eq!(count.get(), 5);
}

#[test]
fn many_threads_that_start_cold_make_one_session() {
    let d = Directory::new();
    let made = AtomicUsize::new(0);
    let start = Barrier::new(16);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let cache = cache(&d.path, 0);
                start.wait();
                let served = obtain(&cache, &mut || {
                    made.fetch_add(1, Ordering::SeqCst);
                    Ok(session("one", HOUR))
                });
                assert_eq!(served.unwrap(), "one");
            });
        }
    });
    assert_eq!(made.load(Ordering::SeqCst), 1);
}

/// Starts a test of this file as a process of its own, in a part with a directory.
fn again(test: &str, part: &str, d: &Directory) -> Child {
    testing::again(
        &format!("session::flight::tests::{test}"),
        &format!("{part} {}", d.path.display()),
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .spawn()
    .unwrap()
}

/// The directory, if this process plays the part.
fn playing(part: &str) -> Option<std::path::PathBuf> {
    let role = testing::role()?;
    Some(role.strip_prefix(part)?.trim_start().into())
}

#[test]
fn many_processes_that_start_cold_make_one_session() {
    if let Some(dir) = playing("starts") {
        let served = obtain(&cache(&dir, 0), &mut || {
            let mut log =
                fs::File::options().append(true).create(true).open(dir.join("log")).unwrap();
            std::io::Write::write_all(&mut log, b"made\n").unwrap();
            Ok(session("one", HOUR))
        });
        assert_eq!(served.unwrap(), "one");
        return;
    }
    let d = Directory::new();
    let children: Vec<_> = (0..8)
        .map(|_| again("many_processes_that_start_cold_make_one_session", "starts", &d))
        .collect();
    for child in children {
        testing::passed(&child.wait_with_output().unwrap());
    }
    assert_eq!(fs::read_to_string(d.path.join("log")).unwrap(), "made\n");
}

#[test]
fn a_holder_that_is_killed_frees_the_lock_though_its_child_lives_on() {
    const TEST: &str = "a_holder_that_is_killed_frees_the_lock_though_its_child_lives_on";
    if let Some(dir) = playing("holds") {
        let _ = obtain(&cache(&dir, 0), &mut || {
            // It reads from a pipe without a writer's data, until the test's own process closes the pipe.
            let child = std::process::Command::new("/bin/cat").stdout(Stdio::null()).spawn();
            println!("\nholding");
            child.unwrap().wait().unwrap();
            refused()
        });
        return;
    }
    let d = Directory::new();
    let mut holder = again(TEST, "holds", &d);
    let output = BufReader::new(holder.stdout.take().unwrap());
    assert!(output.lines().any(|line| line.unwrap() == "holding"));

    let (same, other) = (key("a"), key("b"));
    let cache = cache(&d.path, 0);
    let busy = cache.made(&wanted(&same), Instant::now(), &mut never).unwrap_err();
    assert_eq!(busy.class, Class::Busy);
    let expected = format!("process {} is making the same session, waited 0 s", holder.id());
    assert_eq!(busy.what, expected);
    cache.made(&wanted(&other), Instant::now(), &mut || Ok(session("b", HOUR))).unwrap();

    let open_pipe = holder.stdin.take();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(obtain(&cache, &mut || Ok(session("next", HOUR))).unwrap(), "next");
    drop(open_pipe);
}

#[test]
fn while_one_renews_the_others_get_the_old_one_at_once() {
    let d = Directory::new();
    obtain(&cache(&d.path, 0), &mut || Ok(session("old", HOUR))).unwrap();
    let due = HOUR - 10;
    std::thread::scope(|scope| {
        let (started, has_started) = mpsc::channel();
        let (go_on, may_go_on) = mpsc::channel();
        let path = &d.path;
        let renewing = scope.spawn(move || {
            obtain(&cache(path, due), &mut || {
                started.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok(session("new", due + HOUR))
            })
        });
        has_started.recv().unwrap();
        for _ in 0..3 {
            assert_eq!(obtain(&cache(&d.path, due), &mut never).unwrap(), "old");
        }
        go_on.send(()).unwrap();
        assert_eq!(renewing.join().unwrap().unwrap(), "new");
    });
    assert_eq!(obtain(&cache(&d.path, due), &mut never).unwrap(), "new");
}

#[test]
fn after_a_failed_try_everybody_gets_the_old_one_for_a_minute() {
    let d = Directory::new();
    obtain(&cache(&d.path, 0), &mut || Ok(session("old", HOUR))).unwrap();
    let due = HOUR - 100;
    let count = Cell::new(0);
    let mut fails = || {
        count.set(count.get() + 1);
        refused()
    };
    for (time, expected) in [(due, 1), (due + 1, 1), (due + 59, 1), (due + 60, 2), (due + 99, 2)] {
        assert_eq!(obtain(&cache(&d.path, time), &mut fails).unwrap(), "old");
        assert_eq!(count.get(), expected, "at {time}");
    }
    assert_eq!(obtain(&cache(&d.path, HOUR), &mut fails).unwrap_err().what, "AWS refused");
    assert_eq!(count.get(), 3);
}

#[test]
fn during_a_prompt_the_lock_is_free_and_nothing_has_failed() {
    let d = Directory::new();
    let key = key("a");
    let unasked = |time, old: bool| {
        let cache = cache(&d.path, time);
        let asks = cache.obtain(&wanted(&key), long(), &mut |_| Err(MintError::NeedsCode));
        assert!(matches!(asks, Err(MintError::NeedsCode)), "{asks:?}");
        assert_eq!(cache.list().len(), usize::from(old));
    };
    unasked(0, false);
    assert_eq!(obtain(&cache(&d.path, 0), &mut || Ok(session("old", HOUR))).unwrap(), "old");
    // Who comes back with the answer finds what was made meanwhile.
    assert_eq!(obtain(&cache(&d.path, 1), &mut never).unwrap(), "old");
    let due = HOUR - 10;
    unasked(due, true);
    // The one who renews does so at once: nothing has failed within the last minute.
    let renew = &mut || Ok(session("new", due + HOUR));
    assert_eq!(obtain(&cache(&d.path, due), renew).unwrap(), "new");
}

#[test]
fn one_has_the_turn_and_others_wait_for_a_while_only() {
    let d = Directory::new();
    let (one, two) = (cache(&d.path, 0), cache(&d.path, 0));
    let held = one.program_lock(&key("a"), Duration::ZERO).unwrap();
    assert!(two.program_lock(&key("a"), Duration::from_millis(1)).is_none());
    assert!(two.program_lock(&key("b"), Duration::ZERO).is_some());
    // It is no session's lock.
    assert_eq!(obtain(&two, &mut || Ok(session("one", HOUR))).unwrap(), "one");
    drop(held);
    assert!(two.program_lock(&key("a"), Duration::from_secs(45)).is_some());
    assert!(cache_of(None, [1; 16], 0).program_lock(&key("a"), Duration::ZERO).is_none());
}

#[test]
fn refreshing_serves_nothing_old_and_fails_with_the_reason() {
    let d = Directory::new();
    let cache = cache(&d.path, 0);
    obtain(&cache, &mut || Ok(session("old", HOUR))).unwrap();
    let key = key("a");
    let refresh = Wanted { not_before: Some(Timestamp(i64::MAX)), ..wanted(&key) };
    assert_eq!(cache.made(&refresh, long(), &mut refused).unwrap_err().what, "AWS refused");
    assert_eq!(obtain(&cache, &mut never).unwrap(), "old");
    cache.made(&refresh, long(), &mut || Ok(session("new", HOUR))).unwrap();
    assert_eq!(obtain(&cache, &mut never).unwrap(), "new");
}

#[test]
fn the_least_time_left_can_be_asked_for() {
    let d = Directory::new();
    obtain(&cache(&d.path, 0), &mut || Ok(session("old", HOUR))).unwrap();
    let key = key("a");
    let least = Wanted { min_left: Some(Duration::from_secs(3000)), ..wanted(&key) };
    cache(&d.path, 600).made(&least, long(), &mut never).unwrap();
    let made =
        cache(&d.path, 601).made(&least, long(), &mut || Ok(session("new", 601 + HOUR))).unwrap();
    assert_eq!(token(&made.credentials), "new");
}

#[test]
fn a_damaged_file_is_a_miss() {
    let d = Directory::new();
    let cache = cache(&d.path, 0);
    obtain(&cache, &mut || Ok(session("0", HOUR))).unwrap();
    let (path, long_one) = (only(&d), vec![1; 100_000]);
    let whole = fs::read(&path).unwrap();
    let other = {
        let key = key("b");
        cache.made(&wanted(&key), long(), &mut || Ok(session("b", HOUR))).unwrap();
        let folder = fs::read_dir(d.path.join("sessions")).unwrap();
        let mut paths = folder.map(|entry| entry.unwrap().path());
        fs::read(paths.find(|p| *p != path && p.extension().is_none()).unwrap()).unwrap()
    };
    for (number, content) in
        [&b""[..], b"x", &whole[..100], &other, &long_one].into_iter().enumerate()
    {
        fs::write(&path, content).unwrap();
        let next = format!("{number}");
        let made = obtain(&cache, &mut || Ok(session(&next, HOUR))).unwrap();
        assert_eq!(made, next);
        assert_eq!(obtain(&cache, &mut never).unwrap(), next);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(obtain(&cache, &mut || Ok(session("beside", HOUR))).unwrap(), "beside");
}

#[test]
fn without_a_place_every_process_makes_its_own() {
    let d = Directory::new();
    let file = d.path.join("file");
    fs::write(&file, "x").unwrap();
    for dir in [None, Some(file.as_path()), Some(Path::new("/proc/none"))] {
        let cache = cache_of(dir, [1; 16], 0);
        for number in ["1", "2"] {
            assert_eq!(obtain(&cache, &mut || Ok(session(number, HOUR))).unwrap(), number);
        }
        assert_eq!((cache.list(), cache.clear("prod").unwrap()), (Vec::new(), 0));
    }
    // The lock's place is taken.
    obtain(&cache(&d.path, 0), &mut || Ok(session("old", HOUR))).unwrap();
    let path = only(&d);
    fs::remove_file(&path).unwrap();
    fs::remove_file(path.with_extension("lock")).unwrap();
    fs::create_dir(path.with_extension("lock")).unwrap();
    assert_eq!(obtain(&cache(&d.path, 0), &mut || Ok(session("new", HOUR))).unwrap(), "new");
}

#[test]
fn a_base_session_is_obtained_while_a_role_is_made() {
    let d = Directory::new();
    let cache = cache(&d.path, 0);
    let (role, base) = (key("role"), key("base"));
    let base = Wanted { kind: SessionKind::Session, ..wanted(&base) };
    let made = cache.made(&wanted(&role), long(), &mut || {
        let base = cache.made(&base, long(), &mut || Ok(session("base", HOUR)))?;
        Ok(session(&format!("role of {}", token(&base.credentials)), HOUR))
    });
    assert_eq!(token(&made.unwrap().credentials), "role of base");
    assert_eq!(cache.list().len(), 2);
}

#[test]
fn credentials_that_do_not_end_are_not_kept() {
    let d = Directory::new();
    let cache = cache(&d.path, 0);
    for _ in 0..2 {
        let long_term = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
        let mut made = Some(Credentials::long_term("AKIAIOSFODNN7EXAMPLE".to_owned(), long_term));
        let key = key("a");
        cache.made(&wanted(&key), long(), &mut || Ok(made.take().unwrap())).unwrap();
    }
    assert_eq!(cache.list(), []);
}

#[test]
fn sessions_are_listed_and_cleared_by_profile() {
    let d = Directory::new();
    let vault = cache(&d.path, 0);
    assert_eq!((vault.list(), vault.clear("prod").unwrap()), (Vec::new(), 0));
    for (profile, kind, part, ends) in [
        ("prod", SessionKind::Role, "1", HOUR),
        ("prod", SessionKind::Session, "2", 2 * HOUR),
        ("dev", SessionKind::Role, "3", 3 * HOUR),
    ] {
        let key = key(part);
        let wanted = Wanted { profile, kind, ..wanted(&key) };
        vault.made(&wanted, long(), &mut || Ok(session(part, ends))).unwrap();
    }
    let stranger = cache_of(Some(&d.path), [7; 16], 0);
    obtain(&stranger, &mut || Ok(session("another vault's", HOUR))).unwrap();
    vault.ledger("device").claim(30, Timestamp(NOON), long(), Choice::Nearest, None).unwrap();
    let folder = d.path.join("sessions");
    let left_behind = format!(".{}.tmp-1-0123456789abcdef", "a".repeat(64));
    for garbage in ["x", &"b".repeat(64), &left_behind] {
        fs::write(folder.join(garbage), "garbage").unwrap();
    }

    let shown = |listed: Vec<Listed>| -> Vec<(String, SessionKind, i64)> {
        listed.into_iter().map(|l| (l.profile, l.kind, l.expiration.0 - NOON)).collect()
    };
    assert_eq!(
        shown(vault.list()),
        [
            ("dev".to_owned(), SessionKind::Role, 3 * HOUR),
            ("prod".to_owned(), SessionKind::Session, 2 * HOUR),
            ("prod".to_owned(), SessionKind::Role, HOUR),
        ]
    );
    assert_eq!(shown(cache(&d.path, HOUR).list()).len(), 2, "one has ended");
    assert_eq!(vault.clear("nobody").unwrap(), 0);
    assert_eq!(vault.clear("prod").unwrap(), 2);
    assert_eq!(shown(vault.list()), [("dev".to_owned(), SessionKind::Role, 3 * HOUR)]);
    assert!(folder.join(&left_behind).exists());
    // Without a key all of them go: dev's, the stranger's, and what only has the name of one.
    // A failure to remove one stops no other removal, and is an error.
    let directory = folder.join("0".repeat(64));
    std::fs::create_dir(&directory).unwrap();
    let error = clear_all(&d.path).unwrap_err();
    assert_eq!(error.class, Class::NotSaved);
    let text = format!("1 of 4 sessions in {} could not be removed: ", d.path.display());
    assert!(error.what.starts_with(&text), "{error:?}");
    assert_eq!(clear_all(&d.path).unwrap_err().what.replace("1 of 1", "1 of 4"), error.what);
    std::fs::remove_dir(directory).unwrap();
    assert_eq!(clear_all(&d.path).unwrap(), 0);
    assert!(!folder.join(&left_behind).exists());
    assert!(folder.join("x").exists());
    let locks = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(locks.filter(|path| path.extension().is_some_and(|e| e == "lock")).count(), 4);
    assert_eq!(fs::read_dir(d.path.join("ledger")).unwrap().count(), 2);
}

#[test]
fn saving_a_session_removes_those_that_are_over_and_nothing_else() {
    let d = Directory::new();
    obtain(&cache(&d.path, 0), &mut || Ok(session("first", HOUR))).unwrap();
    let (folder, ledger) = (d.path.join("sessions"), d.path.join("ledger"));
    fs::create_dir(&ledger).unwrap();
    let name = |letter: &str| letter.repeat(64);
    let temporary = |letter: &str| format!(".{}.tmp-1-0123456789abcdef", name(letter));
    let of = |content: &str, age: i64, path: &Path| {
        let time = std::time::UNIX_EPOCH + Duration::from_secs((NOON - age * HOUR) as u64);
        fs::write(path, content).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        path.to_owned()
    };
    let hours = |age, path: &Path| of("x", age, path);
    let empty = |age, path: &Path| of("", age, path);
    let over = [
        hours(49, &folder.join(name("a"))),
        hours(10_000, &folder.join(name("b"))),
        hours(49, &folder.join(temporary("c"))),
        empty(49, &folder.join(format!("{}.lock", name("b")))),
    ];
    let kept = [
        hours(47, &folder.join(name("d"))),
        hours(-47, &folder.join(name("e"))),
        hours(47, &folder.join(temporary("f"))),
        empty(47, &folder.join(format!("{}.lock", name("c")))),
        hours(10_000, &folder.join(format!("{}.lock", name("a")))),
        empty(10_000, &folder.join("strange.lock")),
        hours(10_000, &folder.join("strange")),
        hours(10_000, &folder.join(name("A"))),
        hours(10_000, &ledger.join(name("a"))),
        hours(10_000, &d.path.join(name("a"))),
    ];
    // A hit only reads.
    obtain(&cache(&d.path, 0), &mut never).unwrap();
    assert!(over.iter().chain(&kept).all(|path| path.exists()));
    let other = key("another");
    let cache = cache(&d.path, 0);
    cache.made(&wanted(&other), long(), &mut || Ok(session("second", HOUR))).unwrap();
    assert!(over.iter().all(|path| !path.exists()));
    for path in &kept {
        assert!(path.exists(), "{}", path.display());
    }
}
