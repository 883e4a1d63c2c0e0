//! The passphrase slots over the default limits that this machine has opened.
//!
//! Each is an empty file in the state directory: `slots/` and the SHA-256 of its stanza in hexadecimal. A
//! salt is random, so a stanza belongs to one passphrase of one vault, at any path.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::access::Access;
use super::payload::{PassphraseEntry, Payload};
use crate::error::{Result, os_text};
use crate::file;
use crate::sealed::{self, PassphrasePolicy, Slot};

fn file_of(state_dir: &Path, slot: &Slot) -> PathBuf {
    let hash = Sha256::digest(slot.to_text());
    let name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    state_dir.join("slots").join(name)
}

/// True if this machine has opened the slot; false also if that cannot be known.
fn is_known(state_dir: &Path, slot: &Slot) -> bool {
    file_of(state_dir, slot).symlink_metadata().is_ok_and(|about| about.is_file())
}

impl Access<'_> {
    /// Calls `then` with the policy under which passphrases are tried on this machine.
    pub(super) fn with_policy<T>(&self, then: impl FnOnce(PassphrasePolicy) -> T) -> T {
        let known = |slot: &Slot| self.slot_memory.as_ref().is_some_and(|dir| is_known(dir, slot));
        then(PassphrasePolicy {
            max_memory: self.max_passphrase_memory,
            known: &known,
            queue: &self.derivation_queue,
        })
    }

    /// Checks that a passphrase can be tried on one of these slots.
    /// Errors: refused (6) if they cost too much.
    pub fn check_cost(&self, slots: &[Slot]) -> Result<()> {
        self.with_policy(|policy| policy.check(slots))
    }

    /// Remembers the slots that this process has created, which are not in `before`.
    pub(super) fn remember_made(&self, before: &[PassphraseEntry], payload: &Payload) {
        let slots = payload.slots();
        let is_new = |slot: &&Slot| before.iter().all(|entry| entry.stanza != slot.to_text());
        slots.iter().filter(is_new).for_each(|slot| self.remember_opened(slot, &slots));
    }

    /// Remembers a slot of this header that a passphrase has opened, if the header is over the default limits.
    /// If it cannot be remembered, the flag or variable is needed each time.
    pub(super) fn remember_opened(&self, slot: &Slot, header: &[Slot]) {
        let Some((dir, named)) = &self.state else { return };
        if sealed::within_default_limits(header) {
            return;
        }
        let file = file_of(dir, slot);
        let made = file::make_parents(&file).and_then(|()| file::create_new(&file, b"", 0o600));
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                let why = os_text(&error);
                let text = format!(
                    "the passphrase's cost cannot be remembered in {}: {why}",
                    dir.display()
                );
                self.report_state(*named, text);
            }
            _ => {}
        }
    }
}
