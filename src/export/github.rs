//! GitHub Actions: masks for the job's log, and lines for the file that `GITHUB_ENV` names.

use super::Variable;

/// Variables that are no secrets: a masked region would garble a whole log.
const UNMASKED: [&str; 3] = ["AWS_CREDENTIAL_EXPIRATION", "AWS_REGION", "AWS_DEFAULT_REGION"];

#[derive(Debug)]
pub struct Github {
    /// `::add-mask::VALUE` lines for stdout, to be printed before the values are anywhere.
    pub masks: String,
    /// Lines to append to the file.
    pub lines: String,
}

/// Each value is between delimiters of its own (GitHub, "Workflow commands", "Multiline strings"), random
/// ones from `delimiter`, which is called again while the value contains it.
pub fn github<E>(
    variables: &[Variable<'_>],
    mut delimiter: impl FnMut() -> Result<String, E>,
) -> Result<Github, E> {
    let mut github = Github { masks: String::new(), lines: String::new() };
    for (name, value) in variables {
        if !UNMASKED.contains(name) {
            // The runner splits a mask that has several lines, and masks each.
            let data = value.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            github.masks.push_str(&format!("::add-mask::{data}\n"));
        }
        let mut end = delimiter()?;
        while value.contains(&end) {
            end = delimiter()?;
        }
        github.lines.push_str(&format!("{name}<<{end}\n{value}\n{end}\n"));
    }
    Ok(github)
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn with(variables: &[Variable<'_>], delimiters: &[&str]) -> Github {
        let mut given = delimiters.iter();
        let next = || Ok::<_, Infallible>((*given.next().expect("asked too often")).to_owned());
        github(variables, next).unwrap_or_else(|never| match never {})
    }

    #[test]
    fn each_value_has_delimiters_of_its_own() {
        let text = with(
            &[("AWS_SECRET_ACCESS_KEY", "a/b+c".into()), ("AWS_REGION", "x".into())],
            &["one", "two"],
        );
        assert_eq!(text.masks, "::add-mask::a/b+c\n");
        assert_eq!(text.lines, "AWS_SECRET_ACCESS_KEY<<one\na/b+c\none\nAWS_REGION<<two\nx\ntwo\n");
    }

    #[test]
    fn a_value_that_has_the_delimiter_gets_another() {
        let text = with(&[("A", "x\none\nB=1".into())], &["one", "two"]);
        assert_eq!(text.lines, "A<<two\nx\none\nB=1\ntwo\n");
    }

    #[test]
    fn a_mask_is_one_line() {
        let text = with(&[("A", "100%\r\nx".into())], &["one"]);
        assert_eq!(text.masks, "::add-mask::100%25%0D%0Ax\n");
    }
}
