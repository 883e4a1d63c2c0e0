//! `man`: the manual pages, made from the same definition as `--help`.
//!
//! The crate roff, which clap_mangen uses, escapes neither characters outside ASCII nor those that groff
//! shows as others. So the sections that clap_mangen does not have are written as text here.

use std::fmt::Write;
use std::path::PathBuf;

use clap::{Args, Command};

use super::parse::{definition, unknown_command};
use crate::called::{self, ProgramName};
use crate::error::Result;

/// Print a manual page, or write all of them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  vault man exec | man -l -\n  vault man recipient add\n  \
    sudo vault man --dir /usr/local/share/man/man1")]
pub struct Man {
    /// The command; without one, vault(1)
    #[arg(conflicts_with = "dir")]
    pub command: Vec<String>,
    /// Write vault.1, vault-exec.1 and all others into DIR
    #[arg(long, value_name = "DIR", overrides_with = "dir")]
    pub dir: Option<PathBuf>,
}

/// The exit codes, as in the table of README.md.
const EXIT_STATUS: [(&str, &str); 12] = [
    ("0", "done"),
    ("1", "any other error; doctor found a problem"),
    ("2", "usage, or invalid input"),
    ("3", "no such vault, profile or entry"),
    ("4", "cannot unlock; import: an item has another passphrase"),
    ("5", "the vault is damaged, or from a newer version; import: an item is damaged"),
    ("6", "refused: permissions, pin, limits"),
    (
        "7",
        "not saved; the old vault is kept. clear: not all was removed; import --write-config: the keys are saved, the AWS config is not",
    ),
    ("8", "busy, or out of time"),
    ("9", "AWS refused or cannot be reached; MFA failed, or no code is available"),
    ("10", "saved, but the disk has not confirmed it"),
    (
        "125, 126, 127",
        "exec with a command: vault failed before it started / not executable / not found",
    ),
];

/// The files; README.md has more on them.
const FILES: [(&str, &str); 6] = [
    ("~/.local/share/vault/vault.age", "the vault, if --vault and AWS_VAULT_FILE name no other"),
    ("~/.config/vault/identity.txt", "a key that opens it"),
    ("~/.cache/vault", "sessions, and the ledger of MFA codes"),
    ("~/.local/state/vault", "fingerprints and generations that were seen"),
    ("~/.aws/config", "profiles (AWS_CONFIG_FILE)"),
    ("~/.aws/credentials", "plaintext keys (AWS_SHARED_CREDENTIALS_FILE)"),
];

/// The variables of AWS and aws-vault that have no flag.
const ENVIRONMENT: [(&str, &str); 9] = [
    ("AWS_PROFILE, AWS_DEFAULT_PROFILE", "the profile, where none is named"),
    ("AWS_REGION, AWS_DEFAULT_REGION", "the region, if --region names none"),
    ("AWS_MFA_SERIAL", "the MFA device; overrides mfa_serial"),
    (
        "AWS_SESSION_TOKEN_TTL, AWS_CHAINED_SESSION_TOKEN_TTL, AWS_ASSUME_ROLE_TTL, \
         AWS_FEDERATION_TOKEN_TTL, AWS_MIN_TTL",
        "how long sessions last; AWS_MIN_TTL: renew when less is left",
    ),
    (
        "AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_STS, AWS_ENDPOINT_URL_IAM, AWS_ENDPOINT_URL_SIGNIN",
        "endpoints to use instead of AWS's own",
    ),
    (
        "AWS_USE_FIPS_ENDPOINT, AWS_USE_DUALSTACK_ENDPOINT",
        "true for AWS's endpoints with FIPS 140 cryptography, or with IPv6",
    ),
    ("AWS_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR", "the certificates that AWS is checked against"),
    ("HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY", "the proxy for requests to AWS"),
    ("SOPS_AGE_KEY, SOPS_AGE_KEY_FILE, CREDENTIALS_DIRECTORY", "keys of other programs"),
];

/// The page of a command, as roff; without words, that of the program.
///
/// # Errors
/// Usage (2): there is no such command.
pub fn page(words: &[String], program: ProgramName) -> Result<String> {
    let clap = built(program);
    let mut level = &clap;
    for word in words {
        level = level
            .find_subcommand(word)
            .filter(|found| !found.is_hide_set())
            .ok_or_else(|| unknown_command(Some(word), level))?;
    }
    Ok(roff(level, program))
}

