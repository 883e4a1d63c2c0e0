//! New lines in `~/.aws/config`: a section, or a key in one; and the lines of an access key taken out of
//! `~/.aws/credentials`. Everything else stays as it is, byte for byte, and the result is parsed again
//! before it is given back. (aws-vault writes the whole file anew, and loses the layout of it.)

mod keys;

use std::collections::{HashMap, HashSet};

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::EnvConfigFileKind;

use super::lines::{BLANK, Header, is_identifier, is_skipped};
use super::read;
use crate::error::{Error, Result};

pub use keys::{ACCESS_KEY, has_plain_key, remove_keys};

/// The config file's text with `[profile NAME]` (or `[default]`) and these keys in it. What is there
/// already is left as it is; nothing to do gives the same text.
///
/// # Errors
/// [`crate::error::Class::Usage`]: a name or value that the file cannot hold, or a key that is there
/// with another value. [`crate::error::Class::Other`]: the file is not understood, or has the profile
/// under two spellings.
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
    if !is_identifier(name) {
        return Err(Error::usage("the AWS config cannot hold a profile of this name")
            .hint("letters, digits and _ - / . % @ : + make a name that all AWS tools take"));
    }
    for (key, value) in settings {
        let fits = is_identifier(key)
            && !value.is_empty()
            && value.trim() == *value
            && !value.contains(char::is_control)
            && ![" #", " ;", "\t#", "\t;"].iter().any(|comment| value.contains(comment));
        if !fits {
            return Err(Error::usage(format!("the AWS config cannot hold this {key}")));
        }
    }
    let (mark, text) = match contents.strip_prefix('\u{feff}') {
        Some(text) => ("\u{feff}", text),
        None => ("", contents),
    };
    let before = parse(text)?;
    let mut after = text.to_owned();
    let (sections, doubled) = sections(text);
    if doubled.contains(name) {
        return Err(Error::other(format!(
            "profile \"{name}\" stands under two spellings in the AWS config"
        ))
        .hint("make them one section"));
    }
    if sections.contains_key(name) {
        for (key, value) in settings {
            match value_of(&before, name, key) {
                Some(old) if old == *value => {}
                None => after = insert(&after, name, key, value),
                Some(_) if replace => after = change(&after, name, key, value),
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
    let parsed = parse(&after)?;
    let added = usize::from(before.get_profile(name).is_none());
    let done = parsed.get_profile(name).is_some()
        && settings.iter().all(|(key, value)| value_of(&parsed, name, key) == Some(value))
        && before.profiles().count() + added == parsed.profiles().count()
        && before.profiles().all(|other| {
            other == name
                // Two spellings of one name are merged in no certain order: nothing to compare.
                || doubled.contains(other)
                || before.get_profile(other) == parsed.get_profile(other)
        });
    if !done {
        return Err(Error::other(format!("cannot change profile \"{name}\" in the AWS config"))
            .hint("change it in an editor"));
    }
    Ok(format!("{mark}{after}"))
}

fn parse(text: &str) -> Result<ProfileSet> {
    read::parse(&[(EnvConfigFileKind::Config, text)])
        .map_err(|error| read::not_understood(None, &error))
}

fn value_of<'a>(set: &'a ProfileSet, name: &str, key: &str) -> Option<&'a str> {
    set.get_profile(name)?.get(key).map(str::trim).filter(|value| !value.is_empty())
}

/// The profiles that have a section, and those that have it under two spellings.
fn sections(text: &str) -> (HashMap<&str, &str>, HashSet<&str>) {
    let (mut sections, mut doubled) = (HashMap::new(), HashSet::new());
    for header in text.lines().filter_map(Header::of) {
        if let Some(name) = header.profile()
            && *sections.entry(name).or_insert(header.inside) != header.inside
        {
            doubled.insert(name);
        }
    }
    (sections, doubled)
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

/// A new key, after the last line that the profile's section has.
fn insert(text: &str, name: &str, key: &str, value: &str) -> String {
    let (mut inside, mut at, mut place) = (false, 0, text.len());
    for line in text.split_inclusive('\n') {
        at += line.len();
        let bare = line.trim_end_matches(['\n', '\r']);
        if let Some(header) = Header::of(bare) {
            inside = header.profile() == Some(name);
        }
        if inside && !is_skipped(bare) {
            place = at;
        }
    }
    let end = line_end(text);
    let (head, tail) = text.split_at(place);
    let gap = if head.ends_with('\n') { "" } else { end };
    format!("{head}{gap}{key} = {value}{end}{tail}")
}

/// Another value for a key, in the line that counts: the last of the profile's that has it. What
/// stands before the value, and a comment after it, is kept.
fn change(text: &str, name: &str, key: &str, value: &str) -> String {
    let (mut inside, mut at, mut found) = (false, 0, None);
    for line in text.split_inclusive('\n') {
        let bare = line.trim_end_matches(['\n', '\r']);
        if let Some(header) = Header::of(bare) {
            inside = header.profile() == Some(name);
        } else if inside
            && !is_skipped(bare)
            && !bare.starts_with(BLANK)
            && let Some((left, right)) = bare.split_once('=')
            && left.trim_matches(BLANK).eq_ignore_ascii_case(key)
        {
            let start = at + left.len() + 1;
            let start = start + (right.len() - right.trim_start_matches(BLANK).len());
            let right = right.trim_start_matches(BLANK);
            let comment = right
                .char_indices()
                .zip(right.chars().skip(1))
                .find(|((_, blank), mark)| BLANK.contains(blank) && "#;".contains(*mark))
                .map_or(right.len(), |((at, _), _)| at);
            let length = right.get(..comment).unwrap_or_default().trim_end_matches(BLANK).len();
            found = Some(start..start + length);
        }
        at += line.len();
    }
    let mut text = text.to_owned();
    if let Some(range) = found {
        text.replace_range(range, value);
    }
    text
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
    fn a_file_that_is_not_understood_is_left_alone() {
        assert_eq!(add_profile("secret\n", "a", &[]).unwrap_err().class, Class::Other);
    }
}
