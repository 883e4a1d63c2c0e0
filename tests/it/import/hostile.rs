//! Files that are not what they should be: refused fast, one by one, and the rest is imported.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

use super::aws_vault::{THEIRS, fixture};
use super::{holds, vault};

fn prod() -> String {
    std::fs::read_to_string(fixture("prod")).expect("the fixture")
}

/// The fixture's file with something else in its header.
fn with_header(from: &str, to: &str) -> String {
    let file = prod();
    let (header, rest) = file.split_once('.').expect("a header");
    let header = String::from_utf8(BASE64URL.decode(header).expect("base64url")).expect("text");
    assert!(header.contains(from), "{header}");
    format!("{}.{rest}", BASE64URL.encode(header.replace(from, to)))
}

#[test]
fn a_hostile_file_is_refused_fast_and_the_rest_is_imported() {
    let files = [
        (
            "billion",
            with_header("8192", "1000000000"),
            "trying a passphrase on it costs more than 100,000 rounds",
        ),
        (
            "weak",
            with_header("A256GCM", "A128GCM"),
            "it is encrypted with other algorithms than aws-vault's",
        ),
        (
            "plain",
            with_header("PBES2-HS256+A128KW", "dir"),
            "it is encrypted with other algorithms than aws-vault's",
        ),
        (
            "zip",
            with_header("{", "{\"zip\":\"DEF\","),
            "its header has zip or crit, which aws-vault does not write",
        ),
        ("cut", prod()[..prod().len() - 1].to_owned(), "it is not a file of aws-vault"),
        ("empty", String::new(), "it is not a file of aws-vault"),
        ("large", "x".repeat(70_000), "larger than 64 KiB"),
        ("text", "hello".to_owned(), "it is not a file of aws-vault"),
        // Another's file in its place.
        ("swapped", prod(), "it is an item of another name"),
        (
            "tag",
            {
                let file = prod();
                let (rest, tag) = file.rsplit_once('.').expect("a tag");
                let mut tag = BASE64URL.decode(tag).expect("base64url");
                tag[0] ^= 1;
                format!("{rest}.{}", BASE64URL.encode(tag))
            },
            "it is damaged",
        ),
    ];
    let mut test = vault(&[]).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    test = test.file("keys/prod", prod(), 0o600);
    for (name, text, _) in &files {
        test = test.file(&format!("keys/{name}"), text, 0o600);
    }
    let mut rows: Vec<_> = files
        .iter()
        .map(|(name, _, why)| format!("{name:7}  -                     failed: {why}\n"))
        .collect();
    rows.push("prod     AKIAIOSFODNN7EXAMPLE  new\n".to_owned());
    rows.sort();
    let started = Instant::now();
    let import = test.command(["import", "--from", "aws-vault", "--dir", "keys"]);
    let output = import.expect_status(5).expect_stdout(rows.concat()).run();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert!(
        output.stderr.ends_with("vault: error: 10 of 11 items could not be imported\n"),
        "{}",
        output.stderr
    );
    holds(&test, "prod\n");
}

#[test]
fn many_files_that_cost_as_much_as_they_may_are_refused_at_once() {
    let dear = with_header("8192", "100000");
    let test = vault(&[]).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let test = (0..101).fold(test, |test, n| test.file(&format!("keys/{n}"), &dear, 0o600));
    let started = Instant::now();
    let error =
        "vault: error: trying a passphrase on all files in keys costs more than 10000000 rounds\n";
    let import = test.command(["import", "--from", "aws-vault", "--dir", "keys"]);
    import.expect_error(6, error).run();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    let test = vault(&[]).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS).file("keys/prod", prod(), 0o600);
    let keys = test.home().join("keys");
    let pipe = std::ffi::CString::new(keys.join("pipe").to_str().expect("a path")).expect("a path");
    // SAFETY: a path that ends with a zero.
    assert_eq!(unsafe { libc::mkfifo(pipe.as_ptr(), 0o600) }, 0);
    std::os::unix::fs::symlink("/dev/zero", keys.join("zero")).expect("a symlink");
    std::fs::create_dir(keys.join("directory")).expect("a directory");
    let table = "pipe  -                     failed: not a regular file\n\
                 prod  AKIAIOSFODNN7EXAMPLE  new\n\
                 zero  -                     failed: not a regular file\n";
    let import = test.command(["import", "--from", "aws-vault", "--dir", "keys"]);
    import.expect_status(5).expect_stdout(table).run();
}

#[test]
fn a_name_writes_nothing_to_the_terminal_and_leads_nowhere() {
    let names = ["a\u{1b}[31mb", "..%2F..%2Fx", "[x]"];
    let test = vault(&[]).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
    let test =
        names.iter().fold(test, |test, name| test.file(&format!("keys/{name}"), prod(), 0o600));
    let import = test.command(["import", "--from", "aws-vault", "--dir", "keys"]);
    let output = import.expect_status(5).run();
    assert!(!output.stdout.contains('\u{1b}'), "{}", output.stdout);
    let table = "../../x  -  failed: it is an item of another name\n\
                 [x]      -  failed: no profile can have this name\n\
                 a\u{fffd}[31mb  -  failed: no profile can have this name\n";
    assert_eq!(output.stdout, table);
    holds(&test, "");
}

#[test]
fn a_directory_with_too_much_in_it_is_refused_before_anything_is_read() {
    let error = |what: &str| format!("vault: error: {what}\n");
    for (from, suffix, count, what) in [
        ("aws-vault", "", 1001, "many has more than 1000 items"),
        ("aws-vault", " session (1)", 10_001, "many has more than 10000 files"),
        ("pass", ".gpg", 10_001, "many has more than 10000 entries"),
    ] {
        let test = vault(&[]).env("AWS_VAULT_FILE_PASSPHRASE", THEIRS);
        let many = test.home().join("many");
        std::fs::create_dir(&many).expect("a directory");
        for number in 0..count {
            std::fs::File::create(many.join(format!("{number}{suffix}"))).expect("a file");
        }
        let import = test.command(["import", "--from", from, "--dir", "many"]);
        import.expect_error(6, &error(what)).run();
    }
}
