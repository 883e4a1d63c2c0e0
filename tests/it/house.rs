//! The house holds: a room imports only lower ones, siblings do not know each other, no files of a room
//! import each other, and what is dangerous stays in its room. The floors are those of the table in `src/lib.rs`.

mod circles;
mod lengths;
mod modules;

use std::collections::BTreeMap;
use std::path::Path;

/// `credential` gives an expiry as the clock's type. There is no other exception.
const EXCEPTIONS: [(&str, &str); 1] = [("credential", "clock")];
/// Rooms whose libraries are async.
const ASYNC: [&str; 2] = ["aws", "server"];
/// The one room with unsafe code.
const UNSAFE: &str = "os";
/// Names for a heap, not for a room.
const HEAPS: [&str; 6] = ["common", "util", "utils", "helper", "helpers", "misc"];

/// A source file: its path below `src/`, and its text.
type Source = (String, String);

#[test]
fn the_house_holds() {
    let mut sources = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 10, "the sources were not found");
    let faults = examine(&sources);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_bad_import_is_caught() {
    let lib = "//! | 2 | `profile/`: x; `sealed/` |\n//! | 1 | `clock`, `credential`, `name` |\n\
               //! | 0 | `os/`: the only unsafe; `error` |\npub mod clock;";
    let faults = |path: &str, text: &str| {
        examine(&[("lib.rs".into(), lib.into()), (path.into(), text.into())])
    };
    for (path, text) in [
        ("profile/mod.rs", "use crate::name::X; use super::error; mod plan; use plan::Y;"),
        ("profile/plan.rs", "use super::X; use super::super::name; use crate::profile::Z;"),
        ("name.rs", "use crate::{error::{self, Error}, os}; mod tests { use super::*; }"),
        ("credential.rs", "use crate::clock::Timestamp;"),
        ("os/tty.rs", "unsafe { f() }"),
        ("aws/mod.rs", "//! unknown rooms are faults of their own"),
        (
            "name.rs",
            "// crate::profile\n/* unsafe /* async */ */ const S: &str = \"crate::profile\";",
        ),
        (
            "name.rs",
            "const S: &str = r#\"\" unsafe \"#; const C: char = '\"'; fn f<'a>(x: &'a u8) {}",
        ),
    ] {
        let found = faults(path, text);
        let expected = if path.starts_with("aws/") { 1 } else { 0 };
        assert_eq!(found.len(), expected, "{path}: {found:?}");
    }
    for (path, text, fault) in [
        ("name.rs", "use crate::profile::X;", "name.rs: name (floor 1) uses profile (floor 2)"),
        ("name.rs", "use crate::clock::X;", "name.rs: name (floor 1) uses clock (floor 1)"),
        (
            "clock.rs",
            "use crate::credential;",
            "clock.rs: clock (floor 1) uses credential (floor 1)",
        ),
        (
            "name.rs",
            "fn f() { crate::sealed::g() }",
            "name.rs: name (floor 1) uses sealed (floor 2)",
        ),
        ("name.rs", "use super::profile;", "name.rs: name (floor 1) uses profile (floor 2)"),
        (
            "name.rs",
            "use crate::{error::{a, b}, os, profile};",
            "name.rs: name (floor 1) uses profile (floor 2)",
        ),
        (
            "profile/plan.rs",
            "mod tests { use super::super::super::sealed; }",
            "profile/plan.rs: profile (floor 2) uses sealed (floor 2)",
        ),
        (
            "profile/plan.rs",
            "const C: char = '{'; use super::super::sealed;",
            "profile/plan.rs: profile (floor 2) uses sealed (floor 2)",
        ),
        ("name.rs", "use crate::*;", "name.rs: takes the whole house"),
        ("name.rs", "use crate as house;", "name.rs: takes the whole house"),
        ("name.rs", "use crate::{self as house};", "name.rs: takes the whole house"),
        ("name.rs", "unsafe fn f() {}", "name.rs: unsafe outside os/"),
        (
            "profile/mod.rs",
            "async fn f() {}",
            "profile/mod.rs: async outside aws/ and server/: async",
        ),
        (
            "profile/mod.rs",
            "use aws_smithy_async::rt;",
            "profile/mod.rs: async outside aws/ and server/: aws_smithy_async",
        ),
        ("profile/util.rs", "", "profile/util.rs: no name for a room"),
        ("profile/helpers/mod.rs", "", "profile/helpers/mod.rs: no name for a room"),
        ("cellar.rs", "", "cellar.rs: stands on no floor of the table in lib.rs"),
    ] {
        assert_eq!(faults(path, text), [fault], "{path}: {text}");
    }
}

