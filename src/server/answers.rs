//! The credentials that are served now: one response for each path, made when credentials change.

use std::sync::{PoisonError, RwLock};

use hyper::body::Bytes;
use serde_json::json;

use super::request::{Refusal, path};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::secret::Secret;

pub(super) struct Answers {
    slots: Vec<Slot>,
}

struct Slot {
    path: String,
    answer: RwLock<Answer>,
}

struct Answer {
    body: Bytes,
    ends: Timestamp,
}

impl Slot {
    /// The body, unless its credentials have ended.
    fn body(&self, now: Timestamp) -> Option<Bytes> {
        let answer = self.answer.read().unwrap_or_else(PoisonError::into_inner);
        (answer.ends > now).then(|| answer.body.clone())
    }
}

impl Answers {
    pub(super) fn new<'a>(all: impl Iterator<Item = (&'a str, &'a Credentials)>) -> Self {
        let slots = all.map(|(name, credentials)| Slot {
            path: path(name),
            answer: RwLock::new(answer(credentials)),
        });
        Self { slots: slots.collect() }
    }

    /// Replaces the credentials with this index.
    pub(super) fn replace(&self, at: usize, credentials: &Credentials) {
        if let Some(slot) = self.slots.get(at) {
            *slot.answer.write().unwrap_or_else(PoisonError::into_inner) = answer(credentials);
        }
    }

    /// The body for a path.
    pub(super) fn get(&self, path: &str, now: Timestamp) -> Result<Bytes, Refusal> {
        let slot = self.slots.iter().find(|slot| slot.path == path).ok_or(Refusal::Path)?;
        slot.body(now).ok_or(Refusal::Ended)
    }

    /// True if no credentials have ended.
    pub(super) fn ready(&self, now: Timestamp) -> bool {
        self.slots.iter().all(|slot| slot.body(now).is_some())
    }
}

/// The fields of ECS's agent, and the account, which newer SDKs read.
fn answer(credentials: &Credentials) -> Answer {
    let ends = credentials.expiration.unwrap_or(Timestamp(i64::MAX));
    let mut object = json!({
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.expose(),
        "Token": credentials.session_token.as_ref().map_or("", Secret::expose),
        "Expiration": ends.to_rfc3339(),
    });
    if let Some(account) = &credentials.account_id {
        object["AccountId"] = account.as_str().into();
    }
    Answer { body: object.to_string().into(), ends }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(id: &str, ends: i64) -> Credentials {
        Credentials {
            session_token: Some(Secret::new("a session \"token\"".to_owned())),
            expiration: Some(Timestamp(ends)),
            account_id: Some("123456789012".to_owned()),
            ..Credentials::long_term(id.to_owned(), Secret::new("secret".to_owned()))
        }
    }

    #[test]
    fn an_answer_is_at_its_path_until_its_end() {
        let (first, second) = (session("ASIA1", 1000), session("ASIA2", 2000));
        let answers = Answers::new([("prod", &first), ("my/audit", &first)].into_iter());
        let body = |id: &str, ends: &str| {
            Ok(Bytes::from(format!(
                "{{\"AccessKeyId\":\"{id}\",\"AccountId\":\"123456789012\",\"Expiration\":\"{ends}\",\
                 \"SecretAccessKey\":\"secret\",\"Token\":\"a session \\\"token\\\"\"}}"
            )))
        };
        let prod = "/credentials/prod";
        assert_eq!(answers.get(prod, Timestamp(999)), body("ASIA1", "1970-01-01T00:16:40Z"));
        assert_eq!(answers.get(prod, Timestamp(1000)), Err(Refusal::Ended));
        for other in ["/", "/credentials", "/credentials/", "/credentials/prod/", "/credentials/p"]
        {
            assert_eq!(answers.get(other, Timestamp(0)), Err(Refusal::Path), "{other}");
        }
        assert!(answers.ready(Timestamp(999)) && !answers.ready(Timestamp(1000)));
        answers.replace(0, &second);
        assert_eq!(answers.get(prod, Timestamp(1000)), body("ASIA2", "1970-01-01T00:33:20Z"));
        let audit = "/credentials/my%2Faudit";
        assert_eq!(answers.get(audit, Timestamp(1000)), Err(Refusal::Ended));
        assert!(!answers.ready(Timestamp(1000)));
    }
}
