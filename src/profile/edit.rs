//! Adding lines to `~/.aws/config`: a section, or a key in one; and removing the lines of an access key from
//! `~/.aws/credentials`. Everything else stays as it is, byte for byte, and the result is parsed again before
//! it is returned. (aws-vault writes the whole file again, and loses its layout.)

mod keys;

use super::ini::{self, Document, Entry, Section};
use super::sections::{AwsFile, Group, Name, Sections};
use super::value::{set, value};
use crate::error::{Error, Result};

pub use keys::{ACCESS_KEY, has_plain_key, keys_of_two_halves, remove_keys};

/// The config file's text with `[profile NAME]` (or `[default]`) and these keys in it. Existing lines are not
/// changed.
///
/// # Errors
/// [`crate::error::Class::Usage`]: a name or value that the file cannot hold, or a key that is there
/// with another value. [`crate::error::Class::Other`]: the profile has a line that is not understood, or
/// is there under two spellings.
pub fn add_profile(contents: &str, name: &str, settings: &[(&str, &str)]) -> Result<String> {
    edit(contents, name, settings, false)
}

/// As [`add_profile`], but a key that has another value gets this one.
///
/// # Errors
/// As [`add_profile`]; also where the old value goes over several lines.
pub fn set_profile(contents: &str, name: &str, settings: &[(&str, &str)]) -> Result<String> {
    edit(contents, name, settings, true)
}

fn edit(contents: &str, name: &str, settings: &[(&str, &str)], replace: bool) -> Result<String> {
    let (mark, text) = split_mark(contents);
    for (key, value) in settings {
        if !is_identifier(key) || !fits(key, value) {
            return Err(Error::usage(format!("the AWS config cannot hold this {key}")));
        }
    }
    let before = Sections::parse(AwsFile::Config, None, text);
    if !before.has(Group::Profile, name) && !is_identifier(name) {
        return Err(Error::usage("the AWS config cannot hold a profile of this name")
            .hint("letters, digits and _ - / . % @ : + make a name that all AWS tools take"));
    }
    if let Some((section, fault)) = before.fault(Group::Profile, name) {
        return Err(Error::other(format!(
            "line {} of the AWS config, of {section}, is not understood",
            fault.line
        ))
        .hint("change it in an editor"));
    }
    if before.doubled(name).is_some() {
        return Err(Error::other(format!(
            "the AWS config has profile \"{name}\" in two spellings"
        ))
        .hint("make them one section"));
    }
    let mut after = text.to_owned();
    if before.has(Group::Profile, name) {
        for (key, value) in settings {
            let spot = Spot::of(&after, name, key);
            match value_of(&before, name, key) {
                Some(old) if old == *value => {}
                None => spot.insert(&mut after, key, value),
                Some(_) if replace => spot.change(&mut after, value),
                Some(_) => {
                    return Err(Error::usage(format!(
                        "profile \"{name}\" has another {key} in the AWS config"
                    ))
                    .hint("change it there, or leave the flag out"));
                }
            }
        }
    } else {
        append(&mut after, name, settings);
    }
    let parsed = Sections::parse(AwsFile::Config, None, &after);
    let done = parsed.has(Group::Profile, name)
        && parsed.fault(Group::Profile, name).is_none()
        && settings.iter().all(|(key, value)| value_of(&parsed, name, key) == Some(value))
        && before.same_but(&parsed, |other| other == name);
    if !done {
        return Err(Error::other(format!("cannot change profile \"{name}\" in the AWS config"))
            .hint("change it in an editor"));
    }
    Ok(format!("{mark}{after}"))
}

/// The byte order mark of a text, if it has one, and the rest.
fn split_mark(contents: &str) -> (&str, &str) {
    match contents.strip_prefix('\u{feff}') {
        Some(text) => ("\u{feff}", text),
        None => ("", contents),
    }
}

/// True for a name that every AWS SDK takes, and a shell as one word: `[A-Za-z0-9_\-/.%@:+]+`.
pub fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-/.%@:+".contains(&b))
}

/// True for a value that every reader of the file reads as it is.
fn fits(key: &str, value: &str) -> bool {
    !key.contains(':')
        && !value.is_empty()
        && ini::trim(value) == value
        && !value.contains(char::is_control)
        && !value.starts_with(['#', ';'])
        && ![" #", " ;", "\t#", "\t;"].iter().any(|comment| value.contains(comment))
}

fn value_of<'a>(sections: &'a Sections, name: &str, key: &str) -> Option<&'a str> {
    set(key, sections.get(Group::Profile, name, key)?)
}

