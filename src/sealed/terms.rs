//! What a passphrase may cost before anything proves that the header is genuine.
//!
//! argon2id runs before the header's MAC can be checked, so whoever can write the file chooses the
//! work. The limits of the format are for those who chose a strong passphrase; unasked, a quarter of
//! them is accepted (FORMAT.md, section 2.2).

use super::slot::Slot;
use super::turns::Turns;
use crate::error::{Error, Result};

/// The most memory of a slot that is accepted unasked, in MiB.
pub const MEMORY_UNASKED: u32 = 256;

/// What all slots together may cost, in KiB times passes, for each KiB that one may take: 1 GiB times
/// passes unasked, which is five slots of the default cost; the format's own 4 GiB for its 1 GiB.
const WORK_PER_MEMORY: u64 = 4;

static NOBODY: Turns<'static> = Turns::nobody();

/// Under which terms passphrases are tried.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The most memory of a slot, in MiB.
    pub max_memory: u32,
    /// True for a slot that this machine has opened before: it may cost what the format allows.
    pub known: &'a dyn Fn(&Slot) -> bool,
    /// Who else tries a passphrase at this time.
    pub turns: &'a Turns<'a>,
}

impl std::fmt::Debug for Terms<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terms").field("max_memory", &self.max_memory).finish_non_exhaustive()
    }
}

impl Terms<'_> {
    /// What is accepted unasked where nothing was opened before; waits for nobody.
    pub fn unasked() -> Terms<'static> {
        Terms { max_memory: MEMORY_UNASKED, known: &|_| false, turns: &NOBODY }
    }

    /// Says whether a passphrase can be tried on any of these slots, before a person is asked for it.
    ///
    /// Errors: class 6 if they cost too much, with what to do about it.
    pub fn check(&self, slots: &[Slot]) -> Result<()> {
        match self.select(slots) {
            (known, Some(refusal)) if known.is_empty() => Err(refusal),
            _ => Ok(()),
        }
    }

    /// The slots to try, and the refusal if there are others that cost too much. Those that are known
    /// come first then, each once: a header may repeat what this machine has opened.
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
            "the vault's passphrase costs more than is accepted: {memory} MiB, and {work} MiB times \
             passes in all, instead of {} and {most}",
            self.max_memory
        ))
        .hint(format!(
            "if the vault was made so, give --max-passphrase-memory {needed} or \
             AWS_VAULT_MAX_PASSPHRASE_MEMORY={needed}; if not, its header is forged"
        )))
    }
}

/// True if a passphrase is tried on these slots unasked, also where none of them was opened before.
pub fn is_accepted_unasked(slots: &[Slot]) -> bool {
    Terms::unasked().accept(slots).is_ok()
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
    fn a_quarter_of_the_format_is_accepted_unasked() {
        let most = slot('B', 256 << 10, 4);
        let default = || slot('C', 64 << 10, 3);
        assert!(is_accepted_unasked(&[]));
        assert!(is_accepted_unasked(std::slice::from_ref(&most)));
        assert!(is_accepted_unasked(&[default(), default(), default(), default(), default()]));
        for over in [
            vec![slot('B', (256 << 10) + 1, 1)],
            vec![slot('B', 64 << 10, 16), slot('C', 8, 1)],
            vec![most, slot('C', 8, 1)],
            vec![default(); 6],
        ] {
            assert!(!is_accepted_unasked(&over), "{over:?}");
        }
    }

    #[test]
    fn what_is_named_is_what_it_takes() {
        for (slots, needed) in [
            (vec![slot('B', (256 << 10) + 1, 1)], 257),
            (vec![slot('B', 1 << 20, 4)], 1024),
            (vec![slot('B', 64 << 10, 16), slot('C', 8, 1)], 257),
        ] {
            let error = Terms::unasked().check(&slots).unwrap_err();
            assert_eq!(error.class, Class::Refused);
            assert!(error.hint.unwrap().contains(&format!("--max-passphrase-memory {needed} or")));
            let terms = |max_memory| Terms { max_memory, ..Terms::unasked() };
            assert!(
                terms(needed).check(&slots).is_ok() && terms(needed - 1).check(&slots).is_err()
            );
        }
    }

    #[test]
    fn what_is_known_is_tried_first_and_once_and_the_rest_if_it_is_accepted() {
        let (known, cheap, dear) =
            (slot('B', 1 << 20, 1), slot('C', 64 << 10, 3), slot('D', 1 << 19, 3));
        let is_known = |slot: &Slot| slot.name().starts_with('B');
        let terms = Terms { known: &is_known, ..Terms::unasked() };
        let select = |slots: &[Slot]| {
            let (slots, refusal) = terms.select(slots);
            let letter = |slot: &&Slot| slot.name().chars().next().unwrap();
            (slots.iter().map(letter).collect::<String>(), refusal.is_some())
        };
        let copies = [known.clone(), known.clone(), known.clone()];
        assert_eq!(select(&copies), ("B".to_owned(), false));
        assert_eq!(select(&[cheap.clone(), known.clone()]), ("BC".to_owned(), false));
        assert_eq!(select(&[cheap.clone(), dear.clone(), known]), ("B".to_owned(), true));
        assert_eq!(select(&[cheap, dear]), (String::new(), true));
        // Where all of it is accepted, the order is the header's.
        assert_eq!(select(&[slot('C', 8, 1), slot('B', 8, 1)]), ("CB".to_owned(), false));
    }
}
