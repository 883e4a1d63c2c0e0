//! The two files: where they lie, what is read, what is passed over.

use std::path::{Path, PathBuf};

use super::super::{FILE_LIMIT, locate, read};
use super::*;

fn parsed(config: &str, credentials: &str) -> Profiles {
    Profiles::parse(&files(), config, credentials).unwrap()
}

#[test]
fn files_lie_where_variables_say_or_below_the_home() {
    let at = |env: &[(&str, &str)], home: Option<&str>| {
        let files = locate(&Env::of(env), home.map(Path::new));
        let shown = |path: Option<PathBuf>| path.map(|path| path.display().to_string());
        (shown(files.config), shown(files.credentials))
    };
    let some = |a: &str, b: &str| (Some(a.to_owned()), Some(b.to_owned()));
    assert_eq!(at(&[], Some("/h")), some("/h/.aws/config", "/h/.aws/credentials"));
    assert_eq!(at(&[], None), (None, None));
    let both = [("AWS_CONFIG_FILE", "/etc/c"), ("AWS_SHARED_CREDENTIALS_FILE", "k")];
    assert_eq!(at(&both, None), some("/etc/c", "k"));
    let home = [("AWS_CONFIG_FILE", "~/c"), ("AWS_SHARED_CREDENTIALS_FILE", "~user/k")];
    assert_eq!(at(&home, Some("/h")), some("/h/c", "~user/k"));
    assert_eq!(at(&home, None), (None, Some("~user/k".to_owned())));
    assert_eq!(at(&[("AWS_CONFIG_FILE", "")], Some("/h")).0.as_deref(), Some("/h/.aws/config"));
}

#[test]
fn a_home_that_is_not_there_is_said() {
    let none = Profiles::parse(&Files::default(), "", "").unwrap();
    let error = plan(&none, &Env::default(), &BTreeSet::new(), &asked("a")).unwrap_err();
    assert_eq!(
        error.hint.as_deref(),
        Some("there is no HOME to look for .aws/config in, set AWS_CONFIG_FILE")
    );
}

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let at = std::env::temp_dir().join(format!("vault-profile-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&at).unwrap();
    at
}

#[test]
fn missing_files_are_empty_and_unreadable_ones_are_errors() {
    let at = directory("read");
    let files = |config: &Path| Files { config: Some(config.into()), credentials: None };
    let file = at.join("config");
    for empty in [Path::new("/dev/null"), &at.join("none"), Path::new("/dev/null/.aws/config")] {
        assert!(read(&files(empty)).unwrap().names().is_empty(), "{empty:?}");
    }
    assert!(read(&Files::default()).unwrap().names().is_empty());

    std::fs::write(&file, "\u{feff}[profile a]\r\nregion = x\r\n").unwrap();
    assert_eq!(read(&files(&file)).unwrap().get("a", "region"), Some("x"));

    let error = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let error = read(&files(&file)).unwrap_err();
        assert_eq!(error.class.code(), 1);
        error.what.replace(at.to_str().unwrap(), "")
    };
    assert_eq!(error(b"[profile a]\nregion = \xff\n"), "cannot read /config: line 2 is not UTF-8");
    assert_eq!(error(b"[profile a]\n\nsecret words\n"), "/config line 3 is not understood");
    let large = vec![b'\n'; usize::try_from(FILE_LIMIT).unwrap() + 1];
    assert_eq!(error(&large), "cannot read /config: larger than 1 MiB");
    let error = read(&files(&at)).unwrap_err();
    assert_eq!(error.what, format!("cannot read {}: not a regular file", at.display()));
    std::fs::remove_dir_all(&at).unwrap();
}

#[test]
fn lines_that_are_not_understood_are_numbered_and_not_quoted() {
    for (config, credentials, what) in [
        ("region = x\n", "", "/h/.aws/config line 1 is not understood"),
        ("[profile a\n", "", "/h/.aws/config line 1 is not understood"),
        ("[profile a]\n  region = x\n", "", "/h/.aws/config line 2 is not understood"),
        (
            "[profile a]\n",
            "[a]\nwJalrXUtnFEMI/K7MDENG\n",
            "/h/.aws/credentials line 2 is not understood",
        ),
        ("[profile a]\n= x\n", "", "/h/.aws/config line 2 is not understood"),
    ] {
        let error = Profiles::parse(&files(), config, credentials).unwrap_err();
        assert_eq!(error.what, what);
        assert!(!format!("{error:?}").contains("wJalr"));
    }
}

