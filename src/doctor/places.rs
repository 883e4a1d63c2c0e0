//! The cache and state directories: what names them, whether they can be used, and held locks; and free space,
//! also for the vault.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Host, Mark, Report};
use crate::error::os_text;
use crate::{file, os, session};

/// Checks both, and the room beside the vault. Returns the cache directory, if there is one.
pub fn check(host: &Host, vault: Option<&Path>, report: &mut Report) -> Option<PathBuf> {
    for closed in host.places.closed() {
        report
            .note(
                "home.closed",
                format!(
                    "{} may not be entered: default files in it count as missing",
                    closed.display()
                ),
            )
            .advise("set HOME to a directory of this user's own, or let this user enter it")
            .with(json!({ "path": closed }));
    }
    let cache = host.places.cache_dir(host.cache_flag, host.env);
    let cache = match report.value_of("cache.directory", cache) {
        Some(Some((dir, by))) => {
            directory("cache.directory", &dir, by, report);
            room("cache.space", &dir, report);
            Some(dir)
        }
        Some(None) => {
            report
                .problem("cache.directory", "there is no directory for sessions and MFA codes")
                .advise("name one with --cache-dir or AWS_VAULT_CACHE_DIR");
            None
        }
        None => None,
    };
    for (what, path, holder) in cache.iter().flat_map(|dir| session::locks_held(dir)) {
        report
            .note("cache.lock", format!("{holder} holds the lock of {what}"))
            .with(json!({ "path": path, "pid": holder.pid }));
    }
    match report.value_of("state.directory", host.state.clone()) {
        Some(Some((dir, _))) => {
            let default = match host.places.state_dir() {
                Some(_) => "the default",
                None => "no writable home",
            };
            let by = host.places.state_by().unwrap_or(default);
            directory("state.directory", &dir, by, report);
            room("state.space", &dir, report);
        }
        Some(None) => {
            report
                .note("state.directory", "there is no directory to remember fingerprints")
                .advise("name one by XDG_STATE_HOME, or pin the vault by AWS_VAULT_PIN");
        }
        None => {}
    }
    if let Some(dir) = vault.and_then(|path| file::resolve(path).ok()?.parent().map(Path::to_owned))
    {
        room("vault.space", &dir, report);
    }
    cache
}

/// With less free space a write may fail: each makes a new file beside the old one.
const LEAST: u64 = 64 * 1024;
/// With less a write may fail soon.
const LITTLE: u64 = 16 * 1024 * 1024;

/// Checks the free space of a directory. A file system that does not count it is skipped.
fn room(check: &'static str, dir: &Path, report: &mut Report) {
    let there = dir.ancestors().find_map(|ancestor| os::free_space(ancestor).ok());
    let Some((bytes, files)) = there else { return };
    let (mark, text) = match (bytes, files) {
        (_, Some(0)) => (Mark::Problem, "no file can be made".to_owned()),
        (None, _) => return,
        (Some(bytes), _) if bytes < LEAST => (Mark::Problem, format!("{} KiB free", bytes >> 10)),
        (Some(bytes), _) if bytes < LITTLE => (Mark::Note, format!("{} KiB free", bytes >> 10)),
        (Some(bytes), _) => (Mark::Ok, format!("{} MiB free", bytes >> 20)),
    };
    let text = format!("{}: {text} on its file system", dir.display());
    let finding = report.add(check, mark, text);
    if mark == Mark::Problem {
        finding.advise("make room: what is new is not saved");
    }
    finding.with(json!({ "path": dir, "free_bytes": bytes, "free_files": files }));
}

fn directory(check: &'static str, dir: &Path, by: &str, report: &mut Report) {
    let shown = dir.display();
    let facts = |usable: bool| json!({ "path": dir, "by": by, "usable": usable });
    if let Err(why) = usable(dir) {
        report
            .problem(check, format!("{shown} ({by}) cannot be used: {why}"))
            .advise("make it writable, or name another")
            .with(facts(false));
        return;
    }
    let mode = dir.metadata().map(|about| about.mode() & 0o7777).ok();
    match mode {
        Some(mode) if mode & 0o022 != 0 => {
            let text = format!("{shown} ({by}) can be written by others, mode {mode:04o}");
            report.problem(check, text).advise(format!("chmod 700 {shown}")).with(facts(true));
        }
        _ => {
            let there = if mode.is_some() { "" } else { ", not created yet" };
            report.ok(check, format!("{shown} ({by}){there}")).with(facts(true));
        }
    }
}

/// Checks that files, or the directory itself, can be created.
fn usable(dir: &Path) -> Result<(), String> {
    let absolute = std::path::absolute(dir).map_err(|error| os_text(&error))?;
    for ancestor in absolute.ancestors() {
        match ancestor.metadata() {
            Ok(about) if !about.is_dir() => return Err(not_a_directory()),
            Ok(_) => return os::may_write(ancestor).map_err(|error| os_text(&error)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(os_text(&error)),
        }
    }
    Ok(())
}

fn not_a_directory() -> String {
    os_text(&std::io::Error::from_raw_os_error(libc::ENOTDIR))
}
