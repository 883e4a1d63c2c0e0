//! Lines for a shell to evaluate.

use super::Variable;
use crate::process::{is_plain_word, shell_word};

/// `NAME=VALUE` lines, quoted for a POSIX shell.
pub fn env(variables: &[Variable<'_>]) -> String {
    lines(variables, |name, value| format!("{name}={}", shell_word(value)))
}

/// `export NAME=VALUE` lines, for `eval` in a POSIX shell.
pub fn export_env(variables: &[Variable<'_>]) -> String {
    lines(variables, |name, value| format!("export {name}={}", shell_word(value)))
}

/// `set -gx NAME 'VALUE'` lines, for `| source` in fish.
pub fn fish(variables: &[Variable<'_>]) -> String {
    lines(variables, |name, value| format!("set -gx {name} {}", in_fish(value)))
}

/// `$env:NAME = 'VALUE'` lines, for `| Out-String | Invoke-Expression` in PowerShell.
pub fn powershell(variables: &[Variable<'_>]) -> String {
    lines(variables, |name, value| format!("$env:{name} = {}", in_powershell(value)))
}

fn lines(variables: &[Variable<'_>], line: impl Fn(&str, &str) -> String) -> String {
    variables.iter().map(|(name, value)| line(name, value) + "\n").collect()
}

/// In single quotes, in which `\'` and `\\` are the only escapes (fish, "Quotes").
fn in_fish(value: &str) -> String {
    if is_plain_word(value) {
        return value.to_owned();
    }
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// Always in single quotes: a bare word would be a command. A quote is doubled; the
/// typographic ones U+2018 to U+201B are quotes as well (PowerShell's language specification, 2.3.5.2,
/// "verbatim string literals").
fn in_powershell(value: &str) -> String {
    let mut text = String::from("'");
    for c in value.chars() {
        if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
            text.push(c);
        }
        text.push(c);
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_a_shell_would_take_apart_is_quoted() {
        for (value, in_sh, fish, powershell) in [
            ("eu-west-1", "eu-west-1", "eu-west-1", "'eu-west-1'"),
            ("a b$c", "'a b$c'", "'a b$c'", "'a b$c'"),
            ("it's", "'it'\\''s'", "'it\\'s'", "'it''s'"),
            ("a\\", "'a\\'", "'a\\\\'", "'a\\'"),
            ("a\n`b`\n\"", "'a\n`b`\n\"'", "'a\n`b`\n\"'", "'a\n`b`\n\"'"),
            ("‘‛", "'‘‛'", "'‘‛'", "'‘‘‛‛'"),
            ("", "''", "''", "''"),
        ] {
            assert_eq!(shell_word(value), in_sh, "{value:?}");
            assert_eq!(in_fish(value), fish, "{value:?}");
            assert_eq!(in_powershell(value), powershell, "{value:?}");
        }
    }

    #[test]
    fn a_line_for_each_variable() {
        let variables = [("A", "1".into()), ("B", "x y".into())];
        assert_eq!(env(&variables), "A=1\nB='x y'\n");
        assert_eq!(export_env(&variables), "export A=1\nexport B='x y'\n");
        assert_eq!(fish(&variables), "set -gx A 1\nset -gx B 'x y'\n");
        assert_eq!(powershell(&variables), "$env:A = '1'\n$env:B = 'x y'\n");
    }
}
