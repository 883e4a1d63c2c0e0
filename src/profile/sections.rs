//! The sections of one AWS file by name, as the AWS CLI names them.
//!
//! In the config file a profile is `[profile NAME]`, quoted as in a shell where the name has a blank, or
//! `[default]`; in the credentials file it is `[NAME]`, as it is. Of two spellings of one name the later
//! section counts alone. `[DEFAULT]` is Python's: its settings hold in each section of the file that
//! lacks them.
//!
//! The AWS CLI refuses a file with a header or a key that is repeated; here they merge, and the last counts.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::ini::{self, Document, Entry, Fault};
use super::known::{is_known, is_plain};
use super::value::plain;
use crate::nearest::nearest;
use crate::process::words_escaping;

/// What a backslash escapes between double quotes of a header: botocore reads headers by Python's
/// `shlex.split`, which escapes less than a shell.
const ESCAPES: &str = "\"\\";

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AwsFile {
    Config,
    Credentials,
}

/// What a section is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Group {
    Profile,
    SsoSession,
    Services,
}

impl Group {
    /// The word in front of a section's name in the config file.
    fn word(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::SsoSession => "sso-session",
            Self::Services => "services",
        }
    }
}

/// A setting that continues the value above it: it is indented deeper than that one's key.
#[derive(Debug)]
pub(super) struct Swallowed {
    /// Its key.
    pub key: String,
    pub text: String,
}

/// The settings of one section, without those that it inherits from `[DEFAULT]`.
#[derive(Debug, Default)]
pub(super) struct Section {
    settings: HashMap<String, String>,
    swallowed: Vec<Swallowed>,
    /// The first line that is not understood.
    fault: Option<Fault>,
}

/// Equal by content, wherever they are in their files.
impl PartialEq for Section {
    fn eq(&self, other: &Self) -> bool {
        let text = |section: &Self| section.fault.as_ref().map(|fault| fault.text.clone());
        self.settings == other.settings && text(self) == text(other)
    }
}

/// The sections of one file.
#[derive(Debug, Default)]
pub(super) struct Sections {
    groups: HashMap<Group, HashMap<String, Section>>,
    /// `[DEFAULT]`, from which all of them inherit.
    defaults: Section,
    /// Profiles under two spellings, with the warning.
    pub(super) doubled: BTreeMap<String, String>,
}

/// The name of a section.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    Of(Group, String),
    Defaults,
    /// One without a meaning in the AWS files, and why, if it may be misspelt.
    Other(Option<String>),
}

impl Name {
    /// The name that a header gives its section; false if the AWS CLI sees none, for a blank at an end.
    pub fn of(which: AwsFile, header: &str) -> (Self, bool) {
        let bare = ini::trim(header);
        let same = bare == header;
        if header == "DEFAULT" {
            return (Self::Defaults, true);
        }
        let name = match which {
            AwsFile::Credentials if bare.is_empty() => Self::Other(None),
            AwsFile::Credentials => Self::Of(Group::Profile, bare.to_owned()),
            AwsFile::Config if bare == "default" => Self::Of(Group::Profile, bare.to_owned()),
            AwsFile::Config => Self::prefixed(bare),
        };
        (name, same)
    }

    fn prefixed(header: &str) -> Self {
        let groups = [Group::Profile, Group::SsoSession, Group::Services];
        let Some(group) = groups.into_iter().find(|group| header.starts_with(group.word())) else {
            return Self::Other(slip(header));
        };
        let prefix = group.word();
        let why = match words_escaping(header, ESCAPES) {
            None => format!("is ignored, its quote has no end: [{prefix} \"NAME\"]"),
            Some(words) => match <[String; 2]>::try_from(words) {
                Ok([_, name]) if !name.is_empty() => return Self::Of(group, name),
                Ok(_) => format!("is ignored, it has no name: [{prefix} NAME]"),
                Err(words) if words.len() < 2 => {
                    format!("is ignored, it has no name: [{prefix} NAME]")
                }
                Err(_) => {
                    format!("is ignored, a name with a blank has quotes: [{prefix} \"NAME\"]")
                }
            },
        };
        Self::Other(Some(why))
    }
}

/// How a header without a meaning may be misspelt.
fn slip(header: &str) -> Option<String> {
    let word = header.split(ini::is_blank).next().unwrap_or_default();
    if word.eq_ignore_ascii_case("profile") {
        return Some("is ignored, the word is profile in lower case".to_owned());
    }
    if word != header {
        let meant = nearest(word, ["profile", "sso-session", "services"]);
        return meant.filter(|it| *it != word).map(|it| format!("is ignored, the word is {it}"));
    }
    // Sections of the AWS CLI's own.
    if matches!(header, "preview" | "plugins") {
        return None;
    }
    let name = plain(header.trim_matches(['"', '\'']));
    Some(format!("is ignored; in the AWS config write [profile {name}]"))
}

impl Sections {
    /// Reads a text, which has no byte order mark. `path` only names the file in remarks.
    pub fn parse(which: AwsFile, path: Option<&Path>, text: &str) -> Self {
        let mut sections = Self::default();
        sections.collect(which, &shown_path(path), ini::parse(text));
        sections
    }

