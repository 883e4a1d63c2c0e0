//! `fixtures/vectors`: every file of the format, good and bad, through the library and the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use sha2::{Digest, Sha256};
use vault::error::{Class, Error};
use vault::sealed::{self, PassphrasePolicy};
use vault::secret::Secret;
use vault::vault::Payload;

use crate::support::builder::Test;

#[path = "../../src/sealed/tests/inflate.rs"]
mod inflate;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

/// One way to try a file: the variable that carries it, and what it holds.
struct Key {
    variable: &'static str,
    secret: String,
}

struct Vector {
    name: String,
    expect: String,
    exit: i32,
    payload: Option<String>,
    keys: Vec<Key>,
    file: Vec<u8>,
}

impl Vector {
    fn read(path: &Path) -> Self {
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        let bytes = std::fs::read(path).expect("a vector");
        let end = bytes.windows(2).position(|pair| pair == b"\n\n").expect("an empty line");
        let (mut expect, mut exit, mut payload, mut keys) = (None, None, None, Vec::new());
        let mut file = bytes[end + 2..].to_vec();
        for line in std::str::from_utf8(&bytes[..end]).expect("text").lines() {
            let (field, value) = line.split_once(": ").expect("a field");
            let mut key =
                |variable, secret: &str| keys.push(Key { variable, secret: secret.to_owned() });
            match field {
                "expect" => expect = Some(value.to_owned()),
                "exit" => exit = value.parse().ok(),
                "payload" => payload = Some(value.to_owned()),
                "identity" => key("AWS_VAULT_AGE_KEY", value),
                "passphrase" => key("AWS_VAULT_PASSPHRASE", value),
                "ssh" => {
                    let path = format!("{FIXTURES}/ssh/{value}");
                    key("AWS_VAULT_AGE_KEY", &std::fs::read_to_string(path).expect("a key"));
                }
                "compressed" => file = inflate::inflate(&file),
                "comment" => {}
                _ => panic!("{name}: {field}"),
            }
        }
        let (expect, exit) = (expect.expect("expect"), exit.expect("exit"));
        Self { name, expect, exit, payload, keys, file }
    }
}

fn vectors() -> Vec<Vector> {
    let mut vectors: Vec<_> = std::fs::read_dir(format!("{FIXTURES}/vectors"))
        .expect("vectors")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.ends_with("README.md"))
        .map(|path| Vector::read(&path))
        .collect();
    vectors.sort_by(|a, b| a.name.cmp(&b.name));
    vectors
}

/// The kind of refusal, by the step that refused and by what it says.
type Refusal = (&'static str, Error);

/// What `Vault::open` does with a file, step by step.
fn open(file: &[u8], key: &Key) -> Result<(Vec<u8>, Payload), Refusal> {
    let scanned = sealed::scan(file).map_err(|error| match error.class {
        Class::Refused => ("limit", error),
        _ if error.what.contains("a passphrase slot") => ("slot", error),
        _ => ("header", error),
    })?;
    let secret = Secret::new(key.secret.clone());
    let opened = if key.variable == "AWS_VAULT_PASSPHRASE" {
        sealed::open(&scanned, &[], &[secret], PassphrasePolicy::default_limits())
    } else {
        let identities = sealed::parse_identities(&secret, "the key").expect("an identity");
        sealed::open(&scanned, &identities, &[], PassphrasePolicy::default_limits())
    };
    let plaintext = opened.map_err(|error| match error.class {
        Class::Locked => ("match", error),
        _ if error.what.contains("opens its slot") => ("slot", error),
        _ if error.what.contains("content") => ("payload", error),
        _ => ("header", error),
    })?;
    let plaintext = plaintext.plaintext.to_vec();
    let payload = Payload::parse(&plaintext).map_err(|error| ("schema", error))?;
    Ok((plaintext, payload))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string");
        text
    })
}

/// What is wrong with the outcome of a vector, if anything is.
fn problem(vector: &Vector, key: &Key) -> Option<String> {
    let (expect, exit, hash) = match open(&vector.file, key) {
        Ok((plaintext, _)) => ("success", 0, Some(hex(&Sha256::digest(plaintext)))),
        Err((kind, error)) => (kind, i32::from(error.class.code()), None),
    };
    let same = expect == vector.expect && exit == vector.exit && hash == vector.payload;
    (!same).then(|| format!("{}: {expect} ({exit}), not {}", vector.name, vector.expect))
}

#[test]
fn every_vector_has_the_expected_outcome() {
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    let mut problems = Vec::new();
    for vector in vectors() {
        assert!(!vector.keys.is_empty(), "{}: no key to try", vector.name);
        problems.extend(vector.keys.iter().filter_map(|key| problem(&vector, key)));
        *tally.entry(vector.expect).or_default() += 1;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Of each kind there are some, so that a folder that was lost is noticed.
    let kinds: Vec<_> = tally.keys().map(String::as_str).collect();
    let all = ["header", "limit", "match", "payload", "schema", "slot", "success"];
    assert_eq!(kinds, all);
    assert!(tally.values().sum::<usize>() >= 60, "{tally:?}");
}

#[test]
fn the_program_says_of_every_vector_what_the_library_says() {
    let test = Test::new();
    for vector in vectors() {
        let (name, key) = (format!("{}.age", vector.name), &vector.keys[0]);
        let test = test.clone().file(&name, &vector.file, 0o600);
        let vault = test.home().join(&name);
        let run = test
            .command(["pin", "--vault"])
            .arg(&vault)
            .env(key.variable, &key.secret)
            .expect_status(vector.exit);
        let (stdout, what) = match open(&vector.file, key) {
            Ok((_, payload)) => (format!("{}\n", payload.pin()), None),
            Err((_, error)) => (String::new(), Some(error.what)),
        };
        let output = run.expect_stdout(stdout).run();
        // Before the file is looked at, its size is; and a refusal may say which key was tried.
        match what {
            None => assert_eq!(output.stderr, "", "{}", vector.name),
            Some(_) if vector.file.len() as u64 > sealed::FILE_LIMIT => {
                assert!(output.stderr.contains("over 2 MiB"), "{}", output.stderr);
            }
            Some(what) => assert!(output.stderr.contains(&what), "{what}: {}", output.stderr),
        }
        std::fs::remove_file(vault).expect("to remove the vault");
    }
}
