//! Passphrase-protected compact JWE (RFC 7516) as in aws-vault's files: `PBES2-HS256+A128KW` (RFC 7518, 4.8)
//! with `A256GCM` (5.3).
//!
//! The file is not trusted, so everything is checked, the cost above all, before anything is computed.
//!
//! Not by the crate josekit, which is built on OpenSSL. The algorithms are RustCrypto's; this is the format alone.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use aes_kw::KekAes128;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::os;
use crate::secret::Secret;

/// The most bytes of a JWE: an item of aws-vault has one or two thousand.
pub const LIMIT: u64 = 64 * 1024;

/// The most characters of its header, in base64url: aws-vault's has about 200.
const HEADER_LIMIT: usize = 4096;

/// The number of PBKDF2 rounds. aws-vault has always used 8,192, which cannot be changed; twelve times as
/// many take less than a tenth of a second, a billion would take minutes.
const ROUNDS: std::ops::RangeInclusive<u64> = 1..=100_000;

/// The bytes of a salt: at least 8 by RFC 7518, 4.8.1.1; aws-vault's has 12.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;

const ALGORITHM: &str = "PBES2-HS256+A128KW";
const ENCRYPTION: &str = "A256GCM";

/// Bytes of the content key, and of the wrapped one (RFC 3394).
const KEY: usize = 32;
const WRAPPED: usize = KEY + 8;
const NONCE: usize = 12;
const TAG: usize = 16;

/// Why a JWE was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is of another kind or over a limit, for this reason.
    Other(&'static str),
    /// The passphrase does not unwrap the key.
    Passphrase,
    /// The passphrase is right, and the content is not authentic.
    Damaged,
}

/// A JWE on which a passphrase can be tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwe<'a> {
    /// The encoded header, which is authenticated with the content.
    header: &'a str,
    /// `alg`, a zero, and `p2s` (RFC 7518, 4.8.1.1).
    salt: Vec<u8>,
    /// The cost of a try in PBKDF2 rounds.
    pub rounds: u32,
    wrapped: Vec<u8>,
    nonce: Vec<u8>,
    /// The ciphertext followed by the tag.
    sealed: Vec<u8>,
}

impl<'a> Jwe<'a> {
    /// Parses a file, without white space at its end.
    ///
    /// # Errors
    /// [`Fault::Other`]: another number of parts, another algorithm, `zip` or `crit`, base64url that is
    /// not canonical, a part of another length, more than a limit allows.
    pub fn parse(file: &'a [u8]) -> Result<Self, Fault> {
        if file.len() as u64 > LIMIT {
            return Err(Fault::Other("it is too large"));
        }
        let text = std::str::from_utf8(file.trim_ascii_end()).map_err(|_| not_a_jwe())?;
        let parts: Vec<&str> = text.split('.').collect();
        let [header, wrapped, nonce, ciphertext, tag] = parts[..] else { return Err(not_a_jwe()) };
        if header.len() > HEADER_LIMIT {
            return Err(Fault::Other("its header is too large"));
        }
        let (salt, rounds) = parameters(&decoded(header)?)?;
        let (wrapped, nonce, tag) = (decoded(wrapped)?, decoded(nonce)?, decoded(tag)?);
        if (wrapped.len(), nonce.len(), tag.len()) != (WRAPPED, NONCE, TAG) {
            return Err(Fault::Other("a part of it has an invalid length"));
        }
        let sealed = [decoded(ciphertext)?, tag].concat();
        Ok(Self { header, salt, rounds, wrapped, nonce, sealed })
    }

    /// Tries a passphrase, also with the key derivation of aws-vault 6.0 and 6.1 (see [`faulty_key`]).
    pub fn open(&self, passphrase: &Secret) -> Result<Zeroizing<Vec<u8>>, Fault> {
        os::on_wiped_stack(|| {
            let passphrase = passphrase.expose().as_bytes();
            let mut wrapping = Zeroizing::new([0; 16]);
            pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, &self.salt, self.rounds, &mut *wrapping);
            let key = self
                .unwrap_with(&wrapping)
                .or_else(|_| self.unwrap_with(&faulty_key(passphrase, &self.salt, self.rounds)))?;
            let content = Payload { msg: &self.sealed, aad: self.header.as_bytes() };
            Aes256Gcm::new((&*key).into())
                .decrypt(self.nonce.as_slice().into(), content)
                .map(Zeroizing::new)
                .map_err(|_| Fault::Damaged)
        })
    }

    /// Unwraps the content key. A wrong key is detected: 64 bits of the wrapped text are known.
    fn unwrap_with(&self, wrapping: &[u8; 16]) -> Result<Zeroizing<[u8; KEY]>, Fault> {
        let mut key = Zeroizing::new([0; KEY]);
        KekAes128::from(*wrapping)
            .unwrap(&self.wrapped, &mut *key)
            .map_err(|_| Fault::Passphrase)?;
        Ok(key)
    }
}

