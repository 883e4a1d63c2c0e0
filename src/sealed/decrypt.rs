//! age's decryption, for files whose header has been checked.

use std::io::Read;

use age::{DecryptError, Decryptor};
use zeroize::Zeroizing;

/// Decrypts a file that [`super::scan`] has accepted.
pub(super) fn decrypt(
    binary: &[u8],
    identity: &dyn age::Identity,
) -> std::result::Result<Zeroizing<Vec<u8>>, DecryptError> {
    let mut reader = Decryptor::new_buffered(binary)?.decrypt(std::iter::once(identity))?;
    // The plaintext is shorter than the file, so the buffer is never reallocated.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(binary.len()));
    reader.read_to_end(&mut plaintext)?;
    Ok(plaintext)
}
