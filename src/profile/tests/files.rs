//! The two files: where they lie, what is read, what is passed over.

use std::path::{Path, PathBuf};

use super::super::{About, FILE_LIMIT, locate, read};
use super::*;

fn parsed(config: &str, credentials: &str) -> Profiles {
    Profiles::parse(&files(), config, credentials)
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
fn a_missing_home_is_a_hint() {
    let none = Profiles::parse(&Files::default(), "", "");
    let error = plan(&none, &BTreeSet::new(), &asked("a")).unwrap_err();
    assert_eq!(
        error.hint.as_deref(),
        Some("there is no .aws/config that can be reached; set AWS_CONFIG_FILE")
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
        assert!(read(&files(empty), &Env::default()).unwrap().names().is_empty(), "{empty:?}");
    }
    assert!(read(&Files::default(), &Env::default()).unwrap().names().is_empty());

    std::fs::write(&file, "\u{feff}[profile a]\r\nregion = x\r\n").unwrap();
    assert_eq!(read(&files(&file), &Env::default()).unwrap().get("a", "region"), Some("x"));

    let error = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        let error = read(&files(&file), &Env::default()).unwrap_err();
        assert_eq!(error.class.code(), 1);
        error.what.replace(at.to_str().unwrap(), "")
    };
    assert_eq!(error(b"[profile a]\nregion = \xff\n"), "cannot read /config: line 2 is not UTF-8");
    let large = vec![b'\n'; usize::try_from(FILE_LIMIT).unwrap() + 1];
    assert_eq!(error(&large), "cannot read /config: larger than 1 MiB");
    let error = read(&files(&at), &Env::default()).unwrap_err();
    assert_eq!(error.what, format!("cannot read {}: not a regular file", at.display()));
    std::fs::remove_dir_all(&at).unwrap();
}

#[test]
fn a_line_that_is_not_understood_spoils_its_own_profile_and_its_secrets_are_not_quoted() {
    let hint = "\nhint: make it KEY = VALUE, or a comment that begins with #";
    for (config, credentials, what) in [
        (
            "[profile b]\n[profile a]\nregion us-east-1\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: region us-east-1",
        ),
        (
            "[profile b]\n[profile a\n  region = x\n",
            "",
            "/h/.aws/config line 2, of profile \"a\", is not understood: [profile a",
        ),
        (
            "[profile b]\n[profile a]\n= wJalrXUtnFEMI/K7MDENG\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: = ...",
        ),
        (
            "[profile b]\n[profile a]\naws_secret_access_key wJalr XUtn\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: aws_secret_access_key ... ...",
        ),
        (
            "[profile b]\n[profile a]\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: ...",
        ),
        (
            "[profile b]\n[profile a]\nAWS_KEY \"wJalrXUtnFEMI\"\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: ... ...",
        ),
        (
            "[profile b]\n[profile a]\naws_secret_access_key\u{2192}wJalrXUtnFEMI\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: ...",
        ),
        (
            "[profile b]\n[profile a]\naws_secret_access_key =\n  minioadmin1\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: aws_secret_access_key",
        ),
        (
            "[profile b]\n[profile a]\ns3 =\n  x = 1\n  max 2\n",
            "",
            "/h/.aws/config line 3, of profile \"a\", is not understood: max 2",
        ),
        (
            "[profile b]\n",
            "[a]\nwJalrXUtnFEMI/K7MDENG\n",
            "/h/.aws/credentials line 2, of profile \"a\", is not understood",
        ),
    ] {
        let profiles = parsed(config, credentials);
        let stored = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let planned = |name| plan(&profiles, &stored, &asked(name));
        let error = planned("a").unwrap_err();
        assert_eq!(error.class.code(), 1);
        assert_eq!(
            format!("{}\nhint: {}", error.what, error.hint.unwrap()),
            format!("{what}{hint}")
        );
        planned("b").unwrap();
        // The AWS CLI refuses all of them.
        assert!(profiles.remarks().iter().any(|remark| remark.about == About::AwsCli), "{config}");
        assert!(profiles.remarks().iter().all(|remark| !remark.text.contains("wJalr")));
    }
}

