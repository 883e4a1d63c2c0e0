//! Access keys in the credentials file: which lines they are, and the file without them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use aws_config::profile::ProfileSet;
use aws_runtime::env_config::file::EnvConfigFileKind;

use super::super::lines::{BLANK, Header, is_skipped};
use super::super::read;
use crate::error::{Error, Result};

/// The two settings that make a long-term access key.
pub const ACCESS_KEY: [&str; 2] = ["aws_access_key_id", "aws_secret_access_key"];

/// True if both halves of the profile's key stand there once, each in a line of its own: then these
/// lines are the key, and nothing else.
pub fn has_plain_key(contents: &str, name: &str) -> bool {
    let lines = key_lines(contents, name);
    !doubled(contents).contains(name)
        && lines.iter().all(|line| line.whole)
        && ACCESS_KEY.iter().all(|key| lines.iter().filter(|line| line.key == *key).count() == 1)
}

/// The credentials file's text without the lines of these profiles' access keys.
///
/// # Errors
/// [`crate::error::Class::Other`]: the file is not understood, or would mean something else in another
/// place.
pub fn remove_keys(contents: &str, names: &[String]) -> Result<String> {
    if names.is_empty() {
        return Ok(contents.to_owned());
    }
    let before = parse(contents)?;
    let doubled = doubled(contents);
    let mut ranges: Vec<Range<usize>> =
        names.iter().flat_map(|name| key_lines(contents, name)).map(|line| line.range).collect();
    ranges.sort_by_key(|range| range.start);
    let mut after = contents.to_owned();
    for range in ranges.into_iter().rev() {
        after.replace_range(range, "");
    }
    let parsed = parse(&after)?;
    let named = |profile: &str| names.iter().any(|name| name == profile);
    let settings: BTreeSet<String> = contents
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, _)| key.trim_matches(BLANK).to_ascii_lowercase())
        .collect();
    let is_done = |profile: &str| {
        let (before, after) = (before.get_profile(profile), parsed.get_profile(profile));
        let (Some(old), Some(new)) = (before, after) else { return false };
        if !named(profile) {
            return old == new;
        }
        settings.iter().all(|key| match ACCESS_KEY.contains(&key.as_str()) {
            true => new.get(key).is_none(),
            false => new.get(key) == old.get(key),
        })
    };
    let done = before.profiles().count() == parsed.profiles().count()
        // Two spellings of one name are merged in no certain order: nothing to compare.
        && before.profiles().all(|profile| doubled.contains(profile) || is_done(profile));
    match done {
        true => Ok(after),
        false => Err(Error::other("cannot take the keys out of the AWS credentials file")
            .hint("take them out in an editor")),
    }
}

fn parse(contents: &str) -> Result<ProfileSet> {
    let text = contents.strip_prefix('\u{feff}').unwrap_or(contents);
    read::parse(&[(EnvConfigFileKind::Credentials, text)])
        .map_err(|error| read::not_understood(None, &error))
}

/// The profiles that stand under two spellings.
fn doubled(contents: &str) -> BTreeSet<&str> {
    let mut first: BTreeMap<&str, &str> = BTreeMap::new();
    let text = contents.strip_prefix('\u{feff}').unwrap_or(contents);
    let headers = text.lines().filter_map(Header::of);
    let names = headers.filter_map(|header| {
        let name = header.credentials()?;
        (*first.entry(name).or_insert(header.inside) != header.inside).then_some(name)
    });
    names.collect()
}

/// A line with half of an access key.
struct KeyLine {
    key: &'static str,
    /// The line, its end included.
    range: Range<usize>,
    /// False if the value goes on in the lines below.
    whole: bool,
}

fn key_lines(contents: &str, name: &str) -> Vec<KeyLine> {
    let (mut inside, mut at, mut found) = (false, 0, Vec::<KeyLine>::new());
    // The last setting was one of the key's, so an indented line is more of it.
    let mut open = false;
    for line in contents.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let bare = line.trim_end_matches(['\n', '\r']);
        let bare = if start == 0 { bare.trim_start_matches('\u{feff}') } else { bare };
        if is_skipped(bare) {
            continue;
        }
        if bare.starts_with(BLANK) {
            if let Some(last) = found.last_mut().filter(|_| open) {
                last.whole = false;
            }
            continue;
        }
        open = false;
        if let Some(header) = Header::of(bare) {
            inside = header.credentials() == Some(name);
        } else if inside
            && let Some((left, _)) = bare.split_once('=')
            && let left = left.trim_matches(BLANK)
            && let Some(key) = ACCESS_KEY.iter().find(|key| left.eq_ignore_ascii_case(key))
        {
            found.push(KeyLine { key, range: start..at, whole: true });
            open = true;
        }
    }
    found
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
        ] {
            assert!(has_plain_key(&before, "a"), "{before}");
            assert_eq!(without(&before, &["a"]).unwrap(), after);
            assert_eq!(without(&after, &["a"]).unwrap(), after);
        }
        assert_eq!(without(&format!("[a]\n{KEY}[b]\n{KEY}"), &["a", "b"]).unwrap(), "[a]\n[b]\n");
        assert_eq!(without("", &["a"]).unwrap(), "");
    }

    #[test]
    fn what_is_not_plainly_one_key_is_told_apart() {
        for odd in [
            format!("[a]\n{KEY}{KEY}"),
            format!("[a]\n{KEY}[b]\n[a]\n{KEY}"),
            format!("[a]\n{KEY}[ a ]\nregion = x\n"),
            format!("[a]\n{KEY}  # more of it\n"),
            format!("[a]\n{KEY}\n; between\n  more\n"),
            "[a]\naws_access_key_id = x\n".to_owned(),
            format!("[profile a]\n{KEY}"),
            format!("[b]\n{KEY}"),
            String::new(),
        ] {
            assert!(!has_plain_key(&odd, "a"), "{odd}");
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
    fn what_would_mean_something_else_afterwards_is_refused() {
        // The indented line would go on above.
        let odd = format!("[a]\nregion = x\n{KEY}  more\n");
        assert_eq!(without(&odd, &["a"]).unwrap_err().class, crate::error::Class::Other);
        assert_eq!(without("secret\n", &["a"]).unwrap_err().class, crate::error::Class::Other);
    }
}
