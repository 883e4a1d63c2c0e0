//! README.md and the pages of docs/, as they stand: their sections, and their blocks of commands.

use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A page: its path below the root of the project, and its text.
pub struct Page {
    pub path: PathBuf,
    pub text: String,
}

/// README.md, then the pages of docs/ by name.
pub fn pages() -> Vec<Page> {
    let root = Path::new(ROOT);
    let entries = std::fs::read_dir(root.join("docs")).expect("docs/");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a page").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    paths.insert(0, root.join("README.md"));
    let relative = |path: &Path| path.strip_prefix(root).expect("below the root").to_owned();
    paths.iter().map(|path| Page { path: relative(path), text: read(path) }).collect()
}

/// The text of one page.
pub fn page(path: &str) -> String {
    read(&Path::new(ROOT).join(path))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The blocks of this language in a text, in order.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = text.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().unwrap_or_default().to_owned()).collect()
}

/// The one block of this language with this in it, on whichever page.
pub fn block(language: &str, part: &str) -> String {
    let pages = pages();
    let all = pages.iter().flat_map(|page| blocks(&page.text, language));
    let found: Vec<_> = all.filter(|block| block.contains(part)).collect();
    let [block] = &found[..] else { panic!("{} blocks have {part:?}", found.len()) };
    block.clone()
}
