//! The kernel's keyring of this user (keyrings(7), add_key(2), keyctl(2)): its keys are in no file and in no
//! process, expire, and outlast the process that added them.
//!
//! A key here is of type `user`, in the user keyring (`@u`) of all processes of the same user (and user
//! namespace) in any session. Only the owner has permissions. The possessor has none: a process possesses the
//! keys in its session keyring, which `su` and `sudo` may leave unchanged, so that another user would possess
//! the key.
//!
//! Not by the crate linux-keyutils 0.2: it asks for a keyring's number before each search, one more system call,
//! and its errors are names of its own, while messages show the system's error.

use std::ffi::{CStr, CString};
use std::io;

use zeroize::Zeroizing;

/// A key's number; negative ones name keyrings.
type Serial = libc::c_long;

const KIND: &CStr = c"user";
/// The owner may view, read, search and link it. It cannot be changed, so its expiration is final.
const OWNER_ONLY: libc::c_long = 0x001b_0000;
/// Attempts to read a key: between the search and the read another process may replace it.
const TRIES: usize = 3;

#[derive(Debug)]
pub enum KeyringError {
    /// The user's quota is exhausted (keyrings(7)).
    Full,
    /// It is forbidden, as by containers' seccomp profiles, or missing in the kernel.
    Unavailable(io::Error),
}

impl From<io::Error> for KeyringError {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(libc::EDQUOT) => Self::Full,
            _ => Self::Unavailable(error),
        }
    }
}

/// Adds a secret to the user's keyring for so many seconds, and replaces a key of this description. After an
/// error the former key is unchanged.
///
/// It is never there without its expiration: it is made in a keyring of this thread, which ends with it, gets
/// its expiration and its permissions there, and is then linked to the user's. (A key that is updated loses its
/// expiration.)
pub fn keep(description: &str, secret: &[u8], seconds: u32) -> Result<(), KeyringError> {
    let description = text(description)?;
    let thread = libc::c_long::from(libc::KEY_SPEC_THREAD_KEYRING);
    // SAFETY: two strings that end in NUL, and a buffer with its length; all outlive the call, which
    // copies them.
    let key = result(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            KIND.as_ptr(),
            description.as_ptr(),
            secret.as_ptr(),
            secret.len(),
            thread,
        )
    })?;
    let finished = keyctl(libc::KEYCTL_SET_TIMEOUT, key, seconds.into())
        .and_then(|_| keyctl(libc::KEYCTL_SETPERM, key, OWNER_ONLY))
        .and_then(|_| keyctl(libc::KEYCTL_LINK, key, libc::KEY_SPEC_USER_KEYRING.into()));
    // The thread may live on, and add another key of this description.
    drop(keyctl(libc::KEYCTL_UNLINK, key, thread));
    finished?;
    Ok(())
}

/// The secret of this description and length; `None` if there is none or it has expired.
pub fn find(description: &str, length: usize) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
    let description = text(description)?;
    for _ in 0..TRIES {
        let Some(key) = search(&description)? else { return Ok(None) };
        let mut secret = Zeroizing::new(vec![0; length]);
        if let Some(whole) = there(read(key, &mut secret))? {
            return Ok((usize::try_from(whole) == Ok(length)).then_some(secret));
        }
    }
    Ok(None)
}

/// Wipes the secret of this description in all keyrings; false if there was none.
pub fn remove(description: &str) -> Result<bool, KeyringError> {
    let Some(key) = search(&text(description)?)? else { return Ok(false) };
    Ok(there(keyctl(libc::KEYCTL_INVALIDATE, key, 0))?.is_some())
}

/// Fills the buffer; the length of the whole secret.
fn read(key: Serial, buffer: &mut [u8]) -> io::Result<Serial> {
    // SAFETY: a buffer with its length; the kernel writes no more than that.
    result(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::c_long::from(libc::KEYCTL_READ),
            key,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    })
}

fn search(description: &CStr) -> io::Result<Option<Serial>> {
    // SAFETY: two strings that end in NUL and outlive the call; the result goes into no keyring.
    there(result(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::c_long::from(libc::KEYCTL_SEARCH),
            libc::c_long::from(libc::KEY_SPEC_USER_KEYRING),
            KIND.as_ptr(),
            description.as_ptr(),
            0 as libc::c_long,
        )
    }))
}

/// One of the operations that take two numbers.
fn keyctl(operation: u32, key: Serial, argument: libc::c_long) -> io::Result<Serial> {
    // SAFETY: no pointers.
    result(unsafe { libc::syscall(libc::SYS_keyctl, libc::c_long::from(operation), key, argument) })
}

fn result(returned: libc::c_long) -> io::Result<Serial> {
    if returned < 0 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// A missing, expired or revoked key is no error.
fn there(result: io::Result<Serial>) -> io::Result<Option<Serial>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOKEY | libc::EKEYEXPIRED | libc::EKEYREVOKED) => Ok(None),
            _ => Err(error),
        },
    }
}

