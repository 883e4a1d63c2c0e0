//! Remarks on the lines of an AWS file: what is ignored, and where the AWS CLI refuses the file or ignores a section
//! that is read here.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::ini::{self, Document};
use super::sections::{AwsFile, Group, Name, Sections, shown_path, swallowed};
use super::value::{plain, value};

/// What a remark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// A section or a line that does not count.
    Ignored,
    /// What is read here, and the AWS CLI ignores, or refuses with the whole file.
    AwsCli,
    /// A comment after a value, which to the AWS CLI is a part of the value.
    Comment,
    /// A setting that continues the value above it.
    Swallowed,
}

/// A sentence on a place in a file, without a control character and without a value.
#[derive(Clone, Debug)]
pub struct Remark {
    pub about: About,
    /// The profile or section that it is about.
    pub name: String,
    /// The sentence, which names the file and the line.
    pub text: String,
}

/// The remarks on a text, in the order of the lines. `sections` were read from it.
pub(super) fn remarks(
    sections: &Sections,
    which: AwsFile,
    path: Option<&Path>,
    text: &str,
) -> Vec<Remark> {
    let mut remarks = on_lines(which, &shown_path(path), &ini::parse(text));
    remarks.extend(sections.doubled.iter().map(|(profile, text)| Remark {
        about: About::Ignored,
        name: profile.clone(),
        text: text.clone(),
    }));
    remarks
}

/// The remarks on the lines of a file, in their order.
fn on_lines(which: AwsFile, path: &str, document: &Document) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for fault in &document.outside {
        let text = format!(
            "{path} line {}: is before the first section; the AWS CLI refuses the file",
            fault.line
        );
        remarks.push(Remark { about: About::Ignored, name: String::new(), text });
    }
    let mut seen: HashMap<&str, HashSet<&str>> = HashMap::new();
    for section in &document.sections {
        let (name, known) = Name::of(which, &section.header);
        let header = plain(&section.header);
        let mut remark = |about, line: usize, what: String| {
            let name = asked_name(&name, &header);
            remarks.push(Remark { about, name, text: format!("{path} line {line}: {what}") });
        };
        if let Some(why) = why_ignored(which, &name) {
            remark(About::Ignored, section.line, format!("[{header}] {why}"));
        } else if !known {
            let what = "has a blank at an end, for which the AWS CLI ignores it";
            remark(About::AwsCli, section.line, format!("[{header}] {what}"));
        }
        if seen.contains_key(section.header.as_str()) && name != Name::Defaults {
            let what = "is repeated; the AWS CLI refuses the file";
            remark(About::AwsCli, section.line, format!("[{header}] {what}"));
        }
        let keys = seen.entry(&section.header).or_default();
        for entry in &section.entries {
            let key = plain(&entry.key);
            if !keys.insert(&entry.key) {
                let what = "is repeated; the AWS CLI refuses the file";
                remark(About::AwsCli, entry.line, format!("{key} {what}"));
            }
            if let Some(Err(_)) = ini::nested(&entry.value) {
                let what = "is not understood below it, and the AWS CLI refuses the file";
                remark(About::AwsCli, entry.line, format!("{key}: a line {what}"));
            }
            for (line, _, what) in swallowed(entry) {
                remark(About::Swallowed, line, what);
            }
            if !matches!(name, Name::Other(_)) && value(&entry.key, &entry.value) != entry.value {
                let what = "the AWS CLI reads the comment as part of the value";
                remark(About::Comment, entry.line, format!("behind {key}, {what}"));
            }
        }
        for fault in &section.faults {
            let what = "is not understood, and the AWS CLI refuses the file";
            remark(About::AwsCli, fault.line, what.to_owned());
        }
    }
    remarks
}

/// Why a section is ignored, or is not what it looks like.
fn why_ignored(which: AwsFile, name: &Name) -> Option<String> {
    match (which, name) {
        (_, Name::Other(why)) => why.clone(),
        (AwsFile::Credentials, Name::Of(_, name)) => {
            let name = name.strip_prefix("profile ")?;
            let name = plain(ini::trim(name).trim_matches(['"', '\'']));
            Some(format!(
                "names a profile \"profile {name}\"; in the credentials file write [{name}]"
            ))
        }
        _ => None,
    }
}

/// The name that a user would look for.
fn asked_name(name: &Name, header: &str) -> String {
    let asked = match name {
        Name::Of(Group::Profile, name) => name.strip_prefix("profile ").unwrap_or(name),
        Name::Of(_, name) => name,
        Name::Defaults => "DEFAULT",
        Name::Other(_) => match header.split_once(ini::is_blank) {
            Some((_, name)) => name,
            None => header,
        },
    };
    plain(ini::trim(asked).trim_matches(['"', '\'']))
}
