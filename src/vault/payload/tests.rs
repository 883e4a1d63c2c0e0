use super::*;
use crate::error::Class;

fn payload() -> Payload {
    let recipient = RecipientEntry { recipient: "age1x".into(), name: Some("laptop".into()) };
    Payload::new(&[recipient], &[]).unwrap()
}

fn key() -> Credentials {
    Credentials::long_term(
        "AKIAIOSFODNN7EXAMPLE".into(),
        Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()),
    )
}

#[test]
fn a_payload_survives_its_text() {
    let mut payload = payload();
    payload.set_credential("prod.eu/1", &key(), Timestamp(0));
    payload.next_generation();
    let text = payload.to_plaintext();
    assert_eq!(text.len(), 4096);
    let again = Payload::parse(&text).unwrap();
    assert_eq!(again.generation(), 1);
    assert_eq!(again.pin(), payload.pin());
    assert_eq!(again.credential_names().collect::<Vec<_>>(), ["prod.eu/1"]);
    assert_eq!(
        again.credential("prod.eu/1").unwrap().secret_access_key.expose(),
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
    );
    assert_eq!(again.recipients(), payload.recipients());
}

#[test]
fn padding_goes_in_steps() {
    let mut payload = payload();
    for n in 0..40 {
        payload.set_credential(&format!("profile-{n}"), &key(), Timestamp(0));
        assert_eq!(payload.to_plaintext().len() % 4096, 0);
    }
    assert!(payload.to_plaintext().len() > 4096);
}

/// The text of a payload after one replacement.
fn changed(from: &str, to: &str) -> Result<Payload> {
    let mut payload = payload();
    payload.set_credential("demo", &key(), Timestamp(0));
    let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
    assert!(text.contains(from), "{from}");
    Payload::parse(text.replacen(from, to, 1).as_bytes())
}

#[test]
fn unknown_fields_survive_a_rewrite() {
    let mut payload = changed("version = 1", "version = 1\nlater = [1, 2]").unwrap();
    payload.next_generation();
    let text = String::from_utf8(payload.to_plaintext().to_vec()).unwrap();
    assert!(text.contains("later = [1, 2]"));
}

#[test]
fn a_newer_version_or_feature_is_refused_with_a_clear_message() {
    let error = changed("version = 1", "version = 2").unwrap_err();
    assert_eq!(error.what, "the vault has version 2, and this program reads version 1");
    let error = changed("critical = []", "critical = [\"quorum\"]").unwrap_err();
    assert_eq!(error.what, "the vault needs a feature that this program does not know: quorum");
    assert_eq!(error.class, Class::Damaged);
}

#[test]
fn what_is_wrong_is_named_by_its_field_and_never_shown() {
    for (from, to, field) in [
        ("version = 1", "version = \"1\"", "version"),
        ("generation = 0", "generation = -1", "generation"),
        ("critical = []", "", "critical"),
        ("auth_key = \"", "auth_key = \"AA", "auth_key"),
        ("cache_key", "cache_kex", "cache_key"),
        ("recipient = \"age1x\"", "recipient = 7", "recipients[0].recipient"),
        ("access_key_id", "key", "credentials[0].access_key_id"),
        // Nothing that could write to the terminal, or start another line in what export prints.
        ("age1x", "age1\\u001b[31mx", "recipients[0].recipient"),
        ("laptop", "lap\\rtop", "recipients[0].name"),
        ("credentials.demo", "credentials.\"de\\u009bmo\"", "credentials[0]"),
        ("AKIA", "AKIA\\n", "credentials[0].access_key_id"),
        ("wJal", "wJ\\ncredential_process=al", "credentials[0].secret_access_key"),
    ] {
        let error = changed(from, to).unwrap_err();
        assert_eq!(error.what, format!("the vault's content has no valid {field}"));
    }
    let error = changed("secret_access_key = \"wJ", "secret_access_key = wJ").unwrap_err();
    assert!(error.what.starts_with("the vault's content is not TOML (line "), "{}", error.what);
    assert!(!format!("{error:?}").contains("wJ"));
}

