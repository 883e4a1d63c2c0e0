//! `--write-config`: what the AWS config lacks for the imported profiles.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::{FILE, SECOND_ID, SECOND_SECRET, holds, stored, vault};
use crate::support::builder::Test;
use crate::support::place::TestHome;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};

const VAULT: &str = env!("CARGO_BIN_EXE_vault");
const NO_REGION: &str =
    "A new section has no region: write it there, or name one with --region or AWS_REGION\n";
const WRITE: [&str; 4] = ["import", "--from", "json", "--write-config"];

/// A key for each of these profiles, as JSON.
fn keys(profiles: &[&str]) -> String {
    let key = |name: &&str| {
        format!(
            r#""{name}": {{"AccessKeyId": "{SECOND_ID}", "SecretAccessKey": "{SECOND_SECRET}"}}"#
        )
    };
    format!("{{{}}}", profiles.iter().map(key).collect::<Vec<_>>().join(", "))
}

fn table(profiles: &[&str], word: &str) -> String {
    let width = profiles.iter().map(|name| name.len()).max().unwrap_or_default();
    profiles.iter().map(|name| format!("{name:width$}  {SECOND_ID}  {word}\n")).collect()
}

fn line(profile: &str) -> String {
    format!("credential_process = {VAULT} exec --json {profile}")
}

fn plain(profile: &str) -> String {
    format!(
        "[{profile}]\naws_access_key_id = {ACCESS_KEY_ID}\naws_secret_access_key = {SECRET_ACCESS_KEY}\n"
    )
}

#[track_caller]
fn config(test: &Test, expected: &str) {
    assert_eq!(String::from_utf8(test.read(".aws/config")).expect("text"), expected);
}

#[test]
fn a_missing_section_is_written_with_a_line_that_works() {
    let test = vault(&[]).file(".aws/config", "; mine\n[profile a]\nregion=x", 0o640);
    let said = format!(
        "Changed [HOME]/.aws/config:\n  [default] is new, with {}\n  [profile prod] is new, with {}\n\
         {NO_REGION}{FILE}",
        line("default"),
        line("prod")
    );
    let names = ["default", "prod"];
    let import = test.command(WRITE).stdin(keys(&names));
    import.expect_stdout(table(&names, "new")).expect_stderr(&said).run();
    let written = format!(
        "; mine\n[profile a]\nregion=x\n\n[default]\n{}\n\n[profile prod]\n{}\n",
        line("default"),
        line("prod")
    );
    config(&test, &written);
    let mode = test.home().join(".aws/config").metadata().expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    // As an SDK runs it, but without a call to AWS.
    let line = line("prod");
    let (_, command) = line.split_once(" = ").expect("a line");
    let json = format!(
        "{{\"AccessKeyId\":\"{SECOND_ID}\",\"SecretAccessKey\":\"{SECOND_SECRET}\",\"Version\":1}}\n"
    );
    let asked = test.command(["-c", &format!("{command} -n")]).program("sh");
    asked.expect_stdout(json).expect_stderr("").run();

    // The second time there is nothing to do.
    let import = test.command(WRITE).stdin(keys(&names));
    import.expect_stdout(table(&names, "same")).expect_stderr(FILE).run();
    config(&test, &written);
}

#[test]
fn sections_that_are_there_keep_their_lines_and_get_one_only_where_programs_reach_it() {
    let before = "\
[profile chain]
source_profile = old

[profile asked]
credential_process = /opt/asked

[profile old]   ; the first
  Region = eu-west-1   # near
  s3 =
    max = 1
# about role
[profile role]
role_arn = arn:aws:iam::123456789012:role/a
mfa_serial = arn:aws:iam::123456789012:mfa/me
[profile sso]
sso_session = corp
[profile web]
web_identity_token_file = /t
[profile in-config]
aws_access_key_id = x
";
    let names = ["asked", "chain", "in-config", "old", "role", "sso", "web"];
    let test = vault(&[]).config(before);
    let said = format!(
        "Changed [HOME]/.aws/config:\n  [profile old] has {}\n\
         No credential_process line for chain: the AWS CLI and the SDKs take its source_profile\n\
         No credential_process line for in-config: the AWS CLI and the SDKs take its aws_access_key_id\n\
         No credential_process line for role: the AWS CLI and the SDKs take its role_arn\n\
         No credential_process line for sso: the AWS CLI and the SDKs take its sso_session\n\
         No credential_process line for web: the AWS CLI and the SDKs take its web_identity_token_file\n\
         {FILE}",
        line("old")
    );
    let import = test.command(WRITE).stdin(keys(&names));
    import.expect_stdout(table(&names, "new")).expect_stderr(&said).run();
    let after = before.replace("    max = 1\n", &format!("    max = 1\n  {}\n", line("old")));
    config(&test, &after);
}