fn text(description: &str) -> io::Result<CString> {
    CString::new(description).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::os::testing;

    /// A description of this test's own; none where there is no keyring to try, as in a container.
    fn description(test: &str) -> Option<String> {
        let description = format!("vault-test:{test}-{}", std::process::id());
        match find(&description, 1) {
            Ok(_) => Some(description),
            Err(error) => {
                eprintln!("not tested: {error:?}");
                None
            }
        }
    }

    fn found(description: &str) -> Option<Vec<u8>> {
        find(description, 6).unwrap().map(|secret| secret.to_vec())
    }

    /// What was replaced counts until the kernel's collector comes, and root alone has much room.
    fn put(description: &str, secret: &[u8], seconds: u32) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while let Err(why) = keep(description, secret, seconds) {
            let is_full = matches!(why, KeyringError::Full);
            assert!(is_full && Instant::now() < deadline, "{why:?}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_is_kept_is_found_until_it_is_removed() {
        let Some(name) = description("kept") else { return };
        assert_eq!((found(&name), remove(&name).unwrap()), (None, false));
        put(&name, b"secret", 60);
        assert_eq!(found(&name).unwrap(), b"secret");
        assert_eq!(find(&name, 5).unwrap().map(|s| s.to_vec()), None, "another length");
        assert_eq!(find(&name, 7).unwrap().map(|s| s.to_vec()), None, "another length");
        // In its place, from the same thread.
        put(&name, b"second", 60);
        assert_eq!(found(&name).unwrap(), b"second");
        assert!(remove(&name).unwrap());
        assert_eq!((found(&name), remove(&name).unwrap()), (None, false));
    }

    #[test]
    fn a_reader_finds_one_of_them_while_it_is_replaced() {
        let Some(name) = description("replaced") else { return };
        put(&name, b"secret", 60);
        let writer = std::thread::spawn({
            let name = name.clone();
            move || (0..20_000).for_each(|_| put(&name, b"secret", 60))
        });
        while !writer.is_finished() {
            assert_eq!(found(&name).unwrap(), b"secret");
        }
        writer.join().unwrap();
        remove(&name).unwrap();
    }

    #[test]
    fn it_ends_at_its_time() {
        let Some(name) = description("end") else { return };
        put(&name, b"secret", 1);
        let deadline = Instant::now() + Duration::from_secs(30);
        while found(&name).is_some() {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
        // A key that has expired does not block a new one.
        assert!(!remove(&name).unwrap());
        put(&name, b"second", 60);
        assert_eq!(found(&name).unwrap(), b"second");
        remove(&name).unwrap();
    }

    #[test]
    fn a_key_is_the_owners_and_cannot_be_changed() {
        let Some(name) = description("permissions") else { return };
        put(&name, b"secret", 60);
        let key = search(&text(&name).unwrap()).unwrap().unwrap();
        let keys = std::fs::read_to_string("/proc/keys").unwrap();
        let line = keys.lines().find(|line| line.contains(&name)).unwrap();
        // Serial, flags, links, time left, permissions: possessor, owner, group, others.
        assert_eq!(line.split_whitespace().nth(4), Some("001b0000"), "{line}");
        assert_ne!(line.split_whitespace().nth(3), Some("perm"), "{line}");
        let longer = keyctl(libc::KEYCTL_SET_TIMEOUT, key, 3600).unwrap_err();
        assert_eq!(longer.raw_os_error(), Some(libc::EACCES));
        let wider = keyctl(libc::KEYCTL_SETPERM, key, 0x3f3f_3f3f).unwrap_err();
        assert_eq!(wider.raw_os_error(), Some(libc::EACCES));
        remove(&name).unwrap();
    }

    const ELSEWHERE: &str = "os::keyring::tests::a_process_of_another_session_finds_it";

    #[test]
    fn a_process_of_another_session_finds_it() {
        if let Some(name) = testing::role() {
            let new_session = keyctl(libc::KEYCTL_JOIN_SESSION_KEYRING, 0, 0);
            assert!(new_session.is_ok(), "{new_session:?}");
            assert_eq!(found(&name).unwrap(), b"secret");
            return assert!(remove(&name).unwrap());
        }
        let Some(name) = description("session") else { return };
        put(&name, b"secret", 60);
        testing::passed(&testing::again(ELSEWHERE, &name).output().unwrap());
        assert_eq!(found(&name), None);
    }

    const STRANGER: &str = "os::keyring::tests::another_user_does_not_read_it";

    #[test]
    #[ignore = "needs root, to be another user"]
    fn another_user_does_not_read_it() {
        if let Some(role) = testing::role() {
            let (name, key) = role.split_once(' ').unwrap();
            assert_eq!(found(name), None, "another user's keyring");
            // By its number, and out of a session keyring that leads to it.
            let key = key.parse().unwrap();
            let error = read(key, &mut [0; 6]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EACCES));
            for operation in [libc::KEYCTL_INVALIDATE, libc::KEYCTL_REVOKE] {
                let error = keyctl(operation, key, 0).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EACCES), "{operation}");
            }
            return;
        }
        let Some(name) = description("stranger") else { return };
        put(&name, b"secret", 60);
        let key = search(&text(&name).unwrap()).unwrap().unwrap();
        let mut stranger = testing::again(STRANGER, &format!("{name} {key}"));
        stranger.arg("--ignored");
        // SAFETY: system calls without pointers. The new session keyring is root's, and stays when the
        // process becomes another user, as under su.
        unsafe {
            stranger.pre_exec(move || {
                let session = libc::c_long::from(libc::KEY_SPEC_SESSION_KEYRING);
                keyctl(libc::KEYCTL_JOIN_SESSION_KEYRING, 0, 0)?;
                keyctl(libc::KEYCTL_LINK, key, session)?;
                match libc::setgid(65534) | libc::setuid(65534) {
                    0 => Ok(()),
                    _ => Err(io::Error::last_os_error()),
                }
            });
        }
        testing::passed(&stranger.output().unwrap());
        assert!(remove(&name).unwrap());
    }
}
