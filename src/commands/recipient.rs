//! `recipient`: who may open the vault with a key.

use super::context::Context;
use super::key_slots;
use super::removal;
use crate::cli::key_slots::{RecipientAdd, RecipientList, RecipientRemove};
use crate::error::{Error, Result};
use crate::report;
use crate::sealed::{self, Slot};
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
    let new = news(&given, vault.payload())?;
    if new.is_empty() {
        context.reporter.note("The vault opens for all of them already; nothing was changed");
        return Ok(());
    }
    let saved = vault.change(|payload| {
        news(&given, payload)?.iter().for_each(|entry| payload.set_recipient(entry));
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

/// What of the given is not in the vault yet: those that cannot open it, and those that get a name.
/// Each is spelled as the vault has it.
fn news(given: &[RecipientEntry], payload: &Payload) -> Result<Vec<RecipientEntry>> {
    let there = payload.recipients();
    let mut news = Vec::new();
    for entry in given {
        let same = there.iter().find(|old| canonical(&old.recipient) == entry.recipient);
        let Some(name) = &entry.name else {
            news.extend(same.is_none().then(|| entry.clone()));
            continue;
        };
        let is_another = |old: &&RecipientEntry| {
            old.name.as_ref() == Some(name) && canonical(&old.recipient) != entry.recipient
        };
        if there.iter().any(|old| is_another(&old)) {
            return Err(Error::refused(format!("another recipient is called {name:?}"))
                .hint("vault recipient list shows them; take another name"));
        }
        match same {
            Some(old) if old.name.as_ref() == Some(name) => {}
            Some(old) => news.push(RecipientEntry {
                recipient: old.recipient.clone(),
                name: Some(name.clone()),
            }),
            None => news.push(entry.clone()),
        }
    }
    Ok(news)
}

fn check_name(name: &str) -> Result<()> {
    // What turns the direction of writing (Unicode's Bidi_Control) would make one name look like another.
    let turns = |c| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if name.is_empty() || name.trim() != name || name.contains(|c: char| c.is_control() || turns(c))
    {
        return Err(Error::usage("--name: a name is one line, without blanks around it"));
    }
    if name.starts_with("age1") || name.starts_with("ssh-") {
        return Err(Error::usage("--name: this begins as a recipient does"));
    }
    Ok(())
}

pub fn remove(args: &RecipientRemove, context: &Context) -> Result<()> {
    let mut vault = context.open_vault()?;
    let entry = find(&args.recipient, vault.payload())?;
    let meant = canonical(&entry.recipient);
    let rest = vault.payload().recipients().iter().any(|e| canonical(&e.recipient) != meant);
    if !rest && vault.payload().passphrases().is_empty() {
        return Err(key_slots::last_way());
    }
    key_slots::may_remove(vault.payload(), args.force, context)?;
    let opened = vault.opened_with(&meant);
    let question = match opened {
        true => format!("Remove {}, whose key opened the vault just now?", shown(&entry)),
        false => format!("Remove {}?", shown(&entry)),
    };
    removal::confirm(args.force, context.prompt, &question)?;
    let saved = key_slots::change(&mut vault, context, |payload| {
        // The one that was asked about, whoever has its name meanwhile.
        find(&entry.recipient, payload)?;
        payload.remove_recipients(|recipient| canonical(recipient) == meant);
        if payload.recipients().is_empty() && payload.passphrases().is_empty() {
            return Err(key_slots::last_way());
        }
        if !args.force {
            key_slots::refuse_who_knows_the_store(payload)?;
        }
        payload.note_known_key();
        payload.renew_keys()
    });
    if is_saved(&saved) && args.force && opened {
        context.reporter.warn("the key that opened the vault just now opens it no longer");
    }
    let done = format!("Removed {}. Old copies of the vault stay readable to it.", shown(&entry));
    key_slots::end_with_new_keys(saved, &done, true, vault.payload(), context)
}

/// The recipient that is written so, or that is called so.
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
            .hint("name the one that is meant by itself, as vault recipient list shows it")),
        // Not repeated: it may be anything.
        (None, _) => Err(Error::not_found("there is no such recipient in the vault")
            .hint("vault recipient list shows them")),
    }
}

/// A recipient as it is compared: ssh keys without their comment. What cannot be read is itself.
fn canonical(recipient: &str) -> String {
    sealed::parse_recipient(recipient).map_or_else(|_| recipient.to_owned(), |r| r.to_string())
}

/// A recipient for a line that people read.
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
            .map(|entry| serde_json::json!({ "recipient": entry.recipient, "name": entry.name }))
            .collect();
        let passphrases: Vec<_> = costs
            .iter()
            .map(|cost| {
                serde_json::json!({ "memory_kib": cost.memory_kib, "passes": cost.passes, "lanes": cost.lanes })
            })
            .collect();
        let json = serde_json::json!({ "recipients": recipients, "passphrases": passphrases });
        return report::result(&format!("{json}\n"));
    }
    let mut text = String::new();
    for entry in recipients {
        text.push_str(&entry.recipient);
        if let Some(name) = entry.name {
            text.push_str(&format!("  ({name})"));
        }
        text.push('\n');
    }
    for cost in costs {
        text.push_str(&format!(
            "passphrase (argon2id, {} MiB, {} passes, {} lanes)\n",
            cost.memory_kib / 1024,
            cost.passes,
            cost.lanes
        ));
    }
    report::result(&text)
}
