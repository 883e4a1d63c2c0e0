//! Everything secret that comes of a vault: what is in it, what opens it, and what is derived on the
//! way, computed once more from the file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::Aead;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256, Sha512};

/// Secrets by name.
#[derive(Default)]
pub struct Secrets(pub Vec<(String, Vec<u8>)>);

/// One stanza of a header.
struct Stanza {
    args: Vec<String>,
    line: String,
    body: Vec<u8>,
}

impl Secrets {
    pub fn add(&mut self, name: impl Into<String>, secret: impl AsRef<[u8]>) {
        self.0.push((name.into(), secret.as_ref().to_vec()));
    }

    /// A key of HMAC-SHA-256, with the two states of the hash that do as well as the key.
    pub fn add_mac_key(&mut self, name: &str, key: &[u8]) {
        self.add(name, key);
        for (half, byte) in [("inner", 0x36), ("outer", 0x5c)] {
            let mut block = [byte; 64];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            self.add(format!("{name}, {half} block"), &block[..key.len()]);
            let mut state = [
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ];
            sha2::compress256(&mut state, &[block.into()]);
            let state: Vec<u8> = state.iter().copied().flat_map(u32::to_le_bytes).collect();
            self.add(format!("{name}, {half} state"), state);
        }
    }

    /// A seed of a TOTP device, in bytes, and as people write it.
    pub fn add_seed(&mut self, name: &str, seed: &[u8]) {
        self.add(name, seed);
        let text = base32(seed);
        self.add(format!("{name}, base32"), text.to_lowercase());
        self.add(format!("{name}, BASE32"), text);
        for (half, byte) in [("inner", 0x36), ("outer", 0x5c)] {
            let mut block = [byte; 64];
            block.iter_mut().zip(seed).for_each(|(byte, key)| *byte ^= key);
            let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
            sha1::compress(&mut state, &[block.into()]);
            let state: Vec<u8> = state.iter().copied().flat_map(u32::to_le_bytes).collect();
            self.add(format!("{name}, {half} state"), state);
        }
    }

    /// HKDF-SHA-256: what is extracted, and what is expanded.
    fn add_hkdf(&mut self, name: &str, salt: &[u8], key: &[u8], label: &str) -> [u8; 32] {
        let (extracted, expanded) = hkdf(salt, key, label);
        self.add_mac_key(&format!("{name}, extracted"), &extracted);
        self.add(name, expanded);
        expanded
    }

    /// An identity as age writes it, and its 32 bytes.
    pub fn add_identity(&mut self, name: &str, text: &str) -> [u8; 32] {
        let (_, bytes) = bech32::decode(text).expect("an identity");
        let key: [u8; 32] = bytes.try_into().expect("32 bytes");
        let text = text.to_uppercase();
        // What every identity begins with is no secret.
        let own = text.strip_prefix("AGE-SECRET-KEY-1").expect("an identity");
        self.add(format!("{name}, bech32"), own.to_lowercase());
        self.add(format!("{name}, BECH32"), own);
        self.add(name, key);
        self.add(format!("{name}, as a number"), clamped(key));
        key
    }

    /// An OpenSSH private key in clear: its numbers, and for ed25519 what becomes of them.
    pub fn add_ssh_key(&mut self, pem: &str) {
        let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let blob = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
        let mut rest = &blob["openssh-key-v1\0".len()..];
        let _cipher_kdf_options = [(); 3].map(|()| string(&mut rest));
        rest = &rest[4..];
        let public = string(&mut rest);
        let mut private = &string(&mut rest)[8..];
        let kind = string(&mut private);
        if kind == b"ssh-ed25519" {
            let (_public, pair) = (string(&mut private), string(&mut private));
            let seed: [u8; 32] = pair[..32].try_into().expect("a seed");
            let wide: [u8; 64] = Sha512::digest(seed).into();
            self.add("ssh key, seed", seed);
            self.add("ssh key, hashed", wide);
            self.add("ssh key, scalar", clamped(wide[..32].try_into().expect("32 bytes")));
        } else {
            assert!(public.len() > 256, "an RSA key");
            let _n_and_e = [(); 2].map(|()| string(&mut private));
            for number in ["d", "1/q", "p", "q"] {
                self.add(format!("ssh key, {number}"), string(&mut private));
            }
        }
    }

    /// What opens this vault on the way from any of these 32-byte keys, and from a passphrase.
    pub fn add_vault(&mut self, file: &[u8], keys: &[(&str, [u8; 32])], passphrase: Option<&str>) {
        let (stanzas, payload) = header(file);
        let mut keys: Vec<_> = keys.iter().map(|(name, key)| ((*name).to_owned(), *key)).collect();
        if let Some(passphrase) = passphrase {
            self.add("passphrase", passphrase);
            let slot = stanzas.iter().find(|s| s.args[0] == "vault-argon2id-x25519");
            keys.push(self.add_slot(slot.expect("a slot"), passphrase));
        }
        let mut file_key = None;
        for (name, key) in &keys {
            let secret = x25519_dalek::StaticSecret::from(*key);
            let public = x25519_dalek::PublicKey::from(&secret);
            for stanza in stanzas.iter().filter(|stanza| stanza.args[0] == "X25519") {
                let share: [u8; 32] = STANDARD_NO_PAD
                    .decode(&stanza.args[1])
                    .expect("base64")
                    .try_into()
                    .expect("32");
                let shared = secret.diffie_hellman(&share.into());
                let salt = [share, public.to_bytes()].concat();
                self.add(format!("{name}, shared secret"), shared.as_bytes());
                let wrap = self.add_hkdf(
                    &format!("{name}, wrapping key"),
                    &salt,
                    shared.as_bytes(),
                    "age-encryption.org/v1/X25519",
                );
                let cipher = ChaCha20Poly1305::new(&wrap.into());
                file_key = cipher.decrypt(&[0; 12].into(), &*stanza.body).ok().or(file_key);
            }
        }
        let file_key = file_key.expect("a key that opens");
        self.add("file key", &file_key);
        self.add_hkdf("header key", &[], &file_key, "header");
        let (nonce, chunk) = payload.split_at(16);
        let key = self.add_hkdf("payload key", nonce, &file_key, "payload");
        let mut counter = [0; 12];
        counter[11] = 1; // the first chunk, and the last
        let plain = ChaCha20Poly1305::new(&key.into()).decrypt(&counter.into(), chunk);
        let plain = String::from_utf8(plain.expect("one chunk")).expect("text");
        self.add_content(&plain);
    }

