//! AWS's output for a new access key: the JSON of the CLI, and the console's CSV.
//!
//! Not by the crate csv: it reads a field with a misplaced quote without an error (`"x"y` as `xy`), so that a damaged
//! secret would be stored.

use serde_json::Value;

use super::form::not_swapped;
use super::{Content, Item};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A key with the name of its user or profile, if there is one.
type NamedKey = (Option<String>, Credentials);

const FORMATS: &str =
    "give the JSON that aws iam create-access-key prints, or the CSV file of the console";

/// Reads one key from the JSON of `aws iam create-access-key` (or its inner object) or from the console's
/// CSV.
///
/// # Errors
/// [`crate::error::Class::Usage`]; the text is not echoed.
pub fn access_key(text: &Secret) -> Result<Credentials> {
    let text = bare(text);
    if text.starts_with('{') {
        return Ok(one(&parsed(text)?)?.1);
    }
    let mut keys = rows(text)?;
    match (keys.pop(), keys.is_empty()) {
        (Some((_, key)), true) => Ok(key),
        (Some(_), false) => Err(bad("the CSV holds more than one key", FORMATS)),
        (None, _) => Err(bad("neither JSON nor the console's CSV", FORMATS)),
    }
}

/// The keys of a CSV file, one per row. A single key is named `profile`, several ones by their column
/// `User name`.
///
/// # Errors
/// [`crate::error::Class::Usage`]; the text is not echoed.
pub fn csv(text: &Secret, profile: Option<&str>) -> Result<Vec<Item>> {
    items(rows(bare(text))?, profile)
}

/// The keys of a JSON text: what `aws iam create-access-key` prints, an array of that, or an object of
/// profiles, each with `AccessKeyId` and `SecretAccessKey`. A single key is named `profile`, others by
/// `UserName` or as in the object.
///
/// # Errors
/// [`crate::error::Class::Usage`]; the text is not echoed.
pub fn json(text: &Secret, profile: Option<&str>) -> Result<Vec<Item>> {
    let json = parsed(bare(text))?;
    let is_key = |object: &serde_json::Map<_, _>| {
        object.is_empty() || object.contains_key("AccessKey") || object.contains_key("AccessKeyId")
    };
    let keys = match &json {
        Value::Array(keys) => keys.iter().map(one).collect::<Result<_>>()?,
        Value::Object(profiles) if !is_key(profiles) => profiles
            .iter()
            .map(|(name, key)| Ok((Some(name.clone()), one(key)?.1)))
            .collect::<Result<_>>()?,
        key => vec![one(key)?],
    };
    items(keys, profile)
}

fn items(mut keys: Vec<NamedKey>, profile: Option<&str>) -> Result<Vec<Item>> {
    if let (Some(profile), [(name, _)]) = (profile, &mut keys[..]) {
        *name = Some(profile.to_owned());
    }
    keys.into_iter()
        .map(|(name, key)| {
            let profile = name.ok_or_else(|| {
                bad("a key has no name", "name its profile after --from csv or --from json")
            })?;
            Ok(Item { profile, content: Content::Key(key) })
        })
        .collect()
}

/// The console's file starts with a byte order mark.
fn bare(text: &Secret) -> &str {
    text.expose().trim_start_matches('\u{feff}').trim()
}

fn bad(what: &str, hint: &str) -> Error {
    Error::usage(format!("stdin: {what}")).hint(hint)
}

fn bad_json(what: &str) -> Error {
    bad(what, "give the JSON that aws iam create-access-key prints")
}

fn parsed(text: &str) -> Result<Value> {
    serde_json::from_str(text)
        .map_err(|error| bad_json(&format!("not JSON (line {})", error.line())))
}

fn one(json: &Value) -> Result<NamedKey> {
    let key = json.get("AccessKey").unwrap_or(json);
    let field = |name: &str| {
        key.get(name)
            .and_then(Value::as_str)
            .ok_or_else(|| bad_json(&format!("no {name} in the JSON")))
    };
    let name = key.get("UserName").and_then(Value::as_str).map(str::to_owned);
    Ok((
        name,
        not_swapped(field("AccessKeyId")?, Secret::new(field("SecretAccessKey")?.to_owned()))?,
    ))
}

/// Rows below `Access key ID,Secret access key`; older consoles add a user name and more columns.
fn rows(text: &str) -> Result<Vec<NamedKey>> {
    let bad = |what: &str| bad(what, FORMATS);
    let mut lines = text.lines().filter(|line| !line.trim().is_empty()).map(fields);
    let header = lines.next().ok_or_else(|| bad("it is empty"))?;
    let mut lines = lines.peekable();
    lines.peek().ok_or_else(|| bad("neither JSON nor the console's CSV"))?;
    let column = |name: &str| header.iter().position(|title| title.eq_ignore_ascii_case(name));
    let wanted =
        |name: &str| column(name).ok_or_else(|| bad(&format!("no column {name:?} in the CSV")));
    let user = column("User name");
    let (id, secret) = (wanted("Access key ID")?, wanted("Secret access key")?);
    lines
        .enumerate()
        .map(|(row, values)| {
            let value = |at: usize, name: &str| {
                values.get(at).ok_or_else(|| bad(&format!("no {name:?} in row {}", row + 1)))
            };
            let key = not_swapped(
                value(id, "Access key ID")?,
                Secret::new(value(secret, "Secret access key")?.clone()),
            )?;
            let user = user.and_then(|at| values.get(at)).filter(|name| !name.is_empty());
            Ok((user.cloned(), key))
        })
        .collect()
}

