//! The vault file, and the parts of its content that are not secret.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{Host, Report};
use crate::error::{Class, os_text};
use crate::file::{self, ReadError};
use crate::sealed::{self, Scanned};
use crate::vault::memory::{KnownVault, Memory, Recalled};
use crate::vault::{Pin, Vault, how_to_make};

/// The name of the default vault's source.
pub const DEFAULT: &str = "the default";

/// A vault file that follows the grammar, and what this machine remembers of it.
pub struct File {
    /// The path as named.
    pub path: PathBuf,
    pub scanned: Scanned,
    /// The file itself, no link.
    pub real: PathBuf,
    /// What this machine remembers.
    known: Recalled,
}

/// Checks the file without opening the vault. With `optional` it may be missing.
pub fn file(host: &Host, optional: bool, report: &mut Report) -> Option<File> {
    let (path, by) = match host.vault.clone() {
        // There is no directory for a default vault.
        Err(error) if optional && error.class == Class::NotFound => {
            report.note("vault.file", format!("{}, and the profile needs none", error.what));
            return None;
        }
        named => report.value_of("vault.file", named)?,
    };
    let shown = path.display();
    let real = match file::resolve(&path) {
        Ok(real) => real,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return none(host, &path, by, optional, report);
        }
        Err(error) => {
            report.problem("vault.file", format!("cannot read {shown}: {}", os_text(&error)));
            return None;
        }
    };
    let (bytes, meta) = match file::read_regular(&real, sealed::FILE_LIMIT) {
        Ok(read) => read,
        Err(ReadError::NotFound) => return none(host, &path, by, optional, report),
        Err(error) => {
            report.problem("vault.file", error.message(shown, sealed::FILE_LIMIT));
            return None;
        }
    };
    let mode = meta.mode & 0o7777;
    report
        .ok("vault.file", format!("{shown} ({by}), {} bytes, mode {mode:04o}", bytes.len()))
        .with(
            json!({ "path": path, "by": by, "bytes": bytes.len(), "mode": format!("{mode:04o}") }),
        );
    writers(&path, &real, mode, report);
    let scanned = report.value_of("vault.header", sealed::scan(&bytes))?;
    header(&scanned, report);
    let known = match &host.state {
        Ok(Some((dir, _))) => {
            let known = report.value_of("vault.memory", Memory::of(dir, &path, &real).recall());
            known.unwrap_or_default()
        }
        _ => Recalled::default(),
    };
    Some(File { path, real, scanned, known })
}

/// Which users can write the vault, and what prevents writes.
fn writers(path: &Path, real: &Path, mode: u32, report: &mut Report) {
    if mode & 0o022 != 0 {
        let who = if mode & 0o002 != 0 { "everybody" } else { "its group" };
        let text = format!("{who} can write the vault");
        let finding = match mode & 0o002 {
            0 => report.note("vault.mode", text),
            _ => report.problem("vault.mode", text),
        };
        finding.advise(format!("unless that is meant, run chmod go-w {}", path.display()));
    }
    if let Some(dir) = real.parent().filter(|dir| file::is_unsafe_directory(dir)) {
        let text =
            format!("everybody can replace files in {}, so nothing is written", dir.display());
        report.problem("vault.directory", text).advise(format!("chmod o-w {}", dir.display()));
    }
    if let Some(planted) = file::planted_at(real) {
        report
            .problem("vault.lock", format!("{planted}, so nothing is written"))
            .advise(file::Planted::HINT);
    } else {
        lock(real, report);
    }
}

/// The process that is writing the vault.
fn lock(real: &Path, report: &mut Report) {
    match file::lock_holder(&file::lock_file(real)) {
        Ok(None) => {}
        Ok(Some(holder)) => {
            report
                .note("vault.lock", format!("{holder} is writing the vault"))
                .with(json!({ "pid": holder.pid }));
        }
        Err(error) => {
            let text = format!("the vault's lock cannot be read: {}", os_text(&error));
            report.note("vault.lock", text);
        }
    }
}

