//! `rotate`: replaces access keys at AWS and in the vault.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use super::credentials::Need;
use crate::cli;
use crate::error::{Error, Result};
use crate::name::ProfileName;
use crate::profile::{self, Base, Mfa, Plan, Step};
use crate::provider::{CredentialSession, Options};
use crate::report;
use crate::rotate::{self, MfaDevice, Rotate, Rotated, RotationPreview};
use crate::secret::Secret;
use crate::user_change::UserChange;
use crate::vault::Payload;

/// For the calls and pauses of one key. The user may need time for an MFA code.
const DEADLINE: Duration = Duration::from_secs(300);

/// The hint after a rotation was begun. `--all` again would rotate the other keys once more.
const RESUME: &str = "vault rotate --resume continues where this run stopped";

/// A key to be replaced.
struct Job {
    /// A profile that has it.
    profile: String,
    /// The MFA device: that of the profile that was asked for, otherwise that of the profile with the key.
    mfa: Option<Mfa>,
}

/// A key in the vault.
struct VaultKey {
    /// The first profile that has it.
    profile: String,
    /// All profiles that have it.
    profiles: Vec<String>,
}

enum Outcome {
    Rotated(Rotated),
    Preview(RotationPreview),
    NothingToFinish,
}

pub fn run(args: &cli::rotate::Rotate, context: &Context) -> Result<()> {
    let asked = args.profile.as_deref().map(ProfileName::new).transpose()?;
    let token = args.mfa_token.clone().map(Secret::new);
    let options =
        Options { mfa_token: token.as_ref().map(Secret::duplicate), ..Options::default() };
    let session = context.session(context.profiles()?, Need::Vault, options)?;
    let mut command = RotateCommand { args, context, session, token };
    let orphaned =
        !args.dry_run && rotate::abandon(command.session.vault_mut()?, context.reporter)?;
    let Some(asked) = asked else { return command.rotate_all(orphaned) };
    let outcome = command.rotate(asked.as_str())?;
    report::result(&match args.json {
        true => format!("{}\n", outcome.to_json(&[asked.as_str().to_owned()])),
        false => format!("{}\n", outcome.to_text(asked.as_str())),
    })
}

/// What all keys have in common.
struct RotateCommand<'a> {
    args: &'a cli::rotate::Rotate,
    context: &'a Context,
    session: CredentialSession<'a>,
    /// `--mfa-token`, until the code is used.
    token: Option<Secret>,
}

impl RotateCommand<'_> {
    fn payload(&self) -> Result<&Payload> {
        Ok(self.session.vault()?.payload())
    }

    /// The key at the end of a profile's chain.
    fn job(&self, asked: &str) -> Result<Job> {
        let plan = self.session.plan(asked)?;
        let Base::Vault { profile } = &plan.base else {
            return Err(Error::not_found(format!(
                "the credentials of profile {asked:?} do not come from a key in the vault"
            ))
            .hint("only a key that the vault has can be rotated"));
        };
        let own = || self.session.plan(profile).ok();
        let mfa = device(&plan).or_else(|| own().as_ref().and_then(device));
        Ok(Job { profile: profile.clone(), mfa })
    }

    /// `--all`, and `--resume` without a profile. `orphaned`: an orphaned rotation was ended before.
    fn rotate_all(&mut self, orphaned: bool) -> Result<()> {
        let keys = self.keys()?;
        if keys.is_empty() {
            let nothing = match (self.args.json, self.args.resume) {
                (true, _) => "[]\n",
                (false, true) if orphaned => "",
                (false, true) => "Nothing to finish.\n",
                (false, false) => "No key in the vault.\n",
            };
            return report::result(nothing);
        }
        let (count, mut json, mut errors, mut printed) =
            (keys.len(), Vec::new(), Vec::new(), Ok(()));
        for VaultKey { profile, profiles } in keys {
            let outcome = self.rotate(&profile);
            if self.args.json {
                json.push(outcome.as_ref().map_or_else(
                    |error| failure_json(&profiles, error),
                    |outcome| outcome.to_json(&profiles),
                ));
            } else {
                // Each key when it is done: one may take a minute, and stdout may be closed before the last.
                printed = printed.and(report::result(&line(&profiles, &outcome)));
            }
            errors.extend(outcome.err());
        }
        if self.args.json {
            printed = report::result(&format!("{}\n", Value::Array(json)));
        }
        printed?;
        let Some(first) = errors.first() else { return Ok(()) };
        let what = format!("{} of {count} keys could not be rotated", errors.len());
        let error = Error::new(first.class, what);
        let payload = self.payload()?;
        let begun = payload.credential_names().any(|name| is_begun(name, payload));
        Err(if begun && !self.args.dry_run { error.hint(RESUME) } else { error })
    }

    /// Every key in the vault, or every one whose rotation was begun.
    fn keys(&self) -> Result<Vec<VaultKey>> {
        let payload = self.payload()?;
        let (mut seen, mut keys) = (BTreeSet::new(), Vec::new());
        for profile in payload.credential_names() {
            let id = payload.access_key_id(profile).unwrap_or_default();
            let wanted = !self.args.resume || payload.rotation_of(id).is_some();
            if seen.insert(id) && wanted {
                let same = |name: &&str| payload.access_key_id(name) == Some(id);
                let profiles = payload.credential_names().filter(same).map(str::to_owned).collect();
                keys.push(VaultKey { profile: profile.to_owned(), profiles });
            }
        }
        Ok(keys)
    }

    /// Rotates the key at the end of a profile's chain.
    fn rotate(&mut self, asked: &str) -> Result<Outcome> {
        let env = &self.context.env;
        let job = self.job(asked)?;
        let profile = job.profile.as_str();
        if self.args.resume && !is_begun(profile, self.payload()?) {
            return Ok(Outcome::NothingToFinish);
        }
        let (sts, iam) = profile::sts_and_iam(self.session.profiles(), profile)?;
        self.context.warn_of_overridden(&[&sts, &iam]);
        let sessions_of = self.sessions_of(profile)?;
        let mfa = job.mfa.as_ref().filter(|_| !self.args.no_session);
        let (token, targets) = (&mut self.token, (&sts, &iam));
        let rotate = Rotate {
            change: UserChange::new(&mut self.session, profile, targets, env, DEADLINE)?,
            delete_other: self.args.delete_other,
            mfa: mfa.map(|device| MfaDevice { device, sts: &sts, token, used: false }),
            sessions_of: &sessions_of,
            session: None,
        };
        if self.args.dry_run {
            return rotate.preview().map(Outcome::Preview);
        }
        let done = rotate.run().map(Outcome::Rotated);
        let begun = self.payload().is_ok_and(|payload| is_begun(profile, payload));
        done.map_err(|error| if begun { error.or_hint(RESUME) } else { error })
    }

    /// The profiles whose sessions start from the key of this one.
    fn sessions_of(&self, profile: &str) -> Result<Vec<String>> {
        let payload = self.payload()?;
        let id = payload.access_key_id(profile);
        let configured = self.session.profiles().names();
        let names = configured.iter().map(String::as_str).chain(payload.credential_names());
        let names: BTreeSet<&str> = names.collect();
        let starts_there = |name: &&str| {
            let base = self.session.plan(name).map(|plan| plan.base);
            matches!(&base, Ok(Base::Vault { profile }) if payload.access_key_id(profile) == id)
        };
        Ok(names.into_iter().filter(starts_there).map(str::to_owned).collect())
    }
}