/// All pages, with the names of their files.
pub fn pages(program: ProgramName) -> Vec<(String, String)> {
    let mut pages = Vec::new();
    let mut levels = vec![built(program)];
    while let Some(level) = levels.pop() {
        levels.extend(level.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned());
        pages.push((format!("{}.1", name(&level)), roff(&level, program)));
    }
    pages.sort_unstable();
    pages
}

fn built(program: ProgramName) -> Command {
    let mut clap = definition().name(program.as_str());
    clap.build();
    clap
}

/// `vault-recipient-add`
fn name(level: &Command) -> &str {
    level.get_display_name().unwrap_or_else(|| level.get_name())
}

fn roff(level: &Command, program: ProgramName) -> String {
    let usage = level.clone().render_usage().to_string();
    let usage = called::named(usage.trim_start_matches("Usage: ")).into_owned();
    let man = clap_mangen::Man::new(level.clone().override_usage(usage));
    let after = level.get_after_help().map(ToString::to_string).unwrap_or_default();
    let after = called::named(&after);
    let (examples, notes): (Vec<_>, Vec<_>) =
        after.split("\n\n").partition(|part| part.starts_with("Example"));

    // Writing into a vector cannot fail.
    let mut head = Vec::new();
    let _ = man.render_name_section(&mut head);
    let _ = man.render_synopsis_section(&mut head);
    let _ = man.render_description_section(&mut head);
    let mut options = Vec::new();
    let _ = man.render_options_section(&mut options);
    if level.has_subcommands() {
        let _ = man.render_subcommands_section(&mut options);
    }

    // Without a date, so that the same source always gives the same page.
    let title = name(level).to_uppercase();
    let version = env!("CARGO_PKG_VERSION");
    let own = program.as_str();
    let mut page = format!(".TH {title} 1 \"\" \"{own} {version}\"\n.nh\n.ad l\n");
    page += &String::from_utf8_lossy(&head);
    // The exit codes have their own section.
    for note in notes.iter().filter(|note| !note.is_empty() && !note.starts_with("Exit codes")) {
        page += ".PP\n";
        lines(&mut page, note);
    }
    page += &String::from_utf8_lossy(&options);
    if !examples.is_empty() {
        page += ".SH EXAMPLES\n";
        for example in &examples {
            let commands = example.split_once('\n').map_or("", |(_, commands)| commands);
            lines(&mut page, commands);
        }
    }
    table(&mut page, "EXIT STATUS", EXIT_STATUS.iter().copied());
    let flags = variables(level);
    let flags = flags.iter().map(|(names, flag)| (names.as_str(), flag.as_str()));
    table(&mut page, "ENVIRONMENT", flags.chain(ENVIRONMENT.iter().copied()));
    table(&mut page, "FILES", FILES.iter().copied());
    page += ".SH SEE ALSO\n";
    if name(level) != own {
        let _ = writeln!(page, ".BR {} (1),", escaped(own));
    }
    plain(&(page + ".BR age (1)\n"))
}

/// Writes paragraphs as they are, and indented text line by line.
fn lines(page: &mut String, text: &str) {
    let mut is_code = false;
    for line in text.lines() {
        let indented = line.starts_with("  ");
        if indented != is_code {
            *page += if indented { ".RS 4\n.nf\n" } else { ".fi\n.RE\n" };
            is_code = indented;
        }
        let _ = writeln!(page, "{}", escaped(line.trim()));
    }
    if is_code {
        *page += ".fi\n.RE\n";
    }
}

fn table<'a>(page: &mut String, title: &str, rows: impl Iterator<Item = (&'a str, &'a str)>) {
    let _ = writeln!(page, ".SH {title}");
    for (name, meaning) in rows {
        let _ = writeln!(page, ".TP\n.B {}\n{}", escaped(name), escaped(meaning));
    }
}

