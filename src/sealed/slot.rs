//! The passphrase slot: a dedicated X25519 secret, wrapped by a passphrase.
//!
//! age generates a new file key at every write, and a CI job that writes has no passphrase. So the
//! passphrase does not wrap the file key. It wraps an X25519 secret; every writer wraps the file key for
//! that secret's public key in an ordinary X25519 stanza, and copies this stanza unchanged after it:
//!
//! ```text
//! -> vault-argon2id-x25519 SALT M T P
//! BODY (48 bytes: one full line)
//!      (and the empty line that the grammar requires)
//! ```
//!
//! SALT is 16 random bytes, new for each passphrase, in canonical unpadded base64. M (KiB), T and P are
//! decimal without sign or leading zero. The key is argon2id v1.3 (RFC 9106) of the passphrase. BODY is
//! the secret, encrypted by ChaCha20-Poly1305 (RFC 8439) with a zero nonce, which is safe since each key
//! is used once; the associated data is the line after `-> `.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{ChaCha20Poly1305, Key, KeyInit, Nonce, Tag};
use zeroize::Zeroizing;

use super::derivation_queue::DerivationQueue;
use super::recipients::Recipient;
use crate::error::{Error, Result};
use crate::os::Blocks;
use crate::random;
use crate::secret::Secret;

/// The stanza's type name.
pub(super) const KIND: &str = "vault-argon2id-x25519";
/// Bytes of salt.
const SALT: usize = 16;
/// Bytes of the secret, and of the key that wraps it.
const SECRET: usize = 32;
/// Bytes of the tag.
const TAG: usize = 16;
/// Base64 characters of a body: exactly one full line.
const BODY_COLUMNS: usize = 64;

/// The most digits of a number that is checked against the limits; a longer one is malformed.
const DIGITS: usize = 10;

/// The most memory of a slot, in KiB: 1 GiB.
const MEMORY_LIMIT: u32 = 1 << 20;
/// The most passes.
const PASSES_LIMIT: u32 = 16;
/// The most lanes.
const LANES_LIMIT: u32 = 4;
/// The most work of all slots together, in KiB times passes: one pass over 4 GiB, or four over 1 GiB.
const WORK_LIMIT: u64 = 4 << 20;

/// The cost of trying a passphrase on a slot. The lanes are computed one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB, at least eight times the lanes and at most 1 GiB.
    pub memory_kib: u32,
    /// Passes over the memory, 1 to 16.
    pub passes: u32,
    /// Lanes, 1 to 4.
    pub lanes: u32,
}

impl Default for Cost {
    /// RFC 9106, section 4, second choice: 64 MiB, three passes, four lanes.
    fn default() -> Self {
        Self { memory_kib: 65536, passes: 3, lanes: 4 }
    }
}

impl Cost {
    /// True if argon2id is defined for it: at least one lane, one pass, and 8 KiB per lane.
    fn is_valid(self) -> bool {
        self.lanes > 0 && self.passes > 0 && u64::from(self.memory_kib) >= 8 * u64::from(self.lanes)
    }

    /// KiB times passes.
    pub(super) fn work(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    /// Errors: class 6 if it is over the limits of one slot.
    fn check(self) -> Result<()> {
        if self.memory_kib > MEMORY_LIMIT
            || self.passes > PASSES_LIMIT
            || self.lanes > LANES_LIMIT
            || self.work() > WORK_LIMIT
        {
            return Err(too_costly());
        }
        Ok(())
    }
}

/// Checks each slot, and all together. Errors: class 6 if the cost is over the limits.
pub(super) fn check_together<'a>(slots: impl IntoIterator<Item = &'a Slot>) -> Result<()> {
    let mut work = 0u64;
    for slot in slots {
        slot.cost.check()?;
        work = work.saturating_add(slot.cost.work());
    }
    if work > WORK_LIMIT { Err(too_costly()) } else { Ok(()) }
}

fn too_costly() -> Error {
    Error::refused(
        "the cost of the vault's passphrase slots is over the limits: each 1 GiB, 16 passes and 4 lanes, \
         and together 4 GiB times passes",
    )
}

fn malformed() -> Error {
    Error::damaged("a passphrase slot of the vault is damaged")
}

/// A passphrase slot, as in the header and in the payload. All of it is public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    salt: [u8; SALT],
    cost: Cost,
    body: [u8; SECRET + TAG],
}

