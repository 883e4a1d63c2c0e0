//! `import`: access keys from elsewhere, all of them in one write of the vault.

mod after;
mod source;
mod write_config;

use super::context::Context;
use super::key_slots;
use crate::cli::import::{Import, Source};
use crate::error::{Class, Error, Result};
use crate::import::plan::{self, ImportStep, plan};
use crate::import::{Content, Item};
use crate::name::ProfileName;
use crate::nearest::nearest;
use crate::report;
use crate::vault::{self, Access, Vault};

pub fn run(args: &Import, context: &Context) -> Result<()> {
    check_flags(args, context)?;
    let profile = args.profile.as_deref().map(ProfileName::new).transpose()?;
    let profile = profile.as_ref().map(ProfileName::as_str);
    let access = context.access()?;
    // A missing source is an error before a passphrase is asked for.
    let keys = source::find(args, profile, context)?;
    let mut vault = open(args, &access, context)?;
    let items = chosen(keys.decrypt(args, context)?, profile)?;
    let steps = if args.dry_run {
        plan(&items, vault.as_ref().map(Vault::payload), args.overwrite)
    } else {
        save(&items, args, &mut vault, &access, context)?
    };
    let removed = match &mut vault {
        Some(vault) if args.remove_source && !args.dry_run => {
            Some(after::remove_source(profile, vault, context)?)
        }
        _ => None,
    };
    let written = write_config::run(args, &steps, context);
    report::result(&plan::table(&steps))?;
    let config_change = written.as_ref().ok().and_then(Option::as_ref);
    if args.dry_run {
        if let Some(written) = config_change {
            written.note(context);
        }
        context.reporter.note("Nothing was changed");
    } else {
        after::note_next_steps(args, &steps, removed, config_change, context)?;
    }
    written?;
    plan::verdict(&steps)
}

/// Refuses a flag that belongs to another source, which clap cannot express.
fn check_flags(args: &Import, context: &Context) -> Result<()> {
    let only = |flag: &str, with: &str| {
        Err(Error::usage(format!("{flag} goes with {with} only")).hint("see vault import --help"))
    };
    let from = args.from;
    if args.remove_source && from != Source::Credentials {
        return only("--remove-source", "--from credentials");
    }
    if args.source_passphrase_file.is_some() && from != Source::AwsVault {
        return only("--source-passphrase-file", "--from aws-vault");
    }
    if args.dir.is_some() && !matches!(from, Source::AwsVault | Source::Pass) {
        return only("--dir", "--from aws-vault and --from pass");
    }
    let stdin = matches!(from, Source::Csv | Source::Json)
        || args.source_passphrase_file.as_ref().is_some_and(|path| path.as_os_str() == "-");
    let clash = "what is imported and what opens the vault are both wanted from stdin";
    context.may_take_stdin(stdin, clash)
}

/// The vault; `None` if it does not exist and can be made by a prompt, or is not written.
fn open<'a>(args: &Import, access: &'a Access<'a>, context: &Context) -> Result<Option<Vault<'a>>> {
    let (_, default_path) = context.vault_file()?;
    match Vault::open(access) {
        Err(error)
            if error.class == Class::NotFound
                && (args.dry_run || default_path && access.prompt.available()) =>
        {
            Ok(None)
        }
        opened => opened.map(Some),
    }
}

/// The items of this profile, or all.
fn chosen(mut items: Vec<Item>, profile: Option<&str>) -> Result<Vec<Item>> {
    let near = profile.and_then(|name| nearest(name, items.iter().map(|it| it.profile.as_str())));
    let near = near.map(str::to_owned);
    items.retain(|item| profile.is_none_or(|profile| item.profile == profile));
    for item in &mut items {
        if let (Content::Key(_), Err(error)) = (&item.content, ProfileName::new(&item.profile)) {
            item.content = Content::Failed(error.class, error.what);
        }
    }
    match (items.is_empty(), profile) {
        (false, _) => Ok(items),
        (true, Some(profile)) => {
            let what = format!("there is no key for profile \"{profile}\" to import");
            let hint = near.map(|name| format!("did you mean \"{name}\"?"));
            Err(Error { hint, ..Error::not_found(what) })
        }
        (true, None) => Err(Error::not_found("there is no key to import")),
    }
}

/// Saves all items in one write, or makes no write if nothing changes. The plan is made again on the content
/// that the write replaces.
fn save<'i, 'a>(
    items: &'i [Item],
    args: &Import,
    vault: &mut Option<Vault<'a>>,
    access: &'a Access<'a>,
    context: &Context,
) -> Result<Vec<ImportStep<'i>>> {
    let now = context.clock.now();
    let steps = plan(items, vault.as_ref().map(Vault::payload), args.overwrite);
    if !plan::writes(&steps) {
        return Ok(steps);
    }
    let Some(vault) = vault else {
        context.places.may_create(&access.path)?;
        let (mut payload, passphrase) = key_slots::first_vault(access)?;
        plan::apply(&steps, &mut payload, now);
        vault::create(access, payload, false)?;
        if args.remove_source {
            *vault = Some(Vault::open_with(access, passphrase)?);
        }
        return Ok(steps);
    };
    vault.change(|payload| {
        let steps = plan(items, Some(payload), args.overwrite);
        plan::apply(&steps, payload, now);
        Ok(steps)
    })
}
