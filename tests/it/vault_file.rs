//! The vault file itself: what shows of its content, what is noticed, and what is kept.

use std::path::Path;

use vault::env::Env;
use vault::error::Class;
use vault::prompt::Prompt;
use vault::sealed::{self, Cost, PassphrasePolicy, Slot};
use vault::secret::Secret;
use vault::vault::{Payload, Vault};

use crate::support::builder::Test;
use crate::support::inside;
use crate::support::{ACCESS_KEY_ID, AGE_KEY, AGE_RECIPIENT, PASSPHRASE, SECRET_ACCESS_KEY};

/// Opens a vault for [`AGE_KEY`] without the program.
pub fn plaintext_of(file: &[u8]) -> vault::error::Result<Vec<u8>> {
    let key = sealed::parse_identities(&Secret::new(AGE_KEY.to_owned()), "the key")?;
    Ok(sealed::open(&sealed::scan(file)?, &key, &[], PassphrasePolicy::default_limits())?
        .plaintext
        .to_vec())
}

/// The payload of a vault for [`AGE_KEY`].
pub fn payload_of(path: impl AsRef<Path>) -> Payload {
    let file = std::fs::read(path).expect("the vault");
    Payload::parse(&plaintext_of(&file).expect("a vault")).expect("a payload")
}

/// A vault for [`AGE_KEY`] with any plaintext.
pub fn seal(plaintext: &str, armor: bool) -> Vec<u8> {
    let recipient = sealed::parse_recipient(AGE_RECIPIENT).expect("a recipient");
    sealed::seal(plaintext.as_bytes(), &[recipient], &[], armor).expect("sealing").bytes
}

fn text_of(path: impl AsRef<Path>) -> String {
    let file = std::fs::read(path).expect("the vault");
    String::from_utf8(plaintext_of(&file).expect("a vault")).expect("text")
}

/// The text of a vault without its padding: small, so that every bit of it can be tried.
fn small_text() -> String {
    let text = text_of(Test::new().vault_with("demo").vault_file());
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

#[test]
fn nothing_of_the_content_shows_in_the_file() {
    let test = Test::new().vault_with("payroll-production");
    let text = text_of(test.vault_file());
    assert!(text.contains("payroll-production") && text.contains(SECRET_ACCESS_KEY), "{text}");
    let file = test.read(test.vault_file());
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| word.len() >= 5);
    let mut looked_for = 0;
    for word in words {
        assert!(!file.windows(word.len()).any(|at| at == word.as_bytes()), "{word} shows");
        looked_for += 1;
    }
    assert!(looked_for > 10, "{text}");
}

#[test]
fn what_was_forgotten_in_part_is_not_written() {
    let test = Test::new().vault_with("demo").vault_with("second");
    let before = test.read(test.vault_file());
    let env = Env::of(&[("AWS_VAULT_AGE_KEY", AGE_KEY)]);
    let access = inside::access(test.vault_file(), &env, Prompt::new(true, None));
    let mut vault = Vault::open(&access).expect("the vault");
    vault.keep_only(&["demo"].into(), &[].into());
    assert_eq!((vault.opened_by(), vault.opened_by_passphrase()), ("AWS_VAULT_AGE_KEY", false));
    assert!(!vault.opened_with(AGE_RECIPIENT), "the key is gone");
    assert_eq!(vault.change(|_| Ok(())).unwrap_err().class, Class::Other);
    assert_eq!(test.read(test.vault_file()), before);
}

