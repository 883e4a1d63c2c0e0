//! Plugins: one that is missing, and one that is a shell script.
//!
//! age looks for plugins in `PATH` alone, so the second half plays in a process of its own: this
//! test program once more, started in the script's directory.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::error::Class;

/// A plugin that wraps the file key in nothing at all. `rude` fails with a message, `postquantum`
/// has that label.
const SCRIPT: &str = r#"#!/bin/sh
case "$0" in *rude) mode=rude ;; *quantum) mode=quantum ;; *) mode=plain ;; esac
wrapped= body=
while read -r line; do
    case "$line" in
        "-> done") read -r _; break ;;
        "-> wrap-file-key") read -r body ;;
        "-> recipient-stanza 0 vaulttest") read -r body ;;
    esac
done
reply() { printf '%s\n' "$@"; read -r _; read -r _; }
case "$mode $1" in
    rude*) reply "-> error internal" "bm8ga2V5G1szMW0" ;;
    *--age-plugin=recipient-v1)
        [ "$mode" = plain ] || reply "-> labels postquantum" ""
        reply "-> recipient-stanza 0 vaulttest" "$body" ;;
    *--age-plugin=identity-v1)
        [ -z "$body" ] || reply "-> file-key 0" "$body" ;;
esac
printf -- '-> done\n\n'
"#;

const MARKER: &str = "a-plugin-lies-here";

fn named(name: &str) -> String {
    let hrp = bech32::Hrp::parse(&format!("age1{name}")).unwrap();
    bech32::encode_lower::<bech32::Bech32>(hrp, &[7; 8]).unwrap()
}

/// A recipient of the plugin `vaulttest`.
pub(super) fn recipient() -> String {
    named("vaulttest")
}

fn identity(name: &str) -> Vec<Identity> {
    let hrp = bech32::Hrp::parse(&format!("age-plugin-{name}-")).unwrap();
    identities(&bech32::encode_upper::<bech32::Bech32>(hrp, &[7; 8]).unwrap())
}

#[test]
fn a_missing_plugin_is_named_with_its_recipient_and_stops_no_other_key() {
    let (mut keys, known) = key();
    let plugin = parse_recipient(&named("vaultmissing")).unwrap();
    let error = seal(PLAINTEXT, &[known.clone(), plugin.clone()], &[], false).unwrap_err();
    assert_eq!(error.class, Class::NotSaved);
    assert!(error.what.contains("age-plugin-vaultmissing"));
    assert!(error.what.contains(&plugin.to_string()));

    let sealed = seal(PLAINTEXT, &[known], &[slot("p")], false).unwrap();
    let mut all = identity("vaultmissing");
    let error = reopen(&sealed.bytes, &all, &["wrong"]).unwrap_err();
    assert_eq!(error.class, Class::Locked);
    assert!(error.what.contains("the program age-plugin-vaultmissing is missing"));
    assert!(reopen(&sealed.bytes, &all, &["p"]).is_ok());
    all.append(&mut keys);
    assert!(reopen(&sealed.bytes, &all, &[]).is_ok());
}

#[test]
fn a_plugin_in_the_path_wraps_and_unwraps() {
    let program = std::env::current_exe().unwrap();
    let folder = program.with_file_name(format!("plugins-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    for name in ["vaulttest", "vaultrude", "vaultquantum"] {
        let path = folder.join(format!("age-plugin-{name}"));
        std::fs::write(&path, SCRIPT).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    std::fs::write(folder.join(MARKER), "").unwrap();
    let output = Command::new(program)
        .args(["--exact", "sealed::tests::plugins::the_half_with_plugins", "--nocapture"])
        .env("PATH", &folder)
        .env("TMPDIR", &folder)
        .current_dir(&folder)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(said.contains("played"), "{said}");
}

/// Passes at once unless it is started by the test above.
#[test]
fn the_half_with_plugins() {
    if !Path::new(MARKER).exists() {
        return;
    }
    let plain = parse_recipient(&recipient()).unwrap();
    let (keys, known) = key();
    let slots = [slot("p")];
    let recipients = [plain.clone(), known.clone()];
    let sealed = seal(PLAINTEXT, &recipients, &slots, false).unwrap();
    assert_eq!(scan(&sealed.bytes).unwrap().stanzas[..2], ["vaulttest", "X25519"]);
    let opened = reopen(&sealed.bytes, &identity("vaulttest"), &[]).unwrap();
    assert_eq!(*opened.plaintext, PLAINTEXT);
    assert!(reopen(&sealed.bytes, &keys, &[]).is_ok());

    // Nothing in this file is for the plugin.
    let other = seal(PLAINTEXT, std::slice::from_ref(&known), &[], false).unwrap();
    let error = reopen(&other.bytes, &identity("vaulttest"), &[]).unwrap_err();
    assert_eq!(error.class, Class::Locked);
    assert!(error.what.contains("age-plugin-vaulttest"), "{}", error.what);

    // One that fails is quoted, without its escape sequences, and stops no other.
    let rude = parse_recipient(&named("vaultrude")).unwrap();
    let error = seal(PLAINTEXT, &[known.clone(), rude], &[], false).unwrap_err();
    assert_eq!(error.class, Class::NotSaved);
    assert!(error.what.contains("no key") && !error.what.contains('\u{1b}'), "{}", error.what);
    let mut both = identity("vaultrude");
    both.append(&mut identity("vaulttest"));
    assert!(reopen(&sealed.bytes, &both, &[]).is_ok());

    // A label keeps a recipient apart from those that do not share it.
    let quantum = parse_recipient(&named("vaultquantum")).unwrap();
    assert!(seal(PLAINTEXT, std::slice::from_ref(&quantum), &[], false).is_ok());
    let error = seal(PLAINTEXT, &[quantum, known], &[], false).unwrap_err();
    assert_eq!(error.class, Class::Refused);
    println!("played");
}
