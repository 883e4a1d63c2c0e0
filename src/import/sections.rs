//! What the AWS config lacks for the imported profiles: a section, and the `credential_process` line by which
//! programs ask this one, where they would reach it.

use crate::profile::{Files, Profiles, edit, instead_of_process};

/// The path of this program, or why no `credential_process` can start it.
pub type OwnPath = std::result::Result<String, &'static str>;

/// The AWS config with what it lacked, and the notes on that.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The whole text of the file.
    pub text: String,
    /// A sentence for each profile whose section is new or has a new line.
    pub done: Vec<String>,
    /// True if a section is new.
    pub new_section: bool,
    /// A sentence for each profile that gets no line, with the reason.
    pub no_line: Vec<String>,
    /// A sentence for each profile whose section cannot be written.
    pub left: Vec<String>,
}

/// Adds what is lacking for these profiles. `config` and `credentials` are the texts of both files; no line
/// that is there is changed.
pub fn add(
    files: &Files,
    config: &str,
    credentials: &str,
    names: &[&str],
    program: &OwnPath,
) -> Change {
    let mut change = Change { text: config.to_owned(), ..Change::default() };
    let parse = |text: &str| {
        Profiles::parse(files, text.strip_prefix('\u{feff}').unwrap_or(text), credentials)
    };
    for name in names {
        let section = match edit::add_profile(&change.text, name, &[]) {
            Ok(section) => section,
            Err(error) => {
                change.left.push(format!("profile \"{name}\": {}", error.what));
                continue;
            }
        };
        let line = match line(&parse(&section), name, program) {
            Ok(line) => line,
            Err(why) => {
                change.no_line.push(format!("No credential_process line for {name}: {why}"));
                None
            }
        };
        let is_known = parse(&change.text).has(name);
        let is_new = section != change.text;
        match line {
            Some(line) => {
                let settings = [("credential_process", line.as_str())];
                match edit::add_profile(&section, name, &settings) {
                    Ok(text) => change.set(text, name, is_new, Some(&line)),
                    Err(error) => change.left.push(format!("profile \"{name}\": {}", error.what)),
                }
            }
            None if !is_known => change.set(section, name, is_new, None),
            None => {}
        }
    }
    change
}

impl Change {
    fn set(&mut self, text: String, name: &str, is_new: bool, line: Option<&str>) {
        let header =
            if name == "default" { "[default]".into() } else { format!("[profile {name}]") };
        self.done.push(match (is_new, line) {
            (true, Some(line)) => format!("{header} is new, with credential_process = {line}"),
            (true, None) => format!("{header} is new"),
            (false, line) => {
                format!("{header} has credential_process = {}", line.unwrap_or_default())
            }
        });
        self.new_section |= is_new;
        self.text = text;
    }
}

/// The command line for a profile; none where it has a `credential_process`, the reason where there is another.
fn line(
    profiles: &Profiles,
    name: &str,
    program: &OwnPath,
) -> std::result::Result<Option<String>, String> {
    match instead_of_process(profiles, name) {
        Some("credential_process") => return Ok(None),
        Some(key) => return Err(format!("the AWS CLI and the SDKs take its {key}")),
        None => {}
    }
    let program = program.as_ref().map_err(|why| (*why).to_owned())?;
    if !edit::is_identifier(program) {
        return Err("the path of this program has characters that a shell may change".to_owned());
    }
    // A leading dash would be a flag.
    if !edit::is_identifier(name) || name.starts_with('-') {
        return Err("its name has characters that a shell may change".to_owned());
    }
    Ok(Some(format!("{program} exec --json {name}")))
}
