//! No files of a room import each other, however long the way round. A name that a file only passes on (`pub
//! use`) belongs to the file that defines it. So a room's `mod.rs` may use the files below it, or they may use
//! it, but not both.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, examine, module_of, tokens, used_paths};

/// Parents that use their children and are used by them: clap's tree, which commands about commands read by its
/// parser; the payload, whose methods are in several files.
const PARENTS: [&str; 2] = ["cli/mod.rs", "vault/payload.rs"];

/// A source file.
struct File<'a> {
    path: &'a str,
    /// What it uses itself.
    uses: Vec<Vec<&'a str>>,
    /// What it passes on, by name.
    exports: BTreeMap<&'a str, Vec<&'a str>>,
}

/// The files of each ring, one line each.
pub fn circles(sources: &[Source]) -> Vec<String> {
    let texts: Vec<_> = sources
        .iter()
        .filter(|(path, _)| !path.contains("/tests"))
        .map(|(path, text)| (path.as_str(), tokens(text)))
        .collect();
    let files: BTreeMap<Vec<&str>, File<'_>> =
        texts.iter().map(|(path, tokens)| (module_of(path), file(path, tokens))).collect();
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in files.values() {
        let used = file.uses.iter().filter_map(|path| definer(&files, path.clone()));
        let used = used.filter(|used| *used != file.path && !PARENTS.contains(used));
        imports.entry(file.path).or_default().extend(used);
    }
    rings(&imports).iter().map(|ring| format!("{} import each other", ring.join(", "))).collect()
}

fn file<'a>(path: &'a str, tokens: &'a [String]) -> File<'a> {
    let mut used = used_paths(tokens, &module_of(path));
    used.retain(|used| !used.by_a_test);
    let name = |path: &[&'a str]| path.last().copied().unwrap_or_default();
    let exported = used.iter().filter(|used| used.is_exported);
    let exports = exported.map(|used| (name(&used.path), used.path.clone())).collect();
    used.retain(|used| !used.is_exported || is_used(tokens, name(&used.path)));
    File { path, uses: used.into_iter().map(|used| used.path).collect(), exports }
}

/// True if a file's own code, but for its inline tests, has the name, which it passes on, too.
fn is_used(tokens: &[String], name: &str) -> bool {
    let mut before = "";
    let mut in_use = false;
    let mut words = tokens.iter().peekable();
    while let Some(word) = words.next() {
        if before == "mod" && word == "tests" && words.peek().is_some_and(|next| *next == "{") {
            return false;
        }
        in_use = (in_use || word == "use") && word != ";";
        if word == name && !in_use && !["mod", "fn", ".", "::"].contains(&before) {
            return true;
        }
        before = word;
    }
    false
}

/// The file that defines what a path leads to.
fn definer<'a>(
    files: &BTreeMap<Vec<&'a str>, File<'a>>,
    mut path: Vec<&'a str>,
) -> Option<&'a str> {
    // A name is passed on by a few files at most; a name that leads to itself is no code.
    for _ in 0..9 {
        let (n, file) = (1..=path.len()).rev().find_map(|n| Some((n, files.get(&path[..n])?)))?;
        match path.get(n).and_then(|name| file.exports.get(name)) {
            Some(exported) => path = [exported.as_slice(), &path[n + 1..]].concat(),
            None => return Some(file.path),
        }
    }
    None
}

