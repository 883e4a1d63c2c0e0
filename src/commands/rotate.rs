//! `rotate`: new access keys in the place of old ones.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::context::Context;
use crate::cli;
use crate::error::{Error, Result};
use crate::name::ProfileName;
use crate::profile::{self, Base, Mfa, Plan, Step};
use crate::provider::{CredentialSession, Need, Options};
use crate::report;
use crate::rotate::{self, MfaDevice, Rotate, Rotated, RotationPreview};
use crate::secret::Secret;
use crate::user_change::UserChange;
use crate::vault::Payload;

/// For the calls and pauses of one key. No SDK waits for this command, and a person may have to look
/// for a phone.
const DEADLINE: Duration = Duration::from_secs(300);

/// The hint where something was begun. With `--all`, the same command would begin the others anew.
const GOES_ON: &str = "vault rotate --resume goes on where this stopped";

/// A key to be replaced.
struct Job {
    /// A profile that has it.
    profile: String,
    /// The device of the user, as the profile that was asked for names it, or the one with the key.
    mfa: Option<Mfa>,
}

/// What came of one.
enum Done {
    Rotated(Rotated),
    RotationPreview(RotationPreview),
    Nothing,
}

pub fn run(args: &cli::rotate::Rotate, context: &Context) -> Result<()> {
    let asked = args.profile.as_deref().map(ProfileName::new).transpose()?;
    let token = args.mfa_token.clone().map(Secret::new);
    let options =
        Options { mfa_token: token.as_ref().map(Secret::duplicate), ..Options::default() };
    let (profiles, prompt) = (context.profiles()?, context.prompt(None));
    let session = context.session(profiles, Need::Vault, options, prompt)?;
    let mut all = All { args, context, session, token };
    let orphaned = !args.dry_run && rotate::abandon(all.session.vault_mut()?, context.reporter)?;
    let Some(asked) = asked else { return all.many(orphaned) };
    let job = all.job(asked.as_str())?;
    let done = all.one(&job)?;
    report::result(&match args.json {
        true => format!("{}\n", done.to_json(&[asked.as_str().to_owned()])),
        false => format!("{}\n", done.to_text(asked.as_str())),
    })
}

/// What all jobs have in common.
struct All<'a> {
    args: &'a cli::rotate::Rotate,
    context: &'a Context<'a>,
    session: CredentialSession<'a>,
    /// `--mfa-token`, until it is used.
    token: Option<Secret>,
}