/// The X25519 secret of a slot.
pub struct SlotKey {
    slot: String,
    secret: Zeroizing<[u8; SECRET]>,
}

impl std::fmt::Debug for SlotKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SlotKey(…)")
    }
}

impl SlotKey {
    /// The secret of the slot with this name ([`Slot::name`]); `None` if these are not 32 bytes.
    pub fn from_bytes(slot: &str, bytes: &[u8]) -> Option<Self> {
        let mut secret = Zeroizing::new([0; SECRET]);
        if bytes.len() != SECRET {
            return None;
        }
        secret.copy_from_slice(bytes);
        Some(Self { slot: slot.to_owned(), secret })
    }

    /// The name of its slot.
    pub fn slot(&self) -> &str {
        &self.slot
    }

    /// The secret's 32 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.secret.as_slice()
    }

    /// The secret as an age identity, `AGE-SECRET-KEY-1…`, with which `age -d` opens the vault.
    /// Errors: class 1, which does not happen for 32 bytes.
    pub fn to_age_key(&self) -> Result<Secret> {
        let hrp = bech32::Hrp::parse("age-secret-key-").map_err(|_| not_encodable())?;
        // Longer than the text, so that the buffer is never reallocated.
        let mut text = Zeroizing::new(String::with_capacity(128));
        bech32::encode_upper_to_fmt::<bech32::Bech32, _>(&mut *text, hrp, self.as_bytes())
            .map_err(|_| not_encodable())?;
        Ok(Secret::new(text.as_str().to_owned()))
    }

    /// The recipient to which writers encrypt, beside the slot.
    pub fn recipient(&self) -> Result<Recipient> {
        Ok(Recipient::from_x25519(self.identity()?.to_public()))
    }

    pub(super) fn identity(&self) -> Result<age::x25519::Identity> {
        self.to_age_key()?.expose().parse().map_err(|_| not_encodable())
    }
}

fn not_encodable() -> Error {
    Error::other("a passphrase slot's key cannot be written as an age key")
}

impl Slot {
    /// A new slot with a random secret, and the recipient to which writers encrypt.
    /// Errors: class 2 for an empty passphrase or a cost for which argon2id is not defined, class 6 for a
    /// cost over the limits, class 1 without enough memory or without random numbers, class 8 if the wait
    /// in the queue times out.
    pub fn create(
        passphrase: &Secret,
        cost: Cost,
        queue: &DerivationQueue,
    ) -> Result<(Slot, String)> {
        if passphrase.is_empty() {
            return Err(Error::usage("the passphrase is empty"));
        }
        if !cost.is_valid() {
            return Err(Error::usage(
                "the passphrase cost needs a pass, a lane, and 8 KiB of memory for each lane",
            ));
        }
        cost.check()?;

        let mut slot = Slot { salt: *random::bytes()?, cost, body: [0; SECRET + TAG] };
        let key = SlotKey { slot: slot.name(), secret: random::bytes()? };
        let turn = queue.wait()?;
        let derived = slot.derive(passphrase)?;
        drop(turn);
        let mut secret = Zeroizing::new(*key.secret);
        let tag = ChaCha20Poly1305::new(Key::from_slice(derived.as_slice()))
            .encrypt_in_place_detached(
                &Nonce::default(),
                slot.arguments().as_bytes(),
                secret.as_mut_slice(),
            )
            .map_err(|_| Error::other("the passphrase slot cannot be encrypted"))?;
        let (text, rest) = slot.body.split_at_mut(SECRET);
        text.copy_from_slice(secret.as_slice());
        rest.copy_from_slice(&tag);
        let recipient = key.recipient()?.to_string();
        Ok((slot, recipient))
    }

    /// Reads the text of [`Slot::to_text`]. Errors: class 5 for any other text, class 6 for a cost over the
    /// limits.
    pub fn parse(text: &str) -> Result<Slot> {
        let (arguments, body) = text
            .strip_prefix("-> ")
            .and_then(|rest| rest.strip_suffix("\n\n"))
            .and_then(|rest| rest.split_once('\n'))
            .ok_or_else(malformed)?;
        Self::from_stanza(arguments, body.as_bytes())
    }