/// The variables in the help of each flag, `[env: NAME, NAME; …]`, and the flag.
fn variables(level: &Command) -> Vec<(String, String)> {
    let of = |arg: &clap::Arg| -> Option<(String, String)> {
        let help = arg.get_help()?.to_string();
        let (names, _) = help.split_once("[env: ")?.1.split_once(']')?;
        let names = names.split(';').next().unwrap_or(names);
        Some((names.replace('\n', " "), format!("see --{}", arg.get_long()?)))
    };
    level.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(of).collect()
}

/// Escapes text so that roff shows it unchanged.
fn escaped(text: &str) -> String {
    let mut line = String::new();
    if text.starts_with(['.', '\'']) {
        line += "\\&";
    }
    for c in text.chars() {
        match c {
            '\\' => line += "\\(rs",
            '-' => line += "\\-",
            '\'' => line += "\\(aq",
            '`' => line += "\\(ga",
            '~' => line += "\\(ti",
            '^' => line += "\\(ha",
            c => line.push(c),
        }
    }
    line
}

/// Removes the definitions at the beginning of each part, and escapes all but ASCII, for every roff.
fn plain(page: &str) -> String {
    // clap_mangen puts an empty line between a flag's help and its values, which lint warns about.
    let page = page.replace(".br\n\n.br\n", ".sp\n");
    let kept = page.lines().filter(|line| !line.contains("\\n(.g") && !line.contains(".el .ds"));
    let mut text = String::with_capacity(page.len());
    for line in kept {
        let line = line.replace("\\*(Aq", "\\(aq").replace('…', "...");
        for c in line.trim_end().chars() {
            let _ = match c {
                c if c.is_ascii() => write!(text, "{c}"),
                c => write!(text, "\\[u{:04X}]", u32::from(c)),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_all_sections() {
        let pages = pages(ProgramName::default());
        assert!(pages.len() > 25, "{}", pages.len());
        for (file, text) in &pages {
            for section in [
                "NAME",
                "SYNOPSIS",
                "DESCRIPTION",
                "OPTIONS",
                "EXAMPLES",
                "\"EXIT STATUS\"",
                "ENVIRONMENT",
                "FILES",
                "\"SEE ALSO\"",
            ] {
                let section = format!("\n.SH {}\n", section.trim_matches('"'));
                let quoted = section.replace(".SH EXIT STATUS", ".SH \"EXIT STATUS\"");
                assert!(
                    text.contains(&section) || text.contains(&quoted),
                    "{file}: {section}{text}"
                );
            }
            assert!(text.starts_with(".TH "), "{file}: {text}");
            assert!(text.is_ascii(), "{file}");
            assert!(!text.contains("__complete"), "{file}");
        }
        assert_eq!(
            page(&["exec".to_owned()], ProgramName::default()).unwrap(),
            of(&pages, "vault-exec.1")
        );
        assert_eq!(page(&[], ProgramName::default()).unwrap(), of(&pages, "vault.1"));
        let two = ["recipient".to_owned(), "rm".to_owned()];
        assert_eq!(
            page(&two, ProgramName::default()).unwrap(),
            of(&pages, "vault-recipient-remove.1")
        );
    }

    fn of<'a>(pages: &'a [(String, String)], file: &str) -> &'a str {
        pages.iter().find(|(name, _)| name == file).map_or("", |(_, text)| text)
    }

    #[test]
    fn what_is_no_command_is_an_error() {
        for words in [vec!["nothing"], vec!["exec", "prod"], vec!["__complete"]] {
            let words: Vec<_> = words.into_iter().map(str::to_owned).collect();
            let what = page(&words, ProgramName::default()).unwrap_err().what;
            assert!(what.starts_with("unknown command \""), "{what}");
        }
    }

    #[test]
    fn variables_of_flags_stand_in_the_page() {
        let page = page(&["serve".to_owned()], ProgramName::default()).unwrap();
        assert!(page.contains(".B AWS_VAULT_LISTEN\nsee \\-\\-listen\n"), "{page}");
        assert!(
            page.contains(".B AWS_VAULT_AGE_KEY, AWS_VAULT_AGE_KEY_FILE\nsee \\-\\-identity\n")
        );
    }

    #[test]
    fn nothing_in_a_text_is_taken_for_roff() {
        assert_eq!(escaped(".TH 'a\\b`-~^"), "\\&.TH \\(aqa\\(rsb\\(ga\\-\\(ti\\(ha");
    }
}
