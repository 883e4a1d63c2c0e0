//! `init`: makes a vault.

use std::path::Path;

use super::context::Context;
use super::key_slots;
use super::work_tree;
use crate::cli::Init;
use crate::error::{Error, Result, os_text};
use crate::file;
use crate::report;
use crate::sealed;
use crate::unlock;
use crate::vault::{self, Access, Payload, Pin, RecipientEntry, is_saved};

pub fn run(args: &Init, context: &Context) -> Result<()> {
    let access = context.access()?;
    let mut recipients = key_slots::recipients(&args.recipient, &args.recipients_file, context)?;
    if recipients.is_empty() && !args.passphrase && args.generate_identity.is_none() {
        return Err(Error::usage("nobody could open this vault: no recipient and no passphrase").hint(
            "vault init --generate-identity ~/.config/vault/identity.txt, or -r age1…, or --passphrase",
        ));
    }
    refuse_what_is_there(args, &access.path, context)?;

    let mut passphrases = Vec::new();
    if args.passphrase {
        key_slots::warn_of_cost(args.passphrase_memory, context.reporter);
        let passphrase =
            match unlock::new_passphrase(&context.named, context.env, context.reporter)? {
                Some(passphrase) => passphrase,
                None => key_slots::ask_new_passphrase(
                    context.prompt,
                    "give it by --passphrase-file FILE or AWS_VAULT_PASSPHRASE",
                )?,
            };
        passphrases.push(key_slots::slot(&passphrase, args.passphrase_memory, &access)?);
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
    if saved.is_ok() || public_key.is_some() && is_saved(&saved) {
        tell_of_key(args, recipients.len() == 1 && passphrases.is_empty(), context);
        tell_of_vault(args, (&access, pin), only_passphrase, context);
    }
    saved?;
    match public_key {
        Some(public) => report::result(&format!("{public}\n")),
        None => Ok(()),
    }
}

/// Where the new key lies. `only`: nothing else opens the vault.
fn tell_of_key(args: &Init, only: bool, context: &Context) {
    let Some(path) = &args.generate_identity else { return };
    let (path, copy) = (path.display(), "keep a copy of that file elsewhere");
    context.reporter.note(match only {
        true => format!(
            "The only key that opens it lies in {path}: {copy}, for without it the vault is lost"
        ),
        false => format!("The new key lies in {path}: {copy}"),
    });
}

/// What was made, and what is to be seen to.
fn tell_of_vault(
    args: &Init,
    (access, pin): (&Access, Pin),
    only_passphrase: bool,
    context: &Context,
) {
    let (reporter, path) = (context.reporter, &access.path);
    reporter.note(format!("Made the vault {}, fingerprint {pin}", path.display()));
    work_tree::tell(path, args.generate_identity.as_deref(), context.env, reporter);
    if only_passphrase {
        reporter.note(format!(
            "Only the passphrase opens it: age -d cannot, fixtures/open_vault.py can. For a key beside it: \
             vault recipient add age1…{}",
            access.flag()
        ));
    }
}

/// Before anybody is asked for a passphrase: neither the vault nor the key is there, and both may be made.
fn refuse_what_is_there(args: &Init, vault: &Path, context: &Context) -> Result<()> {
    refuse_if_there(vault, "is there already; nothing was changed")?;
    context.places.may_make(vault)?;
    if let Some(path) = &args.generate_identity {
        if path.as_os_str() == "-" {
            return Err(Error::usage("--generate-identity wants the name of a file")
                .hint("vault init --generate-identity ~/.config/vault/identity.txt"));
        }
        context.places.may_make(path)?;
        refuse_if_there(
            path,
            "is there already, and a key is never overwritten; nothing was changed",
        )
        .map_err(|error| {
            error.hint("a vault for the key in it: vault init -r and its public key, age1…, which stands in the file")
        })?;
    }
    Ok(())
}

fn refuse_if_there(path: &Path, why: &str) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(_) => Err(Error::refused(format!("{} {why}", path.display()))),
        // What cannot be looked at is said where the file is made: nothing is put over another.
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
