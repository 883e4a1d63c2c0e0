//! `init`: makes a vault.

use std::path::Path;

use super::context::Context;
use crate::cli::Init;
use crate::error::{Error, Result, os_text};
use crate::file;
use crate::prompt::Prompt;
use crate::report;
use crate::sealed::{self, Cost, Slot};
use crate::secret::Secret;
use crate::unlock;
use crate::vault::{self, PassphraseEntry, Payload, RecipientEntry};

pub fn run(args: &Init, context: &Context) -> Result<()> {
    let prompt = context.prompt(None);
    let access = context.access(&prompt)?;
    let mut recipients = recipients(args)?;
    if recipients.is_empty() && !args.passphrase && args.generate_identity.is_none() {
        return Err(Error::usage("nobody could open this vault: no recipient and no passphrase").hint(
            "vault init --generate-identity ~/.config/vault/identity.txt, or -r age1…, or --passphrase",
        ));
    }
    refuse_if_there(&access.path, "is there already; nothing was changed")?;
    if let Some(path) = &args.generate_identity {
        if path.as_os_str() == "-" {
            return Err(Error::usage("--generate-identity wants the name of a file")
                .hint("vault init --generate-identity ~/.config/vault/identity.txt"));
        }
        refuse_if_there(
            path,
            "is there already, and a key is never overwritten; nothing was changed",
        )
        .map_err(|error| {
            error.hint("a vault for the key in it: vault init -r and its public key, age1…, which stands in the file")
        })?;
    }

    let cost = Cost { memory_kib: args.passphrase_memory * 1024, ..Cost::default() };
    let mut passphrases = Vec::new();
    if args.passphrase {
        if cost.memory_kib > Cost::default().memory_kib {
            context.say.warn(format!(
                "each unlocking by passphrase takes {} MiB: a container with less memory is killed while it tries",
                args.passphrase_memory
            ));
        }
        let passphrase = match unlock::new_passphrase(&context.named, context.env, context.say)? {
            Some(passphrase) => passphrase,
            None => ask_new_passphrase(&prompt)?,
        };
        passphrases.push(slot(&passphrase, cost)?);
    }

    let mut public_key = None;
    if let Some(path) = &args.generate_identity {
        let public = write_identity(path, context)?;
        recipients.push(RecipientEntry { recipient: public.clone(), name: None });
        public_key = Some(public);
    }
    let only_passphrase = recipients.is_empty();
    let payload = Payload::new(&recipients, &passphrases)?;
    let pin = payload.pin();
    let saved = vault::create(&access, payload, args.armor);
    if let (Err(error), Some(path)) = (&saved, &args.generate_identity)
        && error.class != crate::error::Class::NotDurable
    {
        // No vault knows this key, and the user may want to try again with the same name.
        let _ = std::fs::remove_file(path);
    }
    if saved.is_ok()
        || public_key.is_some()
            && saved.as_ref().is_err_and(|e| e.class == crate::error::Class::NotDurable)
    {
        context.say.note(format!("Made the vault {}, fingerprint {pin}", access.path.display()));
        if only_passphrase {
            context.say.note(
                "Only the passphrase opens it: age -d cannot, fixtures/open_vault.py can. For a key beside it: \
                 vault init --passphrase --generate-identity FILE",
            );
        }
    }
    saved?;
    match public_key {
        Some(public) => report::result(&format!("{public}\n")),
        None => Ok(()),
    }
}

/// The recipients of the flags and files, each checked, each once.
fn recipients(args: &Init) -> Result<Vec<RecipientEntry>> {
    let mut recipients = Vec::new();
    for text in &args.recipient {
        recipients.push(sealed::parse_recipient(text.trim())?);
    }
    for path in &args.recipients_file {
        let shown = path.display();
        let (bytes, _) = file::read_stream(path, 64 * 1024).map_err(|error| {
            let what = match error {
                file::ReadError::NotFound => "it is not there".to_owned(),
                file::ReadError::TooLarge => "it is over 64 KiB".to_owned(),
                file::ReadError::NotRegular => "it is not a file".to_owned(),
                file::ReadError::Io(error) => os_text(&error),
            };
            Error::usage(format!("cannot read the recipients file {shown}: {what}"))
        })?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Error::usage(format!("the recipients file {shown} is not text")))?;
        recipients.extend(sealed::parse_recipients_file(text)?);
    }
    let mut entries: Vec<RecipientEntry> = Vec::new();
    for recipient in recipients {
        let recipient = recipient.to_string();
        if entries.iter().all(|entry| entry.recipient != recipient) {
            entries.push(RecipientEntry { recipient, name: None });
        }
    }
    Ok(entries)
}

/// A new slot for a passphrase, as the payload keeps it.
pub fn slot(passphrase: &Secret, cost: Cost) -> Result<PassphraseEntry> {
    let (slot, public) = Slot::create(passphrase, cost)?;
    crate::os::wipe_stack();
    Ok(PassphraseEntry { public, stanza: slot.to_text() })
}

/// Asks twice, since nobody sees what is typed.
pub fn ask_new_passphrase(prompt: &Prompt) -> Result<Secret> {
    if !prompt.available() {
        return Err(Error::usage("a new passphrase is wanted, and there is no terminal to ask on")
            .hint("give it by --passphrase-file FILE or AWS_VAULT_PASSPHRASE"));
    }
    let first = prompt.hidden("Enter new passphrase for the vault: ")?;
    if first.is_empty() {
        return Err(Error::usage("the passphrase is empty"));
    }
    let again = prompt.hidden("Enter it again: ")?;
    if first.expose() != again.expose() {
        return Err(Error::usage("the two passphrases differ"));
    }
    Ok(first)
}

fn refuse_if_there(path: &Path, why: &str) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Err(Error::refused(format!("{} {why}", path.display()))),
        Err(_) => Ok(()),
    }
}

/// A new key in a file of its own, as age-keygen writes it; its public key.
fn write_identity(path: &Path, context: &Context) -> Result<String> {
    let (secret, public) = sealed::generate_identity();
    let text = zeroize::Zeroizing::new(format!(
        "# created: {}\n# public key: {public}\n{}\n",
        context.clock.now().to_rfc3339(),
        secret.expose()
    ));
    let shown = path.display();
    file::make_parents(path).map_err(|error| {
        Error::not_saved(format!("cannot make the directory of {shown}: {}", os_text(&error)))
    })?;
    file::create_new(path, text.as_bytes(), 0o600).map_err(|error| {
        Error::not_saved(format!("cannot write the key file {shown}: {}", os_text(&error)))
    })?;
    Ok(public)
}
