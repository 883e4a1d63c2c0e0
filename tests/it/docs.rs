//! README.md and docs/ hold together: links lead somewhere, errors are quoted as they are, and README.md
//! is short. tests/it/readme.rs runs the commands.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::support::documents::{self, Page};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What GitHub makes of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The anchors of a page's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// Where the links of a page lead, without those that leave the project.
fn links(text: &str) -> Vec<&str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.starts_with("https://")).collect()
}

/// All pages with links in them.
fn linked() -> Vec<Page> {
    let others = ["SECURITY.md", "CONTRIBUTING.md", "docker/recipes/README.md"];
    let others = others.map(|path| Page { path: PathBuf::from(path), text: documents::page(path) });
    documents::pages().into_iter().chain(others).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut followed = 0;
    for page in linked() {
        let from = Path::new(ROOT).join(&page.path);
        for link in links(&page.text) {
            let (path, section) = link.split_once('#').unwrap_or((link, ""));
            let to = if path.is_empty() { from.clone() } else { from.with_file_name(path) };
            assert!(to.exists(), "{}: no {link}", page.path.display());
            let text = || std::fs::read_to_string(&to).expect("a page");
            let there = section.is_empty() || anchors(&text()).contains(section);
            assert!(there, "{}: no section {link}", page.path.display());
            followed += 1;
        }
    }
    assert!(followed > 50, "only {followed} links were found");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let readme = documents::page("README.md");
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
    for page in documents::pages().iter().skip(1) {
        let path = page.path.display();
        assert!(readme.contains(&format!("\n| [{path}]({path}) | ")), "{path}");
    }
}

/// The text of every source file, with strings that go on over several lines in one.
fn sources(dir: &Path, text: &mut String) {
    for entry in std::fs::read_dir(dir).expect("src").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            sources(&entry, text);
            continue;
        }
        let source = std::fs::read_to_string(entry).expect("text");
        let mut lines = source.split("\\\n");
        text.push_str(lines.next().unwrap_or_default());
        lines.for_each(|line| text.push_str(line.trim_start()));
    }
}

#[test]
fn errors_are_quoted_as_the_program_says_them() {
    let mut source = String::new();
    sources(&Path::new(ROOT).join("src"), &mut source);
    let page = documents::page("docs/troubleshooting.md");
    let quoted: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split('`').next())
        .collect();
    assert!(quoted.len() > 20, "{quoted:?}");
    for error in quoted {
        for part in error.split(['…', '"']).map(str::trim).filter(|part| part.len() > 2) {
            assert!(source.contains(part), "{part:?} of {error:?}");
        }
    }
}
