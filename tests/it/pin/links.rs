//! Links: whoever may write a directory on the way to a vault chooses the file behind its name.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{OTHER, VAULT, follow, forge, forged, pin_of};
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::vault_file::payload_of;

pub(super) fn dir(test: &Test) -> PathBuf {
    test.vault_file().parent().unwrap().to_owned()
}

/// Puts a link to the target in the place of whatever is there, as `ln -sfn` does.
pub(super) fn link(target: impl AsRef<Path>, at: &Path) {
    let _ = std::fs::remove_file(at);
    symlink(target, at).unwrap();
}

pub(super) fn list(test: &Test, vault: impl AsRef<std::ffi::OsStr>) -> Test {
    test.command(["list", "--credentials", "--vault"]).arg(vault)
}

/// It opens, and nothing is said.
#[track_caller]
pub(super) fn opens(test: &Test, vault: impl AsRef<std::ffi::OsStr>) {
    list(test, vault).expect_stdout("demo\n").expect_stderr("").run();
}

pub(super) fn refusal(named: &str, pin: &str, known: &str, real: Option<&Path>) -> String {
    let leads = real.map(|real| format!("; the path leads to {}", real.display()));
    format!(
        "vault: error: the vault {named} is not the one that this machine remembers: its fingerprint \
         is {pin}, remembered is {known}{}\n\
         vault: hint: if the change is meant: vault --vault {named} pin --accept {pin}\n",
        leads.unwrap_or_default()
    )
}

/// What an entry says of this key.
pub(super) fn remembered(test: &Test, path: &Path, key: &str) -> Option<String> {
    let own = format!("vault = \"{}\"\n", path.display());
    let (_, text) = entries(test).into_iter().find(|(_, text)| text.contains(&own))?;
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key} = ")))?;
    Some(line.to_owned())
}