#[test]
fn a_broken_line_of_a_section_is_an_error_for_each_profile_that_inherits_from_it() {
    let hint = "is not understood: use_fips_endpoint true\nhint: make it KEY = VALUE, or a comment that begins with #";
    let line = |gives: &str| -> &'static str { format!("error 1: {gives}, {hint}").leak() };
    let a = Case { stored: &["a"], ask: "a --no-session", ..Case::default() };
    run(&[
        Case {
            says: "[default]",
            config: "[default]\nuse_fips_endpoint true\n[profile a]\n",
            gives: line("/h/.aws/config line 2, of profile \"default\""),
            ..a
        },
        Case {
            says: "a profile that [default] includes",
            config: "[default]\ninclude_profile = b\n[profile b]\nuse_fips_endpoint true\n[profile a]\n",
            gives: line("/h/.aws/config line 4, of profile \"b\""),
            ..a
        },
        Case {
            says: "[DEFAULT]",
            config: "[profile a]\n[DEFAULT]\nuse_fips_endpoint true\n",
            gives: line("/h/.aws/config line 3, of [DEFAULT]"),
            ..a
        },
        Case {
            says: "the profile's own line first",
            config: "[DEFAULT]\nodd\n[profile a]\nuse_fips_endpoint true\n",
            gives: line("/h/.aws/config line 4, of profile \"a\""),
            ..a
        },
        Case {
            says: "[DEFAULT] of a file that does not have the profile lends it nothing",
            config: "[profile a]\n",
            credentials: "[DEFAULT]\nuse_fips_endpoint true\n[b]\n",
            gives: "vault a",
            ..a
        },
    ]);
}

#[test]
fn a_line_before_the_first_section_spoils_none() {
    let profiles = parsed("region = x\n[profile a]\nregion = y\n", "");
    assert_eq!(profiles.get("a", "region"), Some("y"));
    assert_eq!(
        said(&profiles, About::Ignored),
        ["/h/.aws/config line 1: is before the first section; the AWS CLI refuses the file"]
    );
}

/// The remarks of one kind.
fn said(profiles: &Profiles, about: About) -> Vec<String> {
    profiles.remarks().into_iter().filter(|it| it.about == about).map(|it| it.text).collect()
}

#[test]
fn what_the_aws_cli_reads_is_read() {
    let profiles = parsed(
        "# first\n  ; indented\n[profile a] text\n  region: x-1\n  output = json\n\n[profile b]\ns3 =\n  # note\n  \
         x = 1\nregion = x-2\n",
        "",
    );
    assert_eq!(profiles.get("a", "region"), Some("x-1"));
    assert_eq!(profiles.get("a", "output"), Some("json"));
    assert_eq!(profiles.get("b", "region"), Some("x-2"));
    assert_eq!(profiles.remarks().len(), 0);
}

#[test]
fn names_are_quoted_as_in_a_shell_in_the_config_file_and_as_they_are_in_the_credentials_file() {
    let profiles = parsed(
        "[profile \"x\"]\n[profile 'My MacBook Pro']\n[profile\ta,b(c)]\n[sso-session 'My Corp Ltd']\nsso_region = r\n\
         [services \"s\"]\nsts =\n  endpoint_url = http://[::1]:1\n",
        "[My MacBook Air]\n",
    );
    assert_eq!(profiles.names(), ["My MacBook Air", "My MacBook Pro", "a,b(c)", "x"]);
    assert_eq!(profiles.sso_session("My Corp Ltd").unwrap().unwrap()["sso_region"], "r");
    assert_eq!(profiles.service_endpoint("s", "sts").unwrap(), Some("http://[::1]:1"));
}

#[test]
fn each_section_inherits_from_python_s_default_section_of_its_file() {
    let profiles = parsed(
        "[DEFAULT]\nregion = x-1\noutput = json\n[profile a]\nregion = x-2\n[sso-session s]\n",
        "[DEFAULT]\noutput = text\n[b]\n[a]\n",
    );
    let get = |name, key| profiles.get(name, key);
    assert_eq!([get("a", "region"), get("a", "output")], [Some("x-2"), Some("text")]);
    assert_eq!([get("b", "region"), get("b", "output")], [None, Some("text")]);
    assert_eq!(profiles.sso_session("s").unwrap().unwrap()["region"], "x-1");
    assert_eq!(profiles.names(), ["a", "b"]);
}

#[test]
fn of_two_spellings_the_later_section_counts_alone() {
    for (config, region, output) in [
        ("[profile a]\nregion = 1\noutput = 1\n[profile 'a']\nregion = 2\n", Some("2"), None),
        ("[profile 'a']\nregion = 2\n[profile a]\noutput = 1\n", None, Some("1")),
        // The AWS CLI passes over the second.
        ("[profile a]\nregion = 1\n[ profile a ]\nregion = 2\n", Some("1"), None),
        // The AWS CLI refuses the file.
        ("[profile a]\nregion = 1\noutput = 1\n[profile a]\nregion = 2\n", Some("2"), Some("1")),
    ] {
        let profiles = parsed(config, "");
        assert_eq!(profiles.get("a", "region"), region, "{config}");
        assert_eq!(profiles.get("a", "output"), output, "{config}");
    }
    let region = |config| parsed(config, "").get("default", "region").map(str::to_owned);
    assert_eq!(region("[default]\nregion = 1\n[profile default]\nregion = 2\n").unwrap(), "2");
    assert_eq!(region("[profile default]\nregion = 2\n[default]\nregion = 1\n").unwrap(), "1");
}

