//! What the log keeps of a call.

use std::fmt;

use super::http::Request;
use super::params::Params;
use super::{identity, signin, sigv4};

/// One call, as it came in and as it went out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Call {
    pub action: String,
    pub access_key_id: String,
    /// The subject that a web identity's token claims.
    pub subject: Option<String>,
    pub region: String,
    /// As asked, in seconds; `None` leaves it to AWS.
    pub duration: Option<String>,
    /// How long the console's session is to be, in seconds.
    pub session_duration: Option<String>,
    pub serial: Option<String>,
    pub code: Option<String>,
    /// The step that the code belongs to; of two codes, the first's.
    pub step: Option<i64>,
    /// The name of a virtual MFA device to make.
    pub device: Option<String>,
    /// The IAM user that a device is enabled for, or whose keys are meant.
    pub user: Option<String>,
    /// The access key that is meant, and what it is to become.
    pub key: Option<String>,
    pub status: Option<String>,
    pub role_arn: Option<String>,
    pub session_name: Option<String>,
    pub external_id: Option<String>,
    pub source_identity: Option<String>,
    pub tags: Vec<(String, String)>,
    pub transitive: Vec<String>,
    pub user_agent: String,
    /// The access key id of the credentials that were given.
    pub issued: Option<String>,
    /// `ok`, `Code: message`, or the fault that was ordered.
    pub outcome: String,
}

impl Call {
    /// Takes what can be read; nothing is believed or checked here.
    pub fn read(request: &Request, params: Option<&Params>) -> Self {
        let claim = sigv4::claim(request).ok();
        let get = |name: &str| params.and_then(|p| p.get(name)).map(str::to_owned);
        let list = |name: &str| params.cloned().map(|mut p| p.list(name)).unwrap_or_default();
        let signed = claim.as_ref().map(|c| c.access_key_id.clone());
        Self {
            action: get("Action").unwrap_or_default(),
            access_key_id: signed.or(params.and_then(signin::claimed)).unwrap_or_default(),
            subject: get("WebIdentityToken").and_then(|token| subject(&token)),
            region: claim.map(|c| c.scope.region).unwrap_or_default(),
            duration: get("DurationSeconds"),
            session_duration: get("SessionDuration"),
            serial: get("SerialNumber"),
            code: get("TokenCode"),
            device: get("VirtualMFADeviceName"),
            user: get("UserName"),
            key: get("AccessKeyId"),
            status: get("Status"),
            role_arn: get("RoleArn"),
            session_name: get("RoleSessionName").or(get("Name")),
            external_id: get("ExternalId"),
            source_identity: get("SourceIdentity"),
            tags: params.cloned().and_then(|mut p| p.tags().ok()).unwrap_or_default(),
            transitive: list("TransitiveTagKeys"),
            user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
            ..Self::default()
        }
    }
}

fn subject(token: &str) -> Option<String> {
    Some(identity::claims(token)?["sub"].as_str()?.to_owned())
}

/// One line, without what changes from run to run but the session's id.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.subject {
            Some(subject) => write!(f, "{} by {subject}", self.action)?,
            None if self.action == "getSigninToken" => {
                write!(f, "{} for {}", self.action, self.access_key_id)?;
            }
            None => write!(f, "{} by {} in {}", self.action, self.access_key_id, self.region)?,
        }
        for (name, value) in [
            ("role", &self.role_arn),
            ("name", &self.session_name),
            ("duration", &self.duration),
            ("session-duration", &self.session_duration),
            ("device", &self.device),
            ("user", &self.user),
            ("key", &self.key),
            ("status", &self.status),
            ("mfa", &self.serial),
            ("external-id", &self.external_id),
            ("source-identity", &self.source_identity),
        ] {
            if let Some(value) = value {
                write!(f, " {name}={value}")?;
            }
        }
        for (key, value) in &self.tags {
            let mark = if self.transitive.contains(key) { "+" } else { "" };
            write!(f, " tag:{key}={value}{mark}")?;
        }
        write!(f, ": {}", self.outcome)
    }
}
