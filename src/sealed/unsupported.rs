//! Kinds of keys that are known and of no use.

/// Why a key that may be sound cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unsupported {
    /// An age identity of a later kind.
    PostQuantum,
    /// An ssh key of a kind that age does not take, such as ecdsa or a security key's.
    SshKind,
    /// An RSA key under a passphrase that is shorter or longer than age takes.
    Size,
    /// An ssh key under a passphrase, by a cipher that age does not know.
    Cipher,
    /// An ssh key whose passphrase takes too many rounds of bcrypt.
    Rounds,
    /// A private key in a form that is not OpenSSH's own: PKCS#8, PuTTY's, PEM under a passphrase.
    Form,
}
