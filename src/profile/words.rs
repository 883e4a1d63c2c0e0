//! The words of a section's header, as Python's `shlex.split` takes them, which botocore reads it by: between
//! double quotes a backslash escapes only itself and the quote. A command line is a shell's, which escapes more:
//! [`crate::process::words`].

/// Splits a line at blanks. Quotes and backslashes are as in a POSIX shell; nothing is expanded and `#`
/// begins no comment. None: a quote has no end, or the line ends with a backslash.
pub(super) fn words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '\\') => word.get_or_insert_default().push(chars.next()?),
            (Some('"'), '\\') => {
                let next = chars.next()?;
                let word = word.get_or_insert_default();
                if !matches!(next, '"' | '\\') {
                    word.push('\\');
                }
                word.push(next);
            }
            (None, ' ' | '\t' | '\r' | '\n') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for (line, expected) in [
            ("", Some(vec![])),
            ("profile a", Some(vec!["profile", "a"])),
            ("profile\t'My Mac'  ", Some(vec!["profile", "My Mac"])),
            ("profile\"a b\"c", Some(vec!["profilea bc"])),
            (r#"a "b \" \\ \n" c\ d"#, Some(vec!["a", r#"b " \ \n"#, "c d"])),
            ("a '' # b", Some(vec!["a", "", "#", "b"])),
            ("a 'b", None),
            ("a \\", None),
        ] {
            let words = words(line);
            let words = words.as_ref().map(|words| words.iter().map(String::as_str).collect());
            assert_eq!(words, expected, "{line}");
        }
    }
}
