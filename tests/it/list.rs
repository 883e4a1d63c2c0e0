//! `vault list` and `vault recipient list`, `vault clear`: what is in a vault, whole.

use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, PASSPHRASE};

/// A vault with `prod` and `stored-only`, and a config with `prod` and `role`.
fn test() -> Test {
    let config = "[profile prod]\n[profile role]\nsource_profile = prod\n";
    Test::new().vault_with("prod").vault_with("stored-only").config(config)
}

#[test]
fn the_table_is_aws_vaults() {
    for name in ["list", "ls"] {
        test()
            .command([name])
            .expect_stdout(
                "Profile                  Credentials              Sessions\n\
                 =======                  ===========              ========\n\
                 prod                     prod                     -\n\
                 role                     -                        -\n\
                 stored-only              stored-only              -\n",
            )
            .expect_stderr("")
            .run();
    }
}

#[test]
fn aws_vaults_flags_print_names_alone() {
    let test = test();
    for (flags, names) in [
        (&["--profiles"][..], "prod\nrole\n"),
        (&["--credentials"], "prod\nstored-only\n"),
        (&["--sessions"], ""),
        (&["--profiles", "--credentials"], "prod\nrole\nstored-only\n"),
    ] {
        test.command(["list"]).args(flags).expect_stdout(names).expect_stderr("").run();
    }
}

#[test]
fn json_is_one_object() {
    test()
        .command(["list", "--json"])
        .expect_stdout(format!(
            "{{\"profiles\":[\
             {{\"access_key_id\":\"{ACCESS_KEY_ID}\",\"profile\":\"prod\",\"sessions\":[]}},\
             {{\"access_key_id\":null,\"profile\":\"role\",\"sessions\":[]}},\
             {{\"access_key_id\":\"{ACCESS_KEY_ID}\",\"profile\":\"stored-only\",\"sessions\":[]}}]}}\n"
        ))
        .expect_stderr("")
        .run();
}

#[test]
fn an_empty_vault_has_a_table_of_nothing() {
    let test = Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.command(["init", "-r", AGE_RECIPIENT]).run();
    let head = "Profile                  Credentials              Sessions\n\
                =======                  ===========              ========\n";
    test.command(["list"]).expect_stdout(head).expect_stderr("").run();
    test.command(["list", "--json"]).expect_stdout("{\"profiles\":[]}\n").expect_stderr("").run();
}

#[test]
fn who_may_open_the_vault_is_listed() {
    let test = Test::new().env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    test.command(["init", "-r", AGE_RECIPIENT, "--passphrase"]).run();
    let text = format!("{AGE_RECIPIENT}\npassphrase (argon2id, 64 MiB, 3 passes, 4 lanes)\n");
    test.command(["recipient", "list"]).expect_stdout(text).expect_stderr("").run();
    let json = format!(
        "{{\"passphrases\":[{{\"lanes\":4,\"memory_kib\":65536,\"passes\":3}}],\
         \"recipients\":[{{\"name\":null,\"recipient\":\"{AGE_RECIPIENT}\"}}]}}\n"
    );
    test.command(["recipient", "list", "--json"]).expect_stdout(json).expect_stderr("").run();
}

#[test]
fn where_no_session_is_kept_none_is_cleared() {
    // Nor is a vault needed for it.
    for words in [&["clear"][..], &["clear", "prod"], &["clear", "nobody"]] {
        Test::new().command(words).expect_stdout("Cleared 0 sessions.\n").expect_stderr("").run();
    }
}
