//! What STS allows: the actions that are signed. The rules are AWS's, with AWS's texts where they are known.

use std::collections::BTreeMap;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::answer::{self, Refusal};
use super::http::Request;
use super::params::Params;
use super::world::{Issued, Principal, PrincipalKind, User, World};
use super::{iam, sigv4, totp};
use crate::support::ACCOUNT;

/// AWS verifies this many codes per device, good and bad, in each UTC-aligned window.
const VERIFICATIONS: u32 = 9;
/// That window, in seconds.
const WINDOW: i64 = 180;
/// A role session made from temporary credentials lasts so many seconds at most.
const CHAINED: i64 = 3600;

const BAD_CODE: &str = "MultiFactorAuthentication failed with invalid MFA one time pass code.";
const BAD_DEVICE: &str = "MultiFactorAuthentication failed, unable to validate MFA code. Please \
                          verify your MFA serial number is valid and associated with this user.";
const HALF_MFA: &str = "MultiFactorAuthentication failed, must provide both MFA serial number and \
                        one time pass code.";

impl World {
    /// Authenticates and performs one request. The success is the inside of the result element.
    pub(super) fn perform(
        &mut self,
        request: &Request,
        params: Option<Params>,
        now: i64,
    ) -> Result<String, Refusal> {
        let form = request.header("content-type").unwrap_or_default();
        if request.method != "POST"
            || request.target != "/"
            || form.split(';').next() != Some("application/x-www-form-urlencoded")
        {
            return Err(Refusal::new(400, "MalformedRequest", "not a POST of a form to /"));
        }
        let Some(mut params) = params else {
            return Err(Refusal::new(400, "MalformedQueryString", "not a form, or a name twice"));
        };
        let action = params.take("Action").unwrap_or_default();
        let version = params.take("Version").unwrap_or_default();
        if version == iam::VERSION {
            let caller = self.authenticate(request, "iam", Some("us-east-1"), now)?;
            return self.perform_iam(&action, &caller, params, now);
        }
        if action == "AssumeRoleWithWebIdentity" && version == "2011-06-15" {
            return self.assume_role_with_web_identity(request, params, now);
        }
        let region = self.region.clone();
        let caller = self.authenticate(request, "sts", region.as_deref(), now)?;
        if version != "2011-06-15" {
            return Err(no_operation(&action, &version));
        }
        match action.as_str() {
            "GetCallerIdentity" => {
                params.finish()?;
                Ok(caller_identity(&caller))
            }
            "GetSessionToken" => self.get_session_token(&caller, params, now),
            "GetFederationToken" => self.get_federation_token(&caller, params, now),
            "AssumeRole" => self.assume_role(&caller, params, now),
            _ => Err(no_operation(&action, &version)),
        }
    }

    fn authenticate(
        &mut self,
        request: &Request,
        service: &str,
        region: Option<&str>,
        now: i64,
    ) -> Result<Principal, Refusal> {
        let claim = sigv4::claim(request)?;
        let id = &claim.access_key_id;
        let (principal, secret, token, expiration) = if let Some((user, key)) = self.key(id) {
            if !key.works(now) {
                return Err(Refusal::unknown_key());
            }
            (long_term(user, id), &key.secret, None, i64::MAX)
        } else {
            let issued = self
                .issued
                .iter()
                .find(|i| i.access_key_id == *id)
                .ok_or_else(Refusal::unknown_key)?;
            let principal = self.sessions.get(id).cloned().ok_or_else(Refusal::unknown_key)?;
            let key = principal.key.as_ref().filter(|_| !self.sessions_outlive_keys);
            if key.is_some_and(|id| self.key(id).is_none_or(|(_, key)| !key.works(now))) {
                return Err(Refusal::unknown_key());
            }
            let token = Some(issued.session_token.as_str());
            (principal, &issued.secret_access_key, token, issued.expiration)
        };
        if request.header("x-amz-security-token") != token {
            return Err(Refusal::unknown_key());
        }
        sigv4::check(request, &claim, secret, now, service, region)?;
        if now >= expiration {
            return Err(Refusal::new(
                403,
                "ExpiredToken",
                "The security token included in the request is expired",
            ));
        }
        self.used(id, now, service);
        Ok(principal)
    }

    fn get_session_token(
        &mut self,
        caller: &Principal,
        mut params: Params,
        now: i64,
    ) -> Result<String, Refusal> {
        let duration = params.duration(900, 129_600)?.unwrap_or(43_200);
        let mfa = params.mfa()?;
        params.finish()?;
        if caller.kind != PrincipalKind::LongTerm {
            return Err(Refusal::denied("Cannot call GetSessionToken with session credentials"));
        }
        let mfa_at = self.check_mfa(caller, mfa, now)?;
        let session = Principal { kind: PrincipalKind::SessionToken, mfa_at, ..caller.clone() };
        Ok(answer::credentials(&self.issue(session, now, duration)))
    }