/// The files that remember, and what stands in them.
pub(super) fn entries(test: &Test) -> Vec<(PathBuf, String)> {
    let files = std::fs::read_dir(test.home().join(".local/state/vault/pins")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let entries = paths.filter(|path| path.extension().is_some_and(|it| it == "toml"));
    entries.map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

#[test]
fn a_link_that_is_put_in_the_vaults_place_is_refused() {
    let test = Test::new().vault_with("demo");
    let (known, (evil, pin)) = (pin_of(&test), forged());
    std::fs::write(dir(&test).join(".v2"), &evil).unwrap();
    link(".v2", &test.vault_file());
    let real = PathBuf::from("[HOME]/.local/share/vault/.v2");
    let error = refusal(VAULT, &pin, &known, Some(&real));
    for words in [
        &["list"][..],
        &["exec", "--json", "-n", "demo"],
        &["add", "new", "--env", "--no-add-config"],
        &["remove", "-f", "demo"],
        &["rekey"],
        &["recipient", "add", OTHER],
    ] {
        test.command(words)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
            .expect_error(6, &error)
            .run();
    }
    assert_eq!(test.read(dir(&test).join(".v2")), evil);
    assert_eq!(remembered(&test, &dir(&test).join(".v2"), "pin"), None);

    // However it is spelt, and from wherever.
    let spellings = [
        ("", ".local/share/vault/vault.age"),
        ("", "./.local//share/./vault/vault.age"),
        ("", ".local/share/vault/../vault/vault.age"),
        (".local/share/vault", "vault.age"),
        (".local/share/vault", "../vault/vault.age"),
        (".local/share", "/../[HOME]/.local/share/none/../vault/vault.age"),
    ];
    std::fs::create_dir(test.home().join(".local/share/none")).unwrap();
    for (from, named) in spellings {
        let named = named.replace("[HOME]", &test.home().display().to_string());
        let run = list(&test, &named).in_dir(from).expect_status(6).expect_stdout("").run();
        assert!(run.stderr.contains(&format!("its fingerprint is {pin}, remembered is {known}")));
    }
    follow(&test, &error);
    opens(&test, test.vault_file());
    opens(&test, dir(&test).join(".v2"));
}

#[test]
fn a_directory_that_becomes_a_link_leads_to_no_other_vault() {
    let test = Test::new().vault_with("demo");
    let (known, (evil, pin)) = (pin_of(&test), forged());
    let hidden = test.home().join(".local/share/.v2");
    std::fs::create_dir(&hidden).unwrap();
    std::fs::write(hidden.join("vault.age"), &evil).unwrap();
    std::fs::rename(dir(&test), test.home().join("away")).unwrap();
    link(".v2", &dir(&test));
    let real = PathBuf::from("[HOME]/.local/share/.v2/vault.age");
    let error = refusal(VAULT, &pin, &known, Some(&real));
    test.command(["list"]).expect_error(6, &error).run();
    test.command(["remove", "-f", "demo"]).expect_error(6, &error).run();
    // By a chain of links, and a link that led elsewhere before.
    let chain = test.home().join("chain");
    link("away", &chain);
    opens(&test, chain.join("vault.age"));
    link(".local/share/vault", &chain);
    let error = refusal("[HOME]/chain/vault.age", &pin, &known, Some(&real));
    list(&test, chain.join("vault.age")).expect_error(6, &error).run();
}

#[test]
fn a_name_does_not_lead_to_another_vault_that_is_known_too() {
    let test = Test::new().vault_with("demo");
    let (other, alias) = (test.home().join("other.age"), test.home().join("alias.age"));
    let (evil, pin) = forged();
    std::fs::write(&other, evil).unwrap();
    opens(&test, &other);
    link(test.vault_file(), &alias);
    opens(&test, &alias);
    link(&other, &alias);
    let real = PathBuf::from("[HOME]/other.age");
    let error = refusal("[HOME]/alias.age", &pin, &pin_of(&test), Some(&real));
    list(&test, &alias).expect_error(6, &error).run();
    // Nor does a name that was never used make a file right that is not.
    forge(&test);
    link(test.vault_file(), &test.home().join("new.age"));
    list(&test, "new.age").expect_status(6).expect_stdout("").run();
}

#[test]
fn a_link_to_an_older_copy_is_warned_of_and_not_written() {
    let test = Test::new().vault_with("demo");
    let (old, alias) = (dir(&test).join("old.age"), test.home().join("alias.age"));
    std::fs::copy(test.vault_file(), &old).unwrap();
    link(test.vault_file(), &alias);
    opens(&test, &alias);
    // Written by another name than the one that is used below.
    let test = test.stored("second", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let older = |named: &str, accept: bool| {
        let warning = format!(
            "vault: warning: the vault {named} is older than this machine has seen it (generation \
             2, seen: 3)\n"
        );
        match accept {
            false => warning,
            true => format!(
                "{warning}vault: error: {named} is older than this machine has seen it, and a write \
                 would make that lasting\n\
                 vault: hint: put the newer file back, or take this one: vault --vault {named} pin \
                 --accept-rollback\n"
            ),
        }
    };
    std::fs::rename(test.vault_file(), dir(&test).join("away.age")).unwrap();
    for (at, named) in [(alias, "[HOME]/alias.age"), (test.vault_file(), VAULT)] {
        link(&old, &at);
        // A second time, too: it was not taken for the latest meanwhile.
        for _ in 0..2 {
            list(&test, &at).expect_stdout("demo\n").expect_stderr(older(named, false)).run();
        }
        let write = test.command(["remove", "-f", "demo", "--vault"]).arg(&at);
        write.expect_error(6, &older(named, true)).run();
        follow(&test, &older(named, true));
        opens(&test, &at);
        // By the real path that age was accepted, too.
        opens(&test, &old);
    }
    assert_eq!(payload_of(old).generation(), 2);
}

#[test]
fn a_release_or_a_mount_that_moves_goes_on_without_a_word() {
    let test = Test::new().vault_with("demo");
    let at = |name: &str| test.home().join(name);
    for release in ["1", "2", "3"] {
        std::fs::create_dir_all(at(&format!("releases/{release}"))).unwrap();
        std::fs::copy(test.vault_file(), at(&format!("releases/{release}/vault.age"))).unwrap();
        link(format!("releases/{release}"), &at("current"));
        opens(&test, "current/vault.age");
    }
    // As the kubelet does it: the file leads through a link, which leads to a directory with a date.
    std::fs::create_dir(at("mount")).unwrap();
    link("..data/vault.age", &at("mount/vault.age"));
    for date in ["..2026_01_31", "..2026_02_01"] {
        std::fs::create_dir(at("mount").join(date)).unwrap();
        std::fs::copy(test.vault_file(), at("mount").join(date).join("vault.age")).unwrap();
        link(date, &at("mount/..data"));
        opens(&test, "mount/vault.age");
    }
    // With another vault, neither does.
    let (evil, pin) = forged();
    for (moved, to, name) in [
        ("current", "releases/4", "current/vault.age"),
        ("mount/..data", "mount/..2026_02_02", "mount/vault.age"),
    ] {
        std::fs::create_dir(at(to)).unwrap();
        std::fs::write(at(to).join("vault.age"), &evil).unwrap();
        link(at(to), &at(moved));
        let real = PathBuf::from(format!("[HOME]/{to}/vault.age"));
        let error = refusal(name, &pin, &pin_of(&test), Some(&real));
        list(&test, name).expect_error(6, &error).run();
    }
}

#[test]
fn what_a_machine_remembers_of_a_real_path_alone_still_counts() {
    let test = Test::new().vault_with("demo");
    let alias = test.home().join("alias.age");
    link(test.vault_file(), &alias);
    opens(&test, &alias);
    let entry = |path: &Path| {
        let keys = ["generation", "pin", "next", "former", "led_to"];
        keys.map(|key| remembered(&test, path, key))
    };
    // As they were written before there were names: nothing else stands in it.
    let quoted = format!("\"{}\"", pin_of(&test));
    let real = [Some("2".to_owned()), Some(quoted.clone()), None, None, None];
    assert_eq!(entry(&test.vault_file()), real);
    let [.., led_to] = entry(&alias);
    assert_eq!(entry(&alias)[..4], real[..4]);
    assert_eq!(led_to.map(|id| id.len()), Some(34));
}

#[test]
fn a_name_whose_vault_was_moved_away_can_have_a_new_one() {
    let test = Test::new().vault_with("demo");
    let (place, link_to) = (test.home().join("place.age"), test.home().join("name.age"));
    link(test.vault_file(), &link_to);
    opens(&test, &link_to);
    // The vault is moved, and its name with it.
    std::fs::rename(test.vault_file(), &place).unwrap();
    opens(&test, &place);
    link(&place, &link_to);
    opens(&test, &link_to);
    link(&place, &test.vault_file());
    opens(&test, test.vault_file());
    // Another one in its old place.
    for name in [test.vault_file(), link_to] {
        std::fs::remove_file(&name).unwrap();
        let init = test.command(["init", "-r", crate::support::AGE_RECIPIENT, "--vault"]);
        init.arg(&name).run();
        list(&test, name).expect_stdout("").expect_stderr("").run();
    }
    opens(&test, &place);
}

#[test]
fn a_descriptors_name_is_no_name_of_a_vault() {
    let test = Test::new().vault_with("demo");
    let (evil, _) = forged();
    std::fs::write(test.home().join("second.age"), evil).unwrap();
    for name in ["/dev/fd/3", "/proc/self/fd/3", "/dev/stdin"] {
        for file in [".local/share/vault/vault.age", "second.age"] {
            let line = format!("vault list --credentials --vault {name} 3<{file} <{file}");
            let test = test.clone().on_path("vault").program("sh");
            test.command(["-c", &line]).expect_stdout("demo\n").expect_stderr("").run();
        }
    }
}

#[test]
fn a_damaged_memory_of_a_name_is_not_taken_for_none() {
    let test = Test::new().vault_with("demo");
    let alias = test.home().join("alias.age");
    link(test.vault_file(), &alias);
    opens(&test, &alias);
    let copy = test.home().join("copy.age");
    std::fs::copy(test.vault_file(), &copy).unwrap();
    let (entries, pin) = (entries(&test), pin_of(&test));
    // Of the name, and of where it led last.
    link(&copy, &alias);
    for damaged in 0..entries.len() {
        for (at, (path, text)) in entries.iter().enumerate() {
            std::fs::write(path, if at == damaged { "" } else { text }).unwrap();
        }
        let shown = test.placeholders(entries[damaged].0.as_os_str().as_encoded_bytes());
        let error = format!(
            "vault: error: the remembered pin in {shown} is damaged\n\
             vault: hint: compare {pin} with what vault pin says on another machine; if it is the \
             same: vault --vault [HOME]/alias.age pin --accept {pin}\n"
        );
        list(&test, &alias).expect_error(6, &error).run();
        follow(&test, &error);
        opens(&test, &alias);
    }
}
