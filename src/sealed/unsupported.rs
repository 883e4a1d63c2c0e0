//! Keys that are recognised and not supported.

/// Why a key that may be valid is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsupported {
    /// A post-quantum age identity.
    PostQuantum,
    /// An ssh key type that age does not support, such as ecdsa or a security key.
    SshKind,
    /// A passphrase-protected RSA key of a size that age does not support.
    Size,
    /// A passphrase-protected ssh key with a cipher that age does not support.
    Cipher,
    /// A passphrase-protected ssh key with too many bcrypt rounds.
    Rounds,
    /// A private key that is not in OpenSSH's format: PKCS#8, PuTTY's, encrypted PEM.
    Format,
}
