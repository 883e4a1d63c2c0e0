//! A plan for a person, and for a program: each part of it is described once, in words and as JSON.

use serde_json::{Value, json};

use super::base::{Base, TokenSource};
use super::host::origin;
use super::plan::Plan;
use super::role::Role;
use super::step::{Mfa, Step};
use super::sts::Target;
use crate::duration::show_duration;
use crate::error::one_line;

/// A part of what is known of a plan: a field of the JSON, and the lines for a person, of which the first has
/// the label.
pub struct Part {
    field: &'static str,
    json: Value,
    label: String,
    lines: Vec<String>,
}

impl Part {
    pub fn new(field: &'static str, json: Value, label: &str, lines: Vec<String>) -> Self {
        Self { field, json, label: label.to_owned(), lines }
    }

    /// A control character of the AWS files is not shown.
    fn to_text(&self) -> String {
        let labels = std::iter::once(self.label.as_str()).chain(std::iter::repeat(""));
        let lines = self.lines.iter().zip(labels);
        lines.map(|(line, label)| format!("{label:<10}{}\n", one_line(line))).collect()
    }
}

/// The parts for a person: a few lines, each ended.
pub fn parts_to_text(parts: &[Part]) -> String {
    parts.iter().map(Part::to_text).collect()
}

/// The parts as JSON: the fields of [`Plan`], durations in seconds, what is not there `null`.
pub fn parts_to_json(parts: Vec<Part>) -> Value {
    let mut plan = json!({"steps": [], "notes": []});
    for Part { field, json, .. } in parts {
        match &mut plan[field] {
            Value::Array(list) => list.extend(Some(json).filter(|json| !json.is_null())),
            value => *value = json,
        }
    }
    plan
}

impl Plan {
    /// The plan for a person.
    pub fn to_text(&self) -> String {
        parts_to_text(&self.parts())
    }

    /// The plan as JSON.
    pub fn to_json(&self) -> Value {
        parts_to_json(self.parts())
    }

    /// What it starts from; of a program that is this one, the plan inside.
    fn described_base(&self) -> Part {
        let mut part = base(&self.base);
        if let Some(inside) = &self.inside {
            part.lines.push("which is this program: it is not started, and its plan is".to_owned());
            part.lines.extend(inside.to_text().lines().map(|line| format!("  {line}")));
            part.json["plan"] = inside.to_json();
        }
        part
    }

    /// What the plan says, in its order.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = vec![
            Part::new("profile", json!(self.profile), "profile", vec![self.profile.clone()]),
            self.described_base(),
        ];
        let steps = self.steps.iter().enumerate();
        parts.extend(steps.map(|(index, each)| step(&format!("step {}", index + 1), each)));
        if self.steps.is_empty() {
            let none = "none, the credentials are used as they are".to_owned();
            parts.push(Part::new("steps", Value::Null, "steps", vec![none]));
        }
        let none = "none, the command's variables are left alone";
        let region = self.region.as_deref().unwrap_or(none).to_owned();
        parts.push(Part::new("region", json!(self.region), "region", vec![region]));
        parts.push(sts(self.sts.as_ref()));
        let left_out = self.mfa_left_out.iter();
        let left_out = left_out.map(|serial| format!("only a source profile names {serial}"));
        let json = json!(self.mfa_left_out);
        parts.push(Part::new("mfa_left_out", json, "no MFA", left_out.collect()));
        let notes = self.notes.iter();
        parts.extend(notes.map(|note| Part::new("notes", json!(note), "note", vec![note.clone()])));
        parts
    }
}

fn base(base: &Base) -> Part {
    let (line, json) = match base {
        Base::Vault { profile } => (
            format!("the key of profile {profile} in the vault"),
            json!({"kind": "vault", "profile": profile}),
        ),
        Base::Process { profile, command } => (
            format!("credential_process of profile {profile}: {command}"),
            json!({"kind": "credential_process", "profile": profile, "command": command}),
        ),
        Base::Plaintext { profile } => (
            format!("keys of profile {profile}, unencrypted in the AWS files"),
            json!({"kind": "plaintext", "profile": profile}),
        ),
        Base::Environment => (
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
            json!({"kind": "environment"}),
        ),
        Base::Container { url } => (
            format!("the container's credentials agent at {}", origin(url)),
            json!({"kind": "container", "endpoint": origin(url)}),
        ),
        Base::Instance { endpoint } => (
            format!("the EC2 instance's role, by its metadata service at {endpoint}"),
            json!({"kind": "instance", "endpoint": endpoint}),
        ),
        Base::WebIdentity(TokenSource::File { path, profile }) => {
            let shown = path.display();
            let json = json!({"kind": "web_identity", "profile": profile, "token_file": path.to_string_lossy()});
            let line = match profile {
                Some(profile) => format!("web identity token of profile {profile}, in {shown}"),
                None => format!("web identity token in {shown} (AWS_WEB_IDENTITY_TOKEN_FILE)"),
            };
            (line, json)
        }
        Base::WebIdentity(TokenSource::Process { profile, command }) => (
            format!("web_identity_token_process of profile {profile}: {command}"),
            json!({"kind": "web_identity", "profile": profile, "token_process": command}),
        ),
        Base::Sso { profile, sign_on } => {
            let (url, region) = (&sign_on.start_url, &sign_on.oidc.region);
            (
                format!("IAM Identity Center, where profile {profile} logs in: {url} in {region}"),
                json!({"kind": "sso", "profile": profile, "start_url": url, "region": region, "scopes": sign_on.scopes}),
            )
        }
    };
    Part::new("base", json, "from", vec![line])
}

