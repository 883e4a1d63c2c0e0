//! Access keys in the credentials file: which lines they are, and the file without them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use super::super::ini;
use super::super::sections::{AwsFile, Group, Name, Sections};
use super::split_mark;
use crate::error::{Error, Result};

/// The two settings that make a long-term access key.
pub const ACCESS_KEY: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];

/// True if each half of the profile's key is there once, in a line of its own, and `[DEFAULT]` has none:
/// then the profile has no key without these lines.
pub fn has_plain_key(contents: &str, name: &str) -> bool {
    let (_, text) = split_mark(contents);
    let lines = key_lines(text, name);
    let sections = parse(text);
    sections.doubled(name).is_none()
        && !ACCESS_KEY.iter().any(|key| sections.has_default(key))
        && lines.iter().all(|line| line.whole)
        && ACCESS_KEY.iter().all(|key| lines.iter().filter(|line| line.key == *key).count() == 1)
}

/// The profiles whose id and secret may belong to two keys: they are in two sections (`[DEFAULT]` may be one),
/// or one of them is in a section twice. The last line of each half counts.
pub fn keys_of_two_halves(contents: &str) -> HashSet<String> {
    let (_, text) = split_mark(contents);
    // For each name, the sections that have the id and the secret, and how often.
    let mut sections: HashMap<Name, [Option<(usize, usize)>; 2]> = HashMap::new();
    for (at, section) in ini::parse(text).sections.into_iter().enumerate() {
        let (name, _) = Name::of(AwsFile::Credentials, &section.header);
        let halves = sections.entry(name).or_default();
        for (half, key) in halves.iter_mut().zip(ACCESS_KEY) {
            match section.entries.iter().filter(|entry| entry.key == key).count() {
                0 => {}
                times => *half = Some((at, times)),
            }
        }
    }
    let [default_id, default_secret] = sections.get(&Name::Defaults).copied().unwrap_or_default();
    let of_two = |(name, [id, secret]): (Name, [Option<(usize, usize)>; 2])| match name {
        Name::Of(_, profile) if id.or(default_id) != secret.or(default_secret) => Some(profile),
        _ => None,
    };
    sections.into_iter().filter_map(of_two).collect()
}

/// The credentials file's text without the lines of these profiles' access keys.
///
/// # Errors
/// [`crate::error::Class::Other`]: another part of the file would change its meaning.
pub fn remove_keys(contents: &str, names: &[String]) -> Result<String> {
    let (mark, text) = split_mark(contents);
    let mut ranges: Vec<Range<usize>> =
        names.iter().flat_map(|name| key_lines(text, name)).map(|line| line.range).collect();
    ranges.sort_by_key(|range| range.start);
    let mut after = text.to_owned();
    for range in ranges.into_iter().rev() {
        after.replace_range(range, "");
    }
    let (before, parsed) = (parse(text), parse(&after));
    let settings = |sections: &Sections, name: &str| -> BTreeMap<String, String> {
        sections
            .settings(Group::Profile, name)
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    };
    let is_done = |name: &String| {
        let mut expected = settings(&before, name);
        expected.retain(|key, _| !ACCESS_KEY.contains(&key.as_str()));
        before.has(Group::Profile, name) == parsed.has(Group::Profile, name)
            && settings(&parsed, name) == expected
    };
    let named = |profile: &str| names.iter().any(|name| name == profile);
    let done = before.same_but(&parsed, named) && names.iter().all(is_done);
    match done {
        true => Ok(format!("{mark}{after}")),
        false => Err(Error::other("cannot remove the keys from the AWS credentials file")
            .hint("remove them in an editor")),
    }
}

fn parse(text: &str) -> Sections {
    Sections::parse(AwsFile::Credentials, None, text)
}

/// A line with half of an access key.
struct KeyLine {
    key: &'static str,
    /// The line, its end included.
    range: Range<usize>,
    /// False if the value continues in the lines below.
    whole: bool,
}