/// The line ending that the text uses.
fn line_end(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// A new section, after a blank line, at the end.
fn append(text: &mut String, name: &str, settings: &[(&str, &str)]) {
    let end = line_end(text);
    if !text.is_empty() {
        if !text.ends_with('\n') {
            text.push_str(end);
        }
        text.push_str(end);
    }
    let header = if name == "default" { "[default]".into() } else { format!("[profile {name}]") };
    text.push_str(&header);
    text.push_str(end);
    for (key, value) in settings {
        text.extend([key, " = ", value, end]);
    }
}

/// The place in the text where a key of a profile is changed.
struct Spot {
    /// The end of the last line that the profile's last section has.
    end: usize,
    /// The blanks before the section's last key.
    indent: String,
    /// The value that counts: that of the last line with the key.
    value: Option<std::ops::Range<usize>>,
}

impl Spot {
    fn of(text: &str, name: &str, key: &str) -> Self {
        let Document { sections, .. } = ini::parse(text);
        let is_it = |section: &&Section| {
            Name::of(AwsFile::Config, &section.header).0
                == Name::Of(Group::Profile, name.to_owned())
        };
        let sections: Vec<&Section> = sections.iter().filter(is_it).collect();
        let last = sections.last();
        let last_entry: Option<&Entry> = last.and_then(|section| section.entries.last());
        let header = last.map_or(text.len(), |section| section.range.end);
        let line = last_entry.and_then(|entry| text.get(entry.range.clone())).unwrap_or_default();
        let indent = &line[..line.len() - line.trim_start_matches(ini::is_blank).len()];
        let entries = sections.iter().flat_map(|section| &section.entries);
        let found = entries.rev().find(|entry| entry.key == key);
        Self {
            end: last_entry.map_or(header, |entry| entry.range.end),
            indent: indent.to_owned(),
            value: found.filter(|entry| !entry.is_continued()).map(|entry| {
                // A comment behind the value stays.
                let shown = text.get(entry.value_range.clone()).unwrap_or_default();
                entry.value_range.start..entry.value_range.start + value(key, shown).len()
            }),
        }
    }

    /// A new key, below the section's last.
    fn insert(&self, text: &mut String, key: &str, value: &str) {
        let end = line_end(text);
        let head = text.get(..self.end).unwrap_or_default();
        let gap = if head.ends_with(['\n', '\r']) { "" } else { end };
        text.insert_str(self.end, &format!("{gap}{}{key} = {value}{end}", self.indent));
    }

    /// Another value; the text before it, and a comment after it, stay.
    fn change(&self, text: &mut String, value: &str) {
        if let Some(range) = &self.value {
            text.replace_range(range.clone(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    const MFA: (&str, &str) = ("mfa_serial", "arn:aws:iam::123456789012:mfa/me");

    #[test]
    fn a_new_section_goes_to_the_end_after_a_blank_line() {
        assert_eq!(add_profile("", "a", &[]).unwrap(), "[profile a]\n");
        assert_eq!(add_profile("", "default", &[]).unwrap(), "[default]\n");
        assert_eq!(
            add_profile("[default]\nregion = x\n", "a", &[MFA]).unwrap(),
            "[default]\nregion = x\n\n[profile a]\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n"
        );
    }

    #[test]
    fn a_missing_final_newline_is_supplied_before_the_section() {
        assert_eq!(
            add_profile("[default]\nregion = x", "a", &[]).unwrap(),
            "[default]\nregion = x\n\n[profile a]\n"
        );
        assert_eq!(
            add_profile("[profile a]", "a", &[("region", "x")]).unwrap(),
            "[profile a]\nregion = x\n"
        );
    }

    #[test]
    fn crlf_stays_crlf_and_a_byte_order_mark_stays() {
        assert_eq!(
            add_profile("\u{feff}; hi\r\n[default]\r\nregion = x\r\n", "a", &[("region", "y")])
                .unwrap(),
            "\u{feff}; hi\r\n[default]\r\nregion = x\r\n\r\n[profile a]\r\nregion = y\r\n"
        );
        assert_eq!(
            add_profile("[profile a]\r\nregion = x\r\n", "a", &[("output", "json")]).unwrap(),
            "[profile a]\r\nregion = x\r\noutput = json\r\n"
        );
    }

    #[test]
    fn a_missing_key_goes_below_the_last_line_of_the_section() {
        let before = "[profile a]\ns3 =\n  max = 1\n\n; about b\n[profile b]\nregion=x\n";
        assert_eq!(
            add_profile(before, "a", &[("region", "y")]).unwrap(),
            "[profile a]\ns3 =\n  max = 1\nregion = y\n\n; about b\n[profile b]\nregion=x\n"
        );
        assert_eq!(
            add_profile("[profile a] ; mine\n[profile b]\n", "a", &[("region", "y")]).unwrap(),
            "[profile a] ; mine\nregion = y\n[profile b]\n"
        );
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let before = "[profile  a]\nMFA_Serial=arn:aws:iam::123456789012:mfa/me ; phone\n";
        assert_eq!(add_profile(before, "a", &[MFA]).unwrap(), before);
        assert_eq!(add_profile(before, "a", &[]).unwrap(), before);
        let error = add_profile(before, "a", &[("mfa_serial", "other-serial")]).unwrap_err();
        assert_eq!(error.class, Class::Usage);
        assert!(!format!("{error:?}").contains("123456789012"), "{error:?}");
    }

    #[test]
    fn a_value_is_replaced_in_its_place_when_asked_to() {
        assert_eq!(
            set_profile("[profile a]\nregion\t=  old\t; why\nx=1\n", "a", &[("region", "new")])
                .unwrap(),
            "[profile a]\nregion\t=  new\t; why\nx=1\n"
        );
        assert_eq!(
            set_profile("[profile a]\r\nregion=\r\n", "a", &[("region", "new")]).unwrap(),
            "[profile a]\r\nregion=\r\nregion = new\r\n"
        );
        assert_eq!(
            set_profile(
                "[profile a]\nregion=o\nregion=p\n[profile b]\nregion=q\n",
                "a",
                &[("region", "n")]
            )
            .unwrap(),
            "[profile a]\nregion=o\nregion=n\n[profile b]\nregion=q\n"
        );
        let over_two_lines = "[profile a]\nregion = old\n  er\n";
        assert!(set_profile(over_two_lines, "a", &[("region", "new")]).is_err());
    }

    #[test]
    fn the_prefixed_default_is_found() {
        assert_eq!(
            add_profile("[profile default]\n", "default", &[("region", "x")]).unwrap(),
            "[profile default]\nregion = x\n"
        );
    }

    #[test]
    fn two_spellings_of_the_profile_are_refused_and_of_another_are_not() {
        for two in ["[profile a]\n[profile  a]\n", "[profile a]\n[ profile a ]\n"] {
            assert_eq!(add_profile(two, "a", &[]).unwrap_err().class, Class::Other, "{two}");
            assert_eq!(add_profile(two, "b", &[]).unwrap(), format!("{two}\n[profile b]\n"));
        }
    }

    #[test]
    fn names_and_values_that_would_be_something_else_are_refused() {
        for name in ["", "a b", "a]", "\"a\"", "a\nb", "ä", "a#b"] {
            assert!(add_profile("", name, &[]).is_err(), "{name:?}");
        }
        for value in ["", " x", "x ", "x\n[profile b]", "x\r", "x ; y", "x #"] {
            assert!(add_profile("", "a", &[("region", value)]).is_err(), "{value:?}");
        }
        for key in ["", "a b", "a=b", "[a]"] {
            assert!(add_profile("", "a", &[(key, "x")]).is_err(), "{key:?}");
        }
        assert!(add_profile("", "a", &[("region", "x;y#z=1")]).is_ok());
    }

    #[test]
    fn a_profile_with_a_line_that_is_not_understood_is_left_alone() {
        for odd in ["[profile a]\nsecret\n", "[profile a\nregion = x\n"] {
            let error = add_profile(odd, "a", &[]).unwrap_err();
            assert_eq!(error.class, Class::Other);
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            assert_eq!(add_profile(odd, "b", &[]).unwrap(), format!("{odd}\n[profile b]\n"));
        }
    }

    #[test]
    fn a_quoted_section_and_an_indented_one_are_changed_in_their_place() {
        for (before, name, after) in [
            ("[profile \"a\"]\nx = 1\n", "a", "[profile \"a\"]\nx = 1\nregion = y\n"),
            ("[profile 'My Mac']\n", "My Mac", "[profile 'My Mac']\nregion = y\n"),
            ("[profile a] text\n  x: 1\n\n", "a", "[profile a] text\n  x: 1\n  region = y\n\n"),
            ("[profile a]\n  Region : x # z\n", "a", "[profile a]\n  Region : y # z\n"),
        ] {
            assert_eq!(set_profile(before, name, &[("region", "y")]).unwrap(), after);
        }
    }
}
