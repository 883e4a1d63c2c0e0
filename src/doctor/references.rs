//! What a profile names on this host: whether files can be read, and programs started. Nothing is started.

use std::fs::File;
use std::path::Path;

use super::{Host, Report};
use crate::aws::check_bundle;
use crate::error::{Error, os_text};
use crate::process::{self, Program, words};
use crate::profile::{self, Profiles};

/// What a shell runs itself, without a program.
const BUILT_IN: [&str; 29] = [
    "!", ".", ":", "[", "alias", "case", "cd", "command", "echo", "eval", "exec", "export",
    "false", "for", "hash", "if", "local", "printf", "read", "readonly", "set", "shift", "test",
    "trap", "true", "umask", "unset", "until", "while",
];

/// Characters that only a shell interprets.
const SHELL: &str = "$`(){};&|<>*?[~=";

/// Checks the files and programs that a profile's own section names. What another profile's check has reported
/// is not reported again.
pub fn check(host: &Host, profiles: &Profiles, name: &str, report: &mut Report) {
    let mut say = |check, fault: Option<Error>| {
        if let Some(fault) = fault.filter(|fault| !report.has_text(&fault.what)) {
            report.error(check, &fault);
        }
    };
    let named = |key| Some((profiles.get(name, key)?, profile::key_of(key, name)));
    let bundle = match host.env.get_os("AWS_CA_BUNDLE") {
        Some(path) => Some((Path::new(path), "AWS_CA_BUNDLE".to_owned())),
        None => named("ca_bundle").map(|(path, by)| (Path::new(path), by)),
    };
    if let Some((path, by)) = bundle {
        let fault = check_bundle(path, host.env).err();
        let of = |fault: Error| Error { what: format!("{by}: {}", fault.what), ..fault };
        say("aws.bundle", fault.map(of));
    }
    if let Some((path, by)) = named("web_identity_token_file") {
        say("aws.identity", token(Path::new(path), &by));
    }
    for key in ["credential_process", "mfa_process", "web_identity_token_process"] {
        if let Some((command, by)) = named(key) {
            say("aws.process", program(host, command, &by));
        }
    }
}

/// Why a token's file gives none. A pipe is not opened: it can be read only once.
fn token(path: &Path, by: &str) -> Option<Error> {
    let why = match path.metadata() {
        Ok(about) if about.is_file() => os_text(&File::open(path).err()?),
        Ok(about) if about.is_dir() => "a directory".to_owned(),
        Ok(_) => return None,
        Err(error) => os_text(&error),
    };
    let shown = path.display();
    Some(
        Error::other(format!("cannot read the web identity token {shown} ({by}): {why}"))
            .hint("name the file that the issuer of the token writes"),
    )
}

/// Why a command gives nothing, if its words tell.
fn program(host: &Host, command: &str, by: &str) -> Option<Error> {
    let Some(words) = words(command) else {
        return Some(
            Error::other(format!("{by} has a quote without an end")).hint("close it, or remove it"),
        );
    };
    let first = words.first()?;
    if first.contains(|c| SHELL.contains(c)) || BUILT_IN.contains(&first.as_str()) {
        return None;
    }
    let found = process::find(first, host.env.get_os("PATH"));
    if found == Program::Missing {
        return Some(match Path::new(first).metadata() {
            Ok(about) if first.contains('/') && about.is_file() => {
                Error::other(format!("{by} starts {first}, which is not executable"))
                    .hint(format!("chmod +x {first}"))
            }
            _ => Error::other(format!("{by} starts {first}, and there is no such program")).hint(
                match first.contains('/') {
                    true => "install it, or name the right path",
                    false => "install it, or name it by its absolute path: it is not on this PATH",
                },
            ),
        });
    }
    let base = first.rsplit('/').next().unwrap_or_default();
    let is_vault =
        found == Program::Ourselves || ["vault", "aws-vault", "aws-age-vault"].contains(&base);
    (is_vault && profile::is_exec_of_a_shell(&words[1..])).then(|| {
        Error::other(format!("{by} starts {base} exec without --json, which prints no credentials"))
            .hint(format!("{first} exec --json PROFILE"))
    })
}
