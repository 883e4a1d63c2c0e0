use std::time::{Duration, Instant};

use super::*;

/// Made by jwcrypto (fixtures/make_aws_vault.py).
const PROD: &str = include_str!("../../../fixtures/aws-vault/keys/prod");
/// The same, with the key of aws-vault 6.0 and 6.1.
const OF_2020: &str = include_str!("../../../fixtures/aws-vault/keys/of-2020");

fn passphrase() -> Secret {
    Secret::new("a demo passphrase that everybody knows".into())
}

fn open(file: &str) -> Result<String, Fault> {
    let plaintext = Jwe::parse(file.as_bytes())?.open(&passphrase())?;
    Ok(String::from_utf8(plaintext.to_vec()).unwrap())
}

#[test]
fn a_file_of_another_library_is_opened() {
    assert_eq!(Jwe::parse(PROD.as_bytes()).unwrap().rounds, 8192);
    assert!(open(PROD).unwrap().starts_with("{\"Key\":\"prod\",\"Data\":\""));
    assert!(open(&format!("{PROD}\n")).is_ok());
}

#[test]
fn a_file_of_aws_vault_6_0_is_opened() {
    // The output that golang/go issue 41089 shows, for the key "anything" and the text "salt".
    let mut outer = [0x5c; 64];
    outer.iter_mut().zip(b"anything").for_each(|(pad, byte)| *pad ^= byte);
    let known = "a9ee321f17a3390ce4704ddb335f0c06b9119cf474f3bae3594f4013e3f256ba";
    let hex: String = faulty_hmac(&outer, b"salt").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, known);
    assert!(open(OF_2020).unwrap().starts_with("{\"Key\":\"of-2020\""));
}

#[test]
fn a_long_passphrase_is_hashed_first_as_hmac_does() {
    // After its first round, which is faulty, all is HMAC's: the same whether the key was hashed by us.
    let long = [b'x'; 65];
    let hashed: [u8; 32] = Sha256::digest(long).into();
    assert_eq!(faulty_key(&long, b"salt", 3), faulty_key(&hashed, b"salt", 3));
    assert_ne!(faulty_key(&long, b"salt", 3), faulty_key(&[b'x'; 64], b"salt", 3));
}

#[test]
fn another_passphrase_and_damage_are_told_apart() {
    let jwe = Jwe::parse(PROD.as_bytes()).unwrap();
    for wrong in ["", "A demo passphrase that everybody knows", "x"] {
        assert_eq!(jwe.open(&Secret::new(wrong.into())).unwrap_err(), Fault::Passphrase);
    }
    let parts: Vec<&str> = PROD.split('.').collect();
    for (part, fault) in [
        // The header's salt makes another key; the wrapped key proves itself; the rest is GCM's.
        (1, Fault::Passphrase),
        (2, Fault::Damaged),
        (3, Fault::Damaged),
        (4, Fault::Damaged),
    ] {
        let mut bytes = BASE64URL.decode(parts[part]).unwrap();
        bytes[3] ^= 1;
        let mut changed: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        changed[part] = BASE64URL.encode(bytes);
        assert_eq!(open(&changed.join(".")).unwrap_err(), fault, "part {part}");
    }
    // The header is authenticated, its spelling too.
    let header = String::from_utf8(BASE64URL.decode(parts[0]).unwrap()).unwrap();
    let changed = BASE64URL.encode(header.replace("2025", "2026"));
    assert_eq!(open(&PROD.replace(parts[0], &changed)).unwrap_err(), Fault::Damaged);
}

#[test]
fn every_cut_is_noticed() {
    for end in 0..PROD.len() {
        assert!(Jwe::parse(&PROD.as_bytes()[..end]).and_then(|j| j.open(&passphrase())).is_err());
    }
}

/// The file with another header.
fn with_header(header: &str) -> String {
    let (_, rest) = PROD.split_once('.').unwrap();
    format!("{}.{rest}", BASE64URL.encode(header))
}

const HEADER: &str =
    r#"{"alg":"PBES2-HS256+A128KW","enc":"A256GCM","p2c":8192,"p2s":"0Rdx4wLqxl8ITy3Z"}"#;

#[test]
fn a_hostile_file_is_refused_before_any_work() {
    assert!(Jwe::parse(with_header(HEADER).as_bytes()).is_ok());
    let swap = |from: &str, to: &str| {
        assert!(HEADER.contains(from));
        with_header(&HEADER.replace(from, to))
    };
    let parts: Vec<&str> = PROD.split('.').collect();
    let [header, wrapped, nonce, text, tag] = parts[..] else { panic!() };
    let files = [
        swap("8192", "1000000000"),
        swap("8192", "100001"),
        swap("8192", "18446744073709551616"),
        swap("8192", "0"),
        swap("8192", "-1"),
        swap("8192", "8192.5"),
        swap("8192", "1e9"),
        swap("8192", "\"8192\""),
        swap("\"p2c\":8192,", ""),
        swap("A128KW", "A256KW"),
        swap("PBES2-HS256+A128KW", "dir"),
        swap("PBES2-HS256+A128KW", "none"),
        swap("A256GCM", "A128CBC-HS256"),
        swap("A256GCM", "A128GCM"),
        swap("A256GCM", "a256gcm"),
        swap("{", "{\"zip\":\"DEF\","),
        swap("{", "{\"crit\":[\"x\"],"),
        swap("0Rdx4wLqxl8ITy3Z", ""),
        swap("0Rdx4wLqxl8ITy3Z", "0Rdx4wLqxg"),
        swap("0Rdx4wLqxl8ITy3Z", "0Rdx4wLqxl8ITy3Z="),
        swap("0Rdx4wLqxl8ITy3Z", &"AAAA".repeat(22)),
        swap("\"0Rdx4wLqxl8ITy3Z\"", "7"),
        with_header(&HEADER.replace('{', &format!("{{\"created\":\"{}\",", "x".repeat(4000)))),
        with_header(&"[".repeat(3000)),
        with_header("[]"),
        with_header("null"),
        with_header(""),
        with_header("\u{feff}{}"),
        format!("{header}=.{wrapped}.{nonce}.{text}.{tag}"),
        format!("{header}.{wrapped}.{nonce}.{text}"),
        format!("{PROD}."),
        format!("{PROD}.{tag}"),
        format!("{header}..{nonce}.{text}.{tag}"),
        format!("{header}.{}.{nonce}.{text}.{tag}", &wrapped[..42]),
        format!("{header}.{wrapped}.{nonce}AAAA.{text}.{tag}"),
        format!("{header}.{wrapped}.{nonce}.{text}.{}", &tag[..16]),
        format!("{header}.{wrapped}.{nonce}.{text}.{tag} x"),
        format!("{header}.{wrapped}.{nonce}.{text}/.{tag}"),
        // The last character has bits that mean nothing.
        format!("{header}.{wrapped}.{nonce}.{text}.{}Z", &tag[..21]),
        "x".repeat(70_000),
        format!("{PROD}{}", "A".repeat(70_000)),
        ".".repeat(60_000),
        String::new(),
        "....".to_owned(),
    ];
    let started = Instant::now();
    for file in &files {
        let fault = Jwe::parse(file.as_bytes()).unwrap_err();
        assert!(matches!(fault, Fault::Other(_)), "{file}: {fault:?}");
    }
    assert!(Jwe::parse(b"\xff\xfe").is_err());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
