//! What a reader can hold in mind: a function has at most 60 lines, a file 520.

use std::path::Path;

use super::read;

const FUNCTION: usize = 60;
const FILE: usize = 520;

/// The faults of a file, whose code rustfmt has laid out: a function ends with a brace below its `fn`.
fn faults(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = Vec::new();
    if lines.len() > FILE {
        faults.push(format!("{path}: {} lines", lines.len()));
    }
    let is_test = path.contains("tests");
    let tests = lines.windows(2).position(|two| two[0] == "#[cfg(test)]" && two[1].ends_with('{'));
    for (at, line) in lines.iter().enumerate().take(tests.unwrap_or(lines.len())) {
        let bare = line.trim_start();
        let Some((before, name)) = bare.split_once("fn ").filter(|_| !is_test) else { continue };
        let known = ["pub", "pub(super)", "pub(crate)", "const", "async", "unsafe"];
        if !before.split_whitespace().all(|word| known.contains(&word)) || bare.ends_with('}') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(line.len() - bare.len()));
        let length = lines[at..].iter().position(|line| *line == end).map_or(0, |rest| rest + 1);
        if length > FUNCTION && !bare.ends_with(';') {
            let name = name.split(['(', '<']).next().unwrap_or_default();
            faults.push(format!("{path}: {name} has {length} lines"));
        }
    }
    faults
}

#[test]
fn functions_and_files_are_short() {
    let mut sources = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    let faults: Vec<_> = sources.iter().flat_map(|(path, text)| faults(path, text)).collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn a_long_function_is_caught() {
    let body = "    let x = 1;\n".repeat(FUNCTION);
    let long =
        format!("pub(super) fn long<'a>(\n    x: &'a str,\n) {{\n{body}}}\n\nfn short() {{}}\n");
    assert_eq!(faults("x.rs", &long), ["x.rs: long has 64 lines"]);
    let inside = format!("impl X {{\n    pub fn long(&self) {{\n{body}    }}\n}}\n");
    assert_eq!(faults("x.rs", &inside), ["x.rs: long has 62 lines"]);
    assert_eq!(faults("x/tests.rs", &long), [""; 0]);
    assert_eq!(faults("x.rs", &format!("#[cfg(test)]\nmod tests {{\n{long}}}\n")), [""; 0]);
    assert_eq!(faults("x.rs", &"\n".repeat(FILE + 1)), ["x.rs: 521 lines"]);
}
