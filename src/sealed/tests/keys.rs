//! Identities and recipients as people write them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};

use super::*;
use crate::error::Class;

fn refusal(text: &str) -> Error {
    let error = parse_identities(&secret(text), "KEY").unwrap_err();
    assert_eq!(error.class, Class::Locked);
    error
}

#[test]
fn an_identity_file_is_read_as_people_write_it() {
    let (one, recipient) = generate_identity();
    let (two, _) = generate_identity();
    let (one, two) = (one.expose(), two.expose());
    for text in [
        one.to_owned(),
        format!("  {one}\t\n"),
        format!("\u{feff}# created: today\r\n# public key: {recipient}\r\n\r\n{one}\r\n"),
        format!("{one}\n{two}\n\n# end"),
        format!("{one}\n{SSH_ED25519}{two}\n"),
        format!("{SSH_RSA}\n{one}").replace('\n', "\r\n"),
    ] {
        let parsed = identities(&text);
        let recipients: Vec<_> = parsed.iter().filter_map(Identity::recipient).collect();
        assert_eq!(recipients.len(), parsed.len());
        assert!(recipients.iter().any(|known| known.to_string() == recipient));
        assert_eq!(parsed[0].label(), "the key");
    }
    assert_eq!(identities(&format!("{one}\n{SSH_ED25519}{two}\n")).len(), 3);
}

#[test]
fn one_line_of_base64_is_read_as_the_file() {
    let (text, _) = generate_identity();
    let file = format!("# comment\n{}\n", text.expose());
    for inner in [text.expose(), &file, SSH_ED25519, SSH_RSA] {
        for encoded in [STANDARD.encode(inner), STANDARD_NO_PAD.encode(inner)] {
            assert_eq!(identities(&encoded).len(), 1);
            assert_eq!(identities(&format!("{encoded}\n")).len(), 1);
        }
    }
    let twice = STANDARD.encode(STANDARD.encode(&file));
    assert_eq!(identities(&twice).len(), 1);
    let thrice = STANDARD.encode(twice);
    let error = refusal(&thrice);
    assert_eq!(error.what, "KEY: line 1 of its decoded base64 is not an age identity");
}

