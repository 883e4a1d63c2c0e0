//! The state of all key sources, for diagnosis. No key is tried on a vault here, and nothing that could
//! block is read.

use std::path::{Path, PathBuf};

use super::source::Reader;
use super::table::{KeySource, LAST_NAMED, Location, sources};
use super::{Material, Named, keyring};
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::file;
use crate::reporter::Reporter;

/// A source, with its line in the order of unlocking (README, "What opens the vault").
#[derive(Clone, Debug)]
pub struct Source {
    /// 1 to 8.
    pub line: u8,
    /// Its name as the user knows it: a flag, a variable, a path.
    pub name: String,
    pub presence: Presence,
    /// True if it is tried: the first line of the named ones that is present, otherwise all default ones.
    pub counts: bool,
}

/// Whether a source is there.
#[derive(Clone, Debug)]
pub enum Presence {
    Absent,
    /// It can be tried.
    Present {
        /// The label of the material.
        label: String,
        until: Option<Timestamp>,
    },
    /// It is present and cannot be used.
    Unusable(Error),
    /// It cannot exist here, for this reason.
    Unavailable(String),
    /// A pipe or descriptor, which is not read for a diagnosis: reading may block, and takes the key from
    /// the process that needs it.
    Unread,
}

/// The sources of lines 1 to 8, in order. Keys and passphrases that are read are wiped again. `slots` are
/// the names of the vault's passphrase slots, if there is a vault.
pub fn survey(
    named: &Named,
    env: &Env,
    identity_file: Option<PathBuf>,
    slots: Option<&[String]>,
) -> Vec<Source> {
    let has_slot = slots.is_none_or(|slots| !slots.is_empty());
    let slots = slots.unwrap_or_default();
    let reader = Reader::new(env, Reporter { quiet: true, debug: false }, slots);
    let sources = sources(named, env, identity_file.as_deref()).into_iter();
    let mut all: Vec<Source> = sources
        .map(|source| {
            let presence = look(&reader, &source, slots);
            let nothing = matches!(presence, Presence::Absent | Presence::Unavailable(_));
            let counts = !nothing && source.applies(has_slot);
            Source { line: source.line, name: source.name, presence, counts }
        })
        .collect();
    let named = all.iter().find(|source| source.counts && source.line <= LAST_NAMED);
    let first = named.map(|source| source.line);
    for source in &mut all {
        source.counts &= first.map_or(source.line > LAST_NAMED, |line| source.line == line);
    }
    all
}

fn look(reader: &Reader, source: &KeySource, slots: &[String]) -> Presence {
    let waits = match &source.location {
        Location::File(path, _) => may_wait(path),
        Location::FileOf(name) => {
            reader.path_variable(name).is_ok_and(|path| path.is_some_and(|path| may_wait(&path)))
        }
        // Reading a descriptor closes it, and opening the vault needs it.
        Location::DefaultFile(path) => file::descriptor(path).is_some(),
        Location::OtherFileOf(name) => {
            reader.env.get_os(name).is_some_and(|path| file::descriptor(Path::new(path)).is_some())
        }
        Location::Keyring => return in_keyring(slots),
        _ => false,
    };
    if waits { Presence::Unread } else { presence(reader.read(source)) }
}

fn in_keyring(slots: &[String]) -> Presence {
    match keyring::find(slots) {
        Err(why) => Presence::Unavailable(why),
        Ok(found) => match found.into_iter().map(|(_, until)| until).max() {
            None => Presence::Absent,
            until => Presence::Present { label: keyring::NAME.to_owned(), until },
        },
    }
}

fn presence(found: Result<Vec<Material>>) -> Presence {
    match found.map(|materials| materials.into_iter().next()) {
        Ok(None) => Presence::Absent,
        Ok(Some(material)) => Presence::Present { label: material.label, until: None },
        Err(error) => Presence::Unusable(error),
    }
}

/// True for an inherited descriptor, and for an existing file that is not regular.
fn may_wait(path: &Path) -> bool {
    file::descriptor(path).is_some() || path.metadata().is_ok_and(|about| !about.is_file())
}
