//! The fleet of the open vault: its store, reached at the first session that is to be made with a code, and
//! what is said if the store is of no use.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::error::{Class, Error, Result};
use crate::reporter::Reporter;
use crate::session::{
    Claim, CodeDecision, FleetFailure, FleetKeys, Ledger, Participant, SharedClaims,
};
use crate::store::Location;
use crate::vault::{self, Connect, NamedBy, Payload, SharedStore};

/// The fleet that the vault's hosts have joined.
pub(super) struct Fleet<'a> {
    settings: vault::Fleet,
    connect: Connect<'a>,
    keys: FleetKeys,
    /// True once it was said that the store is away.
    told: AtomicBool,
    /// The highest generation of the vault that another host named.
    generation: AtomicU64,
}

impl<'a> Fleet<'a> {
    /// The fleet of this vault, if it has one. Nothing is asked of the store.
    pub fn of(payload: &Payload, connect: &Connect<'a>) -> Option<Box<Self>> {
        let settings = payload.fleet()?;
        let (id, key) = payload.cache_seed();
        Some(Box::new(Self {
            settings,
            connect: Connect::clone(connect),
            keys: FleetKeys::new(&id, &key),
            told: AtomicBool::new(false),
            generation: AtomicU64::new(0),
        }))
    }

    /// What the names and contents of its objects are made with.
    pub fn keys(&self) -> &FleetKeys {
        &self.keys
    }

    /// The store, for the requests of one session; `None` if this host keeps out of it.
    ///
    /// # Errors
    /// It is out of reach; usage (2).
    pub fn store(&self, payload: &Payload) -> Result<Option<SharedStore>> {
        let reached = (self.connect)(NamedBy::Vault(payload))?;
        if reached.as_ref().is_some_and(|shared| shared.silent) {
            self.told.store(true, Ordering::Relaxed);
        }
        Ok(reached)
    }

    /// Says once that this host goes on without the store; `named`: another one than the vault's.
    ///
    /// # Errors
    /// 9 if no code is to be sent without it.
    pub fn go_alone(
        &self,
        alone: FleetFailure,
        named: Option<&Location>,
        reporter: Reporter,
    ) -> Result<()> {
        let FleetFailure { what, hint } = alone;
        let store = named.unwrap_or(&self.settings.store);
        if self.settings.required {
            let hint = hint.unwrap_or_else(|| {
                "try again when the store is back, or send one from this host alone: AWS_VAULT_SHARED=off".to_owned()
            });
            return Err(Error::aws(format!(
                "no MFA code is sent without the fleet's store {store}: {what}"
            ))
            .hint(hint));
        }
        let said = format!("going on without the fleet's store {store}: {what}");
        self.tell(said, hint, reporter);
        Ok(())
    }

    /// Says once that a session was made and is not shared; `named` as for [`Fleet::go_alone`].
    pub fn not_shared(&self, alone: FleetFailure, named: Option<&Location>, reporter: Reporter) {
        let FleetFailure { what, hint } = alone;
        let store = named.unwrap_or(&self.settings.store);
        let said = format!(
            "the new session is on this host only, the fleet's store {store} did not take it: {what}"
        );
        self.tell(said, hint, reporter);
    }

    /// Of one outage one warning.
    fn tell(&self, what: String, hint: Option<String>, reporter: Reporter) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
            reporter.warn(format!("{what}{hint}"));
        }
    }

    /// True once this host went on without the store.
    pub fn is_alone(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// Notes the generation of another host's vault.
    pub fn saw_generation(&self, generation: u64) {
        self.generation.fetch_max(generation, Ordering::Relaxed);
    }

    /// The highest that was noted; 0 if none was.
    pub fn seen_generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}

/// What the error of a store that cannot be reached means for the session.
///
/// # Errors
/// A setting that cannot be right (2), which is no store that is away.
pub(super) fn away(error: Error) -> Result<FleetFailure> {
    let Error { class, what, hint, .. } = error;
    match class {
        Class::Usage => Err(Error { class, what, hint, ..error }),
        _ => Ok(FleetFailure { what, hint }),
    }
}

/// Claims a step in the book of the fleet and in this host's ledger.
pub(super) fn claim_for_all(
    part: &mut Participant<'_>,
    ledger: &Ledger<'_>,
    deadline: Instant,
    claim: impl Fn(&mut SharedClaims) -> Result<Claim>,
) -> Result<CodeDecision<Claim>> {
    let due = Cell::new(Instant::now());
    let take = |book: &mut SharedClaims| {
        let claim = claim(book)?;
        due.set(Instant::now() + claim.wait);
        Ok((claim, claim.wait))
    };
    Ok(match part.claim_step(take, |claim| ledger.give_back(&claim, deadline))? {
        CodeDecision::Send(mut claim) => {
            claim.wait = due.get().saturating_duration_since(Instant::now());
            claim.recorded = true;
            CodeDecision::Send(claim)
        }
        other => other,
    })
}

/// Other hosts are faster each time.
pub(super) fn another_host() -> Error {
    Error::busy("other hosts of the fleet are using codes of the same device").hint("try again")
}
