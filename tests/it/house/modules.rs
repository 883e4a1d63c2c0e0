//! A file that no other names is not built, so nothing holds it to anything.

use std::path::Path;

use super::{Source, read};

/// The files that are no module of the file above them.
fn orphans(sources: &[Source]) -> Vec<&str> {
    let is_named = |path: &str| {
        let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
        let (parent, name) = module.rsplit_once('/').unwrap_or(("lib", module));
        let above = [format!("{parent}.rs"), format!("{parent}/mod.rs")];
        let names = |line: &str| line.trim_end().ends_with(&format!("mod {name};"));
        sources.iter().any(|(path, text)| above.contains(path) && text.lines().any(names))
    };
    let roots = ["lib.rs", "main.rs"];
    let paths = sources.iter().map(|(path, _)| path.as_str());
    paths.filter(|path| !roots.contains(path) && !is_named(path)).collect()
}

#[test]
fn every_file_is_a_module() {
    let mut sources = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert_eq!(orphans(&sources), [""; 0]);
}

#[test]
fn a_file_that_no_module_names_is_caught() {
    let of = |files: &[(&str, &str)]| {
        let files = files.iter().map(|(path, text)| (path.to_string(), text.to_string()));
        orphans(&files.collect::<Vec<_>>()).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let lib = ("lib.rs", "pub mod name;\nmod sealed;");
    let known = [lib, ("name.rs", ""), ("sealed/mod.rs", "mod open;"), ("sealed/open.rs", "")];
    assert_eq!(of(&known), [""; 0]);
    assert_eq!(of(&[lib, ("turns.rs", ""), ("name/x.rs", "")]), ["turns.rs", "name/x.rs"]);
}