#[test]
fn keys_are_looked_up_without_case_and_names_with() {
    let profiles = parsed("[profile Ab]\nREGION = x\nRegion_Two =  y  ; why\n", "");
    assert_eq!(profiles.get("Ab", "region"), Some("x"));
    assert_eq!(profiles.get("Ab", "region_two"), Some("y"));
    assert_eq!(profiles.get("ab", "region"), None);
    assert!(profiles.has("Ab") && !profiles.has("ab"));
    assert_eq!(profiles.names(), ["Ab"]);
}

#[test]
fn an_indented_comment_is_no_part_of_the_value_above_it() {
    let profiles = parsed("[profile a]\nregion = x\n  ; was y\n\t# was z\nkey = 1\n  2\n", "");
    assert_eq!(profiles.get("a", "region"), Some("x"));
    assert_eq!(profiles.get("a", "key"), Some("1\n2"));
}

#[test]
fn the_credentials_file_outranks_the_config() {
    let profiles = parsed("[profile a]\nregion = x\noutput = json\n", "[a]\nregion = y\n[b]\n");
    assert_eq!(profiles.get("a", "region"), Some("y"));
    assert_eq!(profiles.get("a", "output"), Some("json"));
    assert_eq!(profiles.names(), ["a", "b"]);
}

#[test]
fn sections_that_do_not_count_are_reported() {
    let profiles = parsed(
        "[plain]\n[profile \"my profile\"]\n[profile a]\n[profile  a] ; again\n[Profile b]\n[default]\n\
         [profile default]\n[sso-session s]\n[services x]\n[plugins]\n[profile a]\n",
        "[profile c]\n[my profile]\n[sso-session t]\n[ok]\n",
    );
    assert_eq!(
        profiles.ignored(),
        [
            "/h/.aws/config line 1: [plain] is ignored, the AWS config wants [profile plain]",
            "/h/.aws/config line 2: [profile \"my profile\"] is ignored, the AWS SDKs take no such name",
            "/h/.aws/config line 4: [profile  a] and [profile a] are one profile, make them one section",
            "/h/.aws/config line 5: [Profile b] is ignored, the word is profile in lower case",
            "/h/.aws/config line 7: [profile default] stands beside another spelling, only [profile default] counts",
            "/h/.aws/credentials line 1: [profile c] is ignored, the credentials file wants [c]",
            "/h/.aws/credentials line 2: [my profile] is ignored, the AWS SDKs take no such name",
            "/h/.aws/credentials line 3: [sso-session t] is ignored, the AWS SDKs take no such name",
        ]
    );
    assert_eq!(profiles.names(), ["a", "default", "ok"]);
    assert_eq!(parsed("[profile a]\n[default]\n", "[a]\n[default]\n").ignored(), [""; 0]);
}

#[test]
fn two_spellings_of_the_profile_in_use_are_a_warning() {
    run(&[Case {
        says: "which of two values counts is chance",
        config: "[profile a]\n[ profile a ]\n",
        stored: &["a"],
        ask: "a --no-session",
        gives: "
            vault a
            note: /h/.aws/config line 2: [ profile a ] and [profile a] are one profile, make them one section",
        ..Case::default()
    }]);
}

#[test]
fn debug_shows_names_and_no_values() {
    let shown = format!("{:?}", parsed("[profile a]\nregion = x-9\n", ""));
    assert!(shown.contains("\"a\"") && !shown.contains("x-9"), "{shown}");
}

#[test]
fn a_large_file_is_read_in_a_line_of_time() {
    let mut config = String::new();
    for n in 0..8000 {
        config += &format!("[profile p{n}]\nregion = r-{n}\n[plain{n}]\n");
        // As long a chain as there may be, so that each step finds its profile among the 8,000.
        if n < 30 {
            config += &format!("[profile p{n}]\nsource_profile = p{}\n", n + 1);
        }
    }
    let profiles = parsed(&config, "");
    let stored = BTreeSet::from(["p30".to_owned()]);
    let plan = plan(&profiles, &Env::default(), &stored, &asked("p0")).unwrap();
    assert_eq!(plan.region.as_deref(), Some("r-0"));
    assert_eq!(profiles.ignored().len(), 8000);
}
