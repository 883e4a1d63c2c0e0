//! Tests of the whole room; each file has its own tests too.

mod cctv;
mod container;
mod hostile;
mod inflate;
mod keys;
mod plugins;
mod slots;

use super::*;
use crate::error::Error;
use crate::secret::Secret;

/// The least cost, for tests that try many times.
const TINY: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };
const PLAINTEXT: &[u8] = b"aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

const SSH_ED25519: &str = include_str!("../../../fixtures/ssh/test_ed25519");
const SSH_ED25519_PUB: &str = include_str!("../../../fixtures/ssh/test_ed25519.pub");
const SSH_RSA: &str = include_str!("../../../fixtures/ssh/test_rsa");
const SSH_RSA_PUB: &str = include_str!("../../../fixtures/ssh/test_rsa.pub");
const SSH_ECDSA: &str = include_str!("../../../fixtures/ssh/test_ecdsa");
const SSH_ENCRYPTED: &str = include_str!("../../../fixtures/ssh/test_ed25519_encrypted");
const SSH_ENCRYPTED_PUB: &str = include_str!("../../../fixtures/ssh/test_ed25519_encrypted.pub");

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// The identities of a text.
fn identities(text: &str) -> Vec<Identity> {
    parse_identities(&secret(text), "the key").unwrap()
}

/// A new key: its identities and its recipient.
fn key() -> (Vec<Identity>, Recipient) {
    let (text, recipient) = generate_identity();
    (identities(text.expose()), parse_recipient(&recipient).unwrap())
}

/// A new slot of the least cost, beside its recipient.
fn slot(passphrase: &str) -> (Recipient, Slot) {
    let (slot, recipient) =
        Slot::create(&secret(passphrase), TINY, &DerivationQueue::none()).unwrap();
    (parse_recipient(&recipient).unwrap(), slot)
}

/// Scans and opens.
fn reopen(
    file: &[u8],
    identities: &[Identity],
    passphrases: &[&str],
) -> std::result::Result<Opened, Error> {
    let passphrases: Vec<Secret> = passphrases.iter().copied().map(secret).collect();
    open(&scan(file)?, identities, &passphrases, PassphrasePolicy::default_limits())
}
