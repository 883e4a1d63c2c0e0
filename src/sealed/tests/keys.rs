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
fn an_identity_file_may_look_as_people_leave_it() {
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
fn one_line_of_base64_stands_for_the_file() {
    let (text, _) = generate_identity();
    let file = format!("# comment\n{}\n", text.expose());
    for inner in [text.expose(), &file, SSH_ED25519, SSH_RSA] {
        for encoded in [STANDARD.encode(inner), STANDARD_NO_PAD.encode(inner)] {
            assert_eq!(identities(&encoded).len(), 1);
            assert_eq!(identities(&format!("{encoded}\n")).len(), 1);
        }
    }
    let twice = STANDARD.encode(STANDARD.encode(text.expose()));
    assert!(refusal(&twice).what.contains("is not an age identity"));
}

#[test]
fn what_is_no_identity_is_named_by_line_and_never_shown() {
    let (text, recipient) = generate_identity();
    let good = text.expose();
    let typo = format!("{}{}", &good[..20], good[20..].replace(['2', '3', '4', '5', 'S'], "Q"));
    for (bad, says) in [
        (String::new(), "KEY holds no identity"),
        ("\n # only a comment\n".to_owned(), "KEY holds no identity"),
        (format!("{good}\nwJalrXUtnFEMI"), "KEY: line 2 is not an age identity"),
        (typo, "KEY: line 1 is not a whole age identity"),
        (good[..40].to_owned(), "KEY: line 1 is not a whole age identity"),
        (good.to_lowercase(), "KEY: line 1 is not an age identity"),
        (recipient, "KEY: line 1 is a recipient"),
        (SSH_ED25519_PUB.to_owned(), "KEY: line 1 is a recipient"),
        ("AGE-SECRET-KEY-PQ-1QQQ".to_owned(), "post-quantum identity"),
        ("AGE-PLUGIN-TPM-1QQQ".to_owned(), "not a whole plugin identity"),
        (SSH_ED25519[..200].to_owned(), "private key that does not end"),
        (SSH_ED25519.replace("b3Bl", "AAAA"), "is not an ssh key or is damaged"),
        (SSH_ED25519.replace("OPENSSH", "EC"), "is not an ssh key or is damaged"),
        ("age-encryption.org/v1\n-> scrypt a 18\n".to_owned(), "passphrase-protected"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n".to_owned(), "passphrase-protected"),
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
        assert_eq!(parsed.program(), None);
    }
    let plugin = plugins::recipient();
    assert_eq!(parse_recipient(&plugin).unwrap().to_string(), plugin);
    assert_eq!(
        parse_recipient(&plugin).unwrap().program().as_deref(),
        Some("age-plugin-vaulttest")
    );
}

#[test]
fn an_ssh_identity_knows_its_recipient() {
    for (private, public) in [(SSH_ED25519, SSH_ED25519_PUB), (SSH_RSA, SSH_RSA_PUB)] {
        let known = identities(private)[0].recipient().unwrap();
        assert_eq!(known, parse_recipient(public).unwrap());
    }
    assert!(identities(SSH_ENCRYPTED)[0].recipient().is_none());
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
fn what_is_no_recipient_is_a_usage_error() {
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
fn a_recipients_file_names_the_line_it_chokes_on() {
    let (_, recipient) = generate_identity();
    let text = format!("# team\r\n\r\n{recipient}\r\n{SSH_RSA_PUB}");
    assert_eq!(parse_recipients_file(&text).unwrap().len(), 2);
    let error = parse_recipients_file(&format!("{text}\nnobody\n")).unwrap_err();
    assert!(error.what.starts_with("line 6 of the recipients file: "), "{}", error.what);
    assert_eq!(parse_recipients_file("# nobody\n").unwrap_err().class, Class::Usage);
}