    /// The names of the profiles, in no order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.groups.get(&Group::Profile).into_iter().flat_map(HashMap::keys).map(String::as_str)
    }

    /// True if the file has this section. A services section without settings does not count, as in botocore.
    pub fn has(&self, group: Group, name: &str) -> bool {
        self.section(group, name).is_some()
    }

    fn section(&self, group: Group, name: &str) -> Option<&Section> {
        let empty = |section: &Section| section.settings.is_empty() && section.fault.is_none();
        let found = self.groups.get(&group)?.get(name)?;
        let is_none = group == Group::Services && empty(found) && empty(&self.defaults);
        (!is_none).then_some(found)
    }

    /// The settings in a profile's section that continue the line above them.
    pub fn swallowed(&self, profile: &str) -> &[Swallowed] {
        self.section(Group::Profile, profile).map_or(&[], |section| &section.swallowed)
    }

    /// A setting of a section, as it is, or what it inherits from `[DEFAULT]`.
    pub fn get(&self, group: Group, name: &str, key: &str) -> Option<&str> {
        let own = self.section(group, name)?.settings.get(key);
        own.or_else(|| self.defaults.settings.get(key)).map(String::as_str)
    }

    /// All settings of a section, as they are: first those of `[DEFAULT]`, then the section's own,
    /// which override them.
    pub fn settings(&self, group: Group, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let section = self.section(group, name);
        let inherited = self.defaults.settings.iter().filter(move |_| section.is_some());
        inherited
            .chain(section.into_iter().flat_map(|section| &section.settings))
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The line of a section that is not understood, and the name of its section. A line of `[DEFAULT]`
    /// counts for each section, which may inherit it.
    pub fn fault(&self, group: Group, name: &str) -> Option<(String, &Fault)> {
        if let Some(fault) = &self.section(group, name)?.fault {
            let (word, name) = (group.word(), plain(name));
            let section = match group {
                Group::Profile => format!("{word} \"{name}\""),
                _ => format!("[{word} {name}]"),
            };
            return Some((section, fault));
        }
        Some(("[DEFAULT]".to_owned(), self.defaults.fault.as_ref()?))
    }

    /// True if profiles that lack this setting inherit it from `[DEFAULT]`.
    pub fn has_default(&self, key: &str) -> bool {
        self.defaults.settings.contains_key(key)
    }

    /// The warning on a profile under two spellings.
    pub fn doubled(&self, profile: &str) -> Option<&str> {
        self.doubled.get(profile).map(String::as_str)
    }

    /// True if both files mean the same for each profile but those that `except` names.
    pub fn same_but(&self, other: &Self, except: impl Fn(&str) -> bool) -> bool {
        let all = |one: &Self, other: &Self| {
            one.groups.iter().all(|(group, sections)| {
                let others = other.groups.get(group);
                sections.iter().all(|(name, section)| {
                    *group == Group::Profile && except(name)
                        || others.and_then(|others| others.get(name)) == Some(section)
                })
            })
        };
        all(self, other) && all(other, self) && self.defaults == other.defaults
    }

    /// Merges sections with one header, and lets the later of two spellings count.
    fn collect(&mut self, which: AwsFile, path: &str, document: Document) {
        let mut merged: HashMap<String, (usize, Section)> = HashMap::new();
        for (at, section) in document.sections.into_iter().enumerate() {
            let (last, into) = merged.entry(section.header).or_default();
            *last = at;
            into.fault = into.fault.take().or(section.faults.into_iter().next());
            for entry in section.entries {
                let swallowed = swallowed(&entry).map(|(line, key, what)| Swallowed {
                    key,
                    text: format!("{path} line {line}: {what}"),
                });
                into.swallowed.extend(swallowed);
                if let Some(Err(line)) = ini::nested(&entry.value) {
                    // What is below such a key may be its secret.
                    let names_one = ["secret", "token", "password", "key"];
                    let is_secret = names_one.iter().any(|name| entry.key.contains(name));
                    let text = if is_secret { entry.key.as_str() } else { line };
                    let fault = Fault { line: entry.line, text: text.to_owned() };
                    into.fault.get_or_insert(fault);
                }
                into.settings.insert(entry.key, entry.value);
            }
        }
        let mut merged: Vec<_> = merged
            .into_iter()
            .map(|(header, (at, section))| {
                let (name, known) = Name::of(which, &header);
                (known, at, name, header, section)
            })
            .collect();
        // The section that the AWS CLI knows by this name overrides the one that only we do.
        merged.sort_by_key(|(known, at, ..)| (*known, *at));
        let mut headers: HashMap<Name, String> = HashMap::new();
        for (_, _, name, header, section) in merged {
            match &name {
                Name::Of(group, of) => {
                    if let (Group::Profile, Some(first)) = (group, headers.get(&name)) {
                        let text = format!(
                            "{path}: of [{}] and [{}] only the later counts, make them one section",
                            plain(first),
                            plain(&header)
                        );
                        self.doubled.insert(of.clone(), text);
                    }
                    self.groups.entry(*group).or_default().insert(of.clone(), section);
                }
                Name::Defaults => self.defaults = section,
                Name::Other(_) => {}
            }
            headers.insert(name, header);
        }
    }
}

/// The settings among the lines that continue a value: where they stand, their keys, and what is wrong. Below a
/// key that takes a block of settings they are that block.
pub(super) fn swallowed(entry: &Entry) -> impl Iterator<Item = (usize, String, String)> {
    let is_block = entry.value.starts_with('\n') && !is_plain(&entry.key);
    let lines = entry.continuations().filter(move |_| !is_block);
    lines.filter_map(|(line, text)| {
        let (key, _) = text.split_once(['=', ':'])?;
        let key = ini::trim(key).to_lowercase();
        let above = plain(&entry.key);
        let what = format!(
            "{key} is indented, so it continues the value of {above}; begin it where {above} begins"
        );
        is_known(&key).then_some((line, key, what))
    })
}

/// A file's name in messages.
pub(super) fn shown_path(path: Option<&Path>) -> Cow<'_, str> {
    path.map_or("the file".into(), Path::to_string_lossy)
}
