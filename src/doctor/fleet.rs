//! The store that the hosts of the vault share. It is not asked: `vault fleet check` does that.

use serde_json::json;

use super::vault::File;
use super::{Host, Report};
use crate::store::Shared;
use crate::vault::{Fleet, Vault, no_store_key, theirs_beside};

/// The variable, the open vault's fleet, and a copy that a fork left beside the vault.
pub fn check(host: &Host, file: Option<&File>, vault: Option<&Vault>, report: &mut Report) {
    let named = report.value_of("fleet.variable", Shared::of(host.env));
    if let (Some(named), Some(vault)) = (named, vault) {
        store(&named, vault, report);
    }
    let theirs = file.map(|file| theirs_beside(&file.real)).filter(|path| path.exists());
    if let (Some(file), Some(theirs)) = (file, theirs) {
        let (vault, theirs) = (file.path.display(), theirs.display());
        report
            .problem(
                "fleet.fork",
                format!("{theirs}: the vault and its copy in the store were both changed"),
            )
            .advise(format!(
                "rename it to {vault} with mv, and repeat the changes of this host; \
                 if you have done so already, remove it"
            ));
    }
}

fn store(named: &Shared, vault: &Vault, report: &mut Report) {
    let payload = vault.payload();
    let (store, joined) = match (named, payload.fleet()) {
        (Shared::Joined, None) | (Shared::Off, None) => return,
        (Shared::Off, Some(Fleet { store, .. })) => {
            let text =
                format!("this host does not use the shared store {store}: AWS_VAULT_SHARED is off");
            report.note("fleet.variable", text);
            return;
        }
        (Shared::Joined, Some(fleet)) => (fleet.store.clone(), Some(fleet)),
        (Shared::At(store), joined) => (store.clone(), joined),
    };
    let profile = joined.as_ref().and_then(|fleet| fleet.profile.as_deref());
    let required = joined.as_ref().is_some_and(|fleet| fleet.required);
    let by = match profile {
        Some(profile) => format!("the vault's key for profile {profile:?}"),
        None => "this host's own credentials".to_owned(),
    };
    let rule = if required { "; no code is sent without it" } else { "" };
    report.ok("fleet.store", format!("{store}, by {by}{rule}")).with(json!({
        "store": store.to_string(), "profile": profile, "required": required,
    }));
    if let Some(profile) = profile.filter(|profile| payload.access_key_id(profile).is_none()) {
        report.error("fleet.key", &no_store_key(profile));
    }
}
