//! The error for a profile that does not exist, with what may have been meant.

use super::read::Profiles;
use super::remarks::About;
use super::value::plain;
use crate::error::{Error, Reason};
use crate::nearest::nearest;

/// The error, with a hint: a similar section that is ignored, a similar name, or where it was looked for.
pub(super) fn no_such_profile<'a>(
    profiles: &'a Profiles,
    stored: impl Iterator<Item = &'a str>,
    profile: &str,
    named_by: Option<&str>,
) -> Error {
    let profile = plain(profile);
    let what = match named_by {
        Some(by) => format!("no profile \"{profile}\", the source_profile of \"{by}\""),
        None => format!("no profile \"{profile}\""),
    };
    let guess = ignored(profiles, &profile)
        .or_else(|| with_comment(&profile))
        .or_else(|| Some(format!("did you mean \"{}\"?", near(profiles, stored, &profile)?)));
    let files = profiles.files();
    // Without any file, that is the likelier reason.
    let guessed = guess.is_some() || (files.config.is_none() && files.credentials.is_none());
    let hint = guess.unwrap_or_else(|| looked_in(profiles));
    Error::not_found(what).because(Reason::NoSuchProfile { guessed }).hint(hint)
}

/// The remark on an ignored section of this name, or of one that differs in case.
fn ignored(profiles: &Profiles, profile: &str) -> Option<String> {
    let remarks = profiles.remarks();
    let ignored = || remarks.iter().filter(|remark| remark.about == About::Ignored);
    ignored()
        .find(|remark| remark.name == profile)
        .or_else(|| ignored().find(|remark| remark.name.eq_ignore_ascii_case(profile)))
        .map(|remark| remark.text.clone())
}

/// The hint for a name with a comment after it: a name may have blanks, so nothing is cut off.
fn with_comment(profile: &str) -> Option<String> {
    [" #", " ;"].iter().any(|comment| profile.contains(comment)).then(|| {
        "no comment can follow the name of a profile: put it on a line of its own".to_owned()
    })
}

/// The nearest name in the files and the vault.
fn near<'a>(
    profiles: &Profiles,
    stored: impl Iterator<Item = &'a str>,
    profile: &str,
) -> Option<String> {
    let mut names = profiles.names();
    names.extend(stored.map(str::to_owned));
    nearest(profile, names.iter().map(String::as_str)).map(str::to_owned)
}

fn looked_in(profiles: &Profiles) -> String {
    let paths = [&profiles.files().config, &profiles.files().credentials];
    let paths: Vec<_> =
        paths.iter().filter_map(|path| Some(path.as_ref()?.display().to_string())).collect();
    match paths.as_slice() {
        [] => "there is no .aws/config that can be reached; set AWS_CONFIG_FILE".to_owned(),
        paths => format!("looked in {} and the vault", paths.join(", ")),
    }
}