fn none<T>(host: &Host, path: &Path, by: &str, optional: bool, report: &mut Report) -> Option<T> {
    if let Some(location) = &host.remote {
        let text =
            format!("no copy of {location} is on this host yet: the next command fetches it");
        report.note("vault.file", text).advise("vault --pin FINGERPRINT list");
        return None;
    }
    let what = format!("no vault at {}", path.display());
    let finding = if optional && by == DEFAULT {
        report.note("vault.file", format!("{what}, and the profile needs none"))
    } else {
        let named = (by == "--vault").then_some(path);
        let advice = how_to_make(named, host.places.identity_file().as_deref());
        report.problem("vault.file", what).advise(advice)
    };
    finding.with(json!({ "path": path }));
    None
}

fn header(scanned: &Scanned, report: &mut Report) {
    let form = if scanned.armored { "text" } else { "binary" };
    let count = scanned.stanzas.len();
    report
        .ok("vault.header", format!("an age v1 file, {form}, {count} of 32 stanzas"))
        .with(json!({ "armored": scanned.armored, "stanzas": scanned.stanzas }));
    for slot in &scanned.slots {
        let cost = slot.cost();
        let (mib, passes, lanes) = (cost.memory_kib / 1024, cost.passes, cost.lanes);
        report
            .ok("vault.slot", format!("a passphrase, {mib} MiB, {passes} passes, {lanes} lanes"))
            .with(json!({ "memory_kib": cost.memory_kib, "passes": passes, "lanes": lanes }));
    }
}

/// The content of the open vault, compared to what this machine remembers.
pub fn content(file: &File, vault: &Vault, report: &mut Report) {
    let payload = vault.payload();
    let here = (payload.pin(), payload.generation());
    match file.known.named() {
        None => memory("vault.memory", None, file.known.real.as_ref(), here, report),
        Some(named) => {
            memory("vault.memory", Some(&file.real), file.known.real.as_ref(), here, report);
            memory("vault.name", Some(&file.path), Some(&named), here, report);
        }
    }
    for rotation in payload.rotations() {
        let profile = rotation.profile;
        let text = format!("the rotation of the key of profile {profile:?} is not finished");
        report.note("vault.journal", text).advise("vault rotate --resume");
    }
    for enrolment in payload.enrolments() {
        let (profile, device) = (enrolment.profile, enrolment.device);
        let text = format!("the enrolment of the device {device:?} is not finished");
        let advice = format!("vault mfa enroll {profile} --device {device}");
        report.note("vault.journal", text).advise(advice);
    }
}

/// Compares the vault to the memory of one path; `of` names the path if there are two.
fn memory(
    check: &'static str,
    of: Option<&Path>,
    known: Option<&KnownVault>,
    (pin, generation): (Pin, u64),
    report: &mut Report,
) {
    let text = format!("fingerprint {pin}, generation {generation}");
    let of = of.map(|path| format!(" of {}", path.display())).unwrap_or_default();
    let finding = match known {
        None => report.note(check, format!("{text}; this machine remembers none{of}")),
        Some(known) if !known.is(pin) => {
            report.problem(check, format!("{text}; remembered{of} is {}", known.pin)).advise(
                "if you expect this change, run vault pin --accept FINGERPRINT; if not, the \
                file may be forged",
            )
        }
        Some(known) if known.generation > generation => report
            .problem(check, format!("{text}; generation {} was seen before{of}", known.generation))
            .advise("put the newer file back"),
        Some(_) => report.ok(check, format!("{text}, as remembered{of}")),
    };
    finding.with(json!({
        "pin": pin.to_string(),
        "generation": generation,
        "remembered_pin": known.map(|known| known.pin.to_string()),
        "remembered_generation": known.map(|known| known.generation),
    }));
}