fn step(label: &str, step: &Step) -> Part {
    let mut lines = Vec::new();
    let json = match step {
        Step::Session { duration, mfa, .. } => {
            lines.push(format!("GetSessionToken for {}", show_duration(*duration)));
            lines.extend(mfa_lines(mfa.as_ref()));
            json!({"call": "GetSessionToken", "duration_seconds": duration.as_secs(), "mfa": mfa_json(mfa.as_ref())})
        }
        Step::WebIdentity { role_arn, session_name, duration } => {
            let shown = show_duration(*duration);
            lines.push(format!("AssumeRoleWithWebIdentity {role_arn} for {shown}"));
            lines.push(format!("session name {session_name}"));
            json!({
                "call": "AssumeRoleWithWebIdentity",
                "role_arn": role_arn,
                "role_session_name": session_name,
                "duration_seconds": duration.as_secs(),
            })
        }
        Step::SsoRole { account, name } => {
            lines.push(format!("GetRoleCredentials of {name} in {account}"));
            json!({"call": "GetRoleCredentials", "account_id": account, "role_name": name})
        }
        Step::Role { role, mfa } => {
            let Role { arn, session_name, duration, .. } = role;
            lines.push(format!("AssumeRole {arn} for {}", show_duration(*duration)));
            lines.extend(mfa_lines(mfa.as_ref()));
            lines.push(format!("session name {session_name}"));
            lines.extend(parameters(role));
            json!({
                "call": "AssumeRole",
                "role_arn": arn,
                "role_session_name": session_name,
                "duration_seconds": duration.as_secs(),
                "external_id": role.external_id,
                "session_tags": role.tags.iter().map(|(k, v)| json!({"key": k, "value": v})).collect::<Vec<_>>(),
                "transitive_session_tags": role.transitive,
                "source_identity": role.source_identity,
                "mfa": mfa_json(mfa.as_ref()),
            })
        }
    };
    Part::new("steps", json, label, lines)
}

/// What else a role is assumed with, a line each.
fn parameters(role: &Role) -> impl Iterator<Item = String> {
    let tags: Vec<_> = role.tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let all = |list: &[String], label: &str| match list.is_empty() {
        true => None,
        false => Some(format!("{label} {}", list.join(", "))),
    };
    let lines = [
        role.external_id.as_ref().map(|id| format!("external id {id}")),
        all(&tags, "tags"),
        all(&role.transitive, "transitive tags"),
        role.source_identity.as_ref().map(|identity| format!("source identity {identity}")),
    ];
    lines.into_iter().flatten()
}

fn sts(target: Option<&Target>) -> Part {
    // The variant shows in the names of the hosts, which only the SDK's rules give.
    let Some(Target { region, endpoint, ca_bundle, variant: _ }) = target else {
        return Part::new("sts", Value::Null, "sts", Vec::new());
    };
    let at = endpoint.as_ref().map_or_else(String::new, |endpoint| format!(" at {endpoint}"));
    let bundle = ca_bundle.as_ref().map(|path| path.to_string_lossy());
    let mut lines = vec![format!("{region}{at}")];
    lines.extend(bundle.as_ref().map(|path| format!("CA bundle {path}")));
    let json = json!({"region": region, "endpoint": endpoint, "ca_bundle": bundle});
    Part::new("sts", json, "sts", lines)
}

fn mfa_lines(mfa: Option<&Mfa>) -> Vec<String> {
    let Some(Mfa { serial, process }) = mfa else { return Vec::new() };
    let process = process.as_ref().map(|process| format!("mfa_process {process}"));
    std::iter::once(format!("MFA {serial}")).chain(process).collect()
}

fn mfa_json(mfa: Option<&Mfa>) -> Value {
    mfa.map_or(Value::Null, |mfa| json!({"serial": mfa.serial, "process": mfa.process}))
}