fn read(dir: &Path, prefix: &str, sources: &mut Vec<Source>) {
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.file_type().unwrap().is_dir() {
            read(&entry.path(), &format!("{name}/"), sources);
        } else if name.ends_with(".rs") {
            sources.push((name, std::fs::read_to_string(entry.path()).unwrap()));
        }
    }
    sources.sort();
}

/// All faults of a house, one line each.
fn examine(sources: &[Source]) -> Vec<String> {
    let lib = sources.iter().find(|(path, _)| path == "lib.rs").map_or("", |(_, text)| text);
    let floors = floors(lib);
    let mut faults: Vec<String> =
        sources.iter().flat_map(|(path, text)| examine_file(path, text, &floors)).collect();
    faults.dedup();
    faults.extend(circles::circles(sources));
    faults
}

/// The floors, from rows such as `//! | 1 | `env`, `clock` |`.
fn floors(lib: &str) -> BTreeMap<&str, u32> {
    let mut floors = BTreeMap::new();
    for line in lib.lines() {
        let Some((floor, rooms)) =
            line.strip_prefix("//! |").and_then(|row| row.trim_start().split_once(" | "))
        else {
            continue;
        };
        let Ok(floor) = floor.parse() else { continue };
        for room in rooms.split('`').skip(1).step_by(2) {
            floors.insert(room.trim_end_matches('/'), floor);
        }
    }
    floors
}

fn examine_file(path: &str, text: &str, floors: &BTreeMap<&str, u32>) -> Vec<String> {
    let mut faults = Vec::new();
    let module: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let room = module[0];
    if module.iter().any(|part| HEAPS.contains(part)) {
        faults.push(format!("{path}: no name for a room"));
    }
    let tokens = tokens(text);
    for token in &tokens {
        if token == "unsafe" && room != UNSAFE {
            faults.push(format!("{path}: unsafe outside {UNSAFE}/"));
        }
        let is_async = ["async", "await"].contains(&token.as_str())
            || ["tokio", "smithy_async"].iter().any(|word| token.contains(word));
        if is_async && !ASYNC.contains(&room) {
            faults.push(format!("{path}: async outside aws/ and server/: {token}"));
        }
    }
    // The root knows all rooms, and the binary only the root.
    if ["lib", "main"].contains(&room) {
        return faults;
    }
    let Some(floor) = floors.get(room) else {
        faults.push(format!("{path}: stands on no floor of the table in lib.rs"));
        return faults;
    };
    for used in used_paths(&tokens, &module_of(path)).iter().map(|used| used.path[0]) {
        let Some(used_floor) = floors.get(used) else {
            faults.push(if ["*", "as", "self"].contains(&used) {
                format!("{path}: takes the whole house")
            } else {
                format!("{path}: uses {used}, which stands on no floor of the table in lib.rs")
            });
            continue;
        };
        if used != room && used_floor >= floor && !EXCEPTIONS.contains(&(room, used)) {
            faults.push(format!("{path}: {room} (floor {floor}) uses {used} (floor {used_floor})"));
        }
    }
    faults
}

/// The module that a file is.
fn module_of(path: &str) -> Vec<&str> {
    path.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect()
}

/// A path into the crate, from its root.
struct Used<'a> {
    path: Vec<&'a str>,
    /// In an inline module `tests` or `testing`.
    by_a_test: bool,
    /// In a `pub use`.
    is_exported: bool,
}

