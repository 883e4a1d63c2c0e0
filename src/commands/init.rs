//! `init`: makes a vault.

use std::path::Path;

use super::context::Context;
use super::key_slots;
use super::work_tree;
use crate::cli::Init;
use crate::error::{Class, Error, Result, os_text};
use crate::file;
use crate::report;
use crate::sealed;
use crate::unlock;
use crate::vault::{self, Payload, RecipientEntry, is_saved};

pub fn run(args: &Init, context: &Context) -> Result<()> {
    let access = context.access()?;
    let mut recipients = key_slots::recipients(&args.recipient, &args.recipients_file, context)?;
    if recipients.is_empty() && !args.passphrase && args.generate_identity.is_none() {
        return Err(Error::usage("nothing could open this vault: it has no recipient and no \
                                 passphrase").hint(
            "vault init --generate-identity ~/.config/vault/identity.txt, or -r age1…, or --passphrase",
        ));
    }
    refuse_existing(args, &access.path, context)?;

    let mut passphrases = Vec::new();
    if args.passphrase {
        key_slots::warn_of_cost(args.passphrase_memory, context.reporter);
        let passphrase =
            match unlock::new_passphrase(&context.named, &context.env, context.reporter)? {
                Some(passphrase) => passphrase,
                None => key_slots::ask_new_passphrase(
                    context.prompt,
                    "give it with --passphrase-file FILE or AWS_VAULT_PASSPHRASE",
                )?,
            };
        passphrases.push(key_slots::slot(&passphrase, args.passphrase_memory, &access)?);
    }

    let identity = args.generate_identity.as_deref();
    let public_key = identity.map(|path| write_identity(path, context)).transpose()?;
    recipients.extend(public_key.clone().map(|recipient| RecipientEntry { recipient, name: None }));
    let payload = Payload::new(&recipients, &passphrases)?;
    let pin = payload.pin();
    let saved = vault::create(&access, payload, args.armor);
    if let (Err(error), Some(path)) = (&saved, identity)
        && error.class != Class::NotDurable
    {
        // No vault was made for this key, and the user may try again with the same name.
        let _ = std::fs::remove_file(path);
    }
    if saved.is_ok() || public_key.is_some() && is_saved(&saved) {
        context
            .reporter
            .note(format!("Made the vault {}, fingerprint {pin}", access.path.display()));
        if let Some(path) = identity {
            note_key(path, recipients.len() == 1 && passphrases.is_empty(), context);
        }
        work_tree::note_ignored_files(&access.path, identity, &context.env, context.reporter);
        if recipients.is_empty() {
            context.reporter.note(format!(
                "Only a passphrase opens the vault; age -d cannot read it, fixtures/open_vault.py \
                 can. To add a key: vault recipient add age1…{}",
                access.flag()
            ));
        }
    }
    saved?;
    match public_key {
        Some(public) => report::result(&format!("{public}\n")),
        None => Ok(()),
    }
}

/// Says where the new key is. `only`: nothing else opens the vault.
fn note_key(path: &Path, only: bool, context: &Context) {
    let (path, copy) = (path.display(), "keep a copy of that file elsewhere");
    context.reporter.note(match only {
        true => format!(
            "The only key that opens the vault is in {path}: {copy}; without it the vault cannot be opened"
        ),
        false => format!("The new key is in {path}: {copy}"),
    });
}

/// Checks, before a passphrase is asked for, that neither the vault nor the key exists and both may be made.
fn refuse_existing(args: &Init, vault: &Path, context: &Context) -> Result<()> {
    refuse_existing_file(vault, "is there already; nothing was changed")?;
    context.places.may_create(vault)?;
    if let Some(path) = &args.generate_identity {
        if path.as_os_str() == "-" {
            return Err(Error::usage("--generate-identity needs the name of a file")
                .hint("vault init --generate-identity ~/.config/vault/identity.txt"));
        }
        context.places.may_create(path)?;
        refuse_existing_file(
            path,
            "is there already, and a key is never overwritten; nothing was changed",
        )
        .map_err(|error| {
            error.hint(
                "a vault for the key in it: vault init -r and its public key, age1…, which is \
                 in the file",
            )
        })?;
    }
    Ok(())
}

fn refuse_existing_file(path: &Path, why: &str) -> Result<()> {
    match path.symlink_metadata() {
        Ok(_) => Err(Error::refused(format!("{} {why}", path.display()))),
        // Any other error comes when the file is made, which never overwrites one.
        Err(_) => Ok(()),
    }
}

/// Writes a new key into a file, in age-keygen's format; gives its public key.
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
