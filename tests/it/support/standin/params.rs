//! A call's parameters, taken one by one. What nobody took is an error, so that a client's surplus
//! or misspelt parameter does not pass unseen.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::answer::Refusal;
use super::http::form;
use super::rules::word;

/// The parameters that are left.
#[derive(Clone, Debug)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// `None` for what is no form, and for a name that stands twice.
    pub fn parse(body: &[u8]) -> Option<Self> {
        let pairs = form(std::str::from_utf8(body).ok()?)?;
        let count = pairs.len();
        let map: BTreeMap<_, _> = pairs.into_iter().collect();
        (map.len() == count).then_some(Self(map))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Nothing may be left.
    pub fn finish(&self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            Some(name) => Err(Refusal::new(400, "UnknownParameter", format!("unknown: {name}"))),
            None => Ok(()),
        }
    }

    /// A text of a length in bytes and of certain characters.
    pub fn text(
        &mut self,
        name: &str,
        length: RangeInclusive<usize>,
        allowed: impl Fn(char) -> bool,
    ) -> Result<Option<String>, Refusal> {
        self.take(name).map(|value| checked(name, value, length, allowed)).transpose()
    }

    /// A session name or source identity.
    pub fn name(&mut self, name: &str) -> Result<Option<String>, Refusal> {
        self.text(name, 2..=64, word)
    }

    pub fn duration(&mut self, least: i64, most: i64) -> Result<Option<i64>, Refusal> {
        let Some(value) = self.take("DurationSeconds") else { return Ok(None) };
        match value.parse::<i64>() {
            Ok(seconds) if seconds < least => Err(constraint(
                "DurationSeconds",
                &value,
                &format!("have value greater than or equal to {least}"),
            )),
            Ok(seconds) if seconds > most => Err(constraint(
                "DurationSeconds",
                &value,
                &format!("have value less than or equal to {most}"),
            )),
            Ok(seconds) => Ok(Some(seconds)),
            Err(_) => Err(Refusal::new(400, "MalformedInput", "DurationSeconds is no number")),
        }
    }

    /// Serial number and code.
    pub fn mfa(&mut self) -> Result<(Option<String>, Option<String>), Refusal> {
        let serial = self.text("SerialNumber", 9..=256, |c| word(c) || "/:".contains(c))?;
        Ok((serial, self.text("TokenCode", 6..=6, |c| c.is_ascii_digit())?))
    }

    /// `Tags.member.N.Key` and `.Value`, at most 50, each key once.
    pub fn tags(&mut self) -> Result<Vec<(String, String)>, Refusal> {
        let letters = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
        let mut tags: Vec<(String, String)> = Vec::new();
        while let Some(key) = self.take(&format!("Tags.member.{}.Key", tags.len() + 1)) {
            let value = self.take(&format!("Tags.member.{}.Value", tags.len() + 1));
            let key = checked("tags", key, 1..=128, letters)?;
            let value = checked("tags", value.unwrap_or_default(), 0..=256, letters)?;
            if tags.len() == 50 || tags.iter().any(|(k, _)| k.eq_ignore_ascii_case(&key)) {
                return Err(Refusal::invalid("too many tags, or one tag key twice"));
            }
            tags.push((key, value));
        }
        Ok(tags)
    }

    /// `TransitiveTagKeys.member.N`: keys of the call's own tags.
    pub fn transitive(&mut self, tags: &[(String, String)]) -> Result<Vec<String>, Refusal> {
        let keys = self.list("TransitiveTagKeys");
        if keys.iter().all(|key| tags.iter().any(|(k, _)| k == key)) {
            Ok(keys)
        } else {
            Err(Refusal::invalid(
                "The specified transitive tag key must be included in the requested tags.",
            ))
        }
    }

    /// `NAME.member.1` and so on.
    pub fn list(&mut self, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        while let Some(value) = self.take(&format!("{name}.member.{}", values.len() + 1)) {
            values.push(value);
        }
        values
    }
}

fn checked(
    name: &str,
    value: String,
    length: RangeInclusive<usize>,
    allowed: impl Fn(char) -> bool,
) -> Result<String, Refusal> {
    let count = value.chars().count();
    if count < *length.start() {
        let rule = format!("have length greater than or equal to {}", length.start());
        Err(constraint(name, &value, &rule))
    } else if count > *length.end() {
        let rule = format!("have length less than or equal to {}", length.end());
        Err(constraint(name, &value, &rule))
    } else if !value.chars().all(allowed) {
        Err(constraint(name, &value, "satisfy regular expression pattern"))
    } else {
        Ok(value)
    }
}

fn constraint(name: &str, value: &str, rule: &str) -> Refusal {
    let mut field = name.to_owned();
    field[..1].make_ascii_lowercase();
    Refusal::invalid(format!(
        "1 validation error detected: Value '{value}' at '{field}' failed to satisfy constraint: \
         Member must {rule}"
    ))
}