#[test]
fn the_size_tells_only_steps_of_4_kib() {
    let test = Test::new().vault_with("demo");
    let content = |test: &Test| text_of(test.vault_file()).len();
    assert_eq!(content(&test), 4096);
    let mut test = test;
    for n in 0..30 {
        test = test.stored(&format!("profile-{n}"), ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    }
    assert_eq!(content(&test), 8192, "30 more keys do not fit into 4 KiB");
    for n in 0..30 {
        test.command(["remove", "-f", &format!("profile-{n}")]).run();
    }
    assert_eq!(content(&test), 4096);
}

#[test]
fn every_flipped_bit_is_noticed() {
    let text = small_text();
    let key = sealed::parse_identities(&Secret::new(AGE_KEY.to_owned()), "the key").unwrap();
    let opens = |file: &[u8]| {
        sealed::scan(file).and_then(|scanned| {
            sealed::open(&scanned, &key, &[], PassphrasePolicy::default_limits())
        })
    };
    for armor in [false, true] {
        let file = seal(&text, armor);
        assert!(opens(&file).is_ok());
        for bit in 0..file.len() * 8 {
            let mut changed = file.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = opens(&changed).map(drop).expect_err("a flipped bit");
            let known = matches!(error.class, Class::Damaged | Class::Locked | Class::Refused);
            assert!(known, "armor {armor}, bit {bit}: {error:?}");
        }
    }
}

#[test]
fn every_cut_and_every_joint_is_noticed() {
    let text = small_text();
    let file = seal(&text, false);
    for length in 0..file.len() {
        assert!(plaintext_of(&file[..length]).is_err(), "cut to {length} bytes");
    }
    let mut longer = file.clone();
    longer.push(b'\n');
    assert!(plaintext_of(&longer).is_err(), "one byte more");
    assert!(plaintext_of(&[file.as_slice(), &file].concat()).is_err(), "twice");

    // The header of one and the content of another, both for the same key.
    let other = seal(&text, false);
    let end = |file: &[u8]| {
        let mac = file.windows(4).position(|at| at == b"---\x20").expect("a header");
        mac + 4 + 43 + 1
    };
    assert!(plaintext_of(&[&file[..end(&file)], &file[end(&file)..]].concat()).is_ok());
    assert!(plaintext_of(&[&file[..end(&file)], &other[end(&other)..]].concat()).is_err());
}

#[test]
fn a_damaged_vault_is_one_error_and_no_output() {
    let test = Test::new().vault_with("demo");
    let file = test.read(test.vault_file());
    let path = test.vault_file();
    let mut flipped = file.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (content, what) in [
        (Vec::new(), "the vault file is empty"),
        (b"hello\n".to_vec(), "the file is not a vault: it is not an age file"),
        (file[..60].to_vec(), "the vault file is cut short"),
        (file[..file.len() - 1].to_vec(), "the vault's content is damaged or cut short"),
        (flipped, "the vault's content is damaged or cut short"),
    ] {
        std::fs::write(&path, &content).unwrap();
        let stderr = format!(
            "vault: error: {what}\nvault: hint: that is [HOME]/.local/share/vault/vault.age: put a backup in its \
             place, or name another file with --vault\n"
        );
        test.command(["exec", "--json", "-n", "demo"]).expect_error(5, &stderr).run();
        test.command(["remove", "-f", "demo"]).expect_error(5, &stderr).run();
        assert_eq!(test.read(&path), content);
    }
}

/// The header of a vault with these passphrase slots (memory, passes, lanes).
fn slots(costs: &[(u64, u32, u32)]) -> Vec<u8> {
    let mut file = b"age-encryption.org/v1\n".to_vec();
    let (arg, body) = ("A".repeat(43), "A".repeat(64));
    for (memory, passes, lanes) in costs {
        let salt = "A".repeat(22);
        let slot = format!("-> vault-argon2id-x25519 {salt} {memory} {passes} {lanes}\n{body}\n\n");
        file.extend(format!("-> X25519 {arg}\n{arg}\n{slot}").bytes());
    }
    file.extend(format!("--- {arg}\n").bytes());
    file.extend([0; 32]);
    file
}

fn stanzas(count: usize, length: usize) -> Vec<u8> {
    let mut file = b"age-encryption.org/v1\n".to_vec();
    for _ in 0..count {
        file.extend(format!("-> later {}\n\n", "x".repeat(length)).bytes());
    }
    file.extend(format!("--- {}\n", "A".repeat(43)).bytes());
    file.extend([0; 32]);
    file
}

#[test]
fn limits_are_checked_before_any_work() {
    let test = Test::new().file(".local/share/vault/vault.age", "", 0o600);
    let large = "[HOME]/.local/share/vault/vault.age is over 2 MiB, so not a vault";
    let header = "the vault's header is larger than 16 KiB";
    let many = "the vault's header has more than 32 stanzas";
    let costly = "the cost of the vault's passphrase slots is over the limits: each 1 GiB, 16 passes and 4 \
                  lanes, and together 4 GiB times passes";
    for (file, what) in [
        (vec![0; (2 << 20) + 1], large),
        (stanzas(4, 5000), header),
        (stanzas(33, 1), many),
        (slots(&[(1_048_577, 1, 1)]), costly),
        (slots(&[(4_000_000_000, 1, 1)]), costly),
        (slots(&[(65_536, 17, 4)]), costly),
        (slots(&[(65_536, 3, 5)]), costly),
        (slots(&[(1_048_576, 4, 4), (8, 1, 1)]), costly),
    ] {
        std::fs::write(test.vault_file(), file).unwrap();
        // Nothing is there to open it with: that would be the next complaint (4).
        let stderr = format!("vault: error: {what}\n");
        test.command(["list"]).expect_error(6, &stderr).run();
        let given = test.command(["list"]).env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
        given.expect_error(6, &stderr).run();
    }
}

#[test]
fn unknown_fields_survive_an_add() {
    let test = Test::new().vault_with("demo");
    let text = text_of(test.vault_file())
        .replace("version = 1\n", "version = 1\nlater = [1, 2]\n")
        .replace("[[recipients]]\n", "[[recipients]]\nadded = 2031-01-31\n")
        .replace("[credentials.demo]\n", "[credentials.demo]\nnote = \"rotated by hand\"\n");
    let text = format!("{text}\n[afterwards.\"some thing\"]\nseed = \"x\"\n");
    std::fs::write(test.vault_file(), seal(&text, false)).unwrap();

    let test = test.stored("other", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let table = |text: &str| text.parse::<toml::Table>().expect("TOML");
    let (mut before, mut after) = (table(&text), table(&text_of(test.vault_file())));
    let other = after["credentials"].as_table_mut().unwrap().remove("other").unwrap();
    assert_eq!(other["secret_access_key"].as_str(), Some(SECRET_ACCESS_KEY));
    assert_eq!(after["generation"].as_integer(), Some(3));
    before.remove("generation");
    after.remove("generation");
    assert_eq!(before, after);
}

#[test]
fn a_vault_from_the_future_is_refused() {
    let test = Test::new().vault_with("demo");
    let text = text_of(test.vault_file());
    for (from, to, stderr) in [
        (
            "version = 1\n",
            "version = 2\n",
            "vault: error: the vault has version 2, and this program reads version 1\n\
             vault: hint: use a newer vault program\n",
        ),
        (
            "critical = []\n",
            "critical = [\"quorum\"]\n",
            "vault: error: the vault needs a feature that this program does not know: quorum\n\
             vault: hint: use a newer vault program\n",
        ),
    ] {
        let file = seal(&text.replace(from, to), false);
        std::fs::write(test.vault_file(), &file).unwrap();
        test.command(["list"]).expect_error(5, stderr).run();
        test.command(["remove", "-f", "demo"]).expect_error(5, stderr).run();
        assert_eq!(test.read(test.vault_file()), file);
    }
}

#[test]
fn an_armored_vault_stays_armored() {
    let test = Test::new();
    test.command(["init", "--armor", "-r", AGE_RECIPIENT]).run();
    let test = test.vault_with("demo");
    let text = String::from_utf8(test.read(test.vault_file())).expect("text");
    assert!(text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{text}");
    assert!(text.ends_with("\n-----END AGE ENCRYPTED FILE-----\n"), "{text}");
    assert_eq!(payload_of(test.vault_file()).credential_names().collect::<Vec<_>>(), ["demo"]);
}

#[test]
fn an_armored_vault_whose_line_ends_were_changed_opens_and_the_next_write_mends_them() {
    let test = Test::new();
    test.command(["init", "--armor", "-r", AGE_RECIPIENT]).run();
    let test = test.vault_with("demo");
    let pin = test.command(["pin"]).run().stdout;
    let text = || String::from_utf8(test.read(test.vault_file())).expect("text");
    let crlf = |text: &str| text.replace('\n', "\r\n");
    let carriers: [&dyn Fn(&str) -> String; 5] = [
        &crlf,
        &|text| crlf(text).trim_end().to_owned(),
        &|text| text.trim_end().to_owned(),
        &|text| format!("{text}\n"),
        &|text| format!("{}\r\n \t", crlf(text)),
    ];
    for carry in carriers {
        let carried = carry(&text());
        std::fs::write(test.vault_file(), &carried).unwrap();
        test.command(["list", "--credentials"]).expect_stdout("demo\n").expect_stderr("").run();
        test.command(["pin"]).expect_stdout(&pin).expect_stderr("").run();
        assert_eq!(text(), carried, "reading writes nothing");
        test.clone().stored("ci", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
        assert!(!text().contains('\r') && text().ends_with("\n-----END AGE ENCRYPTED FILE-----\n"));
        test.command(["remove", "-f", "ci"]).run();
    }
    let good = text();
    let damaged = "vault: error: the vault file's armor is damaged\n\
                   vault: hint: text or blanks were added before, in or after it; restore a copy\n";
    for changed in [
        format!("\n{good}"),
        format!("{}more\n", good),
        format!("{} \n", good.trim_end()),
        good.replacen('\n', "\n\n", 2),
        good.replace('\n', "\r"),
        good.replace('\n', " "),
    ] {
        std::fs::write(test.vault_file(), &changed).unwrap();
        test.command(["list"]).expect_error(5, damaged).run();
    }
}

#[test]
fn a_slot_is_kept_byte_for_byte_by_a_writer_who_does_not_know_the_passphrase() {
    let test = Test::new().file("word", PASSPHRASE, 0o600);
    let word = test.home().join("word");
    test.command(["init", "--passphrase", "-r", AGE_RECIPIENT, "--passphrase-file"])
        .arg(&word)
        .run();
    let before = sealed::scan(&test.read(test.vault_file())).unwrap().slots;
    let test = test.vault_with("demo");
    let after = sealed::scan(&test.read(test.vault_file())).unwrap().slots;
    assert_eq!(after.iter().map(Slot::to_text).collect::<Vec<_>>(), [before[0].to_text()]);
    assert_eq!(after[0].cost(), Cost::default());
    test.command(["list", "--credentials"])
        .env_remove("AWS_VAULT_AGE_KEY")
        .env("AWS_VAULT_PASSPHRASE", PASSPHRASE)
        .expect_stdout("demo\n")
        .run();
}

/// A file of the demo.
fn demo(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn demo_vaults() -> [(&'static str, Test); 2] {
    let test = |vault: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/demo").join(vault);
        Test::new().env("AWS_VAULT_FILE", path)
    };
    [
        ("by-key.age", test("by-key.age").env("AWS_VAULT_AGE_KEY", demo("key.txt"))),
        (
            "by-passphrase.age",
            test("by-passphrase.age").env("AWS_VAULT_PASSPHRASE", demo("passphrase.txt")),
        ),
    ]
}

#[test]
fn the_demo_vaults_show_the_example_key() {
    let json = format!(
        "{{\"AccessKeyId\":\"{ACCESS_KEY_ID}\",\"SecretAccessKey\":\"{SECRET_ACCESS_KEY}\",\
         \"Version\":1}}\n"
    );
    for (_, test) in demo_vaults() {
        let exec = test.command(["exec", "--no-session", "--json", "demo"]);
        exec.expect_stdout(&json).expect_stderr("").run();
    }
}

#[test]
fn the_demo_vaults_have_their_pins() {
    let mut pins = String::new();
    for (name, test) in demo_vaults() {
        let output = test.command(["pin"]).expect_stderr("").run();
        pins.push_str(&format!("{name} {}", output.stdout));
    }
    assert_eq!(pins, demo("pins.txt"));
}