/// True if the journal has a rotation of this profile's key.
fn is_begun(profile: &str, payload: &Payload) -> bool {
    payload.access_key_id(profile).is_some_and(|id| payload.rotation_of(id).is_some())
}

fn device(plan: &Plan) -> Option<Mfa> {
    plan.steps.iter().find_map(Step::mfa).cloned()
}

/// The outcome for one of several keys, as a line.
fn line(profiles: &[String], outcome: &Result<Outcome>) -> String {
    let profiles = profiles.join(", ");
    match outcome {
        Ok(outcome) => format!("{}\n", outcome.to_text(&profiles)),
        Err(error) => {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{profiles}: failed: {}{hint}\n", error.what)
        }
    }
}

fn failure_json(profiles: &[String], error: &Error) -> Value {
    json!({
        "profiles": profiles,
        "state": "failed",
        "error": error.what,
        "hint": error.hint,
        "code": error.class.code(),
    })
}

impl Outcome {
    fn to_text(&self, asked: &str) -> String {
        match self {
            Self::NothingToFinish => format!("{asked}: nothing to finish"),
            Self::Rotated(Rotated { profiles, user, old, new }) => {
                let profiles = profiles.join(", ");
                format!("{profiles}: {old} is replaced by {new}, for the user {user}")
            }
            Self::Preview(RotationPreview { profiles, user, old, created, other, finish }) => {
                let profiles = profiles.join(", ");
                if *finish {
                    return format!(
                        "{profiles}: would finish replacing {old}, for the user {user}"
                    );
                }
                let made = created.map(|at| format!(", made {},", at.to_rfc3339()));
                let made = made.unwrap_or_default();
                let other = other.as_ref().map(|other| format!(", after deleting {other}"));
                let other = other.unwrap_or_default();
                format!("{profiles}: would replace {old}{made} for the user {user}{other}")
            }
        }
    }

    fn to_json(&self, asked: &[String]) -> Value {
        match self {
            Self::NothingToFinish => json!({ "profiles": asked, "state": "nothing" }),
            Self::Rotated(Rotated { profiles, user, old, new }) => json!({
                "profiles": profiles,
                "state": "rotated",
                "user": user,
                "old": old,
                "new": new,
            }),
            Self::Preview(RotationPreview { profiles, user, old, created, other, finish }) => {
                json!({
                    "profiles": profiles,
                    "state": if *finish { "would-finish" } else { "would-rotate" },
                    "user": user,
                    "old": old,
                    "created": created.map(|at| at.to_rfc3339()),
                    "would_delete": other,
                })
            }
        }
    }
}