    fn get_federation_token(
        &mut self,
        caller: &Principal,
        mut params: Params,
        now: i64,
    ) -> Result<String, Refusal> {
        let name = params.text("Name", 2..=32, word)?.ok_or_else(|| null("name"))?;
        let duration = params.duration(900, 129_600)?.unwrap_or(43_200);
        let policy = params.text("Policy", 1..=2048, |_| true)?.unwrap_or_default();
        params.finish()?;
        if caller.kind != PrincipalKind::LongTerm {
            return Err(Refusal::denied("Cannot call GetFederationToken with session credentials"));
        }
        // Without one the session might do nothing, which nobody wants.
        let policy: serde_json::Value = serde_json::from_str(&policy).unwrap_or_default();
        if policy["Version"] != "2012-10-17" || !policy["Statement"].is_array() {
            return Err(Refusal::new(400, "MalformedPolicyDocument", "Syntax errors in policy."));
        }
        if self.denied.iter().any(|action| action == "GetFederationToken") {
            return Err(Refusal::denied(format!(
                "User: {} is not authorized to perform: sts:GetFederationToken on resource: \
                 arn:aws:sts::{ACCOUNT}:federated-user/{name}",
                caller.arn
            )));
        }
        let arn = format!("arn:aws:sts::{ACCOUNT}:federated-user/{name}");
        let user = answer::element(
            "FederatedUser",
            &[("FederatedUserId", &format!("{ACCOUNT}:{name}")), ("Arn", &arn)],
        );
        let session = Principal { kind: PrincipalKind::Federated, arn, ..caller.clone() };
        let credentials = answer::credentials(&self.issue(session, now, duration));
        Ok(format!("{credentials}{user}"))
    }

    fn assume_role(
        &mut self,
        caller: &Principal,
        mut params: Params,
        now: i64,
    ) -> Result<String, Refusal> {
        let arn = params.text("RoleArn", 20..=2048, |_| true)?.ok_or_else(|| null("roleArn"))?;
        let name = params.name("RoleSessionName")?.ok_or_else(|| null("roleSessionName"))?;
        let asked = params.duration(900, 43_200)?;
        let external_id = params.text("ExternalId", 2..=1224, |c| word(c) || ":/".contains(c))?;
        let identity = params.name("SourceIdentity")?;
        let mfa = params.mfa()?;
        let tags = params.tags()?;
        let transitive = params.transitive(&tags)?;
        params.finish()?;

        let temporary = caller.kind != PrincipalKind::LongTerm;
        if temporary && mfa != (None, None) {
            // AWS refuses it; its words are not documented, so no client may rely on these.
            return Err(Refusal::denied("Cannot call AssumeRole with MFA by session credentials"));
        }
        let mfa_at = self.check_mfa(caller, mfa, now)?.or(caller.mfa_at);
        let role = self.roles.iter().find(|role| {
            role.arn == arn
                && (role.trusts.is_empty()
                    || role.trusts.contains(&caller.arn)
                    || caller.role.as_ref().is_some_and(|own| role.trusts.contains(own)))
                && (role.external_id.is_none() || role.external_id == external_id)
                && role.mfa.is_none_or(|age| mfa_at.is_some_and(|at| now - at <= age))
        });
        let kept = caller.source_identity.as_ref();
        let Some(role) =
            role.filter(|_| kept.is_none() || identity.is_none() || kept == identity.as_ref())
        else {
            return Err(Refusal::denied(format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {arn}",
                caller.arn
            )));
        };
        if tags.iter().any(|(key, _)| caller.transitive.contains_key(key)) {
            return Err(Refusal::invalid(
                "One of the specified transitive tag keys can't be set because it conflicts with a \
                 transitive tag key from the calling session.",
            ));
        }
        let duration = asked.unwrap_or(CHAINED);
        if temporary && duration > CHAINED {
            return Err(Refusal::invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed \
                 by role chaining",
            ));
        }
        if duration > role.max_duration {
            return Err(Refusal::invalid(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
            ));
        }

        let mut passed_on = caller.transitive.clone();
        passed_on.extend(tags.into_iter().filter(|(key, _)| transitive.contains(key)));
        let identity = identity.or_else(|| caller.source_identity.clone());
        let session = Principal {
            transitive: passed_on,
            source_identity: identity.clone(),
            chained: temporary,
            ..Principal::role_session(&arn, &name)
        };
        let assumed = answer::element(
            "AssumedRoleUser",
            &[("AssumedRoleId", &session.unique_id), ("Arn", &session.arn)],
        );
        let identity =
            identity.map(|text| answer::text_element("SourceIdentity", &text)).unwrap_or_default();
        let credentials = answer::credentials(&self.issue(session, now, duration));
        Ok(format!("{credentials}{assumed}{identity}"))
    }

    /// Verifies a code and spends its step; `None` if no MFA was given.
    fn check_mfa(
        &mut self,
        caller: &Principal,
        mfa: (Option<String>, Option<String>),
        now: i64,
    ) -> Result<Option<i64>, Refusal> {
        let (serial, code) = match mfa {
            (None, None) => return Ok(None),
            (Some(serial), Some(code)) => (serial, code),
            _ => return Err(Refusal::denied(HALF_MFA)),
        };
        let owner = self.users.iter().find(|user| user.arn() == caller.arn);
        let seed = owner
            .and_then(|user| user.devices.iter().find(|(s, _)| *s == serial))
            .filter(|_| self.has_reached_sts(&serial, now))
            .map(|(_, seed)| seed.clone())
            .ok_or_else(|| Refusal::denied(BAD_DEVICE))?;
        let tries = self.verified.entry((serial.clone(), now.div_euclid(WINDOW))).or_default();
        *tries += 1;
        if *tries > VERIFICATIONS {
            return Err(Refusal::denied(BAD_DEVICE));
        }
        let step = totp::step(now);
        (step - 2..=step + 2)
            .filter(|step| totp::code(&seed, *step) == code)
            .find(|step| self.spent.insert((serial.clone(), *step)))
            .map(|_| Some(now))
            .ok_or_else(|| Refusal::denied(BAD_CODE))
    }

    /// The step, up to twenty around now, that a device's code belongs to.
    pub(super) fn step_of(&self, serial: &str, code: &str, now: i64) -> Option<i64> {
        let devices = self.users.iter().flat_map(|user| &user.devices);
        let (_, seed) = devices.into_iter().find(|(s, _)| s == serial)?;
        let step = totp::step(now);
        let near = |s: &i64| (s - step).abs();
        (step - 20..=step + 20).filter(|s| totp::code(seed, *s) == code).min_by_key(near)
    }

    pub(super) fn issue(&mut self, session: Principal, now: i64, duration: i64) -> Issued {
        let duration = self.session_limit.map_or(duration, |limit| duration.min(limit));
        let issued = Issued {
            access_key_id: format!("ASIA{}", random_base32(16)),
            secret_access_key: STANDARD_NO_PAD.encode(random(30)),
            session_token: format!("IQoJb3JpZ2luX2Vj{}", STANDARD_NO_PAD.encode(random(270))),
            expiration: now + duration,
        };
        self.sessions.insert(issued.access_key_id.clone(), session);
        self.issued.push(issued.clone());
        issued
    }
}

