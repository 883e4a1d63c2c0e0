//! docs/promises.md names the test of each promise, and SECURITY.md the reason of each dependency: they
//! are there.

const SECURITY: &str = include_str!("../../SECURITY.md");
const PROMISES: &str = include_str!("../../docs/promises.md");
const MANIFEST: &str = include_str!("../../Cargo.toml");
const DENY: &str = include_str!("../../deny.toml");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_test_that_is_named_is_there() {
    let mut named = 0;
    for row in PROMISES.lines().filter(|line| line.starts_with("| ") && line.contains(".rs`")) {
        let mut file = "";
        // What stands between backticks is a file or, after it, a test in it.
        for word in row.split('`').skip(1).step_by(2) {
            if word.ends_with(".rs") {
                file = word;
                assert!(std::path::Path::new(ROOT).join(file).exists(), "no {file}: {row}");
            } else if !file.is_empty() && word.contains('_') {
                assert!(holds(file, word), "no test {word} in {file}: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 300, "only {named} tests were found");
}

/// SECURITY.md says shortly what docs/promises.md says in full, under the same headings.
#[test]
fn every_promise_in_short_has_its_table_of_tests() {
    let (_, promised) = SECURITY.split_once("\n## What is promised\n").expect("a section");
    let short: Vec<_> = promised.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let sections = PROMISES.split("\n## ").skip(1);
    let full: Vec<_> = sections
        .filter(|section| section.contains("\n| promise | test |\n"))
        .filter_map(|section| section.lines().next())
        .collect();
    assert_eq!(short, full);
    let order =
        ["\n## Who is the adversary\n", "\n## What is not promised\n", "\n## What is promised\n"];
    let at = order.map(|heading| SECURITY.find(heading).expect(heading));
    assert!(at.is_sorted(), "{at:?}");
}

/// Cargo.toml's `[dependencies]`, by the names that stand there.
fn dependencies() -> Vec<&'static str> {
    let (_, rest) = MANIFEST.split_once("\n[dependencies]\n").expect("dependencies");
    rest.lines()
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect()
}

#[test]
fn every_dependency_has_its_reason_and_no_reason_is_stale() {
    let (_, rows) = SECURITY.split_once("\n| dependency | why it is here |\n").expect("a table");
    let mut named = Vec::new();
    for row in rows.lines().skip(1).take_while(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').splitn(2, " | ").collect();
        assert!(cells.len() == 2 && cells[1].trim().len() > 10, "no reason: {row}");
        named.extend(cells[0].split('`').skip(1).step_by(2));
    }
    let mut there = dependencies();
    assert!(there.len() > 20, "only {} dependencies were found", there.len());
    named.sort_unstable();
    there.sort_unstable();
    assert_eq!(named, there);
}

#[test]
fn every_exception_of_cargo_deny_has_its_reason() {
    let allowed = DENY.split_once("\nallow = [\n").and_then(|(_, rest)| rest.split_once("\n]"));
    let (licences, _) = allowed.expect("licences");
    for licence in licences.lines() {
        // What is in nearly every crate needs none.
        assert!(licence.contains("\"MIT\"") || licence.contains("# "), "no reason: {licence}");
    }
    let entries =
        DENY.lines().filter(|line| line.contains("{ crate = ") || line.contains("{ id = "));
    let mut count = 0;
    for entry in entries {
        let (_, reason) = entry.split_once("reason = \"").unwrap_or_else(|| panic!("{entry}"));
        assert!(reason.len() > 10, "no reason: {entry}");
        count += 1;
    }
    assert!(count > 3, "only {count} entries were found");
}

/// True if the file, or one in the folder of the same name, has a test of this name.
fn holds(file: &str, test: &str) -> bool {
    let file = std::path::Path::new(ROOT).join(file);
    let folder = file.with_extension("");
    let inside =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let declaration = format!("fn {test}()");
    inside
        .chain([file])
        .any(|path| std::fs::read_to_string(path).is_ok_and(|text| text.contains(&declaration)))
}
