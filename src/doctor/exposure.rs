//! What other processes of this user can read: unlock variables in an environment, of which names and
//! process ids are told, never a value; and vault's own memory, where it could not be closed.

use std::path::PathBuf;

use serde_json::json;

use super::Report;
use crate::env;
use crate::error::os_text;
use crate::file;
use crate::os;

/// More than an environment may have (128 KiB a string, and few of them).
const LIMIT: u64 = 4 << 20;
/// More ancestors than anybody has.
const ANCESTORS: usize = 64;

/// This process, which wipes its own, and those that it came from.
pub fn check(report: &mut Report) {
    let own = secrets_of("self");
    match own.is_empty() {
        true => report.ok("environ.own", "vault's own environment shows no key and no passphrase"),
        false => report.problem("environ.own", format!("vault's own shows {}", own.join(", "))),
    };
    let mut pid = parent_of("self");
    for _ in 0..ANCESTORS {
        let Some((number, name)) = pid.filter(|(number, _)| *number > 0) else { return };
        for variable in secrets_of(&number.to_string()) {
            report
                .note(
                    "environ.ancestor",
                    format!("{variable} stands in the environment of process {number} ({name})"),
                )
                .advise("every process of this user can read it there; a key file shows nothing")
                .with(json!({ "variable": variable, "pid": number }));
        }
        pid = parent_of(&number.to_string());
    }
}

/// Whether vault's memory is closed to other processes and kept out of core files.
pub fn memory(limits: &os::SavedLimit, report: &mut Report) {
    let mut refused = limits.refused().peekable();
    if refused.peek().is_none() {
        let text = "no other process of this user can read vault's memory, and no core file has it";
        report.ok("process.memory", text);
    }
    for os::Refused { call, error, effect } in refused {
        report
            .problem("process.memory", format!("{effect}: {call} failed: {}", os_text(&error)))
            .advise("allow the call, in a container by its seccomp profile")
            .with(json!({ "call": call }));
    }
}

/// The unlock variables with something in them that is a secret, as the kernel shows them. None, where
/// it shows nothing: then it shows others nothing.
fn secrets_of(pid: &str) -> Vec<&'static str> {
    let path = PathBuf::from(format!("/proc/{pid}/environ"));
    let Ok((bytes, _)) = file::read_stream(&path, LIMIT) else { return Vec::new() };
    let secret = |name: &&&str| {
        bytes.split(|byte| *byte == 0).any(|entry| {
            let value = entry.strip_prefix(name.as_bytes()).and_then(|e| e.strip_prefix(b"="));
            value.is_some_and(|value| !value.is_empty())
        })
    };
    // The others only name files.
    let secrets = env::UNLOCK.iter().filter(|name| !name.ends_with("_FILE"));
    secrets.filter(secret).copied().collect()
}

/// The parent's id, and its name.
fn parent_of(pid: &str) -> Option<(u32, String)> {
    let field = |pid: &str, name: &str| {
        let text = std::fs::read(format!("/proc/{pid}/status")).ok()?;
        let text = String::from_utf8_lossy(&text).into_owned();
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(value.trim().to_owned())
    };
    let parent = field(pid, "PPid:")?.parse().ok()?;
    Some((parent, field(&u32::to_string(&parent), "Name:").unwrap_or_default()))
}
