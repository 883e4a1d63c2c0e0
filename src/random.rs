//! Random bytes from the system.

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// So many random bytes, wiped when they are dropped: most become a key.
///
/// # Errors
/// Other: the system gives none, as where neither getrandom(2) nor /dev/urandom is to be had.
pub fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::getrandom(bytes.as_mut_slice())
        .map_err(|_| Error::other("the system has no randomness to give"))?;
    Ok(bytes)
}

/// The name of a run, 16 hexadecimal digits: nobody guesses it, and nothing is made of it.
///
/// # Errors
/// As [`bytes`].
pub fn name() -> Result<String> {
    Ok(format!("{:016x}", u64::from_be_bytes(*bytes()?)))
}