/// The paths after `crate::`, `self::`, `super::` and a declared module, in a file that is this module.
fn used_paths<'a>(tokens: &'a [String], module: &[&'a str]) -> Vec<Used<'a>> {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    // For each open brace, the name of the inline module that it begins.
    let mut open: Vec<Option<&str>> = Vec::new();
    let declares = |name: &str| {
        tokens.windows(3).any(|three| three[0] == "mod" && three[1] == name && three[2] == ";")
    };
    let mut is_exported = false;
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let by_a_test = open.iter().flatten().any(|name| ["tests", "testing"].contains(name));
        let here = || [module, &open.iter().flatten().copied().collect::<Vec<_>>()].concat();
        let mut paths = Vec::new();
        let mut next = at + 1;
        match token(at) {
            "use" => is_exported = at > 0 && ["pub", ")"].contains(&token(at - 1)),
            ";" => is_exported = false,
            "{" => open.push((at >= 2 && token(at - 2) == "mod").then(|| token(at - 1))),
            "}" => drop(open.pop()),
            // `use crate as x`; `pub(crate)` is no path.
            "crate" if token(at + 1) == "as" => paths.push(vec!["as"]),
            "crate" if token(at + 1) == "::" => next = follow(tokens, at + 2, vec![], &mut paths),
            "self" if token(at + 1) == "::" => next = follow(tokens, at + 2, here(), &mut paths),
            "super" => {
                let mut base = here();
                base.pop();
                while token(at + 1) == "::" && token(at + 2) == "super" {
                    base.pop();
                    at += 2;
                }
                if token(at + 1) == "::" {
                    next = follow(tokens, at + 2, base, &mut paths);
                }
            }
            name if token(at + 1) == "::"
                && token(at.wrapping_sub(1)) != "::"
                && declares(name) =>
            {
                next = follow(tokens, at, here(), &mut paths);
            }
            _ => (),
        }
        found.extend(paths.into_iter().map(|path| Used { path, by_a_test, is_exported }));
        at = next.max(at + 1);
    }
    found
}

/// Adds the path that goes on here, or each path of the group that stands here; where that ends.
fn follow<'a>(
    tokens: &'a [String],
    mut at: usize,
    mut path: Vec<&'a str>,
    paths: &mut Vec<Vec<&'a str>>,
) -> usize {
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    while token(at) != "{" {
        path.push(token(at));
        if token(at + 1) != "::" {
            paths.push(path);
            return at + 1;
        }
        at += 2;
    }
    at += 1;
    while at < tokens.len() && token(at) != "}" {
        at = follow(tokens, at, path.clone(), paths);
        // `as x`, and the comma.
        at += tokens[at..].iter().take_while(|next| ![",", "}"].contains(&next.as_str())).count();
        at += usize::from(token(at) == ",");
    }
    at + 1
}

/// Words, `::`, and single characters; comments, texts and characters in quotes are left out.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let (c, next) = (chars[at], chars.get(at + 1).copied().unwrap_or_default());
        if c == '/' && next == '/' {
            at += chars[at..].iter().take_while(|c| **c != '\n').count();
        } else if c == '/' && next == '*' {
            at = after_block_comment(&chars, at);
        } else if c == '"' {
            at = after_text(&chars, at + 1);
        } else if c == '\'' && (next == '\\' || chars.get(at + 2) == Some(&'\'')) {
            // A character; any other quote begins a lifetime.
            at += 3;
            at += chars[at..].iter().take_while(|c| next == '\\' && **c != '\'').count();
            at += usize::from(next == '\\');
        } else if is_word(c) {
            let word: String = chars[at..].iter().take_while(|c| is_word(**c)).collect();
            at += word.chars().count();
            let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
            if ["r", "br", "cr"].contains(&word.as_str()) && chars.get(at + hashes) == Some(&'"') {
                at = after_raw_text(&chars, at + hashes + 1, hashes);
            } else {
                tokens.push(word);
            }
        } else {
            let is_path = c == ':' && next == ':';
            if !c.is_whitespace() {
                tokens.push(if is_path { "::".to_owned() } else { c.to_string() });
            }
            at += if is_path { 2 } else { 1 };
        }
    }
    tokens
}

fn after_text(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    at + 1
}

fn after_raw_text(chars: &[char], start: usize, hashes: usize) -> usize {
    let ends = |at: &usize| {
        chars[*at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
    };
    (start..chars.len()).find(ends).map_or(chars.len(), |at| at + 1 + hashes)
}

fn after_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut nested = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (nested, at) = (nested + 1, at + 2),
            ('*', Some('/')) => (nested, at) = (nested - 1, at + 2),
            _ => at += 1,
        }
        if nested == 0 {
            break;
        }
    }
    at
}
