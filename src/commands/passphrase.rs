//! `passphrase`: the passphrase that opens the vault.

use super::context::Context;
use super::key_slots;
use super::removal;
use crate::cli::key_slots::{PassphraseRemove, PassphraseSet};
use crate::error::{Error, Result};
use crate::unlock;
use crate::vault::{Payload, is_saved};

pub fn set(args: &PassphraseSet, context: &Context) -> Result<()> {
    let from_stdin = args.new_passphrase_file.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let clash = "the new passphrase and what opens the vault are both wanted from stdin";
    context.may_take_stdin(from_stdin, clash)?;
    if args.new_passphrase_file.is_none() {
        key_slots::may_ask_new_passphrase(context.prompt, ANOTHER_WAY)?;
    }
    let mut vault = context.open_vault()?;
    key_slots::warn_of_cost(args.passphrase_memory, context.reporter);
    let passphrase = match &args.new_passphrase_file {
        Some(path) => unlock::new_passphrase_file(path, context.env, context.reporter)?,
        None => {
            vault.check_writable()?;
            key_slots::ask_new_passphrase(context.prompt, ANOTHER_WAY)?
        }
    };
    let slot = key_slots::slot(&passphrase, args.passphrase_memory, vault.access())?;
    let (mut replaced, mut before) = (false, Vec::new());
    let saved = key_slots::change(&mut vault, context, |payload| {
        (replaced, before) = (has_one(payload), payload.slot_names());
        payload.set_passphrase(Some(&slot));
        payload.note_known_key();
        if replaced { payload.renew_keys() } else { Ok(()) }
    });
    if is_saved(&saved) {
        lock(&before, context);
    }
    if replaced {
        let done = "The new passphrase opens the vault now, the old one no longer. Old copies of the \
                    vault stay readable with the old one.";
        return key_slots::end_with_new_keys(saved, done, true, vault.payload(), context);
    }
    if is_saved(&saved) {
        context.reporter.note("The passphrase opens the vault now");
    }
    saved
}

const ANOTHER_WAY: &str = "give it by --new-passphrase-file FILE; - is stdin";

pub fn remove(args: &PassphraseRemove, context: &Context) -> Result<()> {
    let mut vault = context.open_vault()?;
    check_removable(vault.payload())?;
    key_slots::may_remove(vault.payload(), args.force, context)?;
    let opened = vault.opened_by_passphrase();
    let question = match opened {
        true => "Remove the passphrase, which opened the vault just now?",
        false => "Remove the passphrase?",
    };
    removal::confirm(args.force, context.prompt, question)?;
    let mut before = Vec::new();
    let saved = key_slots::change(&mut vault, context, |payload| {
        check_removable(payload)?;
        before = payload.slot_names();
        if !args.force {
            key_slots::refuse_who_knows_the_store(payload)?;
        }
        payload.set_passphrase(None);
        payload.note_known_key();
        payload.renew_keys()
    });
    if is_saved(&saved) {
        lock(&before, context);
    }
    let done = "Removed the passphrase. Old copies of the vault stay readable with it.";
    key_slots::end_with_new_keys(saved, done, true, vault.payload(), context)
}

/// What an old passphrase opened is of no use to the new vault, but it is to old copies.
fn lock(slots: &[String], context: &Context) {
    if let Err(error) = unlock::keyring::forget(slots.iter().map(String::as_str)) {
        context.reporter.debug(error.what);
    }
}

fn has_one(payload: &Payload) -> bool {
    !payload.passphrases().is_empty()
}

fn check_removable(payload: &Payload) -> Result<()> {
    if !has_one(payload) {
        return Err(Error::not_found("the vault has no passphrase"));
    }
    if payload.recipients().is_empty() {
        return Err(key_slots::last_way().hint("give it another one first: vault recipient add"));
    }
    Ok(())
}
