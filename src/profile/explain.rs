//! A plan for a person, and for a program.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::base::{Base, Token};
use super::host::origin;
use super::plan::Plan;
use super::role::Role;
use super::step::{Mfa, Step};
use crate::error::one_line;
use crate::name::show_duration;

impl Plan {
    /// The plan in a few lines, each ended. A control character of the AWS files is not shown.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{label:<10}{}", one_line(value));
        };
        line("profile", &self.profile);
        line(
            "from",
            &match &self.base {
                Base::Vault { profile } => format!("the key of profile {profile} in the vault"),
                Base::Process { profile, command } => {
                    format!("credential_process of profile {profile}: {command}")
                }
                Base::Plaintext { profile } => {
                    format!("keys of profile {profile}, unencrypted in the AWS files")
                }
                Base::Environment => "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned(),
                Base::Container { url } => {
                    format!("the container's credentials agent at {}", origin(url))
                }
                Base::Instance { endpoint } => {
                    format!("the EC2 instance's role, by its metadata service at {endpoint}")
                }
                Base::WebIdentity(Token::File { path, profile: None }) => {
                    format!(
                        "web identity token in {} (AWS_WEB_IDENTITY_TOKEN_FILE)",
                        path.display()
                    )
                }
                Base::WebIdentity(Token::File { path, profile: Some(profile) }) => {
                    format!("web identity token of profile {profile}, in {}", path.display())
                }
                Base::WebIdentity(Token::Process { profile, command }) => {
                    format!("web_identity_token_process of profile {profile}: {command}")
                }
                Base::Sso { profile, sign_on } => format!(
                    "IAM Identity Center, where profile {profile} logs in: {} in {}",
                    sign_on.start_url, sign_on.oidc.region
                ),
            },
        );
        if let Some(inside) = &self.inside {
            line("", "which is this program: it is not started, and its plan is");
            inside.to_text().lines().for_each(|inner| line("", &format!("  {inner}")));
        }
        for (index, step) in self.steps.iter().enumerate() {
            let label = format!("step {}", index + 1);
            match step {
                Step::Session { duration, mfa, .. } => {
                    line(&label, &format!("GetSessionToken for {}", show_duration(*duration)));
                    mfa_lines(&mut line, mfa.as_ref());
                }
                Step::WebIdentity { role_arn, session_name, duration } => {
                    let duration = show_duration(*duration);
                    line(&label, &format!("AssumeRoleWithWebIdentity {role_arn} for {duration}"));
                    line("", &format!("session name {session_name}"));
                }
                Step::SsoRole { account, name } => {
                    line(&label, &format!("GetRoleCredentials of {name} in {account}"));
                }
                Step::Role { role, mfa } => {
                    let Role { arn, session_name, duration, .. } = role;
                    let Role { external_id, tags, transitive, source_identity, .. } = role;
                    line(&label, &format!("AssumeRole {arn} for {}", show_duration(*duration)));
                    mfa_lines(&mut line, mfa.as_ref());
                    line("", &format!("session name {session_name}"));
                    if let Some(id) = external_id {
                        line("", &format!("external id {id}"));
                    }
                    if !tags.is_empty() {
                        let tags: Vec<_> = tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
                        line("", &format!("tags {}", tags.join(", ")));
                    }
                    if !transitive.is_empty() {
                        line("", &format!("transitive tags {}", transitive.join(", ")));
                    }
                    if let Some(identity) = source_identity {
                        line("", &format!("source identity {identity}"));
                    }
                }
            }
        }
        if self.is_base_itself() {
            line("steps", "none, the credentials are handed out as they are");
        }
        line(
            "region",
            self.region.as_deref().unwrap_or("none, the command's variables are left alone"),
        );
        if let Some(sts) = &self.sts {
            let endpoint = sts.endpoint.as_ref().map(|e| format!(" at {e}")).unwrap_or_default();
            line("sts", &format!("{}{endpoint}", sts.region));
            if let Some(bundle) = &sts.ca_bundle {
                line("", &format!("CA bundle {}", bundle.display()));
            }
        }
        if let Some(serial) = &self.mfa_left_out {
            line("no MFA", &format!("only a source profile names {serial}"));
        }
        for note in &self.notes {
            line("note", note);
        }
        text
    }

    /// The plan as JSON: the fields of [`Plan`], durations in seconds, what is not there `null`.
    pub fn to_json(&self) -> Value {
        let mut base = match &self.base {
            Base::Vault { profile } => json!({"kind": "vault", "profile": profile}),
            Base::Process { profile, command } => {
                json!({"kind": "credential_process", "profile": profile, "command": command})
            }
            Base::Plaintext { profile } => json!({"kind": "plaintext", "profile": profile}),
            Base::Environment => json!({"kind": "environment"}),
            Base::Container { url } => json!({"kind": "container", "endpoint": origin(url)}),
            Base::Instance { endpoint } => json!({"kind": "instance", "endpoint": endpoint}),
            Base::WebIdentity(Token::File { path, profile }) => {
                json!({"kind": "web_identity", "profile": profile, "token_file": path.to_string_lossy()})
            }
            Base::WebIdentity(Token::Process { profile, command }) => {
                json!({"kind": "web_identity", "profile": profile, "token_process": command})
            }
            Base::Sso { profile, sign_on } => json!({
                "kind": "sso",
                "profile": profile,
                "start_url": sign_on.start_url,
                "region": sign_on.oidc.region,
                "scopes": sign_on.scopes,
            }),
        };
        if let Some(inside) = &self.inside {
            base["plan"] = inside.to_json();
        }
        let mfa = |mfa: &Option<Mfa>| {
            mfa.as_ref().map(|mfa| json!({"serial": mfa.serial, "process": mfa.process}))
        };
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| match step {
                Step::Session { duration, mfa: with, .. } => json!({
                    "call": "GetSessionToken",
                    "duration_seconds": duration.as_secs(),
                    "mfa": mfa(with),
                }),
                Step::WebIdentity { role_arn, session_name, duration } => json!({
                    "call": "AssumeRoleWithWebIdentity",
                    "role_arn": role_arn,
                    "role_session_name": session_name,
                    "duration_seconds": duration.as_secs(),
                }),
                Step::SsoRole { account, name } => json!({
                    "call": "GetRoleCredentials",
                    "account_id": account,
                    "role_name": name,
                }),
                Step::Role { role, mfa: with } => json!({
                    "call": "AssumeRole",
                    "role_arn": role.arn,
                    "role_session_name": role.session_name,
                    "duration_seconds": role.duration.as_secs(),
                    "external_id": role.external_id,
                    "session_tags": role.tags.iter().map(|(k, v)| json!({"key": k, "value": v})).collect::<Vec<_>>(),
                    "transitive_session_tags": role.transitive,
                    "source_identity": role.source_identity,
                    "mfa": mfa(with),
                }),
            })
            .collect();
        json!({
            "profile": self.profile,
            "region": self.region,
            "base": base,
            "steps": steps,
            "sts": self.sts.as_ref().map(|sts| json!({
                "region": sts.region,
                "endpoint": sts.endpoint,
                "ca_bundle": sts.ca_bundle.as_ref().map(|path| path.to_string_lossy()),
            })),
            "mfa_left_out": self.mfa_left_out,
            "notes": self.notes,
        })
    }
}

fn mfa_lines(line: &mut impl FnMut(&str, &str), mfa: Option<&Mfa>) {
    let Some(mfa) = mfa else { return };
    line("", &format!("MFA {}", mfa.serial));
    if let Some(process) = &mfa.process {
        line("", &format!("mfa_process {process}"));
    }
}