/// The salt and the number of rounds of a header of the supported kind.
fn parameters(header: &[u8]) -> Result<(Vec<u8>, u32), Fault> {
    let header: Value =
        serde_json::from_slice(header).map_err(|_| Fault::Other("its header is not JSON"))?;
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    if text("alg") != Some(ALGORITHM) || text("enc") != Some(ENCRYPTION) {
        return Err(Fault::Other("it is encrypted with other algorithms than aws-vault's"));
    }
    // Both change the meaning of the content, and aws-vault writes neither.
    if header.get("zip").is_some() || header.get("crit").is_some() {
        return Err(Fault::Other("its header has zip or crit, which aws-vault does not write"));
    }
    let rounds = header.get("p2c").and_then(Value::as_u64);
    let rounds = rounds.ok_or(Fault::Other("its header has no valid p2c"))?;
    if !ROUNDS.contains(&rounds) {
        return Err(Fault::Other("trying a passphrase on it costs more than 100,000 rounds"));
    }
    let input = text("p2s").ok_or(Fault::Other("its header has no valid p2s")).and_then(decoded)?;
    if !SALT.contains(&input.len()) {
        return Err(Fault::Other("its salt has an invalid length"));
    }
    let salt = [ALGORITHM.as_bytes(), &[0], &input].concat();
    Ok((salt, u32::try_from(rounds).map_err(|_| not_a_jwe())?))
}

/// Decodes canonical base64url without padding, the only form that the engine accepts.
fn decoded(part: &str) -> Result<Vec<u8>, Fault> {
    BASE64URL.decode(part).map_err(|_| not_a_jwe())
}

fn not_a_jwe() -> Fault {
    Fault::Other("it is not a file of aws-vault")
}

/// The result of PBKDF2 in aws-vault 6.0 and 6.1: built with Go 1.15, they passed HMAC one hash object for
/// the inner and the outer hash, so its first use had the outer padding twice (golang/go issue 41089,
/// dvsekhvalnov/jose2go issue 26). Later uses of the key are right, so only the first round differs:
/// H(opad ‖ H(opad ‖ salt ‖ 1)).
fn faulty_key(passphrase: &[u8], salt: &[u8], rounds: u32) -> Zeroizing<[u8; 16]> {
    // HMAC pads a short key with zeros to its block size. A padded key has the right length.
    let mut block = Zeroizing::new([0; 64]);
    match block.get_mut(..passphrase.len()) {
        Some(start) => start.copy_from_slice(passphrase),
        None => block[..32].copy_from_slice(&Sha256::digest(passphrase)),
    }
    let hmac = <Hmac<Sha256> as hmac::digest::KeyInit>::new((&*block).into());
    block.iter_mut().for_each(|byte| *byte ^= 0x5c);
    let mut last = faulty_hmac(&block, &[salt, &1u32.to_be_bytes()].concat());
    let mut key = Zeroizing::new([0; 16]);
    key.copy_from_slice(&last[..16]);
    for _ in 1..rounds {
        *last = hmac.clone().chain_update(*last).finalize().into_bytes().into();
        key.iter_mut().zip(last.iter()).for_each(|(sum, byte)| *sum ^= byte);
    }
    key
}

fn faulty_hmac(outer: &[u8; 64], text: &[u8]) -> Zeroizing<[u8; 32]> {
    let inside = Sha256::new().chain_update(outer).chain_update(text).finalize();
    Zeroizing::new(Sha256::new().chain_update(outer).chain_update(inside).finalize().into())
}

#[cfg(test)]
mod tests;