    fn add_slot(&mut self, slot: &Stanza, passphrase: &str) -> (String, [u8; 32]) {
        let [_, salt, costs @ ..] = &*slot.args else { panic!("no slot") };
        let salt = STANDARD_NO_PAD.decode(salt).expect("base64");
        let number = |at: usize| costs[at].parse().expect("a number");
        let params =
            argon2::Params::new(number(0), number(1), number(2), Some(32)).expect("a cost");
        let mut derived = [0; 32];
        argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params)
            .hash_password_into(passphrase.as_bytes(), &salt, &mut derived)
            .expect("a key");
        self.add("key of the passphrase", derived);
        let payload =
            chacha20poly1305::aead::Payload { msg: &slot.body, aad: slot.line.as_bytes() };
        let key = ChaCha20Poly1305::new(&derived.into()).decrypt(&[0; 12].into(), payload);
        let key: [u8; 32] = key.expect("the passphrase").try_into().expect("32 bytes");
        self.add("slot's secret", key);
        self.add("slot's secret, as a number", clamped(key));
        let text = bech32::encode_upper::<bech32::Bech32>(
            bech32::Hrp::parse("age-secret-key-").expect("a prefix"),
            &key,
        );
        let text = text.expect("bech32");
        let own = text.strip_prefix("AGE-SECRET-KEY-1").expect("an identity");
        self.add("slot's secret, BECH32", own);
        self.add("slot's secret, bech32", own.to_lowercase());
        ("slot's secret".to_owned(), key)
    }

    /// The vault's own keys, and what the cache's are made of.
    fn add_content(&mut self, plain: &str) {
        let document: toml::Table = plain.parse().expect("TOML");
        for name in ["auth_key", "cache_key"] {
            let key =
                STANDARD_NO_PAD.decode(document[name].as_str().expect("text")).expect("base64");
            if name == "cache_key" {
                for label in ["names", "contents", "ledger"] {
                    let label = format!("vault-cache-{label}-v1");
                    let key = self.add_hkdf(&label, &[], &key, &label);
                    self.add_mac_key(&format!("{label}, as a key"), &key);
                }
            }
            self.add(name, key);
        }
    }

    /// The keys that AWS's signature makes of a secret access key.
    pub fn add_signing_keys(&mut self, name: &str, secret: &str, days: &[String]) {
        let mac = |key: &[u8], data: &str| {
            let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("any length");
            mac.update(data.as_bytes());
            mac.finalize().into_bytes().to_vec()
        };
        for day in days {
            let mut key = format!("AWS4{secret}").into_bytes();
            for part in [day, "us-east-1", "sts", "aws4_request"] {
                key = mac(&key, part);
                self.add_mac_key(&format!("{name}, signing key of {part}"), &key);
            }
        }
    }
}

/// Stanzas, and the payload.
fn header(file: &[u8]) -> (Vec<Stanza>, &[u8]) {
    let mut stanzas: Vec<Stanza> = Vec::new();
    let mut rest = file;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').expect("a line");
        let line = std::str::from_utf8(&rest[..end]).expect("text");
        rest = &rest[end + 1..];
        if line.starts_with("---") {
            return (stanzas, rest);
        } else if let Some(line) = line.strip_prefix("-> ") {
            let args = line.split(' ').map(str::to_owned).collect();
            stanzas.push(Stanza { args, line: line.to_owned(), body: Vec::new() });
        } else if let Some(stanza) = stanzas.last_mut() {
            stanza.body.extend(STANDARD_NO_PAD.decode(line).expect("base64"));
        }
    }
}

/// A string of the ssh wire format (RFC 4251, section 5).
fn string<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let length = u32::from_be_bytes(rest[..4].try_into().expect("a length")) as usize;
    let (string, tail) = rest[4..].split_at(length);
    *rest = tail;
    string
}

/// What is extracted, and 32 bytes of what is expanded.
fn hkdf(salt: &[u8], key: &[u8], label: &str) -> ([u8; 32], [u8; 32]) {
    let (extracted, source) = Hkdf::<Sha256>::extract(Some(salt), key);
    let mut expanded = [0; 32];
    source.expand(label.as_bytes(), &mut expanded).expect("32 bytes");
    (extracted.into(), expanded)
}

/// The number that X25519 takes a key for (RFC 7748, section 5).
fn clamped(mut key: [u8; 32]) -> [u8; 32] {
    key[0] &= 248;
    key[31] = key[31] & 127 | 64;
    key
}

/// RFC 4648, without padding, for lengths that need none.
pub fn base32(bytes: &[u8]) -> String {
    assert!(bytes.len().is_multiple_of(5));
    let digits = bytes.chunks(5).flat_map(|five| {
        let number = five.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
        (0..8).rev().map(move |at| (number >> (at * 5) & 31) as u8)
    });
    digits
        .map(|digit| char::from(if digit < 26 { b'A' + digit } else { b'2' + digit - 26 }))
        .collect()
}