#[test]
fn removing_says_whether_there_was_one() {
    let mut payload = payload();
    payload.set_credential("demo", &key(), Timestamp(0));
    assert!(payload.remove_credential("demo"));
    assert!(!payload.remove_credential("demo"));
}

/// A document with `text` before what every payload has.
fn with(text: &str) -> Vec<u8> {
    [text.as_bytes(), b"\n", &payload().to_plaintext()].concat()
}

#[test]
fn what_nests_too_deep_is_refused_before_it_is_built() {
    let key = vec!["k"; 79].join(".");
    let hostile = [
        format!("{key} = {{").repeat(79) + &"}".repeat(79),
        // The parser continues after an error, and would drop what it has built by then.
        format!("{key} = {{").repeat(79),
        format!("{key} = [{{").repeat(39) + &"}]".repeat(39),
        format!("{key} = {{]").repeat(79),
        format!("[{key}]\n").repeat(3),
        format!("[{}]\n{} = 1\n", vec!["k"; 20].join("."), vec!["k"; 20].join(".")),
    ];
    for text in hostile {
        let error = Payload::parse(&with(&text)).unwrap_err();
        assert_eq!((error.class, error.what.contains("nests too deep")), (Class::Damaged, true));
    }
    let line = "b = \"[[[[\" # [[[[\n".repeat(9);
    let error = Payload::parse(&with(&(line + "a = " + &"[".repeat(99)))).unwrap_err();
    assert_eq!(error.what, "the vault's content nests too deep (line 10)");
}

#[test]
fn a_document_of_too_many_tables_is_not_built() {
    let wide = |count| with(&(0..count).map(|n| format!("x{n}.y = 1\n")).collect::<String>());
    assert!(Payload::parse(&wide(65_000)).is_ok());
    let error = Payload::parse(&wide(66_000)).unwrap_err();
    assert_eq!(error.class, Class::Damaged);
    assert!(
        error.what.starts_with("the vault's content has too many tables (line 65"),
        "{}",
        error.what
    );
}

/// Nested as deep as may be, in every way: it can be read, and what is written of it as well.
#[test]
fn what_may_nest_survives_a_rewrite() {
    let dots = |count: usize| vec!["k"; count].join(".");
    for text in [
        format!("{} = 1.5", dots(33)),
        format!("{} = {{x.y = [{{z = 1}}]}}", dots(28)),
        "x = ".to_owned() + &"[".repeat(32) + &"]".repeat(32),
        format!("x = {}1{}", "[{x=".repeat(16), "}]".repeat(16)),
    ] {
        let first = Payload::parse(&with(&text)).unwrap();
        let second = Payload::parse(&first.to_plaintext()).expect(&text);
        assert_eq!(first.to_plaintext(), second.to_plaintext());
    }
}

#[test]
fn what_a_server_does_not_need_is_forgotten() {
    let mut payload = payload();
    for name in ["prod", "audit"] {
        payload.set_credential(name, &key(), Timestamp(0));
    }
    let seed = crate::totp::Seed::of("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "SHA1", 6, 30).unwrap();
    for serial in ["arn:aws:iam::123456789012:mfa/a", "arn:aws:iam::123456789012:mfa/b"] {
        payload.set_totp(serial, &seed, Timestamp(0));
    }
    let fleet = Fleet {
        store: crate::store::Location::parse("s3://fleet").unwrap(),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        profile: Some("prod".to_owned()),
        required: false,
    };
    payload.set_fleet(&fleet);
    let pin = payload.pin();
    payload.keep_only(&["prod"].into(), &["arn:aws:iam::123456789012:mfa/b"].into());
    assert_eq!(payload.credential_names().collect::<Vec<_>>(), ["prod"]);
    assert!(payload.credential("prod").is_some() && payload.credential("audit").is_none());
    let serials: Vec<_> = payload.totp_serials().collect();
    assert_eq!(serials, ["arn:aws:iam::123456789012:mfa/b"]);
    assert_eq!(payload.doc.keys().collect::<Vec<_>>(), ["credentials", "fleet", "totp"]);
    assert_eq!(payload.fleet(), Some(fleet));
    assert_eq!(payload.pin(), pin);
}
