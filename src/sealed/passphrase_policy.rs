//! The limits on the cost of trying a passphrase, before the header is authenticated.
//!
//! argon2id runs before the header's MAC can be checked, so anyone who can write the file chooses the work.
//! By default a quarter of the format's limits is accepted; the limits themselves only on request
//! (FORMAT.md, section 2.2).

use super::derivation_queue::DerivationQueue;
use super::slot::Slot;
use crate::error::{Error, Result};

/// The most memory of a slot that is accepted by default, in MiB.
pub const DEFAULT_MAX_MEMORY: u32 = 256;

/// The most work of all slots together, in KiB times passes, for each KiB that one slot may use: by default
/// 1 GiB times passes, which is five slots of the default cost; 4 GiB times passes for the format's 1 GiB.
const WORK_PER_MEMORY: u64 = 4;

static NO_QUEUE: DerivationQueue<'static> = DerivationQueue::none();

/// How passphrases are tried.
#[derive(Clone, Copy)]
pub struct PassphrasePolicy<'a> {
    /// The most memory of a slot, in MiB.
    pub max_memory: u32,
    /// True for a slot that this machine has opened before, which may cost as much as the format allows.
    pub known: &'a dyn Fn(&Slot) -> bool,
    /// The queue of this user's processes that try a passphrase.
    pub queue: &'a DerivationQueue<'a>,
}

impl PassphrasePolicy<'_> {
    /// The default limits, without known slots and without a queue.
    pub fn default_limits() -> PassphrasePolicy<'static> {
        PassphrasePolicy { max_memory: DEFAULT_MAX_MEMORY, known: &|_| false, queue: &NO_QUEUE }
    }

    /// Checks, before the prompt for a passphrase, that it can be tried on one of these slots.
    /// Errors: class 6 if they cost too much.
    pub fn check(&self, slots: &[Slot]) -> Result<()> {
        match self.select(slots) {
            (known, Some(refusal)) if known.is_empty() => Err(refusal),
            _ => Ok(()),
        }
    }

    /// The slots to try, and the error if others cost too much. In that case the known ones come first, each
    /// once, since a header may repeat a slot that this machine has opened.
    pub(super) fn select<'s>(&self, slots: &'s [Slot]) -> (Vec<&'s Slot>, Option<Error>) {
        if self.accept(slots).is_ok() {
            return (slots.iter().collect(), None);
        }
        let (mut known, mut others) = (Vec::new(), Vec::new());
        for slot in slots {
            match (self.known)(slot) {
                false => others.push(slot),
                true if known.contains(&slot) => {}
                true => known.push(slot),
            }
        }
        let refusal = self.accept(others.iter().copied()).err();
        if refusal.is_none() {
            known.append(&mut others);
        }
        (known, refusal)
    }

    fn accept<'s>(&self, slots: impl IntoIterator<Item = &'s Slot>) -> Result<()> {
        let (mut memory, mut work) = (0, 0u64);
        for cost in slots.into_iter().map(Slot::cost) {
            memory = memory.max(cost.memory_kib.div_ceil(1024));
            work = work.saturating_add(cost.work());
        }
        let (most, work) = (u64::from(self.max_memory) * WORK_PER_MEMORY, work.div_ceil(1024));
        if memory <= self.max_memory && work <= most {
            return Ok(());
        }
        let needed = u64::from(memory).max(work.div_ceil(WORK_PER_MEMORY));
        Err(Error::refused(format!(
            "the cost of the vault's passphrase is over the limit: {memory} MiB, and {work} MiB times \
             passes in all, instead of {} and {most}",
            self.max_memory
        ))
        .hint(format!(
            "if the vault was created with it, give --max-passphrase-memory {needed} or \
             AWS_VAULT_MAX_PASSPHRASE_MEMORY={needed}; if not, its header is forged"
        )))
    }
}

/// True if a passphrase is tried on these slots by default, even if none of them was opened before.
pub fn within_default_limits(slots: &[Slot]) -> bool {
    PassphrasePolicy::default_limits().accept(slots).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    /// A slot with this letter in its salt.
    fn slot(letter: char, memory_kib: u32, passes: u32) -> Slot {
        let salt = letter.to_string().repeat(21) + "A";
        let body = "A".repeat(64);
        let kind = super::super::slot::KIND;
        Slot::parse(&format!("-> {kind} {salt} {memory_kib} {passes} 1\n{body}\n\n")).unwrap()
    }

    #[test]
    fn a_quarter_of_the_formats_limits_is_accepted_by_default() {
        let most = slot('B', 256 << 10, 4);
        let default = || slot('C', 64 << 10, 3);
        assert!(within_default_limits(&[]));
        assert!(within_default_limits(std::slice::from_ref(&most)));
        assert!(within_default_limits(&[default(), default(), default(), default(), default()]));
        for over in [
            vec![slot('B', (256 << 10) + 1, 1)],
            vec![slot('B', 64 << 10, 16), slot('C', 8, 1)],
            vec![most, slot('C', 8, 1)],
            vec![default(); 6],
        ] {
            assert!(!within_default_limits(&over), "{over:?}");
        }
    }

    #[test]
    fn the_error_names_the_limit_that_is_needed() {
        for (slots, needed) in [
            (vec![slot('B', (256 << 10) + 1, 1)], 257),
            (vec![slot('B', 1 << 20, 4)], 1024),
            (vec![slot('B', 64 << 10, 16), slot('C', 8, 1)], 257),
        ] {
            let error = PassphrasePolicy::default_limits().check(&slots).unwrap_err();
            assert_eq!(error.class, Class::Refused);
            assert!(error.hint.unwrap().contains(&format!("--max-passphrase-memory {needed} or")));
            let policy =
                |max_memory| PassphrasePolicy { max_memory, ..PassphrasePolicy::default_limits() };
            assert!(
                policy(needed).check(&slots).is_ok() && policy(needed - 1).check(&slots).is_err()
            );
        }
    }

    #[test]
    fn known_slots_are_tried_first_and_once() {
        let (known, cheap, dear) =
            (slot('B', 1 << 20, 1), slot('C', 64 << 10, 3), slot('D', 1 << 19, 3));
        let is_known = |slot: &Slot| slot.name().starts_with('B');
        let policy = PassphrasePolicy { known: &is_known, ..PassphrasePolicy::default_limits() };
        let select = |slots: &[Slot]| {
            let (slots, refusal) = policy.select(slots);
            let letter = |slot: &&Slot| slot.name().chars().next().unwrap();
            (slots.iter().map(letter).collect::<String>(), refusal.is_some())
        };
        let copies = [known.clone(), known.clone(), known.clone()];
        assert_eq!(select(&copies), ("B".to_owned(), false));
        assert_eq!(select(&[cheap.clone(), known.clone()]), ("BC".to_owned(), false));
        assert_eq!(select(&[cheap.clone(), dear.clone(), known]), ("B".to_owned(), true));
        assert_eq!(select(&[cheap, dear]), (String::new(), true));
        // If all slots are accepted, they are tried in the order of the header.
        assert_eq!(select(&[slot('C', 8, 1), slot('B', 8, 1)]), ("CB".to_owned(), false));
    }
}
