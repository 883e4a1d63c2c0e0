//! `vault list` and `vault recipient list`, `vault clear`: what is in a vault, whole.

use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, MFA_SEED, MFA_SERIAL, PASSPHRASE};
use crate::vault_file::{payload_of, plaintext_of, seal};

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
fn json_is_whole_so_no_flag_leaves_something_out() {
    for flag in ["--profiles", "--credentials", "--sessions"] {
        let error = format!(
            "vault: error: --json and {flag} cannot be used together\nvault: hint: see vault list --help\n"
        );
        test().command(["list", "--json", flag]).expect_error(2, &error).run();
    }
}

/// Nothing takes such a name, and a terminal would obey it.
#[test]
fn a_name_with_a_control_character_is_left_out() {
    let test = test().config("[profile prod]\n[profile \x1b[31mred]\nregion = x\n");
    for flags in [&[][..], &["--profiles"], &["--json"]] {
        let output = test.command(["list"]).args(flags).expect_stderr("").run();
        assert!(output.stdout.contains("prod") && !output.stdout.contains("[31m"), "{flags:?}");
    }
}

#[test]
fn json_is_one_object() {
    let test = test();
    let payload = payload_of(test.vault_file());
    let key = |profile: &str| {
        let stored = payload.credential_stored(profile).expect("a time").to_rfc3339();
        format!(
            "{{\"access_key_id\":\"{ACCESS_KEY_ID}\",\"age_days\":0,\"mfa_seed\":null,\
             \"mfa_serial\":null,\"profile\":\"{profile}\",\"role\":null,\"sessions\":[],\
             \"stored\":\"{stored}\"}}"
        )
    };
    let role = "{\"access_key_id\":null,\"age_days\":null,\"mfa_seed\":null,\"mfa_serial\":null,\
                \"profile\":\"role\",\"role\":null,\"sessions\":[],\"stored\":null}";
    let (prod, other) = (key("prod"), key("stored-only"));
    test.command(["list", "--json"])
        .expect_stdout(format!("{{\"profiles\":[{prod},{role},{other}]}}\n"))
        .expect_stderr("")
        .run();
}

/// An MFA device with a seed and one without, a role, and a key that has been in the vault since 2020.
#[test]
fn the_long_table_has_key_age_role_and_device() {
    let config = format!(
        "[profile old]\nmfa_serial = {MFA_SERIAL}\n[profile prod]\nmfa_serial = GAHT12345678\n\
         [profile role]\nsource_profile = old\nrole_arn = arn:aws:iam::123456789012:role/deploy\n"
    );
    let test = Test::new().vault_with("old").config(&config);
    test.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    let text =
        plaintext_of(&std::fs::read(test.vault_file()).expect("the vault")).expect("a vault");
    let text = String::from_utf8(text).expect("text");
    let stored = payload_of(test.vault_file()).credential_stored("old").expect("a time");
    let text = text.replace(&stored.to_rfc3339(), "2020-01-31T12:00:00Z");
    std::fs::write(test.vault_file(), seal(&text, false)).expect("the vault");
    let test = test.vault_with("prod");

    let json = test.command(["list", "--json"]).run().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let old = &json["profiles"][0];
    assert_eq!((&old["mfa_serial"], &old["mfa_seed"]), (&MFA_SERIAL.into(), &true.into()));
    assert_eq!(json["profiles"][2]["role"], "arn:aws:iam::123456789012:role/deploy");
    let days = old["age_days"].as_i64().expect("days");
    assert!(days > 2000, "{days}");
    let expected = format!(
        "Profile  Key                   Age            Role                                   MFA device                                 Sessions\n\
         old      {ACCESS_KEY_ID}  {days}d, rotate  -                                      {MFA_SERIAL} (seed)  -\n\
         prod     {ACCESS_KEY_ID}  0d             -                                      GAHT12345678 (no seed)                     -\n\
         role     -                     -              arn:aws:iam::123456789012:role/deploy  {MFA_SERIAL} (seed)  -\n"
    );
    test.command(["list", "-l"]).expect_stdout(expected).expect_stderr("").run();
}

#[test]
fn an_empty_vault_says_what_to_do_next() {
    let test = Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    test.command(["init", "-r", AGE_RECIPIENT]).run();
    let next = "The vault has no key yet; store one by vault add PROFILE\n";
    let head = "Profile  Key  Age  Role  MFA device  Sessions\n";
    test.command(["list", "-l"]).expect_stdout(head).expect_stderr(next).run();
    let (status, screen) = test.command(["list"]).pty().end(std::time::Duration::from_secs(40));
    assert!(screen.ends_with(next), "{screen}");
    assert_eq!(status, 0);
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
fn the_recipients_are_listed() {
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

#[test]
fn logins_stand_at_their_profiles() {
    let (_standin, test) = crate::sso::logged_in();
    // A role from there is no login of its own.
    test.command(["list"])
        .expect_stdout(
            "Profile                  Credentials              Sessions\n\
             =======                  ===========              ========\n\
             deploy                   -                        -\n\
             dev                      -                        login\n\
             key                      key                      -\n\
             none                     -                        login\n\
             older                    -                        login\n\
             ops                      -                        login\n",
        )
        .expect_stderr("")
        .run();
    let lines = "dev login\nnone login\nolder login\nops login\n";
    test.command(["list", "--sessions"]).expect_stdout(lines).expect_stderr("").run();
    let login = |name: &str| {
        let output = test.command(["list", "--json"]).expect_stderr("").run();
        let json: serde_json::Value = serde_json::from_slice(&output.raw_stdout).expect("JSON");
        let profiles = json["profiles"].as_array().expect("profiles");
        profiles.iter().find(|profile| profile["profile"] == name).expect("it")["login"].clone()
    };
    assert_eq!(login("dev"), serde_json::json!({"logged_in": true, "refreshed": true}));
    assert!(login("deploy").is_null());
    test.command(["sso", "logout", "dev"]).run();
    assert_eq!(login("ops"), serde_json::json!({"logged_in": false}));
    test.command(["list", "--sessions"]).expect_stdout("").expect_stderr("").run();
}

#[test]
fn a_login_without_a_refresh_has_the_time_that_is_left() {
    let (standin, test) = crate::sso::logged_in();
    standin.change(|world| world.sso.refreshes = false);
    test.command(["sso", "login", "dev"]).run();
    let output = test.command(["list", "--sessions"]).expect_stderr("").run();
    let line = output.stdout.lines().next().unwrap_or_default();
    assert!(line.starts_with("dev login:59m") || line == "dev login:1h", "{line}");
}
