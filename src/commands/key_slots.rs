//! What the commands share that make and change the key slots of a vault.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::stdin::STDIN_LIMIT;
use super::work_tree;
use crate::error::{Error, Result};
use crate::file;
use crate::os;
use crate::process::shell_word;
use crate::prompt::Prompt;
use crate::provider::OldKeys;
use crate::report;
use crate::reporter::Reporter;
use crate::sealed::{self, Cost, DEFAULT_MAX_MEMORY, Slot};
use crate::secret::Secret;
use crate::unlock::keyring;
use crate::vault::{Access, PassphraseEntry, Payload, RecipientEntry, Vault, is_saved};

/// The default memory for one try of a passphrase, in MiB.
const DEFAULT_MEMORY: u32 = 64;

/// A passphrase with fewer characters causes a warning.
const SHORT: usize = 12;

/// The largest recipients file, in bytes.
const RECIPIENTS_LIMIT: u64 = 64 * 1024;

/// The recipients of the command line and of files, checked and without duplicates. `-` is stdin.
pub fn recipients(
    words: &[String],
    files: &[PathBuf],
    context: &Context,
) -> Result<Vec<RecipientEntry>> {
    let given = words.iter().map(|text| sealed::parse_recipient(text.trim()));
    let mut recipients = given.collect::<Result<Vec<_>>>()?;
    for path in files {
        let (shown, stdin) = (path.display(), path.as_os_str() == "-");
        let clash = "the recipients and what opens the vault are both wanted from stdin";
        context.may_take_stdin(stdin, clash)?;
        let read = match stdin {
            true => file::read_fd(os::stdin_fd(), RECIPIENTS_LIMIT),
            false => file::read_stream(path, RECIPIENTS_LIMIT),
        };
        let (bytes, _) = read.map_err(|error| {
            let what = format_args!("the recipients file {shown}");
            Error::usage(error.message(what, RECIPIENTS_LIMIT))
        })?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::usage(format!("the recipients file {shown} is not text")))?;
        let mut left_out = |line: usize, why: &str| {
            context
                .reporter
                .warn(format!("line {line} of the recipients file {shown} is left out: {why}"));
        };
        recipients.extend(sealed::parse_recipients_file(text, &mut left_out)?);
    }
    let mut seen = BTreeSet::new();
    let texts = recipients.iter().map(ToString::to_string);
    let texts = texts.filter(|text| seen.insert(text.clone()));
    Ok(texts.map(|recipient| RecipientEntry { recipient, name: None }).collect())
}

/// A new slot for a passphrase, with a warning if the passphrase is short. `memory` is in MiB.
pub fn slot(passphrase: &Secret, memory: u32, access: &Access) -> Result<PassphraseEntry> {
    if passphrase.expose().chars().count() < SHORT {
        access.reporter.warn(format!(
            "the passphrase is weak, since it has fewer than {SHORT} characters: anyone who gets \
             a copy of the vault can guess it. Choose another: vault passphrase set{}",
            access.flag()
        ));
    }
    let cost = Cost { memory_kib: memory * 1024, ..Cost::default() };
    let (slot, public) = Slot::create(passphrase, cost, &access.derivation_queue)?;
    Ok(PassphraseEntry { public, stanza: slot.to_text() })
}

/// The content of a user's first vault, and its new passphrase.
pub fn first_vault(access: &Access) -> Result<(Payload, Secret)> {
    access.reporter.note(format!("There is no vault yet; making {}", access.path.display()));
    work_tree::note_ignored_files(&access.path, None, access.env, access.reporter);
    let passphrase = ask_new_passphrase(access.prompt, "make one with vault init")?;
    let slot = slot(&passphrase, DEFAULT_MEMORY, access)?;
    let recipients =
        access.identity_file.as_deref().map_or_else(|| Ok(Vec::new()), recipients_of)?;
    Ok((Payload::new(&recipients, &[slot])?, passphrase))
}

/// The recipients of the default identity file, which is to open the vault as well.
fn recipients_of(identity_file: &Path) -> Result<Vec<RecipientEntry>> {
    let read = file::read_regular(identity_file, STDIN_LIMIT).ok();
    let text = read.and_then(|(mut bytes, _)| Secret::from_utf8(std::mem::take(&mut *bytes)));
    let Some(text) = text else { return Ok(Vec::new()) };
    let shown = identity_file.display().to_string();
    let identities = sealed::parse_identities(&text, &shown)?;
    if identities.iter().any(sealed::Identity::is_file) {
        let what = format!(
            "cannot read the public key of {shown}: the file is encrypted with a passphrase"
        );
        return Err(Error::usage(what).hint("make the vault with vault init --passphrase -r age1…"));
    }
    Ok(identities
        .iter()
        .filter_map(sealed::Identity::recipient)
        .map(|recipient| RecipientEntry { recipient: recipient.to_string(), name: None })
        .collect())
}

pub fn warn_of_cost(memory: u32, reporter: Reporter) {
    if memory > DEFAULT_MEMORY {
        reporter.warn(format!(
            "each unlocking by passphrase takes {memory} MiB: a container with less memory is killed while it tries"
        ));
    }
    if memory > DEFAULT_MAX_MEMORY {
        reporter.warn(format!(
            "more than {DEFAULT_MAX_MEMORY} MiB are not accepted unasked: other machines open the vault by this \
             passphrase with --max-passphrase-memory {memory} or \
             AWS_VAULT_MAX_PASSPHRASE_MEMORY={memory}, the first time at least"
        ));
    }
}

