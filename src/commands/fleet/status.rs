//! `fleet status`: which store is shared, and what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{credentials, joined, limits, location, to_json};
use crate::aws::S3;
use crate::cli::fleet::FleetStatus;
use crate::commands::context::Context;
use crate::error::{Error, Result};
use crate::provider::CredentialSession;
use crate::report;
use crate::session::InStore;
use crate::store::{Read, Store};
use crate::vault::OBJECT;

/// The timeout of a request.
const REQUEST: Duration = Duration::from_secs(5);

pub fn status(args: &FleetStatus, context: &Context) -> Result<()> {
    let session = context.vault_session()?;
    let fleet = joined(&session)?;
    let store = session.store_of(&fleet, limits(REQUEST))?;
    let vault = session.vault()?;
    let copy = match store.read(OBJECT, None)?.what {
        Read::Found(object) => Some(Copy {
            modified: object.modified.map(|at| at.to_rfc3339()),
            generation: vault.generation_of(&object.body, &fleet.store),
        }),
        Read::Unchanged | Read::Missing => None,
    };
    let sessions = sessions(&session, &store)?;
    let generation = vault.payload().generation();
    if args.json {
        let mut json = to_json(&fleet);
        json["generation"] = generation.into();
        json["copy"] = copy.as_ref().map(Copy::to_json).into();
        json["sessions"] = sessions.iter().map(session_json).collect();
        return report::result(&format!("{json}\n"));
    }
    if let Some(Copy { generation: Err(Error { hint: Some(hint), .. }), .. }) = &copy {
        context.reporter.note(hint);
    }
    let copied = copy.as_ref().map_or_else(|| "none".to_owned(), Copy::to_text);
    let text = format!(
        "store        {}\ncredentials  {}\nrequired     {}\ngeneration   {generation} here\n\
         copy         {copied}\n",
        location(&fleet),
        credentials(&fleet),
        if fleet.required {
            "yes: no code is sent while the store cannot be reached"
        } else {
            "no"
        },
    );
    let line = |(profiles, found): &Shared| {
        format!("session      {}: {}\n", profiles.join(", "), session_text(found.as_ref()))
    };
    report::result(&(text + &sessions.iter().map(line).collect::<String>()))
}

/// The store's copy of the vault.
struct Copy {
    /// When it was written, if known.
    modified: Option<String>,
    /// Its generation, or why this host does not accept it.
    generation: Result<u64>,
}

impl Copy {
    fn to_text(&self) -> String {
        let of = self.modified.as_ref().map(|modified| format!(", of {modified}"));
        let of = of.unwrap_or_default();
        match &self.generation {
            Ok(generation) => format!("generation {generation}{of}"),
            Err(error) => format!("not taken{of}: {}", error.what),
        }
    }

    fn to_json(&self) -> Value {
        let (generation, fault) = (self.generation.as_ref().ok(), self.generation.as_ref().err());
        let fault = fault.map(|error| &error.what);
        json!({ "modified": self.modified, "generation": generation, "fault": fault })
    }
}

/// A session that needs an MFA code: the profiles that use it, and what is in the store; `None` if that
/// cannot be decrypted.
type Shared = (Vec<String>, Option<InStore>);

/// The shared sessions of the AWS config's profiles.
fn sessions(session: &CredentialSession, store: &S3) -> Result<Vec<Shared>> {
    let mut names = BTreeMap::<String, Vec<String>>::new();
    for profile in session.profiles().names() {
        let name = session.plan(&profile).ok().and_then(|plan| session.shared_name(&plan));
        if let Some(name) = name {
            names.entry(name).or_default().push(profile);
        }
    }
    let look = |(name, profiles): (String, _)| Ok((profiles, session.in_store(&name, store)?));
    let mut sessions = names.into_iter().map(look).collect::<Result<Vec<Shared>>>()?;
    sessions.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(sessions)
}

fn session_text(found: Option<&InStore>) -> String {
    let Some(InStore { session, claimed }) = found else { return "cannot be opened".to_owned() };
    let since = claimed.map(|age| age.as_secs());
    match (session, since) {
        (None, None) => "none".to_owned(),
        (None, Some(since)) => format!("a host has been making it for {since} s"),
        (Some((ends, generation)), since) => {
            let since = since.map_or_else(String::new, |since| {
                format!("; a host has been renewing it for {since} s")
            });
            let ends = ends.to_rfc3339();
            format!("until {ends}, made with generation {generation}{since}")
        }
    }
}

fn session_json((profiles, found): &Shared) -> Value {
    let InStore { session, claimed } = found.unwrap_or_default();
    json!({
        "profiles": profiles,
        "ends": session.map(|(ends, _)| ends.to_rfc3339()),
        "generation": session.map(|(_, generation)| generation),
        "making": claimed.map(|age| age.as_secs()),
        "damaged": found.is_none(),
    })
}
