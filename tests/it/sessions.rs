//! Sessions: kept, made once for all processes, and made again when they have to be. The stand-in's
//! log is the witness.

mod age;
mod ahead;
mod caching;
mod death;
mod keys;
mod minted;
mod outage;
mod places;
pub mod together;

use crate::support::builder::{Output, Test};
use crate::support::scene;
use crate::support::standin::{Role, StandIn, World};

/// `vault exec --json` for a profile.
fn json(test: &Test, profile: &str) -> Test {
    test.command(["exec", "--json", profile])
}

/// The same, run: it goes well and says nothing.
#[track_caller]
fn quiet(test: &Test, profile: &str) -> Output {
    json(test, profile).expect_stderr("").run()
}

/// STS with the roles `deploy`, `audit` and as many more, for whoever asks.
fn sts(more: usize) -> StandIn {
    let names = ["deploy".to_owned(), "audit".to_owned()];
    let names = names.into_iter().chain((0..more).map(|number| format!("role-{number}")));
    StandIn::start(
        names.fold(World::demo(), |world, name| world.role(Role::new(&name).max_duration(43_200))),
    )
}

/// Waits until the stand-in has got so many calls: it has not answered the last one then, if it was
/// told to hang.
#[track_caller]
fn wait_for_calls(standin: &StandIn, count: usize) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while standin.calls().len() < count {
        assert!(std::time::Instant::now() < deadline, "no call {count}:\n{}", scene::log(standin));
        std::thread::yield_now();
    }
}

/// The only session file of a cache directory below the home.
#[track_caller]
fn only_session(test: &Test, cache: &str) -> std::path::PathBuf {
    let mut files = sessions(test, cache);
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

/// The session files of a cache directory below the home, without their locks.
fn sessions(test: &Test, cache: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(test.home().join(cache).join("sessions")).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_none());
    files.sort();
    files
}

/// Where the cache lies by default.
const CACHE: &str = ".cache/vault";