#[test]
fn a_comment_behind_a_value_is_cut_off_only_where_a_value_can_hold_no_blank() {
    let profiles = parsed(
        "[profile a]\nregion = x-1 # home\nrole_arn = arn ; mine\nduration_seconds = #\n\
         credential_process = sh -c 'a ; b # c'\nmfa_process = m # n\nweb_identity_token_process = w ; x\n\
         web_identity_token_file = /t # u\nca_bundle = /c ; d\nsource_profile = s # t\n\
         include_profile = i ; j\nsso_session = s # s\nexternal_id = a#b;c\n",
        "",
    );
    for (key, value) in [
        ("region", Some("x-1")),
        ("role_arn", Some("arn")),
        ("duration_seconds", None),
        ("credential_process", Some("sh -c 'a ; b # c'")),
        ("mfa_process", Some("m # n")),
        ("web_identity_token_process", Some("w ; x")),
        ("web_identity_token_file", Some("/t # u")),
        ("ca_bundle", Some("/c ; d")),
        ("source_profile", Some("s # t")),
        ("include_profile", Some("i ; j")),
        ("sso_session", Some("s # s")),
        ("external_id", Some("a#b;c")),
    ] {
        assert_eq!(profiles.get("a", key), value, "{key}");
    }
    assert_eq!(
        said(&profiles, About::Comment),
        [2, 3, 4].map(|line| {
            let key = ["region", "role_arn", "duration_seconds"][line - 2];
            format!(
                "/h/.aws/config line {line}: behind {key}, the AWS CLI reads the comment as \
                part of the value"
            )
        })
    );
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
         [profile default]\n[sso-session s]\n[services x]\n[plugins]\n[profile a]\n\
         [profile]\n[profile 'x]\n[profile d e]\nx = 1\nx = 2\n[proflie f]\n[sso-sesion t]\n[other x]\n",
        "[profile c]\n[my profile]\n[sso-session t]\n[ok]\n[ blank ]\n",
    );
    assert_eq!(
        said(&profiles, About::Ignored),
        [
            "/h/.aws/config line 1: [plain] is ignored; in the AWS config write [profile plain]",
            "/h/.aws/config line 5: [Profile b] is ignored, the word is profile in lower case",
            "/h/.aws/config line 12: [profile] is ignored, it has no name: [profile NAME]",
            "/h/.aws/config line 13: [profile 'x] is ignored, its quote has no end: [profile \"NAME\"]",
            "/h/.aws/config line 14: [profile d e] is ignored, a name with a blank has quotes: [profile \"NAME\"]",
            "/h/.aws/config line 17: [proflie f] is ignored, the word is profile",
            "/h/.aws/config line 18: [sso-sesion t] is ignored, the word is sso-session",
            "/h/.aws/config: of [profile  a] and [profile a] only the later counts, make them one section",
            "/h/.aws/config: of [default] and [profile default] only the later counts, make them one section",
            "/h/.aws/credentials line 1: [profile c] names a profile \"profile c\"; in the \
             credentials file write [c]",
        ]
    );
    assert_eq!(
        said(&profiles, About::AwsCli),
        [
            "/h/.aws/config line 11: [profile a] is repeated; the AWS CLI refuses the file",
            "/h/.aws/config line 16: x is repeated; the AWS CLI refuses the file",
            "/h/.aws/credentials line 5: [ blank ] has a blank at an end, for which the AWS CLI ignores it",
        ]
    );
    assert_eq!(
        profiles.names(),
        ["a", "blank", "default", "my profile", "ok", "profile c", "sso-session t"]
    );
    assert_eq!(parsed("[profile a]\n[default]\n", "[a]\n[default]\n").remarks().len(), 0);
}

#[test]
fn two_spellings_of_the_profile_in_use_are_a_warning() {
    run(&[Case {
        says: "one of them counts for nothing",
        config: "[profile a]\n[ profile a ]\n",
        stored: &["a"],
        ask: "a --no-session",
        gives: "
            vault a
            note: /h/.aws/config: of [ profile a ] and [profile a] only the later counts, make them one section",
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
    let plan = plan(&profiles, &stored, &asked("p0")).unwrap();
    assert_eq!(plan.region.as_deref(), Some("r-0"));
    assert_eq!(said(&profiles, About::Ignored).len(), 8000);
}
