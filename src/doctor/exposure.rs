//! What other processes of this user can read: unlock variables in an environment, reported by name and
//! process id without the value; and vault's own memory, if it could not be protected.

use std::path::PathBuf;

use serde_json::json;

use super::Report;
use crate::env;
use crate::error::os_text;
use crate::file;
use crate::os;

/// The most bytes of an environment that are read: more than one has.
const LIMIT: u64 = 4 << 20;
/// The most ancestors that are checked: more than a process has.
const ANCESTORS: usize = 64;

/// Checks this process, which wipes its environment, and its ancestors.
pub fn check(report: &mut Report) {
    let own = secrets_of("self");
    match own.is_empty() {
        true => report.ok("environ.own", "vault's own environment shows no key and no passphrase"),
        false => report
            .problem("environ.own", format!("vault's own environment shows {}", own.join(", "))),
    };
    let mut pid = parent_of("self");
    for _ in 0..ANCESTORS {
        let Some((number, name)) = pid.filter(|(number, _)| *number > 0) else { return };
        for variable in secrets_of(&number.to_string()) {
            report
                .note(
                    "environ.ancestor",
                    format!("{variable} is in the environment of process {number} ({name})"),
                )
                .advise("every process of this user can read it there; use a key file instead")
                .with(json!({ "variable": variable, "pid": number }));
        }
        pid = parent_of(&number.to_string());
    }
}

/// Checks that other processes cannot read vault's memory, and that no core file contains it.
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

/// The secret unlock variables that are set, as the kernel shows them. None if it shows nothing, since then
/// other processes see nothing either.
fn secrets_of(pid: &str) -> Vec<&'static str> {
    let path = PathBuf::from(format!("/proc/{pid}/environ"));
    let Ok((bytes, _)) = file::read_stream(&path, LIMIT) else { return Vec::new() };
    let secret = |name: &&&str| {
        bytes.split(|byte| *byte == 0).any(|entry| {
            let value = entry.strip_prefix(name.as_bytes()).and_then(|e| e.strip_prefix(b"="));
            value.is_some_and(|value| !value.is_empty())
        })
    };
    // The others name files.
    let secrets = env::UNLOCK.iter().filter(|name| !name.ends_with("_FILE"));
    secrets.filter(secret).copied().collect()
}

/// The parent's process id and name.
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
