//! Whole texts compared, and shown line by line where they differ.

/// Panics unless the two are the same.
#[track_caller]
pub fn assert_same(what: &str, expected: &str, found: &str) {
    assert!(expected == found, "{what} differs (- expected, + found)\n{}", diff(expected, found));
}

/// The common lines at both ends, and what lies between as removed and added.
fn diff(expected: &str, found: &str) -> String {
    let lines =
        |text: &str| text.split_inclusive('\n').map(|line| format!("{line:?}")).collect::<Vec<_>>();
    let (old, new) = (lines(expected), lines(found));
    let head = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let show = |mark: &str, lines: &[String]| {
        lines.iter().map(|line| format!("{mark} {line}\n")).collect::<String>()
    };
    [
        show(" ", &old[..head]),
        show("-", &old_rest[..old_rest.len() - tail]),
        show("+", &new_rest[..new_rest.len() - tail]),
        show(" ", &old_rest[old_rest.len() - tail..]),
    ]
    .concat()
}

#[test]
fn a_difference_is_shown_by_lines() {
    assert_eq!(diff("a\nb\nc\n", "a\nx\nc\n"), "  \"a\\n\"\n- \"b\\n\"\n+ \"x\\n\"\n  \"c\\n\"\n");
    assert_eq!(diff("a\n", "a"), "- \"a\\n\"\n+ \"a\"\n");
}
