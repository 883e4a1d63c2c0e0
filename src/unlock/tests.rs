use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::error::Class;

const QUIET: Reporter = Reporter { quiet: true, debug: false };

/// What was gathered, as `label: kind`.
fn shown(keys: &GatheredKeys) -> Vec<String> {
    keys.materials
        .iter()
        .map(|m| match &m.kind {
            SecretKind::Identity(s) => format!("{}: identity {}", m.label, s.expose()),
            SecretKind::LockedKey(..) => format!("{}: locked key", m.label),
            SecretKind::Passphrase(s) => format!("{}: passphrase {}", m.label, s.expose()),
            SecretKind::Slot(s) => format!("{}: slot {}", m.label, s.slot),
        })
        .collect()
}

fn with(vars: &[(&str, &str)], has_slot: bool) -> Result<GatheredKeys> {
    let slots: &[String] = if has_slot { &["a slot".to_owned()] } else { &[] };
    gather(&Named::default(), &Env::of(vars), None, slots, QUIET)
}

/// A file of the given mode in a directory of its own, on the disk: /tmp may be a tmpfs, where modes only warn.
fn file(name: &str, text: &str, mode: u32) -> PathBuf {
    let dir = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/unit")).join("unlock");
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join(format!("{name}-{}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

#[test]
fn key_variables_outrank_passphrase_variables() {
    let keys = with(&[("AWS_VAULT_AGE_KEY", "K"), ("AWS_VAULT_PASSPHRASE", "p")], true).unwrap();
    assert_eq!(shown(&keys), ["AWS_VAULT_AGE_KEY: identity K"]);
    assert!(keys.named);
}

#[test]
fn one_newline_is_dropped_from_a_passphrase() {
    for (given, kept) in [("p\n", "p"), ("p\r\n", "p"), ("p\n\n", "p\n"), (" p ", " p ")] {
        let keys = with(&[("AWS_VAULT_PASSPHRASE", given)], true).unwrap();
        assert_eq!(shown(&keys), [format!("AWS_VAULT_PASSPHRASE: passphrase {kept}")]);
    }
}

#[test]
fn an_empty_variable_is_an_error_not_an_absence() {
    for name in [
        "AWS_VAULT_AGE_KEY",
        "AWS_VAULT_AGE_KEY_FILE",
        "AWS_VAULT_PASSPHRASE",
        "AWS_VAULT_PASSPHRASE_FILE",
    ] {
        let error = with(&[(name, ""), ("SOPS_AGE_KEY", "K")], true).unwrap_err();
        assert_eq!((error.class, error.what), (Class::Locked, format!("{name} is set but empty")));
    }
}

#[test]
fn aws_vaults_passphrase_counts_only_where_there_is_a_slot() {
    let vars = [("AWS_VAULT_FILE_PASSPHRASE", "p"), ("SOPS_AGE_KEY", "K")];
    assert_eq!(shown(&with(&vars, true).unwrap()), ["AWS_VAULT_FILE_PASSPHRASE: passphrase p"]);
    assert_eq!(shown(&with(&vars, false).unwrap()), ["SOPS_AGE_KEY: identity K"]);
}

#[test]
fn default_sources_are_tried_in_order() {
    let identity = file("identity.txt", "I", 0o600);
    let sops = file("sops.txt", "S", 0o600);
    let vars = [("SOPS_AGE_KEY", "K"), ("SOPS_AGE_KEY_FILE", sops.to_str().unwrap())];
    let keys = gather(&Named::default(), &Env::of(&vars), Some(&identity), &[], QUIET).unwrap();
    assert!(!keys.named);
    assert_eq!(
        shown(&keys),
        [
            "SOPS_AGE_KEY: identity K".to_owned(),
            format!("{}: identity S", sops.display()),
            format!("{}: identity I", identity.display()),
        ]
    );
    assert_eq!(keys.materials.iter().map(|m| m.sops).collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn a_named_key_file_that_others_can_read_is_refused() {
    for (mode, refused) in
        [(0o600, false), (0o640, true), (0o644, true), (0o660, true), (0o602, true)]
    {
        let path = file(&format!("mode-{mode:o}"), "K", mode);
        let named = Named { identities: vec![path.clone()], passphrase_file: None };
        let got = gather(&named, &Env::of(&[]), None, &[], QUIET);
        assert_eq!(got.is_err(), refused, "{mode:o}");
        if let Err(error) = got {
            assert_eq!(error.class, Class::Refused);
            let shown = path.display();
            assert_eq!(
                error.hint.unwrap(),
                format!("chmod 600 {shown}, or give it with -i - <{shown}")
            );
            let ci = gather(&named, &Env::of(&[("CI", "true")]), None, &[], QUIET);
            assert!(ci.is_ok(), "a CI job's file variables are 0666");
        }
    }
}

#[test]
fn a_default_file_that_is_not_private_is_a_problem_and_not_an_error() {
    let loose = file("loose", "K", 0o644);
    let keys =
        gather(&Named::default(), &Env::of(&[("SOPS_AGE_KEY", "K")]), Some(&loose), &[], QUIET)
            .unwrap();
    assert_eq!(keys.materials.len(), 1);
    assert_eq!(keys.problems[0].class, Class::Refused);
}

#[test]
fn a_key_in_place_of_a_file_name_is_not_echoed() {
    let named = Named { identities: vec!["age-secret-key-1ABC".into()], passphrase_file: None };
    let error = gather(&named, &Env::of(&[]), None, &[], QUIET).unwrap_err();
    assert_eq!(error.class, Class::Usage);
    assert!(!error.what.contains("1ABC"));
}

#[test]
fn without_a_source_the_hint_lists_them() {
    assert!(
        nothing_to_open_with(&Env::of(&[]), true).hint.unwrap().contains("AWS_VAULT_PASSPHRASE")
    );
    assert!(!nothing_to_open_with(&Env::of(&[]), false).hint.unwrap().contains("PASSPHRASE"));
    let inside = nothing_to_open_with(&Env::of(&[("AWS_VAULT", "prod")]), true);
    assert!(inside.hint.unwrap().starts_with("unlock variables are not passed"));
}