impl Principal {
    /// Of a role, by nobody who could pass anything on: not that its maker had MFA, either.
    pub(super) fn role_session(arn: &str, name: &str) -> Self {
        let path = arn.split_once(":role/").map_or(arn, |(_, path)| path);
        let role_name = path.rsplit('/').next().unwrap_or(path);
        Self {
            kind: PrincipalKind::Role,
            key: None,
            arn: format!("arn:aws:sts::{}:assumed-role/{role_name}/{name}", account(arn)),
            role: Some(arn.to_owned()),
            chained: true,
            unique_id: format!("AROAEXAMPLEEXAMPLEEXA:{name}"),
            mfa_at: None,
            transitive: BTreeMap::new(),
            source_identity: None,
        }
    }
}

fn long_term(user: &User, key: &str) -> Principal {
    Principal {
        kind: PrincipalKind::LongTerm,
        key: Some(key.to_owned()),
        arn: user.arn(),
        role: None,
        chained: false,
        unique_id: "AIDAEXAMPLEEXAMPLEEXA".to_owned(),
        mfa_at: None,
        transitive: BTreeMap::new(),
        source_identity: None,
    }
}

fn caller_identity(caller: &Principal) -> String {
    [("Arn", caller.arn.as_str()), ("UserId", &caller.unique_id), ("Account", account(&caller.arn))]
        .iter()
        .map(|(name, text)| answer::text_element(name, text))
        .collect()
}

fn account(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or(ACCOUNT)
}

/// `[\w+=,.@-]`, the characters of names.
pub(super) fn word(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_+=,.@-".contains(c)
}

pub(super) fn null(field: &str) -> Refusal {
    Refusal::invalid(format!(
        "1 validation error detected: Value null at '{field}' failed to satisfy constraint: Member \
         must not be null"
    ))
}

fn no_operation(action: &str, version: &str) -> Refusal {
    let message = format!("Could not find operation {action} for version {version}");
    Refusal::new(400, "InvalidAction", message)
}

/// So many characters of base32.
pub(super) fn random_base32(length: usize) -> String {
    let letter = |byte: u8| char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[usize::from(byte % 32)]);
    random(length).into_iter().map(letter).collect()
}

pub(super) fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut source = std::fs::File::open("/dev/urandom").expect("/dev/urandom");
    source.read_exact(&mut bytes).expect("/dev/urandom");
    bytes
}
