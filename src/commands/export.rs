//! `export`: credentials as text.

use std::path::PathBuf;

use super::context::Context;
use crate::cli::{Export, Format};
use crate::error::{Error, Result, os_text};
use crate::export::{self, Github};
use crate::file::{self, AppendFile, ReadError};
use crate::random;
use crate::report;

pub fn run(args: &Export, context: &Context) -> Result<()> {
    let profile = context.profile_name(args.profile.as_deref())?;
    // Opened first, so that no MFA code is used for credentials that cannot be written.
    let github = (args.format == Format::Github).then(|| github_env(context)).transpose()?;
    let (session, plan) = context.planned(&profile, &args.options)?;
    let credentials = session.into_credentials(&plan)?;
    let region = plan.region.as_deref();
    let variables = export::variables(&credentials, region, plan.variant.variables());
    let text = match args.format {
        Format::Env => export::env(&variables),
        Format::ExportEnv => export::export_env(&variables),
        Format::Json => export::json(&credentials),
        Format::Ini => export::ini(profile.as_str(), &credentials, region, plan.variant.settings()),
        Format::Dotenv => export::dotenv(&variables)?,
        Format::Fish => export::fish(&variables),
        Format::Powershell => export::powershell(&variables),
        Format::Docker => export::docker(&variables)?,
        Format::Github => {
            let Github { masks, lines } = export::github(&variables, delimiter)?;
            report::result(&masks)?;
            let Some((path, file)) = github else { return Ok(()) };
            return file.add(&lines).map_err(|error| {
                let path = path.display();
                Error::other(format!("cannot write to {path} (GITHUB_ENV): {}", os_text(&error)))
            });
        }
    };
    report::result(&text)
}

/// The file that GitHub Actions gives each step of a job for variables.
fn github_env(context: &Context) -> Result<(PathBuf, AppendFile)> {
    let path = context.env.get_os("GITHUB_ENV").map(PathBuf::from).ok_or_else(|| {
        Error::usage("--format github: GITHUB_ENV is not set, so this is not a GitHub Actions step")
            .hint("use another format elsewhere")
    })?;
    let shown = format!("{} (GITHUB_ENV)", path.display());
    let file = file::open_to_append(&path).map_err(|error| match error {
        ReadError::NotFound => Error::not_found(format!("no such file: {shown}")),
        ReadError::Io(error) => Error::other(format!("cannot open {shown}: {}", os_text(&error))),
        ReadError::NotRegular | ReadError::TooLarge => {
            Error::refused(format!("{shown} is not a regular file"))
        }
    })?;
    if file.world_writable {
        context.reporter.warn(format!("everybody may write {shown}"));
    }
    Ok((path, file))
}

/// 128 random bits, so that no value contains it.
fn delimiter() -> Result<String> {
    Ok(format!("vault_{:032x}", u128::from_ne_bytes(*random::bytes()?)))
}