/// The files that reach each other.
fn rings<'a>(imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<Vec<&'a str>> {
    let reach = |start: &str| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<&str> = imports.get(start).into_iter().flatten().copied().collect();
        while let Some(file) = next.pop() {
            if seen.insert(file) {
                next.extend(imports.get(file).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|file| (*file, reach(file))).collect();
    let back = |file: &&str, of: &&str| reached.get(file).is_some_and(|seen| seen.contains(of));
    reached
        .iter()
        .filter(|(file, seen)| seen.contains(*file))
        .map(|(of, seen)| seen.iter().filter(|file| back(file, of)).copied().collect())
        .collect()
}

fn of(files: &[(&str, &str)]) -> Vec<String> {
    let root = [("lib.rs", "//! | 2 | `cli/` |\n//! | 1 | `profile/` |")];
    let files = files.iter().chain(&root);
    examine(&files.map(|(path, text)| (path.to_string(), text.to_string())).collect::<Vec<_>>())
}

#[test]
fn files_that_import_each_other_are_caught() {
    let two = ["profile/base.rs, profile/plan.rs import each other"];
    for (base, plan) in [
        ("use super::plan::Step;", "use super::base::{self, Base};"),
        ("fn f() { super::plan::g() }", "use crate::profile::{x, base as b};"),
        ("use super::{x::{y}, plan::{Step}};", "mod inner { use super::super::base; }"),
    ] {
        assert_eq!(of(&[("profile/base.rs", base), ("profile/plan.rs", plan)]), two, "{base}");
    }
    let three = [("profile/a.rs", "use super::b;"), ("profile/b/mod.rs", "use super::c::d;")];
    let three = [three[0], three[1], ("profile/c.rs", "use self::x; use crate::profile::a;")];
    assert_eq!(of(&three), ["profile/a.rs, profile/b/mod.rs, profile/c.rs import each other"]);
    for (base, plan) in [
        ("use super::plan::Step;", "struct Base; // super::base"),
        ("use super::plan::Step;", "mod tests { use super::super::base; }"),
        ("use super::base::Base;", "use super::base::Base;"),
    ] {
        let room = ("profile/mod.rs", "mod base; use self::plan::x; use base::y;");
        let faults = of(&[room, ("profile/base.rs", base), ("profile/plan.rs", plan)]);
        assert!(faults.is_empty(), "{faults:?}");
    }
}

#[test]
fn a_file_and_its_parent_that_import_each_other_are_caught() {
    let both = ["profile/base.rs, profile/mod.rs import each other"];
    for (parent, child) in [
        ("mod base; use base::Base; struct X;", "use super::X;"),
        ("mod base; struct X; fn f() { base::g() }", "fn f(x: super::X) {}"),
        ("mod base; use self::base::{Base, Y}; const X: u8 = 0;", "use crate::profile::X;"),
        // A name that is passed on and used.
        ("mod base; pub use base::Base; struct X(Base);", "use super::X;"),
        ("mod base; use base::Base;", "use super::*;"),
    ] {
        let files = [("profile/mod.rs", parent), ("profile/base.rs", child)];
        assert_eq!(of(&files), both, "{parent} {child}");
    }
    // The same, where a parent stands beside the folder of its children.
    let files =
        [("profile/a.rs", "mod b; use b::B; struct A;"), ("profile/a/b.rs", "use super::A;")];
    assert_eq!(of(&files), ["profile/a.rs, profile/a/b.rs import each other"]);
    // Two children of a parent that they may use.
    let files = [("cli/a.rs", "use super::{X, b};"), ("cli/b.rs", "use super::a;")];
    let ring = of(&[("cli/mod.rs", "mod a; mod b; use a::A; struct X;"), files[0], files[1]]);
    assert_eq!(ring, ["cli/a.rs, cli/b.rs import each other"]);
    // A sibling's name, by the parent that passes it on.
    let passes = "mod base; mod plan; pub use base::Base; pub(super) use plan::Step;";
    let files = [("profile/mod.rs", passes), ("profile/base.rs", "use super::Step;")];
    let ring = of(&[files[0], files[1], ("profile/plan.rs", "use crate::profile::Base;")]);
    assert_eq!(ring, ["profile/base.rs, profile/plan.rs import each other"]);
    for (parent, child) in [
        ("mod base; use base::Base; struct X;", "fn f() {}"),
        ("mod base; pub use base::Base; struct X;", "use super::X; struct Base;"),
        ("mod base; pub use base::run; struct X; fn f() { x.run() }", "use super::X; fn run() {}"),
        ("mod base; struct X; mod tests { use super::base::Base; }", "use super::X; struct Base;"),
        ("mod base; use base::Base; struct X;", "mod tests { use super::super::X; }"),
    ] {
        let faults = of(&[("profile/mod.rs", parent), ("profile/base.rs", child)]);
        assert!(faults.is_empty(), "{parent} {child}: {faults:?}");
    }
}