fn key_lines(text: &str, name: &str) -> Vec<KeyLine> {
    let sections = ini::parse(text).sections;
    let is_it = |header: &str| {
        Name::of(AwsFile::Credentials, header).0 == Name::Of(Group::Profile, name.to_owned())
    };
    let entries =
        sections.into_iter().filter(|section| is_it(&section.header)).flat_map(|s| s.entries);
    let line = |entry: ini::Entry| {
        let key = ACCESS_KEY.iter().find(|key| **key == entry.key)?;
        let whole = !entry.is_continued();
        Some(KeyLine { key, range: entry.range, whole })
    };
    entries.filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalr\n";

    fn without(contents: &str, names: &[&str]) -> Result<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        remove_keys(contents, &names)
    }

    #[test]
    fn the_lines_of_the_key_go_and_every_other_byte_stays() {
        for (before, after) in [
            (format!("[a]\n{KEY}"), "[a]\n".to_owned()),
            (format!("; mine\n[a]\n{KEY}\n[b]\n{KEY}"), format!("; mine\n[a]\n\n[b]\n{KEY}")),
            (format!("\u{feff}[a]\nregion=x\n{KEY}# end"), "\u{feff}[a]\nregion=x\n# end".into()),
            (
                format!("[a]\r\n{}output = json\r\n", KEY.replace('\n', "\r\n")),
                "[a]\r\noutput = json\r\n".into(),
            ),
            (
                "[a]\nAWS_Access_Key_ID\t=\tx ; note\nregion = y\naws_secret_access_key=z".into(),
                "[a]\nregion = y\n".into(),
            ),
            (format!("[ a ]\n{KEY}"), "[ a ]\n".into()),
            (format!("[a]\ns3 =\n  max = 1\n{KEY}"), "[a]\ns3 =\n  max = 1\n".into()),
            (format!("[a]\n{KEY}  # no more of it\n"), "[a]\n  # no more of it\n".into()),
            (
                "[a]\n  aws_access_key_id: x\n  aws_secret_access_key: z\n  r=y".into(),
                "[a]\n  r=y".into(),
            ),
        ] {
            assert!(has_plain_key(&before, "a"), "{before}");
            assert_eq!(without(&before, &["a"]).unwrap(), after);
            assert_eq!(without(&after, &["a"]).unwrap(), after);
        }
        assert_eq!(without(&format!("[a]\n{KEY}[b]\n{KEY}"), &["a", "b"]).unwrap(), "[a]\n[b]\n");
        assert_eq!(without("", &["a"]).unwrap(), "");
    }

    #[test]
    fn other_than_one_plain_key_is_not_taken_for_one() {
        for odd in [
            format!("[a]\n{KEY}{KEY}"),
            format!("[a]\n{KEY}[b]\n[a]\n{KEY}"),
            format!("[a]\n{KEY}[ a ]\nregion = x\n"),
            format!("[a]\n{KEY}\n; between\n  more\n"),
            "[a]\naws_access_key_id = x\n".to_owned(),
            format!("[profile a]\n{KEY}"),
            format!("[b]\n{KEY}"),
            format!("[DEFAULT]\n{KEY}[a]\n{KEY}"),
            format!("[a]\n{KEY}[DEFAULT]\naws_access_key_id = x\n"),
            String::new(),
        ] {
            assert!(!has_plain_key(&odd, "a"), "{odd}");
        }
    }

    #[test]
    fn halves_that_may_be_of_two_keys_are_found() {
        let (id, secret) = ("aws_access_key_id = x\n", "aws_secret_access_key = y\n");
        for (contents, expected) in [
            (format!("[a]\n{KEY}"), false),
            (format!("[a]\n{KEY}[b]\n{KEY}[a]\n{KEY}"), false),
            (format!("[a]\n{KEY}[a]\nregion = x\n"), false),
            (format!("[a]\n{KEY}{KEY}"), false),
            (format!("[a]\n{KEY}{id}"), true),
            (format!("[a]\n{id}{KEY}"), true),
            (format!("[a]\n{KEY}{secret}"), true),
            (format!("[DEFAULT]\n{KEY}[a]\n"), false),
            (format!("[DEFAULT]\n{id}[a]\n{KEY}"), false),
            (format!("\u{feff}[a]\n{KEY}[a]\n{id}"), true),
            (format!("[a]\n{KEY}[a]\n{secret}"), true),
            (format!("[a]\n{id}[a]\n{secret}"), true),
            (format!("[DEFAULT]\n{KEY}[a]\n{id}"), true),
            (format!("[a]\n{secret}[DEFAULT]\n{id}"), true),
        ] {
            let found = keys_of_two_halves(&contents);
            assert_eq!(found.contains("a"), expected, "{contents}");
            assert!(!found.contains("b"), "{contents}");
        }
    }

    #[test]
    fn two_spellings_of_another_profile_are_no_hindrance() {
        // Found by the fuzzer: they are merged in no certain order.
        let two = "[b]\nregion = x\n[ b ]\nregion = y\n";
        for _ in 0..16 {
            let file = format!("{two}[a]\n{KEY}");
            assert_eq!(without(&file, &["a"]).unwrap(), format!("{two}[a]\n"));
            assert_eq!(without(two, &[]).unwrap(), two);
        }
    }

    #[test]
    fn a_name_may_have_blanks_and_another_section_may_be_odd() {
        let odd = "no setting\n[b]\nnor this\n[b]\n";
        let file = format!("{odd}[my key]\n{KEY}");
        assert!(has_plain_key(&file, "my key"));
        assert_eq!(without(&file, &["my key"]).unwrap(), format!("{odd}[my key]\n"));
        assert_eq!(without(odd, &["a"]).unwrap(), odd);
    }

    #[test]
    fn a_value_goes_with_the_lines_that_continue_it() {
        let odd = format!("[a]\nregion = x\n{KEY}  more\n\n  and more\noutput = y\n");
        assert_eq!(without(&odd, &["a"]).unwrap(), "[a]\nregion = x\noutput = y\n");
    }

    #[test]
    fn a_profile_that_would_have_another_key_afterwards_is_left_alone() {
        let defaults = format!("[DEFAULT]\n{KEY}[a]\n{KEY}");
        assert_eq!(without(&defaults, &["a"]).unwrap_err().class, crate::error::Class::Other);
    }
}
