//! `recipient`: who may open the vault with a key.

use serde_json::json;

use super::context::Context;
use super::key_slots;
use super::removal;
use crate::cli::key_slots::{RecipientAdd, RecipientList, RecipientRemove};
use crate::error::{Error, Result};
use crate::report;
use crate::sealed::{self, Cost, Slot};
use crate::vault::{Payload, RecipientEntry, is_saved};

pub fn add(args: &RecipientAdd, context: &Context) -> Result<()> {
    let mut given = key_slots::recipients(&args.recipient, &args.recipients_file, context)?;
    if given.is_empty() {
        return Err(Error::usage("no recipient is given")
            .hint("vault recipient add age1…, or an ssh public key, or -R FILE"));
    }
    if let Some(name) = &args.name {
        check_name(name)?;
        let [one] = given.as_mut_slice() else {
            return Err(Error::usage("--name is for one recipient, and these are several"));
        };
        one.name = Some(name.clone());
    }
    let mut vault = context.open_vault()?;
    let before = vault.payload().recipients();
    let new = additions(&given, vault.payload())?;
    if new.is_empty() {
        context
            .reporter
            .note("All of these recipients can open the vault already; nothing was changed");
        return Ok(());
    }
    let saved = vault.change(|payload| {
        additions(&given, payload)?.iter().for_each(|entry| payload.set_recipient(entry));
        payload.note_known_key();
        Ok(())
    });
    if is_saved(&saved) {
        for entry in &new {
            let was_there = before.iter().any(|old| old.recipient == entry.recipient);
            context.reporter.note(match &entry.name {
                Some(name) if was_there => {
                    format!("{} is called {name} now", sealed::brief(&entry.recipient))
                }
                _ => format!("{} opens the vault now", shown(entry)),
            });
        }
    }
    saved
}

/// The given recipients that are new to the vault or get another name, each spelled as in the vault.
fn additions(given: &[RecipientEntry], payload: &Payload) -> Result<Vec<RecipientEntry>> {
    let there = payload.recipients();
    let mut additions = Vec::new();
    for entry in given {
        let is_same = |old: &&RecipientEntry| canonical(&old.recipient) == entry.recipient;
        let has_its_name = |old: &RecipientEntry| old.name.is_some() && old.name == entry.name;
        if there.iter().any(|old| has_its_name(old) && !is_same(&old)) {
            let name = entry.name.as_deref().unwrap_or_default();
            return Err(Error::refused(format!("another recipient is called {name:?}"))
                .hint("vault recipient list shows them; take another name"));
        }
        match there.iter().find(is_same) {
            None => additions.push(entry.clone()),
            Some(old) if entry.name.is_some() && entry.name != old.name => {
                let recipient = old.recipient.clone();
                additions.push(RecipientEntry { recipient, name: entry.name.clone() });
            }
            Some(_) => {}
        }
    }
    Ok(additions)
}

fn check_name(name: &str) -> Result<()> {
    // Characters that change the direction of text (Unicode's Bidi_Control) make one name look like another.
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if name.is_empty() || name.trim() != name || name.contains(|c: char| c.is_control() || turns(c))
    {
        return Err(Error::usage("--name: a name is one line, without blanks around it"));
    }
    if name.starts_with("age1") || name.starts_with("ssh-") {
        return Err(Error::usage("--name: a name must not look like a recipient"));
    }
    Ok(())
}