impl All<'_> {
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

    /// `--all`, and `--resume` without a profile. `orphaned`: something else was ended already.
    fn many(&mut self, orphaned: bool) -> Result<()> {
        let mut seen = BTreeSet::new();
        let payload = self.payload()?;
        let mut jobs: Vec<(Vec<String>, Result<Job>)> = Vec::new();
        for profile in payload.credential_names() {
            let id = payload.access_key_id(profile).unwrap_or_default();
            let begun = payload.rotation_of(id).is_some();
            if seen.insert(id.to_owned()) && (begun || !self.args.resume) {
                let same = |name: &&str| payload.access_key_id(name) == Some(id);
                let names = payload.credential_names().filter(same).map(str::to_owned);
                jobs.push((names.collect(), self.job(profile)));
            }
        }
        if jobs.is_empty() {
            let nothing = match (self.args.json, self.args.resume) {
                (true, _) => "[]\n",
                (false, true) if orphaned => "",
                (false, true) => "Nothing to finish.\n",
                (false, false) => "No key in the vault.\n",
            };
            return report::result(nothing);
        }
        let (mut done, mut said) = (Vec::new(), Ok(()));
        for (profiles, job) in jobs {
            let one = job.and_then(|job| self.one(&job));
            // Each key as it finishes: one may take a minute, and whoever reads may be gone by then.
            if !self.args.json {
                said = said.and(report::result(&line(&profiles, &one)));
            }
            done.push((profiles, one));
        }
        if self.args.json {
            let one = |(profiles, done): &(Vec<String>, Result<Done>)| match done {
                Ok(done) => done.to_json(profiles),
                Err(error) => failed(profiles, error),
            };
            let all = Value::Array(done.iter().map(one).collect());
            said = report::result(&format!("{all}\n"));
        }
        said?;
        let count = done.len();
        let errors: Vec<_> = done.into_iter().filter_map(|(_, done)| done.err()).collect();
        match errors.first() {
            None => Ok(()),
            Some(first) => {
                let what = format!("{} of {count} keys could not be rotated", errors.len());
                let error = Error::new(first.class, what);
                let payload = self.payload()?;
                let begun = payload.credential_names().any(|name| is_begun(name, payload));
                Err(if begun && !self.args.dry_run { error.hint(GOES_ON) } else { error })
            }
        }
    }

    fn one(&mut self, job: &Job) -> Result<Done> {
        let env = self.context.env;
        let profile = job.profile.as_str();
        if self.args.resume && !is_begun(profile, self.payload()?) {
            return Ok(Done::Nothing);
        }
        let (sts, iam) = profile::sts_and_iam(self.session.profiles(), env, profile)?;
        self.context.warn_of_overridden(&[&sts, &iam]);
        let sessions_of = self.sessions_of(profile)?;
        let mfa = job.mfa.as_ref().filter(|_| !self.args.no_session);
        let (token, places) = (&mut self.token, (&sts, &iam));
        let rotate = Rotate {
            change: UserChange::new(&mut self.session, profile, places, env, DEADLINE)?,
            delete_other: self.args.delete_other,
            mfa: mfa.map(|device| MfaDevice { device, sts: &sts, token, used: false }),
            sessions_of: &sessions_of,
            session: None,
        };
        if self.args.dry_run {
            return rotate.preview().map(Done::RotationPreview);
        }
        let done = rotate.run().map(Done::Rotated);
        let begun = self.payload().is_ok_and(|payload| is_begun(profile, payload));
        done.map_err(|error| if begun { error.or_hint(GOES_ON) } else { error })
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

/// True if the journal has the key of this profile.
fn is_begun(profile: &str, payload: &Payload) -> bool {
    payload.access_key_id(profile).is_some_and(|id| payload.rotation_of(id).is_some())
}

fn device(plan: &Plan) -> Option<Mfa> {
    plan.steps.iter().find_map(Step::mfa).cloned()
}

/// What came of one of several, as a line.
fn line(profiles: &[String], done: &Result<Done>) -> String {
    let profiles = profiles.join(", ");
    match done {
        Ok(done) => format!("{}\n", done.to_text(&profiles)),
        Err(error) => {
            let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            format!("{profiles}: failed: {}{hint}\n", error.what)
        }
    }
}

fn failed(profiles: &[String], error: &Error) -> Value {
    json!({
        "profiles": profiles,
        "state": "failed",
        "error": error.what,
        "hint": error.hint,
        "code": error.class.code(),
    })
}

impl Done {
    /// One line.
    fn to_text(&self, asked: &str) -> String {
        match self {
            Self::Rotated(done) => format!(
                "{}: {} is replaced by {}, for the user {}",
                done.profiles.join(", "),
                done.old,
                done.new,
                done.user
            ),
            Self::RotationPreview(would) if would.finish => format!(
                "{}: would finish replacing {}, for the user {}",
                would.profiles.join(", "),
                would.old,
                would.user
            ),
            Self::RotationPreview(would) => {
                let made = would.created.map(|at| format!(", made {},", at.to_rfc3339()));
                let other = would.other.as_ref().map(|other| format!(", after deleting {other}"));
                format!(
                    "{}: would replace {}{} for the user {}{}",
                    would.profiles.join(", "),
                    would.old,
                    made.unwrap_or_default(),
                    would.user,
                    other.unwrap_or_default()
                )
            }
            Self::Nothing => format!("{asked}: nothing to finish"),
        }
    }

    fn to_json(&self, asked: &[String]) -> Value {
        match self {
            Self::Rotated(done) => json!({
                "profiles": done.profiles,
                "state": "rotated",
                "user": done.user,
                "old": done.old,
                "new": done.new,
            }),
            Self::RotationPreview(would) => json!({
                "profiles": would.profiles,
                "state": if would.finish { "would-finish" } else { "would-rotate" },
                "user": would.user,
                "old": would.old,
                "created": would.created.map(|at| at.to_rfc3339()),
                "would_delete": would.other,
            }),
            Self::Nothing => json!({ "profiles": asked, "state": "nothing" }),
        }
    }
}