/// Asks twice, since the input is not shown. `otherwise` is the hint if there is no terminal.
pub fn ask_new_passphrase(prompt: Prompt, otherwise: &str) -> Result<Secret> {
    may_ask_new_passphrase(prompt, otherwise)?;
    let first = prompt.hidden("Enter new passphrase for the vault: ")?;
    if first.is_empty() {
        return Err(Error::usage("the passphrase is empty"));
    }
    let again = prompt.hidden("Enter it again: ")?;
    if first.expose() != again.expose() {
        return Err(Error::usage("the two passphrases differ")
            .hint("nothing was changed; run the same command again"));
    }
    Ok(first)
}

/// Fails without a terminal, before anything is opened.
pub fn may_ask_new_passphrase(prompt: Prompt, otherwise: &str) -> Result<()> {
    if prompt.available() {
        return Ok(());
    }
    Err(Error::usage("a new passphrase is needed, and there is no terminal to ask on")
        .hint(otherwise))
}

/// Without `force`, refuses a removal while the removed user knows the key of the fleet's store: that user could
/// put a forged vault there, with the fingerprint that the other hosts accept until they have the new one.
///
/// # Errors
/// Refused (6), unless the store's key was replaced since the last change of the key slots.
pub fn refuse_known_store_key(payload: &Payload, force: bool) -> Result<()> {
    match payload.known_store_key() {
        Some((profile, id)) if !force => Err(Error::refused(format!(
            "anyone who can open the vault knows the key of the fleet's store ({id}), and could \
             put a forged vault \
             there that the other hosts take"
        ))
        .hint(format!(
            "replace it first, by vault rotate {}, or use --force",
            shell_word(profile)
        ))),
        _ => Ok(()),
    }
}

/// The same before the question. Scripts give `force` to avoid the question, so that is a warning.
///
/// # Errors
/// As [`refuse_known_store_key`].
pub fn check_removal(payload: &Payload, force: bool, context: &Context) -> Result<()> {
    refuse_known_store_key(payload, force)?;
    if let Some((profile, id)) = payload.known_store_key() {
        context.reporter.warn(format!(
            "anyone who can open the vault knows the key of the fleet's store ({id}): replace it, \
             by vault rotate {}",
            shell_word(profile)
        ));
    }
    Ok(())
}

/// The error for a removal of the last key slot.
pub fn last_key_slot() -> Error {
    Error::refused("this is the last key or passphrase of the vault")
        .hint("add another key or a passphrase first: vault recipient add, or vault passphrase set")
}

/// Changes the key slots of a vault. If that renews the vault's keys, hosts of its fleet with the old keys no
/// longer share codes with those that have the new ones, so the records of codes under the old keys are
/// closed.
pub fn change(
    vault: &mut Vault,
    context: &Context,
    mut change: impl FnMut(&mut Payload) -> Result<()>,
) -> Result<()> {
    let (mut before, mut removed_slots) = (None, Vec::new());
    let saved = vault.change(|payload| {
        (before, removed_slots) = (Some(OldKeys::of(payload)), payload.slot_names());
        change(payload)?;
        removed_slots.retain(|slot| !payload.slot_names().contains(slot));
        Ok(())
    });
    let connect = vault.access().connect.clone();
    if let Some(before) = before.filter(|_| is_saved(&saved))
        && let Err(Error { what, .. }) = before.close(vault, &connect, || context.profiles())
    {
        context.reporter.warn(format!(
            "the old records of MFA codes in the fleet's store are not closed: {what}; until a host has \
             the new vault, it may send a code that another host sends, of which AWS refuses one: accept \
             the new vault on all of them"
        ));
    }
    // An old passphrase still opens old copies of the vault, so the keyring must not.
    if is_saved(&saved)
        && let Err(error) = keyring::forget(removed_slots.iter().map(String::as_str))
    {
        context.reporter.debug(error.what);
    }
    saved
}

/// The end of a command that renewed the vault's keys. If they are saved, notes what was `done` and what is
/// to be done elsewhere. The result is the new fingerprint. `leaked`: others may have the old content.
pub fn end_with_new_keys(
    saved: Result<()>,
    done: &str,
    leaked: bool,
    payload: &Payload,
    context: &Context,
) -> Result<()> {
    if is_saved(&saved) {
        context.reporter.note(done);
        note_new_keys(payload, leaked, context.reporter);
    }
    saved?;
    report::result(&format!("{}\n", payload.pin()))
}

fn note_new_keys(payload: &Payload, leaked: bool, reporter: Reporter) {
    // Keys that no profile has are missing from the lines of the profiles.
    let unfinished = payload.rotations().flat_map(|rotation| {
        let ids = [Some(rotation.old), rotation.new].into_iter().flatten();
        ids.map(move |key| (rotation.profile.clone(), key.access_key_id))
    });
    let unfinished =
        unfinished.filter(|(_, id)| payload.profiles_of(id).is_empty()).map(|(profile, id)| {
            format!(
                "  {profile}: access key {id}, of an unfinished rotation: run \
            vault rotate --resume first"
            )
        });
    let keys: Vec<String> = payload
        .credential_names()
        .filter_map(|name| Some((name, payload.access_key_id(name)?)))
        .map(|(name, id)| format!("  {name}: access key {id}"))
        .chain(unfinished)
        .chain(payload.totp_serials().map(|serial| format!("  MFA device {serial}")))
        .collect();
    if leaked && !keys.is_empty() {
        reporter.note(
            "Replace these at AWS, since old copies of the vault contain them (keys: \
            vault rotate --all):",
        );
        keys.iter().for_each(|line| reporter.note(line));
    }
    reporter.note(format!(
        "The fingerprint has changed: set AWS_VAULT_PIN to {pin}; on other machines run vault pin \
         --accept {pin}",
        pin = payload.pin()
    ));
}
