//! Access keys from elsewhere: what AWS prints when it makes one.

use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Reads the JSON of `aws iam create-access-key` (or its inner object), or the CSV that the console
/// offers for download.
///
/// # Errors
/// [`crate::error::Class::Usage`]; nothing of the text is echoed.
pub fn access_key(text: &Secret) -> Result<Credentials> {
    // The console's file starts with a byte order mark.
    let text = text.expose().trim_start_matches('\u{feff}').trim();
    if text.starts_with('{') { from_json(text) } else { from_csv(text) }
}

/// An access key that can be one: AWS documents 16 to 128 word characters for the id, and a secret
/// of printable characters without blanks.
///
/// # Errors
/// [`crate::error::Class::Usage`].
pub fn checked(id: &str, secret: Secret) -> Result<Credentials> {
    if !(16..=128).contains(&id.len())
        || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        return Err(Error::usage(
            "that is not an access key id: 16 to 128 letters and digits, such as AKIA…",
        ));
    }
    if id.starts_with("ASIA") {
        return Err(Error::usage("that is the id of temporary credentials (ASIA…)").hint(
            "a vault keeps long-term access keys (AKIA…), and makes temporary ones from them",
        ));
    }
    if secret.len() < 16 || !secret.expose().bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Error::usage("that is not a secret access key: 40 characters without blanks"));
    }
    Ok(Credentials::long_term(id.to_owned(), secret))
}

fn from_json(text: &str) -> Result<Credentials> {
    let bad = |what: &str| {
        Error::usage(format!("stdin: {what}"))
            .hint("wanted is the JSON that aws iam create-access-key prints")
    };
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| bad(&format!("not JSON (line {})", error.line())))?;
    let key = json.get("AccessKey").unwrap_or(&json);
    let field = |name: &str| {
        key.get(name)
            .and_then(serde_json::Value::as_str)
            .ok_or_else(|| bad(&format!("no {name} in the JSON")))
    };
    checked(field("AccessKeyId")?, Secret::new(field("SecretAccessKey")?.to_owned()))
}

/// `Access key ID,Secret access key` and one line of values; older consoles put a user name and more
/// beside them. Neither value can hold a comma or a quote.
fn from_csv(text: &str) -> Result<Credentials> {
    let bad = |what: &str| {
        Error::usage(format!("stdin: {what}")).hint(
            "wanted is the JSON that aws iam create-access-key prints, or the CSV file that the console gives",
        )
    };
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let header = lines.next().ok_or_else(|| bad("it is empty"))?;
    let values = lines.next().ok_or_else(|| bad("neither JSON nor the console's CSV"))?;
    if lines.next().is_some() {
        return Err(bad("the CSV holds more than one key"));
    }
    let column = |name: &str| {
        let position = header
            .split(',')
            .position(|title| unquoted(title).eq_ignore_ascii_case(name))
            .ok_or_else(|| bad(&format!("no column {name:?} in the CSV")))?;
        values
            .split(',')
            .nth(position)
            .map(unquoted)
            .ok_or_else(|| bad(&format!("no {name:?} in the second line")))
    };
    checked(column("Access key ID")?, Secret::new(column("Secret access key")?.to_owned()))
}

fn unquoted(field: &str) -> &str {
    field.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn read(text: &str) -> Result<(String, String)> {
        let key = access_key(&Secret::new(text.to_owned()))?;
        Ok((key.access_key_id, key.secret_access_key.expose().to_owned()))
    }

    #[test]
    fn what_aws_prints_is_read() {
        for text in [
            format!(
                "{{\"AccessKey\": {{\"UserName\": \"ci\", \"AccessKeyId\": \"{ID}\", \"Status\": \"Active\", \"SecretAccessKey\": \"{SECRET}\"}}}}"
            ),
            format!("{{\"AccessKeyId\": \"{ID}\", \"SecretAccessKey\": \"{SECRET}\"}}\n"),
            format!("\u{feff}Access key ID,Secret access key\r\n{ID},{SECRET}\r\n"),
            format!(
                "User name,Password,Access key ID,Secret access key,Console login link\nci,,{ID},{SECRET},https://x\n"
            ),
            format!("\"Access key ID\",\"Secret access key\"\n\"{ID}\",\"{SECRET}\""),
        ] {
            assert_eq!(read(&text).unwrap(), (ID.to_owned(), SECRET.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_echoed() {
        for text in [
            String::new(),
            "wJalr".to_owned(),
            format!("{{\"SecretAccessKey\": \"{SECRET}\""),
            format!("{{\"SecretAccessKey\": \"{SECRET}\"}}"),
            format!("{{\"AccessKeyId\": 7, \"SecretAccessKey\": \"{SECRET}\"}}"),
            format!("Access key ID,Secret access key\n{ID}"),
            format!("Access key ID,Secret access key\n{ID},{SECRET}\n{ID},{SECRET}"),
            format!("id,secret\n{ID},{SECRET}"),
            format!("Access key ID,Secret access key\n{SECRET},{ID}"),
            format!("Access key ID,Secret access key\nASIAIOSFODNN7EXAMPLE,{SECRET}"),
        ] {
            let error = read(&text).unwrap_err();
            assert_eq!(error.class, crate::error::Class::Usage);
            assert!(!format!("{error:?}").contains("wJalr"), "{text}: {error:?}");
        }
    }
}
