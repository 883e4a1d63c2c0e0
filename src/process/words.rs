//! Words of a shell's command line: split, and quoted.
//!
//! The shlex crate is not used. To it `#` begins a comment and a carriage return is part of a word, and to the AWS
//! CLI, whose Python module has the same name, neither is so. What a backslash escapes cannot be set, as the
//! headers of AWS files need it. And it quotes `=`, with which AWS's tokens end.

/// A value as a shell's word: a plain word as it is, anything else in single quotes (POSIX, "Shell Command
/// Language", 2.2.2).
pub fn shell_word(value: &str) -> String {
    if is_plain_word(value) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\'', "'\\''"))
}

/// True for a value that no shell and no parser requires to be quoted, as all that AWS issues.
pub fn is_plain_word(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/+=-_.:,@%".contains(&b);
    !value.is_empty() && value.bytes().all(plain)
}

/// Splits a line into words as a POSIX shell would ("Quoting", 2.2), without expansions. `None` for an open
/// quote or a backslash at the end.
pub fn words(line: &str) -> Option<Vec<String>> {
    words_escaping(line, "\"\\$`")
}

/// The same; in double quotes a backslash escapes only `escapes`.
pub fn words_escaping(line: &str, escapes: &str) -> Option<Vec<String>> {
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
                if !escapes.contains(next) {
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
    fn words_are_split_as_a_shell_does() {
        let cases: [(&str, Option<&[&str]>); 9] = [
            ("a  b\tc", Some(&["a", "b", "c"])),
            ("/opt/my\\ tool 'one two' \"th ree\"", Some(&["/opt/my tool", "one two", "th ree"])),
            (r#"a"b"'c'\d"#, Some(&["abcd"])),
            (r#""\"\\\$\n""#, Some(&[r#""\$\n"#])),
            (r"'\'", Some(&[r"\"])),
            ("'' \"\"", Some(&["", ""])),
            ("  ", Some(&[])),
            ("'open", None),
            ("end\\", None),
        ];
        for (line, expected) in cases {
            let got = words(line);
            assert_eq!(got.as_deref().map(|w| w.to_vec()), expected.map(strings), "{line}");
        }
    }

    #[test]
    fn what_a_backslash_between_quotes_escapes_is_the_callers() {
        for (line, expected) in [
            ("", Some(vec![])),
            ("profile a", Some(vec!["profile", "a"])),
            ("profile\t'My Mac'  ", Some(vec!["profile", "My Mac"])),
            ("profile\"a b\"c", Some(vec!["profilea bc"])),
            (r#"a "b \" \\ \n" c\ d"#, Some(vec!["a", r#"b " \ \n"#, "c d"])),
            (r#""\$ \`""#, Some(vec![r"\$ \`"])),
            ("a '' # b", Some(vec!["a", "", "#", "b"])),
            ("a 'b", None),
            ("a \\", None),
        ] {
            let words = words_escaping(line, "\"\\");
            let words = words.as_ref().map(|words| words.iter().map(String::as_str).collect());
            assert_eq!(words, expected, "{line}");
        }
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }
}
