//! `recipient`: who may open the vault.

use super::context::Context;
use crate::cli::RecipientList;
use crate::error::Result;
use crate::report;
use crate::sealed::Slot;
use crate::vault::Vault;

pub fn list(args: &RecipientList, context: &Context) -> Result<()> {
    let prompt = context.prompt(None);
    let access = context.access(&prompt)?;
    let vault = Vault::open(&access)?;
    let recipients = vault.payload().recipients();
    let costs = vault
        .payload()
        .passphrases()
        .iter()
        .map(|entry| Slot::parse(&entry.stanza).map(|slot| slot.cost()))
        .collect::<Result<Vec<_>>>()?;
    if args.json {
        let recipients: Vec<_> = recipients
            .iter()
            .map(|entry| serde_json::json!({ "recipient": entry.recipient, "name": entry.name }))
            .collect();
        let passphrases: Vec<_> = costs
            .iter()
            .map(|cost| {
                serde_json::json!({ "memory_kib": cost.memory_kib, "passes": cost.passes, "lanes": cost.lanes })
            })
            .collect();
        let json = serde_json::json!({ "recipients": recipients, "passphrases": passphrases });
        return report::result(&format!("{json}\n"));
    }
    let mut text = String::new();
    for entry in recipients {
        text.push_str(&entry.recipient);
        if let Some(name) = entry.name {
            text.push_str(&format!("  ({name})"));
        }
        text.push('\n');
    }
    for cost in costs {
        text.push_str(&format!(
            "passphrase (argon2id, {} MiB, {} passes, {} lanes)\n",
            cost.memory_kib / 1024,
            cost.passes,
            cost.lanes
        ));
    }
    report::result(&text)
}
