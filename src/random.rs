//! Random bytes from the system.

use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// Random bytes, mostly for a key; wiped when dropped.
/// Errors: other (1) if neither getrandom(2) nor /dev/urandom is available.
pub fn bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::getrandom(bytes.as_mut_slice())
        .map_err(|_| Error::other("the system has no randomness to give"))?;
    Ok(bytes)
}

/// A random name of 16 hexadecimal digits. It is not used as a key.
pub fn name() -> Result<String> {
    Ok(format!("{:016x}", u64::from_be_bytes(*bytes()?)))
}