    /// Reads a stanza of the header: its argument line and its body's base64, lines joined.
    pub(super) fn from_stanza(arguments: &str, body: &[u8]) -> Result<Slot> {
        let mut words = arguments.split(' ');
        let mut word = || words.next().ok_or_else(malformed);
        if word()? != KIND {
            return Err(malformed());
        }
        let salt = STANDARD_NO_PAD.decode(word()?).map_err(|_| malformed())?;
        let cost = Cost {
            memory_kib: number(word()?)?,
            passes: number(word()?)?,
            lanes: number(word()?)?,
        };
        if words.next().is_some() || body.len() != BODY_COLUMNS {
            return Err(malformed());
        }
        let body = STANDARD_NO_PAD.decode(body).map_err(|_| malformed())?;
        let slot = Slot {
            salt: salt.try_into().map_err(|_| malformed())?,
            cost,
            body: body.try_into().map_err(|_| malformed())?,
        };
        if !cost.is_valid() {
            return Err(malformed());
        }
        cost.check()?;
        // A slot has one encoding; whatever else the decoders accept is refused here.
        if slot.arguments() != arguments {
            return Err(malformed());
        }
        Ok(slot)
    }

    /// The stanza's exact bytes in the header: argument line, full body line, empty body line, each ended
    /// by LF.
    pub fn to_text(&self) -> String {
        format!("-> {}\n{}\n\n", self.arguments(), STANDARD_NO_PAD.encode(self.body))
    }

    /// The argument line after `-> `, which is also the associated data.
    fn arguments(&self) -> String {
        let Cost { memory_kib, passes, lanes } = self.cost;
        format!("{KIND} {} {memory_kib} {passes} {lanes}", self.name())
    }

    /// The stanza for age's writer.
    pub(super) fn stanza(&self) -> age_core::format::Stanza {
        let arguments = self.arguments();
        let args = arguments.split(' ').skip(1).map(str::to_owned).collect();
        age_core::format::Stanza { tag: KIND.to_owned(), args, body: self.body.to_vec() }
    }

    /// Its salt, as in the header: unique for each slot and each new passphrase.
    pub fn name(&self) -> String {
        STANDARD_NO_PAD.encode(self.salt)
    }

    /// The cost of trying a passphrase.
    pub fn cost(&self) -> Cost {
        self.cost
    }

    /// The secret; `None` if the passphrase is wrong. The caller holds a place in the derivation queue.
    /// Errors: class 1 if there is not enough memory, class 6 if the cost is over the limits.
    pub(super) fn open(&self, passphrase: &Secret) -> Result<Option<SlotKey>> {
        let derived = self.derive(passphrase)?;
        let (text, tag) = self.body.split_at(SECRET);
        let mut key = SlotKey { slot: self.name(), secret: Zeroizing::new([0; SECRET]) };
        key.secret.copy_from_slice(text);
        let opened = ChaCha20Poly1305::new(Key::from_slice(derived.as_slice()))
            .decrypt_in_place_detached(
                &Nonce::default(),
                self.arguments().as_bytes(),
                key.secret.as_mut_slice(),
                Tag::from_slice(tag),
            );
        Ok(opened.is_ok().then_some(key))
    }

    /// argon2id. The memory is allocated first, since a small container may not have it, and wiped
    /// afterwards: its last block yields the key.
    fn derive(&self, passphrase: &Secret) -> Result<Zeroizing<[u8; SECRET]>> {
        self.cost.check()?;
        let Cost { memory_kib, passes, lanes } = self.cost;
        let params =
            Params::new(memory_kib, passes, lanes, Some(SECRET)).map_err(|_| malformed())?;

        let mut memory = Blocks::new(params.block_count()).ok_or_else(|| {
            Error::other(format!("not enough memory for the passphrase: it takes {memory_kib} KiB"))
        })?;

        let mut key = Zeroizing::new([0; SECRET]);
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into_with_memory(
                passphrase.expose().as_bytes(),
                &self.salt,
                key.as_mut_slice(),
                &mut *memory,
            )
            .map_err(|_| malformed())?;
        Ok(key)
    }
}

/// A decimal number of at most ten digits, without sign or leading zero. One over 32 bits is over every limit
/// as the largest of 32 bits is.
fn number(text: &str) -> Result<u32> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if !digits || text.starts_with('0') || text.len() > DIGITS {
        return Err(malformed());
    }
    let number = text.parse::<u64>().map_err(|_| malformed())?;
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}