/// GNU base64, which wraps its lines.
fn wrapped(text: impl AsRef<[u8]>, between: &str) -> String {
    let encoded = STANDARD.encode(text);
    let lines: Vec<&str> =
        encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    lines.join(between)
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn the_changes_that_variables_make_to_a_key_are_undone() {
    let (one, recipient) = generate_identity();
    let (two, _) = generate_identity();
    let (one, two) = (one.expose(), two.expose());
    let file = format!("# created: today\n# public key: {recipient}\n{one}\n");
    let both = format!("{file}# the other's\n{two}\n");
    let ssh = [SSH_ED25519, SSH_RSA];
    let mut all: Vec<(String, usize)> = vec![
        (file.replace('\n', " "), 1),
        (file.replace('\n', ""), 1),
        (file.replace('\n', "\\n"), 1),
        (file.replace('\n', "\\\\n"), 1),
        (file.replace('\n', "\\r\\n"), 1),
        (file.replace('\n', "\r"), 1),
        (both.replace('\n', " "), 2),
        (both.replace('\n', "\t"), 2),
        (both.replace('\n', ""), 2),
        (format!("{one} {two}"), 2),
        (format!("{one}{two}"), 2),
        (format!("{one},{two}"), 2),
        (format!("{one}; {two} # mine"), 2),
        (format!("{one} # laptop\n{two}"), 2),
        (format!("\"{one}\""), 1),
        (format!("'{file}'\n"), 1),
        (format!("\"{one}"), 1),
        (format!("\\\"{one}\\\""), 1),
        (format!("\\\"{}\\\"", file.replace('\n', "\\n")), 1),
        (format!("\u{201c}{one}\u{201d}"), 1),
        (format!("`{one}`\u{200b}"), 1),
        (format!("\u{200b}{file}").replace('\n', "\u{200b}\r\n"), 1),
        (format!("{one}\\t{two}"), 2),
        (format!("\u{feff}\u{feff}{file}\u{feff}{two}\0"), 2),
        (one.to_lowercase(), 1),
        (file.to_lowercase().replace('\n', "\u{a0}"), 1),
        (STANDARD.encode(&file).replace('+', "-").replace('/', "_"), 1),
        (format!("{} {}", STANDARD.encode(one), STANDARD.encode(two)), 2),
        (format!("'{}'", STANDARD.encode(one)), 1),
        (STANDARD.encode(utf_16(&file)), 1),
        (STANDARD.encode(utf_16(&format!("\u{feff}{file}"))), 1),
        (STANDARD.encode(both.replace('\n', "\r\n")), 2),
        (file.encode_utf16().flat_map(|unit| ['\0', unit as u8 as char]).collect(), 1),
    ];
    for between in ["\n", "\r\n", " ", "\\n", "\t"] {
        all.extend([(wrapped(&file, between), 1), (wrapped(&both, between), 2)]);
        all.push((wrapped(SSH_RSA, between).trim_end_matches('=').to_owned(), 1));
        for key in ssh {
            all.push((key.trim_end().replace('\n', between), 1));
            all.push((format!("{one}{between}{}", key.replace('\n', between)), 2));
        }
    }
    for key in ssh {
        let body: Vec<&str> = key.lines().filter(|line| !line.starts_with("-----")).collect();
        all.push((key.replace('\n', ""), 1));
        all.push((key.replace('\n', "\n    "), 1));
        all.push((format!("{}# and\n{one}", key.replace('\n', "\r\n")), 2));
        all.push((body.concat(), 1));
    }
    for (text, count) in all {
        // As a file has it, where it may hold what a variable cannot.
        let given = Secret::from_text(text.as_bytes()).unwrap();
        let parsed = parse_identities(&given, "KEY").unwrap_or_else(|e| panic!("{e:?}: {text}"));
        assert_eq!(parsed.len(), count, "{text}");
        assert_eq!(parsed.iter().filter_map(Identity::recipient).count(), count, "{text}");
    }
}

#[test]
fn a_key_in_a_comment_opens_nothing() {
    let (one, recipient) = generate_identity();
    let (two, _) = generate_identity();
    let (one, two) = (one.expose(), two.expose());
    for text in [
        format!("# {one}"),
        format!("#{one}\n"),
        format!("# one\n# {one}\n"),
        format!("# one\n# was {one}\n"),
        format!("# {}", one.to_lowercase()),
        format!("# one #{one} # two"),
    ] {
        let error = refusal(&text);
        assert_eq!(error.what, "KEY holds no identity", "{text}");
        let hint = error.hint.as_deref();
        assert_eq!(hint, Some("the key in it is commented out with a #"), "{text}");
    }
    for text in [
        format!("# {one}\n{two}"),
        format!("# was {one}\n{two}"),
        format!("#{one} # public key: {recipient} {two}"),
    ] {
        let known = identities(&text);
        assert_eq!(known.len(), 1, "{text}");
        assert_ne!(known[0].recipient().unwrap().to_string(), recipient, "{text}");
    }
}

const PUTTY: &str = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPublic-Lines: 2\nAAAA\n";

fn pem(label: &str) -> String {
    format!("-----BEGIN {label}-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END {label}-----\n")
}

/// Entries that are not supported, each with its error if nothing else opens the vault.
fn unsupported() -> Vec<(String, &'static str)> {
    let old = format!(
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n\
         {}\n-----END RSA PRIVATE KEY-----\n",
        "A".repeat(64)
    );
    let form = "the private key in the key is not in OpenSSH's format";
    let kind = "of ssh keys, age supports only ssh-ed25519 and ssh-rsa, and the one in the key is";
    vec![
        ("AGE-SECRET-KEY-PQ-1QQQ\n".to_owned(), "the identity in the key is post-quantum"),
        (SSH_ECDSA.to_owned(), kind),
        (pem("EC PRIVATE KEY"), kind),
        (pem("PRIVATE KEY"), form),
        (pem("ENCRYPTED PRIVATE KEY"), form),
        (old, form),
        (PUTTY.to_owned(), form),
    ]
}

#[test]
fn an_unsupported_entry_is_named_only_if_nothing_opens() {
    let (text, recipient) = generate_identity();
    let recipients = [parse_recipient(&recipient).unwrap()];
    let sealed = seal(PLAINTEXT, &recipients, &[], false).unwrap();
    for (entry, says) in unsupported() {
        let after = format!("{}\n{entry}", text.expose());
        let before = format!("# first\n{entry}{}\n", text.expose());
        // PuTTY's goes on to the end of a text.
        let files = if entry == PUTTY { vec![after] } else { vec![after, before] };
        for file in files.iter().flat_map(|file| [file.clone(), STANDARD.encode(file)]) {
            assert!(reopen(&sealed.bytes, &identities(&file), &[]).is_ok(), "{file}");
        }
        for file in
            [entry.clone(), entry.replace('\n', "\r\n"), entry.trim_end().replace('\n', " ")]
        {
            let error = reopen(&sealed.bytes, &identities(&file), &[]).unwrap_err();
            assert_eq!(error.class, Class::Locked);
            let expected = format!("no key opens this vault: {says}");
            assert!(error.what.starts_with(&expected), "{}", error.what);
        }
    }
}

#[test]
fn a_word_that_is_not_an_identity_is_named_by_line_and_never_shown() {
    let (text, recipient) = generate_identity();
    let good = text.expose();
    let typo = format!("{}{}", &good[..20], good[20..].replace(['2', '3', '4', '5', 'S'], "Q"));
    for (bad, says) in [
        (String::new(), "KEY holds no identity"),
        ("\n # only a comment\n".to_owned(), "KEY holds no identity"),
        (format!("{good}\nwJalrXUtnFEMI"), "KEY: line 2 is not an age identity"),
        (typo, "KEY: line 1 is not a whole age identity"),
        (good[..40].to_owned(), "KEY: line 1 is not a whole age identity"),
        (
            format!("{}{}", &good[..30], good[30..].to_lowercase()),
            "KEY: line 1 is an age identity in mixed case",
        ),
        (format!("{good}\n{good}X"), "KEY: line 2 is not a whole age identity"),
        (good.replace("SECRET-KEY-1", "SECRET-KEY-9"), "KEY: line 1 is not an age identity"),
        (recipient.to_uppercase(), "KEY: line 1 is a recipient"),
        (format!("# mine\n{recipient}\n"), "KEY: line 2 is a recipient"),
        (STANDARD.encode(&recipient), "KEY: line 1 of its decoded base64 is a recipient"),
        ("ecdsa-sha2-nistp256 AAAA".to_owned(), "KEY: line 1 is an ssh public key"),
        (
            STANDARD.encode(good)[..61].to_owned(),
            "KEY: line 1 of its decoded base64 is not a whole age identity",
        ),
        (format!("AGE_KEY={good}"), "KEY: line 1 is not an age identity"),
        (pem("CERTIFICATE"), "KEY: line 1 begins a PEM block that is not a private key"),
        (recipient, "KEY: line 1 is a recipient"),
        (SSH_ED25519_PUB.to_owned(), "KEY: line 1 is an ssh public key"),
        ("AGE-PLUGIN-TPM-1QQQ".to_owned(), "not a whole plugin identity"),
        (SSH_ED25519[..200].to_owned(), "private key that does not end"),
        (SSH_ED25519.replace("b3Bl", "AAAA"), "is damaged or not an ssh key"),
        (SSH_ED25519.replace("OPENSSH", "RSA"), "is damaged or not an ssh key"),
        (
            "age-encryption.org/v1\n-> scrypt a 18\n".to_owned(),
            "KEY is an age file that is damaged",
        ),
        (pem("AGE ENCRYPTED FILE"), "KEY is an age file of another version, or damaged"),
        ("correct horse battery".to_owned(), "KEY: line 1 is not an age identity"),
    ] {
        let error = refusal(&bad);
        assert!(error.what.contains(says), "{:?} for {bad:?}", error.what);
        for word in bad.split_whitespace().filter(|word| word.len() > 20) {
            assert!(!format!("{error:?}").contains(word) || says.contains(word));
        }
    }
}

#[test]
fn text_beside_a_key_is_reported() {
    let (text, _) = generate_identity();
    let good = text.expose();
    for bad in [
        format!("AGE_KEY={good}"),
        format!("{{\"key\": \"{good}\"}}"),
        format!("{good}\nEOF"),
        STANDARD.encode(format!("key: {good}")),
        format!("key: {SSH_ED25519}"),
    ] {
        let error = refusal(&bad);
        assert!(error.what.ends_with("is not an age identity"), "{}", error.what);
        let hint = error.hint.as_deref();
        assert_eq!(
            hint,
            Some("it also holds a key: remove the text beside it, such as NAME= before it"),
            "{bad}"
        );
    }
    let hint = refusal("open sesame").hint.expect("a hint");
    assert!(hint.starts_with("give a key, such as AGE-SECRET-KEY-1…"), "{hint}");
}

#[test]
fn recipients_are_displayed_as_they_were_written() {
    let (_, recipient) = generate_identity();
    let ssh: Vec<&str> = SSH_ED25519_PUB.split(' ').take(2).collect();
    for (text, shown) in [
        (recipient.as_str(), recipient.as_str()),
        (SSH_ED25519_PUB, &ssh.join(" ")),
        (SSH_RSA_PUB, &SSH_RSA_PUB.split(' ').take(2).collect::<Vec<_>>().join(" ")),
        (
            "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e",
            "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e",
        ),
    ] {
        let parsed = parse_recipient(&format!(" {text}\n")).unwrap();
        assert_eq!(parsed.to_string(), shown);
        assert_eq!(parse_recipient(shown).unwrap(), parsed);
    }
    let plugin = plugins::recipient();
    assert_eq!(parse_recipient(&plugin).unwrap().to_string(), plugin);
}

#[test]
fn an_ssh_identity_knows_its_recipient() {
    for (private, public) in [(SSH_ED25519, SSH_ED25519_PUB), (SSH_RSA, SSH_RSA_PUB)] {
        let known = identities(private)[0].recipient().unwrap();
        assert_eq!(known, parse_recipient(public).unwrap());
    }
    // Its public key is not encrypted.
    let known = identities(SSH_ENCRYPTED)[0].recipient().unwrap();
    assert_eq!(known, parse_recipient(SSH_ENCRYPTED_PUB).unwrap());
}

#[test]
fn a_secret_in_a_recipients_place_is_refused_and_not_repeated() {
    let (text, _) = generate_identity();
    let key = text.expose();
    for pasted in [
        key.to_owned(),
        key.to_lowercase(),
        STANDARD.encode(key),
        SSH_ED25519.to_owned(),
        SSH_ED25519.replace('\n', " "),
        STANDARD.encode(SSH_RSA),
        "AGE-PLUGIN-TPM-1QQQQ".to_owned(),
    ] {
        let error = parse_recipient(&pasted).unwrap_err();
        assert_eq!(error.class, Class::Usage);
        assert_eq!(error.what, "that is a secret key, not a recipient");
        assert!(!format!("{error:?}").contains(&pasted[5..20]));
    }
    let error = parse_recipient("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").unwrap_err();
    assert!(!format!("{error:?}").contains("wJalr"));
}

#[test]
fn text_that_is_not_a_recipient_is_a_usage_error() {
    let (_, recipient) = generate_identity();
    let cut = SSH_ED25519_PUB.split(' ').next().unwrap();
    for bad in [
        "",
        "age1",
        &recipient[..40],
        &recipient.to_uppercase(),
        &format!("{recipient}q"),
        &format!("{recipient}\n{recipient}"),
        "age1é",
        cut,
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAB3NzaC1lZDI1NTE5",
        "ssh-dss AAAAB3NzaC1kc3M=",
        "ecdsa-sha2-nistp256 AAAA",
        "é",
    ] {
        assert_eq!(parse_recipient(bad).unwrap_err().class, Class::Usage, "{bad:?}");
    }
    let crooked = SSH_ED25519_PUB.replacen("ssh-ed25519 ", "ssh-rsa ", 1);
    assert_eq!(parse_recipient(&crooked).unwrap_err().class, Class::Usage);
}

#[test]
fn an_error_in_a_recipients_file_has_the_line_number() {
    let read = |text: &str| parse_recipients_file(text, &mut |line, why| panic!("{line}: {why}"));
    let (_, recipient) = generate_identity();
    let text = format!("# team\r\n\r\n{recipient}\r\n{SSH_RSA_PUB}");
    assert_eq!(read(&text).unwrap().len(), 2);
    let error = read(&format!("{text}\nnobody\n")).unwrap_err();
    assert!(error.what.starts_with("line 6 of the recipients file: "), "{}", error.what);
    assert_eq!(read("# nobody\n").unwrap_err().class, Class::Usage);
}

#[test]
fn a_recipient_of_a_kind_that_is_not_supported_is_left_out_and_a_malformed_one_is_not() {
    let (_, recipient) = generate_identity();
    let line = |fields: &[&[u8]]| {
        let mut blob = Vec::new();
        for field in fields {
            blob.extend_from_slice(&(field.len() as u32).to_be_bytes());
            blob.extend_from_slice(field);
        }
        let kind = std::str::from_utf8(fields[0]).unwrap();
        format!("{kind} {}", STANDARD.encode(blob))
    };
    let kinds = "of ssh keys, age supports only ssh-ed25519 and ssh-rsa";
    let rsa = |bytes: usize| line(&[b"ssh-rsa", &[1, 0, 1], &vec![0x55; bytes]]);
    for (other, why) in [
        (line(&[b"ecdsa-sha2-nistp256", b"nistp256", &[4; 65]]), kinds),
        (line(&[b"sk-ssh-ed25519@openssh.com", &[9; 32], b"ssh:"]), kinds),
        (line(&[b"ssh-dss", &[1], &[1], &[1], &[1]]), kinds),
        (line(&[b"ssh-ed25519-cert-v01@openssh.com", &[9; 32]]), kinds),
        (rsa(128), "the ssh-rsa key has less than 2048 bits"),
        (rsa(1024), "the ssh-rsa key has more than 4096 bits"),
    ] {
        let mut told = Vec::new();
        let text = format!("# team\n{other} a comment\r\n{recipient}\n{other}");
        let read = parse_recipients_file(&text, &mut |at, why| told.push((at, why.to_owned())));
        assert_eq!(read.unwrap().len(), 1, "{other}");
        assert_eq!(told, [(2, why.to_owned()), (4, why.to_owned())]);
        let alone = parse_recipients_file(&other, &mut |_, _| ()).unwrap_err();
        assert_eq!(alone.what, "the recipients file holds no recipient of a supported kind");
        assert_eq!(parse_recipient(&other).unwrap_err().what, why);
    }
    for malformed in [
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp256 AAAA",
        &line(&[b"ecdsa-sha2-nistp256", b"x"]).replacen("256", "384", 1),
        &line(&[b"ssh-dss"]),
        &line(&[b"ecdsa-sha2-nistp256", b"nistp256", &[4; 65]])[..80],
        &line(&[b"ssh-ed25519", &[9; 31]]),
        &line(&[b"ssh-rsa", &[1, 0, 1]]),
        &format!("command=\"x\" {SSH_ED25519_PUB}"),
        "AGE-SECRET-KEY-PQ-1QQQ",
        SSH_ECDSA,
        "nobody",
    ] {
        let text = format!("{recipient}\n{malformed}\n");
        let read = parse_recipients_file(&text, &mut |line, why| panic!("{line}: {why}"));
        let error = read.unwrap_err();
        assert_eq!(error.class, Class::Usage);
        assert!(error.what.starts_with("line 2 of the recipients file: "), "{}", error.what);
    }
}
