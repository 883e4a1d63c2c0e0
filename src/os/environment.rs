//! The process's own environment block.

use std::ffi::{CStr, CString};

use zeroize::Zeroize;

/// The raw environment as (name, value), in its order, duplicate names included. Entries without a `=` are left
/// out, as by std.
///
/// Every variable in `wipe` is removed, so that no child inherits it, not even one that a library starts; its
/// value is overwritten in place (the initial stack, which `/proc/self/environ` shows). The returned copy is
/// then the only one.
///
/// Call it once, at start, before there is a second thread: another thread could be reading the block.
pub fn take_environment(wipe: &[&str]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs = Vec::new();
    // SAFETY: no other thread exists (the caller's promise), so none changes the array while it is
    // walked. It ends with a null pointer, and each entry before it is a null-terminated string, as
    // the kernel and the C library lay them out.
    unsafe {
        let mut entry = libc::environ;
        while !entry.is_null() && !(*entry).is_null() {
            let text = *entry;
            entry = entry.add(1);
            let mut bytes = CStr::from_ptr(text).to_bytes().to_vec();
            // A first character `=` belongs to the name, as in std.
            let Some(equals) = bytes.iter().skip(1).position(|b| *b == b'=').map(|at| at + 1)
            else {
                continue;
            };
            let (name, value) = bytes.split_at(equals);
            let (name, value) = (name.to_vec(), value.get(1..).unwrap_or_default().to_vec());
            if wipe.iter().any(|w| w.as_bytes() == name) {
                bytes.zeroize();
                for at in equals + 1..=equals + value.len() {
                    // The block is writable: it is this process's stack, or heap after a `setenv`.
                    text.add(at).write_volatile(0);
                }
            }
            pairs.push((name, value));
        }
    }
    for name in wipe {
        if let Ok(name) = CString::new(*name) {
            // SAFETY: a valid string, and no other thread that could be reading the environment.
            unsafe { libc::unsetenv(name.as_ptr()) };
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::take_environment;
    use crate::os::testing;

    #[test]
    fn a_wiped_variable_is_gone_from_the_process_and_its_children() {
        if testing::role().as_deref() == Some("wipe") {
            let pairs = take_environment(&["VAULT_TEST_SECRET"]);
            let secret = pairs.iter().find(|(n, _)| n == b"VAULT_TEST_SECRET").unwrap();
            assert_eq!(secret.1, b"opens=the-vault");
            assert!(pairs.iter().any(|(n, v)| n == b"VAULT_TEST_PUBLIC" && v == b"stays"));

            assert!(take_environment(&[]).iter().all(|(n, _)| n != b"VAULT_TEST_SECRET"));
            let block = std::fs::read("/proc/self/environ").unwrap();
            let text = String::from_utf8_lossy(&block).into_owned();
            assert!(!text.contains("opens"), "{text}");
            assert!(!text.contains("the-vault"), "{text}");
            assert!(text.contains("VAULT_TEST_PUBLIC=stays"), "{text}");
            let child = Command::new("/bin/sh").args(["-c", "env"]).output().unwrap();
            let child = String::from_utf8_lossy(&child.stdout).into_owned();
            assert!(!child.contains("VAULT_TEST_SECRET"), "{child}");
            assert!(child.contains("VAULT_TEST_PUBLIC=stays"), "{child}");
            return;
        }
        let output = testing::again(
            "os::environment::tests::a_wiped_variable_is_gone_from_the_process_and_its_children",
            "wipe",
        )
        .env("VAULT_TEST_SECRET", "opens=the-vault")
        .env("VAULT_TEST_PUBLIC", "stays")
        .output()
        .unwrap();
        testing::passed(&output);
    }
}
