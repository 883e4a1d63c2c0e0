//! Which sources of keys there are, for a person who asks why the vault does not open. Nothing is tried
//! on a vault here, and nothing that could wait is read.

use std::path::{Path, PathBuf};

use super::source::Reader;
use super::table::{At, KeySource, LAST_NAMED, places};
use super::{Material, Named, keyring};
use crate::clock::Timestamp;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::file;
use crate::reporter::Reporter;

/// A source, as the order of unlocking (README, "What opens the vault") numbers its lines.
#[derive(Clone, Debug)]
pub struct Source {
    /// 1 to 8.
    pub line: u8,
    /// Its name as the user knows it: a flag, a variable, a path.
    pub name: String,
    /// What is there.
    pub presence: Presence,
    /// True if it is there and is tried: of what is named the first line, else all that lies around.
    pub counts: bool,
}

/// Whether a source is there.
#[derive(Clone, Debug)]
pub enum Presence {
    /// Nothing is there.
    Absent,
    /// There is something to try.
    Present {
        /// The name that whoever tries it gives it.
        label: String,
        /// When it ends by itself.
        until: Option<Timestamp>,
    },
    /// It is there and cannot be used.
    Unusable(Error),
    /// Nothing can be there, and why.
    Unavailable(String),
    /// A pipe or descriptor, which is not read just to look: whoever reads it may have to wait, and
    /// takes it from the one it is for.
    Unread,
}

/// The sources of lines 1 to 8, in their order. What holds a key or passphrase is read and forgotten.
/// `slots` are the names of the vault's passphrase slots, where there is a vault.
pub fn survey(
    named: &Named,
    env: &Env,
    identity_file: Option<PathBuf>,
    slots: Option<&[String]>,
) -> Vec<Source> {
    let has_slot = slots.is_none_or(|slots| !slots.is_empty());
    let slots = slots.unwrap_or_default();
    let reader = Reader::new(env, Reporter { quiet: true, debug: false }, slots);
    let mut first = None;
    let places = places(named, env, identity_file.as_deref()).into_iter();
    let mut all: Vec<(Source, bool)> = places
        .map(|place| {
            let presence = look(&reader, &place, slots);
            let nothing = matches!(presence, Presence::Absent | Presence::Unavailable(_));
            let there = !nothing && place.concerns(has_slot);
            if there && place.line <= LAST_NAMED {
                first.get_or_insert(place.line);
            }
            (Source { line: place.line, name: place.name, presence, counts: false }, there)
        })
        .collect();
    for (source, there) in &mut all {
        let is_tried = first.map_or(source.line > LAST_NAMED, |line| source.line == line);
        source.counts = *there && is_tried;
    }
    all.into_iter().map(|(source, _)| source).collect()
}

fn look(reader: &Reader, place: &KeySource, slots: &[String]) -> Presence {
    let waits = match &place.at {
        At::File(path, _) => may_wait(path),
        At::FileOf(name) => {
            reader.path_variable(name).is_ok_and(|path| path.is_some_and(|path| may_wait(&path)))
        }
        // What leads to a descriptor is closed once it is read, and whoever opens the vault needs it.
        At::Around(path) => file::descriptor(path).is_some(),
        At::AroundOf(name) => {
            reader.env.get_os(name).is_some_and(|path| file::descriptor(Path::new(path)).is_some())
        }
        At::Keyring => return in_keyring(slots),
        _ => false,
    };
    if waits { Presence::Unread } else { presence(reader.read(place)) }
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

/// True for an inherited descriptor, and for what is there and no regular file.
fn may_wait(path: &Path) -> bool {
    file::descriptor(path).is_some() || path.metadata().is_ok_and(|about| !about.is_file())
}
