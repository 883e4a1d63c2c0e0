//! Users, roles, devices and sessions: what the stand-in knows.

use std::collections::{BTreeMap, BTreeSet};

use super::iam::Device;
use super::identity::Provider;
use super::keys::AccessKey;
use super::sso::Sso;
use crate::support::{ACCESS_KEY_ID, ACCOUNT, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

/// An IAM user.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub keys: Vec<AccessKey>,
    pub devices: Vec<(String, String)>,
}

impl User {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), keys: Vec::new(), devices: Vec::new() }
    }

    /// With an access key.
    pub fn key(mut self, id: &str, secret: &str) -> Self {
        self.keys.push(AccessKey::old(id, secret));
        self
    }

    /// With an MFA device, its seed in base32.
    pub fn mfa(mut self, serial: &str, seed: &str) -> Self {
        self.devices.push((serial.to_owned(), seed.to_owned()));
        self
    }

    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{ACCOUNT}:user/{}", self.name)
    }
}

/// An IAM role. It trusts everybody until told whom.
#[derive(Clone, Debug)]
pub struct Role {
    pub arn: String,
    /// In seconds; AWS's default is an hour.
    pub max_duration: i64,
    /// MFA is demanded, and was given so many seconds ago at most.
    pub mfa: Option<i64>,
    pub external_id: Option<String>,
    pub trusts: Vec<String>,
    /// The subjects of web identities that it trusts, which is nobody until told whom.
    pub subjects: Vec<String>,
}

impl Role {
    /// By ARN, or by name in the demo account.
    pub fn new(name: &str) -> Self {
        let arn = match name.strip_prefix("arn:") {
            Some(_) => name.to_owned(),
            None => format!("arn:aws:iam::{ACCOUNT}:role/{name}"),
        };
        Self {
            arn,
            max_duration: 3600,
            mfa: None,
            external_id: None,
            trusts: Vec::new(),
            subjects: Vec::new(),
        }
    }

    pub fn max_duration(mut self, seconds: i64) -> Self {
        self.max_duration = seconds;
        self
    }

    /// `aws:MultiFactorAuthPresent`
    pub fn requires_mfa(mut self) -> Self {
        self.mfa = Some(i64::MAX);
        self
    }

    /// `aws:MultiFactorAuthAge`
    pub fn mfa_max_age(mut self, seconds: i64) -> Self {
        self.mfa = Some(seconds);
        self
    }

    pub fn external_id(mut self, id: &str) -> Self {
        self.external_id = Some(id.to_owned());
        self
    }

    /// The subject of a web identity that may assume it.
    pub fn subject(mut self, subject: &str) -> Self {
        self.subjects.push(subject.to_owned());
        self
    }

    /// The ARN of a user or role that may assume it.
    pub fn trusts(mut self, arn: &str) -> Self {
        self.trusts.push(arn.to_owned());
        self
    }
}

/// Credentials that the stand-in gave out.
#[derive(Clone, Debug, PartialEq)]
pub struct Issued {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub session_token: String,
    /// In seconds since 1970.
    pub expiration: i64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum PrincipalKind {
    LongTerm,
    SessionToken,
    Role,
    Federated,
}

/// Who calls.
#[derive(Clone, Debug)]
pub(super) struct Principal {
    pub kind: PrincipalKind,
    /// The long-term key, for the key itself and the sessions of GetSessionToken.
    pub key: Option<String>,
    pub arn: String,
    /// The role's own ARN, for what a role session is trusted by.
    pub role: Option<String>,
    /// False for a role that a user's own key assumed.
    pub chained: bool,
    pub unique_id: String,
    /// When MFA was given, if it was.
    pub mfa_at: Option<i64>,
    /// Tags that go on to the next role.
    pub transitive: BTreeMap<String, String>,
    pub source_identity: Option<String>,
}

/// All that the stand-in knows.
#[derive(Debug, Default)]
pub struct World {
    pub users: Vec<User>,
    pub roles: Vec<Role>,
    /// The identity providers whose tokens it takes.
    pub providers: Vec<Provider>,
    /// IAM Identity Center.
    pub sso: Sso,
    /// The region that the endpoint serves; `None` serves all.
    pub region: Option<String>,
    /// No session is given more seconds than this, whatever was asked.
    pub session_limit: Option<i64>,
    /// Everything given out, in order.
    pub issued: Vec<Issued>,
    /// The console's tokens that were given out.
    pub signin_tokens: Vec<String>,
    /// Virtual MFA devices that IAM made.
    pub devices: Vec<Device>,
    /// Seconds until a device that was enabled reaches STS.
    pub reach: i64,
    /// Actions of IAM that no policy allows.
    pub denied: Vec<String>,
    /// Actions of IAM that the policies allow only with MFA.
    pub with_mfa: Vec<String>,
    /// Seconds until a new access key works.
    pub spread: i64,
    /// A session of GetSessionToken outlives its key. AWS does not say so; it is the kinder case.
    pub sessions_outlive_keys: bool,
    /// The access keys that were deleted, in order.
    pub deleted: Vec<AccessKey>,
    /// The ids of the access keys that IAM made, in order.
    pub(super) made_keys: Vec<String>,
    pub(super) sessions: BTreeMap<String, Principal>,
    pub(super) spent: BTreeSet<(String, i64)>,
    pub(super) verified: BTreeMap<(String, i64), u32>,
}

impl World {
    /// An account without anybody in it.
    pub fn empty() -> Self {
        Self { region: Some("us-east-1".to_owned()), ..Self::default() }
    }

    /// The user `demo` with AWS's documented example key and one MFA device.
    pub fn demo() -> Self {
        Self::empty()
            .user(User::new("demo").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY).mfa(MFA_SERIAL, MFA_SEED))
    }

    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    pub fn provider(mut self, provider: Provider) -> Self {
        self.providers.push(provider);
        self
    }

    /// Serves this region instead of us-east-1.
    pub fn region(mut self, region: &str) -> Self {
        self.region = Some(region.to_owned());
        self
    }

    /// Answers for every region.
    pub fn any_region(mut self) -> Self {
        self.region = None;
        self
    }
}
