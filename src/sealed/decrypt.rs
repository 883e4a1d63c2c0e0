//! age's own decryption, of a header that was looked at before.

use std::io::Read;

use age::{DecryptError, Decryptor};
use zeroize::Zeroizing;

/// Decrypts a file that [`super::scan`] has passed.
pub(super) fn decrypt(
    binary: &[u8],
    identity: &dyn age::Identity,
) -> std::result::Result<Zeroizing<Vec<u8>>, DecryptError> {
    let mut reader = Decryptor::new_buffered(binary)?.decrypt(std::iter::once(identity))?;
    // As long as the file, which the content is not: it is never moved while it grows.
    let mut plaintext = Zeroizing::new(Vec::with_capacity(binary.len()));
    reader.read_to_end(&mut plaintext)?;
    Ok(plaintext)
}
