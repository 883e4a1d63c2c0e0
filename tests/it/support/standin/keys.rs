//! What IAM allows of access keys, with AWS's texts where they are known.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::answer::{self, Refusal};
use super::params::Params;
use super::rules::{random, random_base32, word};
use super::time;
use super::world::{Principal, PrincipalKind, User, World};

/// A user may have so many keys.
const KEYS: usize = 2;

/// A long-term access key.
#[derive(Clone, Debug, PartialEq)]
pub struct AccessKey {
    pub id: String,
    pub secret: String,
    pub active: bool,
    /// In seconds since 1970.
    pub created: i64,
    /// When it works: it takes a while until it is known everywhere.
    pub works_from: i64,
    /// When, and for which service.
    pub used: Option<(i64, String)>,
}

impl AccessKey {
    /// One that has been there since 2026-01-31T12:00:00Z.
    pub fn old(id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            active: true,
            created: 1_769_860_800,
            works_from: 0,
            used: None,
        }
    }

    pub fn works(&self, now: i64) -> bool {
        self.active && self.works_from <= now
    }
}

impl World {
    /// A long-term key and its user.
    pub(super) fn key(&self, id: &str) -> Option<(&User, &AccessKey)> {
        let mut all =
            self.users.iter().flat_map(|user| user.keys.iter().map(move |key| (user, key)));
        all.find(|(_, key)| key.id == id)
    }

    /// Notes that a key was used, by itself and not by a session.
    pub(super) fn used(&mut self, id: &str, now: i64, service: &str) {
        let mut all = self.users.iter_mut().flat_map(|user| &mut user.keys);
        if let Some(key) = all.find(|key| key.id == id) {
            key.used = Some((now, service.to_owned()));
        }
    }

    pub(super) fn create_access_key(
        &mut self,
        caller: &Principal,
        mut params: Params,
        now: i64,
    ) -> Result<String, Refusal> {
        let works_from = now + self.spread;
        let user = self.meant(caller, &mut params)?;
        params.finish()?;
        if user.keys.len() >= KEYS {
            let message = "Cannot exceed quota for AccessKeysPerUser: 2";
            return Err(Refusal::new(409, "LimitExceeded", message));
        }
        let key = AccessKey {
            id: format!("AKIA{}", random_base32(16)),
            secret: STANDARD_NO_PAD.encode(random(30)),
            active: true,
            created: now,
            works_from,
            used: None,
        };
        let answer = answer::element(
            "AccessKey",
            &[
                ("UserName", &user.name),
                ("AccessKeyId", &key.id),
                ("Status", "Active"),
                ("SecretAccessKey", &key.secret),
                ("CreateDate", &time::rfc3339(now)),
            ],
        );
        user.keys.push(key.clone());
        self.made_keys.push(key.id);
        Ok(answer)
    }

    pub(super) fn list_access_keys(
        &mut self,
        caller: &Principal,
        mut params: Params,
    ) -> Result<String, Refusal> {
        let user = self.meant(caller, &mut params)?;
        params.finish()?;
        let member = |key: &AccessKey| {
            answer::element(
                "member",
                &[
                    ("UserName", &user.name),
                    ("AccessKeyId", &key.id),
                    ("Status", if key.active { "Active" } else { "Inactive" }),
                    ("CreateDate", &time::rfc3339(key.created)),
                ],
            )
        };
        let members: String = user.keys.iter().map(member).collect();
        let last = answer::text_element("IsTruncated", "false");
        Ok(format!("    <AccessKeyMetadata>\n{members}    </AccessKeyMetadata>\n{last}"))
    }

    pub(super) fn update_access_key(
        &mut self,
        caller: &Principal,
        mut params: Params,
    ) -> Result<String, Refusal> {
        let user = self.meant(caller, &mut params)?;
        let id = key_id(&mut params)?;
        let status = params.take("Status");
        params.finish()?;
        let active = match status.as_deref() {
            Some("Active") => true,
            Some("Inactive") => false,
            _ => return Err(Refusal::invalid("status must satisfy enum value set")),
        };
        let key = user.keys.iter_mut().find(|key| key.id == id).ok_or_else(|| no_key(&id))?;
        key.active = active;
        Ok(String::new())
    }

    pub(super) fn delete_access_key(
        &mut self,
        caller: &Principal,
        mut params: Params,
    ) -> Result<String, Refusal> {
        let user = self.meant(caller, &mut params)?;
        let id = key_id(&mut params)?;
        params.finish()?;
        let at = user.keys.iter().position(|key| key.id == id).ok_or_else(|| no_key(&id))?;
        let gone = user.keys.remove(at);
        self.deleted.push(gone);
        Ok(String::new())
    }

    pub(super) fn access_key_last_used(&self, mut params: Params) -> Result<String, Refusal> {
        let id = key_id(&mut params)?;
        params.finish()?;
        // AWS says so of a key that it does not know, and of one of another account.
        let (user, key) =
            self.key(&id).ok_or_else(|| Refusal::denied("not authorized to perform"))?;
        let used = match &key.used {
            Some((at, service)) => answer::element(
                "AccessKeyLastUsed",
                &[
                    ("LastUsedDate", &time::rfc3339(*at)),
                    ("ServiceName", service),
                    ("Region", "us-east-1"),
                ],
            ),
            None => {
                answer::element("AccessKeyLastUsed", &[("ServiceName", "N/A"), ("Region", "N/A")])
            }
        };
        Ok(format!("{}{used}", answer::text_element("UserName", &user.name)))
    }

    /// The user whose keys are meant: named, or the caller where that is a user by its key. The policies
    /// allow everybody their own.
    fn meant(&mut self, caller: &Principal, params: &mut Params) -> Result<&mut User, Refusal> {
        let name = params.text("UserName", 1..=128, word)?;
        if name.is_none() && caller.kind != PrincipalKind::LongTerm {
            return Err(Refusal::invalid(
                "Must specify userName when calling with non-User credentials",
            ));
        }
        let user = self.users.iter_mut().find(|user| match &name {
            Some(name) => user.name == *name,
            None => user.arn() == caller.arn,
        });
        let user = user.ok_or_else(|| {
            Refusal::new(404, "NoSuchEntity", "The user with that name cannot be found.")
        })?;
        if user.arn() != caller.arn {
            return Err(Refusal::denied("not authorized to perform that on another user's keys"));
        }
        Ok(user)
    }
}

fn key_id(params: &mut Params) -> Result<String, Refusal> {
    let id = params.text("AccessKeyId", 16..=128, |c| c.is_ascii_alphanumeric() || c == '_')?;
    id.ok_or_else(|| Refusal::invalid("Value null at 'accessKeyId'"))
}

fn no_key(id: &str) -> Refusal {
    Refusal::new(404, "NoSuchEntity", format!("The Access Key with id {id} cannot be found."))
}