/// The fields of one line (RFC 4180): a quoted field may contain commas, and quotes are doubled in it.
fn fields(line: &str) -> Vec<String> {
    let mut quoted = false;
    let comma = |c: char| {
        quoted ^= c == '"';
        c == ',' && !quoted
    };
    line.split(comma).map(|field| unquoted(field.trim())).collect()
}

fn unquoted(field: &str) -> String {
    match field.strip_prefix('"').and_then(|field| field.strip_suffix('"')) {
        Some(field) => field.replace("\"\"", "\""),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    const ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const OTHER: &str = "AKIAI44QH8DHBEXAMPLE";

    fn read(text: &str) -> Result<(String, String)> {
        let key = access_key(&Secret::new(text.to_owned()))?;
        Ok((key.access_key_id, key.secret_access_key.expose().to_owned()))
    }

    #[test]
    fn the_output_of_aws_is_read() {
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
    fn text_that_is_not_a_key_is_refused_and_not_echoed() {
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
            // Quotes enclose a whole field.
            format!("Access key ID,Secret access key\nAKIA\"IOSFODNN7\"EXAMPLE,{SECRET}"),
            format!("Access key ID,Secret access key\n\"AKIAIOSFODNN7\"EXAMPLE,{SECRET}"),
            format!("Access key ID,Secret access key\nASIAIOSFODNN7EXAMPLE,{SECRET}"),
        ] {
            let error = read(&text).unwrap_err();
            assert_eq!(error.class, Class::Usage);
            assert!(!format!("{error:?}").contains("wJalr"), "{text}: {error:?}");
        }
    }

    type Read = fn(&Secret, Option<&str>) -> Result<Vec<Item>>;

    fn names(read: Read, text: &str, profile: Option<&str>) -> Result<Vec<(String, String)>> {
        let items = read(&Secret::new(text.to_owned()), profile)?;
        let named = items.into_iter().map(|item| match item.content {
            Content::Key(key) => (item.profile, key.access_key_id),
            other => panic!("{other:?}"),
        });
        Ok(named.collect())
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
    }

    #[test]
    fn several_keys_have_the_names_in_the_source() {
        let table = format!(
            "User name,Access key ID,Secret access key\n\"a,\"\"b\",{ID},{SECRET}\r\nci,{OTHER},{SECRET}\n"
        );
        let both = pairs(&[("a,\"b", ID), ("ci", OTHER)]);
        assert_eq!(names(csv, &table, None).unwrap(), both);
        assert_eq!(names(csv, &table, Some("x")).unwrap(), both, "the caller picks one");
        let list = format!(
            "[{{\"AccessKey\": {{\"UserName\": \"a\", \"AccessKeyId\": \"{ID}\", \"SecretAccessKey\": \"{SECRET}\"}}}},
              {{\"UserName\": \"b\", \"AccessKeyId\": \"{OTHER}\", \"SecretAccessKey\": \"{SECRET}\"}}]"
        );
        assert_eq!(names(json, &list, None).unwrap(), pairs(&[("a", ID), ("b", OTHER)]));
        let object = format!(
            "{{\"p\": {{\"AccessKeyId\": \"{ID}\", \"SecretAccessKey\": \"{SECRET}\", \"UserName\": \"u\"}}}}"
        );
        assert_eq!(names(json, &object, None).unwrap(), pairs(&[("p", ID)]));
    }

    #[test]
    fn a_single_key_is_named_as_given() {
        let table = format!("Access key ID,Secret access key\n{ID},{SECRET}");
        assert_eq!(names(csv, &table, Some("p")).unwrap(), pairs(&[("p", ID)]));
        let error = names(csv, &table, None).unwrap_err();
        assert_eq!(error.what, "stdin: a key has no name");
        let text = format!("{{\"AccessKeyId\": \"{ID}\", \"SecretAccessKey\": \"{SECRET}\"}}");
        assert_eq!(names(json, &text, Some("p")).unwrap(), pairs(&[("p", ID)]));
        for text in ["{}", "[{}]", "7", "{\"p\": 7}", "{\"p\": {}}", "[7]", "", "null"] {
            assert_eq!(names(json, text, Some("p")).unwrap_err().class, Class::Usage, "{text}");
        }
    }
}