#[test]
fn what_all_sections_inherit_counts_for_a_new_one() {
    let test = vault(&[]).config("[DEFAULT]\nrole_arn = arn:aws:iam::123456789012:role/a\n");
    let said = format!(
        "Changed [HOME]/.aws/config:\n  [profile prod] is new\n\
         No credential_process line for prod: the AWS CLI and the SDKs take its role_arn\n{NO_REGION}{FILE}"
    );
    test.command(WRITE).stdin(keys(&["prod"])).expect_stderr(&said).run();
    config(&test, "[DEFAULT]\nrole_arn = arn:aws:iam::123456789012:role/a\n\n[profile prod]\n");
}

#[test]
fn a_key_in_the_credentials_file_comes_first_until_it_is_taken_out() {
    let text = plain("prod") + "region = x\n";
    let test = vault(&[]).aws_credentials(&text);
    let import = ["import", "--from", "credentials", "--write-config"];
    let still = "No credential_process line for prod: the AWS CLI and the SDKs take its aws_access_key_id\n\
        The keys are still unencrypted in [HOME]/.aws/credentials: --remove-source removes them\n";
    // No section is missing: the credentials file has one.
    test.command(import).expect_stderr(still).run();
    config(&test, "");

    // A dry run knows what the credentials file would be.
    let would =
        format!("[HOME]/.aws/config:\n  [profile prod] is new, with {}\n{NO_REGION}", line("prod"));
    let dry = format!("Would change {would}Nothing was changed\n");
    let removing = test.command(import).arg("--remove-source");
    removing.clone().arg("--dry-run").expect_stderr(&dry).run();
    config(&test, "");
    assert_eq!(test.read(".aws/credentials"), text.as_bytes());

    let said = format!(
        "Changed {would}Removed the keys of prod from [HOME]/.aws/credentials\n\
         Copies of that file (backups, snapshots, what the disk keeps of it) and a shell's history may still \
         have them: make new keys (vault rotate PROFILE)\n"
    );
    let same = format!("prod  {ACCESS_KEY_ID}  same\n");
    removing.expect_stdout(&same).expect_stderr(&said).run();
    config(&test, &format!("[profile prod]\n{}\n", line("prod")));
    assert_eq!(test.read(".aws/credentials"), b"[prod]\nregion = x\n");
    stored(&test, "prod", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
}

#[test]
fn a_dry_run_shows_what_would_be_written() {
    let test = vault(&["old"]);
    let said = format!(
        "Would change [HOME]/.aws/config:\n  [profile new] is new, with {}\n  [profile old] has {}\n\
         {NO_REGION}Nothing was changed\n",
        line("new"),
        line("old")
    );
    let names = ["new", "old"];
    let import = test.command(WRITE).arg("--dry-run").stdin(keys(&names));
    import.expect_stdout(table(&names, "new")).expect_stderr(&said).run();
    config(&test, "[profile old]\n");
    holds(&test, "");
}

#[test]
fn the_line_names_the_file_itself_and_is_left_out_where_it_would_not_work() {
    // Started by a link with another program's name.
    let test = vault(&[]);
    let link = test.home().join("aws-vault");
    symlink(VAULT, &link).expect("a symlink");
    test.command(WRITE).program(&link).stdin(keys(&["prod"])).run();
    config(&test, &format!("[profile prod]\n{}\n", line("prod")));

    let lines_left_out = |why: &str| {
        format!(
            "Changed [HOME]/.aws/config:\n  [profile prod] is new\n\
             No credential_process line for prod: {why}\n{NO_REGION}{FILE}"
        )
    };
    let test = vault(&[]).binary("my bin/vault");
    let said = lines_left_out("the path of this program has characters that a shell may change");
    let program = test.home().join("my bin/vault");
    test.command(WRITE).program(program).stdin(keys(&["prod"])).expect_stderr(said).run();
    config(&test, "[profile prod]\n");

    let test = vault(&[]);
    let said = lines_left_out("it would open the default vault, not that of --vault");
    let import = test.command(WRITE).arg("--vault").arg(test.vault_file());
    import.stdin(keys(&["prod"])).expect_stderr(said).run();
    config(&test, "[profile prod]\n");

    let test = vault(&[]).config("[profile \"a b\"]\n");
    let said = format!(
        "No credential_process line for a b: its name has characters that a shell may change\n{FILE}"
    );
    test.command(WRITE).stdin(keys(&["a b"])).expect_stderr(said).run();
    config(&test, "[profile \"a b\"]\n");
}

/// A link to a version, which leads to the next one after an upgrade.
#[test]
fn the_line_names_the_link_that_vault_was_started_by() {
    // Where no other user can replace a link, wherever the tests are.
    let links = TestHome::in_memory();
    let link = links.path().join("vault").display().to_string();
    symlink(VAULT, &link).expect("a symlink");
    for (script, named) in [
        ("exec \"$LINKS/vault\" \"$@\"", link.as_str()),
        ("PATH=\"$LINKS:$PATH\"; vault \"$@\"", &link),
        // What depends on the directory is not written.
        ("cd \"$LINKS\" && ./vault \"$@\"", VAULT),
        ("cd \"$LINKS\" && PATH=\".:$PATH\"; vault \"$@\"", VAULT),
        // Nor is a word that leads to another program.
        ("exec -a sh \"$LINKS/vault\" \"$@\"", VAULT),
        ("exec -a /bin/sh \"$LINKS/vault\" \"$@\"", VAULT),
        // Nor what leads elsewhere in each process, nor a link that another user can replace.
        ("exec -a /proc/self/exe \"$LINKS/vault\" \"$@\"", VAULT),
        ("chmod 777 \"$LINKS\"; exec \"$LINKS/vault\" \"$@\"", VAULT),
    ] {
        let test = vault(&[]).env("LINKS", links.path());
        let words = [&["-c", script, "sh"][..], &WRITE].concat();
        test.command(words).program("bash").stdin(keys(&["prod"])).run();
        config(&test, &format!("[profile prod]\ncredential_process = {named} exec --json prod\n"));
    }
}

#[test]
fn a_section_that_cannot_be_written_does_not_stop_the_others() {
    let before = "[profile odd\nregion = x\n";
    let test = vault(&[]).config(before);
    let names = ["my key", "odd", "prod"];
    let said = format!(
        "vault: warning: not in [HOME]/.aws/config: profile \"my key\": the AWS config cannot hold a profile \
         of this name\n\
         vault: warning: not in [HOME]/.aws/config: profile \"odd\": line 1 of the AWS config, of profile \
         \"odd\", is not understood\n\
         Changed [HOME]/.aws/config:\n  [profile prod] is new, with {}\n{NO_REGION}{FILE}",
        line("prod")
    );
    let import = test.command(WRITE).stdin(keys(&names));
    import.expect_stdout(table(&names, "new")).expect_stderr(&said).run();
    config(&test, &format!("{before}\n[profile prod]\n{}\n", line("prod")));
}

#[test]
fn only_what_was_imported_is_written() {
    let test = vault(&[]).stored("kept", ACCESS_KEY_ID, SECRET_ACCESS_KEY).config("");
    let kept = format!(
        "kept  {SECOND_ID}  kept: the vault has another key, maybe a newer one (--overwrite replaces it)\n"
    );
    let import = test.command(WRITE).stdin(keys(&["kept"]));
    import.expect_stdout(kept).expect_stderr("").run();
    config(&test, "");
}

#[test]
fn a_config_that_cannot_be_written_is_an_error_and_the_keys_are_in_the_vault() {
    let but = "vault: error: the keys are in the vault, but the AWS config was not changed:";
    let add = "Add to [HOME]/.aws/config, each with its region, or by --write-config:\n  [profile prod]\n";
    let check = |test: Test, status: i32, said: &str| {
        let import = test.command(WRITE).stdin(keys(&["prod"])).expect_status(status);
        import.expect_stdout(table(&["prod"], "new")).expect_stderr(said).run();
        stored(&test.env("AWS_CONFIG_FILE", "/dev/null"), "prod", SECOND_ID, SECOND_SECRET);
    };
    let full = format!("{}\n", "#".repeat(1024 * 1024 - 1));
    let test = vault(&[]).config(&full);
    let error = "[HOME]/.aws/config: it would be larger than 1 MiB";
    check(test.clone(), 7, &format!("{add}{FILE}{but} {error}\n"));
    config(&test, &full);

    let test = vault(&[]).file(".aws/config", b"[a]\n\xff\n", 0o600);
    let error = "cannot read [HOME]/.aws/config: line 2 is not UTF-8";
    check(test.clone(), 7, &format!("{FILE}{but} {error}\n"));
    assert_eq!(test.read(".aws/config"), b"[a]\n\xff\n");
    let dry = test.command(WRITE).arg("--dry-run").stdin(keys(&["prod"])).expect_status(7);
    let error = format!("vault: error: the AWS config cannot be changed: {error}\n");
    dry.expect_stderr(format!("Nothing was changed\n{error}")).run();

    let test = vault(&[]).config("[profile a]\n");
    let aws = test.home().join(".aws");
    std::fs::set_permissions(&aws, PermissionsExt::from_mode(0o777)).expect("chmod");
    let error = "everybody can write the directory of [HOME]/.aws/config";
    check(test.clone(), 6, &format!("{add}{FILE}{but} {error}\n"));
    config(&test, "[profile a]\n");

    // Nothing is made in a home that does not exist.
    let test = vault(&[]).file("run/.keep", "", 0o600);
    let runtime = test.home().join("run");
    std::fs::set_permissions(&runtime, PermissionsExt::from_mode(0o700)).expect("chmod");
    let (file, home) = (test.vault_file(), test.home().join("none"));
    let test = test.env("AWS_VAULT_FILE", file).env("XDG_RUNTIME_DIR", runtime).env("HOME", home);
    let import = test.command(WRITE).stdin(keys(&["prod"])).expect_status(7);
    let said = format!(
        "Add to [HOME]/none/.aws/config, each with its region, or by --write-config:\n  [profile prod]\n{FILE}\
         {but} the profile is in no AWS config file: [HOME]/none/.aws/config is not made: the home directory \
         [HOME]/none does not exist\n\
         vault: hint: make it, or set HOME to a directory of this user's own\n"
    );
    import.expect_stdout(table(&["prod"], "new")).expect_stderr(&said).run();
    assert!(!test.home().join("none").exists());
}
