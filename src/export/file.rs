//! Files that other programs read: dotenv, Docker's `--env-file`, the AWS credentials file.

use std::fmt::Write as _;

use super::Variable;
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::process::is_plain_word;

/// Docker reads an env file by lines of at most 64 KiB (Go's `bufio.Scanner`).
const DOCKER_LINE: usize = 64 * 1024 - 1;

/// Lines for a dotenv file.
///
/// dotenv has no standard. A value is written bare, in single quotes or in double quotes: the first form
/// that shells, docker compose, Node's, Python's and Ruby's parsers read alike. Without one it is an error.
pub fn dotenv(variables: &[Variable<'_>]) -> Result<String> {
    let mut text = String::new();
    for (name, value) in variables {
        let value = in_dotenv(value).ok_or_else(|| {
            Error::usage(format!("--format dotenv: programs differ in how they read {name}"))
                .hint("its value has quotes, backslashes or ${…} in it; use another format")
        })?;
        let _ = writeln!(text, "{name}={value}");
    }
    Ok(text)
}

fn in_dotenv(value: &str) -> Option<String> {
    if is_plain_word(value) {
        return Some(value.to_owned());
    }
    let has = |c: char| value.contains(c);
    // python-dotenv expands ${…} even in single quotes. A backslash is an escape for some parsers, and
    // Node drops a carriage return.
    if value.contains("${") || has('\\') || value.chars().any(|c| c.is_control() && c != '\n') {
        return None;
    }
    match (has('\''), has('"') || has('$') || has('`')) {
        (false, _) => Some(format!("'{value}'")),
        (true, false) => Some(format!("\"{value}\"")),
        (true, true) => None,
    }
}

/// Raw `NAME=VALUE` lines for `docker run --env-file`, which knows no quotes.
pub fn docker(variables: &[Variable<'_>]) -> Result<String> {
    let mut text = String::new();
    for (name, value) in variables {
        let line = format!("{name}={value}");
        if line.contains(['\n', '\r', '\0']) || line.len() > DOCKER_LINE {
            return Err(Error::usage(format!(
                "--format docker: {name} does not fit into one line of 64 KiB"
            ))
            .hint("use another format, or let the container run vault itself"));
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// A section of a credentials file. `endpoints` are the keys that select a variant of AWS's endpoints.
pub fn ini(
    profile: &str,
    credentials: &Credentials,
    region: Option<&str>,
    endpoints: impl Iterator<Item = (&'static str, &'static str)>,
) -> String {
    let mut text = format!("[{profile}]\n");
    let mut put = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}={value}");
    };
    put("aws_access_key_id", &credentials.access_key_id);
    put("aws_secret_access_key", credentials.secret_access_key.expose());
    if let Some(token) = &credentials.session_token {
        put("aws_session_token", token.expose());
    }
    if let Some(expiration) = credentials.expiration {
        put("aws_credential_expiration", &expiration.to_rfc3339());
    }
    if let Some(region) = region {
        put("region", region);
    }
    for (name, value) in endpoints {
        put(name, value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotenv_is_written_as_all_parsers_read_it() {
        for (value, written) in [
            ("eu-west-1", Some("eu-west-1")),
            ("a b$c `d` \"e\" #f", Some("'a b$c `d` \"e\" #f'")),
            ("two\nlines", Some("'two\nlines'")),
            ("it's", Some("\"it's\"")),
            ("", Some("''")),
            ("it's $5", None),
            ("it's \"so\"", None),
            ("${HOME}", None),
            ("a\\nb", None),
            ("a\rb", None),
        ] {
            assert_eq!(in_dotenv(value).as_deref(), written, "{value:?}");
        }
    }

    #[test]
    fn docker_takes_a_value_as_it_is_or_not_at_all() {
        let text = docker(&[("A", "it's \"$b\" \\ #".into()), ("B", "".into())]).unwrap();
        assert_eq!(text, "A=it's \"$b\" \\ #\nB=\n");
        let long = "x".repeat(DOCKER_LINE - 1);
        for value in ["a\nb", "a\r", &long] {
            let error = docker(&[("A", value.into())]).unwrap_err();
            assert_eq!(
                error.what, "--format docker: A does not fit into one line of 64 KiB",
                "{value:.10}"
            );
        }
        docker(&[("A", long[1..].into())]).unwrap();
    }
}
