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
        Some(path) => {
            let flag = "--new-passphrase-file";
            unlock::passphrase_file(path, flag, &context.env, context.reporter)?
        }
        None => {
            vault.check_writable()?;
            key_slots::ask_new_passphrase(context.prompt, ANOTHER_WAY)?
        }
    };
    let slot = key_slots::slot(&passphrase, args.passphrase_memory, vault.access())?;
    let mut replaced = false;
    let saved = key_slots::change(&mut vault, context, |payload| {
        replaced = has_one(payload);
        payload.set_passphrase(Some(&slot));
        payload.note_known_key();
        if replaced { payload.renew_keys() } else { Ok(()) }
    });
    if replaced {
        let done = "The passphrase is replaced. Old copies of the \
                    vault still open with the old passphrase.";
        return key_slots::end_with_new_keys(saved, done, true, vault.payload(), context);
    }
    if is_saved(&saved) {
        context.reporter.note("The passphrase opens the vault now");
    }
    saved
}

const ANOTHER_WAY: &str = "give it with --new-passphrase-file FILE; - is stdin";

pub fn remove(args: &PassphraseRemove, context: &Context) -> Result<()> {
    let mut vault = context.open_vault()?;
    check_removable(vault.payload())?;
    key_slots::check_removal(vault.payload(), args.force, context)?;
    let opened = vault.opened_by_passphrase();
    let question = match opened {
        true => "Remove the passphrase, which opened the vault just now?",
        false => "Remove the passphrase?",
    };
    removal::confirm(args.force, context.prompt, question)?;
    let saved = key_slots::change(&mut vault, context, |payload| {
        check_removable(payload)?;
        key_slots::refuse_known_store_key(payload, args.force)?;
        payload.set_passphrase(None);
        payload.note_known_key();
        payload.renew_keys()
    });
    let done = "Removed the passphrase. Old copies of the vault stay readable with it.";
    key_slots::end_with_new_keys(saved, done, true, vault.payload(), context)
}

fn has_one(payload: &Payload) -> bool {
    !payload.passphrases().is_empty()
}

fn check_removable(payload: &Payload) -> Result<()> {
    if !has_one(payload) {
        return Err(Error::not_found("the vault has no passphrase"));
    }
    if payload.recipients().is_empty() {
        return Err(key_slots::last_key_slot().hint("add a key first: vault recipient add"));
    }
    Ok(())
}
