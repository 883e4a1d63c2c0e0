//! SECURITY.md names the test of each promise: they are there.

const SECURITY: &str = include_str!("../../SECURITY.md");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_test_that_security_md_names_is_there() {
    let mut named = 0;
    for row in SECURITY.lines().filter(|line| line.starts_with("| ") && line.contains("tests/it/"))
    {
        let mut file = "";
        // What stands between backticks is a file or, after it, a test in it.
        for word in row.split('`').skip(1).step_by(2) {
            if word.starts_with("tests/it/") {
                file = word;
                assert!(std::path::Path::new(ROOT).join(file).exists(), "no {file}: {row}");
            } else if !file.is_empty() && word.contains('_') {
                assert!(holds(file, word), "no test {word} in {file}: {row}");
                named += 1;
            }
        }
    }
    assert!(named > 20, "only {named} tests were found");
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