pub fn remove(args: &RecipientRemove, context: &Context) -> Result<()> {
    let mut vault = context.open_vault()?;
    let entry = find(&args.recipient, vault.payload())?;
    let meant = canonical(&entry.recipient);
    let rest = vault.payload().recipients().iter().any(|e| canonical(&e.recipient) != meant);
    if !rest && vault.payload().passphrases().is_empty() {
        return Err(key_slots::last_key_slot());
    }
    key_slots::check_removal(vault.payload(), args.force, context)?;
    let opened = vault.opened_with(&meant);
    let question = match opened {
        true => format!("Remove {}, whose key opened the vault just now?", shown(&entry)),
        false => format!("Remove {}?", shown(&entry)),
    };
    removal::confirm(args.force, context.prompt, &question)?;
    let saved = key_slots::change(&mut vault, context, |payload| {
        // By the recipient that was confirmed: its name may be that of another one by now.
        find(&entry.recipient, payload)?;
        payload.remove_recipients(|recipient| canonical(recipient) == meant);
        if payload.recipients().is_empty() && payload.passphrases().is_empty() {
            return Err(key_slots::last_key_slot());
        }
        key_slots::refuse_known_store_key(payload, args.force)?;
        payload.note_known_key();
        payload.renew_keys()
    });
    if is_saved(&saved) && args.force && opened {
        context.reporter.warn("the key that opened the vault just now no longer opens it");
    }
    let done = format!("Removed {}. It can still open old copies of the vault.", shown(&entry));
    key_slots::end_with_new_keys(saved, &done, true, vault.payload(), context)
}

/// The recipient that is this word, or that has this name.
fn find(word: &str, payload: &Payload) -> Result<RecipientEntry> {
    let word = word.trim();
    let recipient = canonical(word);
    let mut recipients = payload.recipients();
    if let Some(at) = recipients.iter().position(|e| canonical(&e.recipient) == recipient) {
        return Ok(recipients.swap_remove(at));
    }
    recipients.retain(|entry| entry.name.as_deref() == Some(word));
    match (recipients.pop(), recipients.is_empty()) {
        (Some(entry), true) => Ok(entry),
        (Some(_), false) => Err(Error::usage("several recipients have this name")
            .hint("give the recipient (age1…, ssh-…) instead of the name: vault recipient list")),
        // The word is not shown: it may be a secret.
        (None, _) => Err(Error::not_found("there is no such recipient in the vault")
            .hint("vault recipient list shows them")),
    }
}

/// A recipient in the form in which two are compared: ssh keys without their comment. Text that is no
/// recipient stays as it is.
fn canonical(recipient: &str) -> String {
    sealed::parse_recipient(recipient).map_or_else(|_| recipient.to_owned(), |r| r.to_string())
}

/// A recipient in a message.
fn shown(entry: &RecipientEntry) -> String {
    let brief = sealed::brief(&entry.recipient);
    match &entry.name {
        Some(name) => format!("{name} ({brief})"),
        None => brief,
    }
}

pub fn list(args: &RecipientList, context: &Context) -> Result<()> {
    let vault = context.open_vault()?;
    let recipients = vault.payload().recipients();
    let costs = vault
        .payload()
        .passphrases()
        .iter()
        .map(|entry| Slot::parse(&entry.stanza).map(|slot| slot.cost()))
        .collect::<Result<Vec<_>>>()?;
    if args.json {
        let recipients: Vec<_> = recipients
            .iter()
            .map(|entry| json!({ "recipient": entry.recipient, "name": entry.name }))
            .collect();
        let passphrases: Vec<_> = costs
            .iter()
            .map(|Cost { memory_kib, passes, lanes }| json!({ "memory_kib": memory_kib, "passes": passes, "lanes": lanes }))
            .collect();
        let json = json!({ "recipients": recipients, "passphrases": passphrases });
        return report::result(&format!("{json}\n"));
    }
    let recipients = recipients.into_iter().map(|entry| match entry.name {
        Some(name) => format!("{}  ({name})\n", entry.recipient),
        None => entry.recipient + "\n",
    });
    let passphrases = costs.iter().map(|Cost { memory_kib, passes, lanes }| {
        let memory = memory_kib / 1024;
        format!("passphrase (argon2id, {memory} MiB, {passes} passes, {lanes} lanes)\n")
    });
    report::result(&recipients.chain(passphrases).collect::<String>())
}
