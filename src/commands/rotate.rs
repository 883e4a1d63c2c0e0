//! `rotate`: new access keys in the place of old ones.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::context::Context;
use crate::aws::{Iam, Sts};
use crate::cli;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::name::ProfileName;
use crate::profile::{self, Ask, Base, Mfa, Plan, Profiles, Step};
use crate::prompt::Prompt;
use crate::provider::Provider;
use crate::report;
use crate::rotate::{self, Rotate, Rotated, RotationPreview};
use crate::secret::Secret;
use crate::vault::{Payload, Vault};

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
    let prompt = context.prompt(None);
    let files = context.profiles()?;
    let access = context.access(&prompt)?;
    let mut vault = Vault::open(&access)?;
    let with = With {
        args,
        context,
        files: &files,
        prompt: &prompt,
        token: RefCell::new(args.mfa_token.clone().map(Secret::new)),
    };
    let orphaned = !args.dry_run && rotate::abandon(&mut vault, context.reporter)?;
    let Some(asked) = asked else { return with.many(&mut vault, orphaned) };
    let job = with.job(asked.as_str(), vault.payload())?;
    let done = with.one(&job, &mut vault)?;
    report::result(&match args.json {
        true => format!("{}\n", done.to_json(&[asked.as_str().to_owned()])),
        false => format!("{}\n", done.to_text(asked.as_str())),
    })
}

/// What all jobs have in common.
struct With<'a> {
    args: &'a cli::rotate::Rotate,
    context: &'a Context<'a>,
    files: &'a Profiles,
    prompt: &'a Prompt,
    /// `--mfa-token`, until it is used.
    token: RefCell<Option<Secret>>,
}

impl With<'_> {
    /// The key at the end of a profile's chain.
    fn job(&self, asked: &str, payload: &Payload) -> Result<Job> {
        let given = self.args.mfa_token.is_some();
        let plan = plan(self.files, self.context.env, payload, asked, given)?;
        let Base::Vault { profile } = &plan.base else {
            return Err(Error::not_found(format!(
                "the credentials of profile {asked:?} do not come from a key in the vault"
            ))
            .hint("only a key that the vault has can be rotated"));
        };
        let own = || self::plan(self.files, self.context.env, payload, profile, given).ok();
        let mfa = device(&plan).or_else(|| own().as_ref().and_then(device));
        Ok(Job { profile: profile.clone(), mfa })
    }

    /// `--all`, and `--resume` without a profile. `orphaned`: something else was ended already.
    fn many(&self, vault: &mut Vault, orphaned: bool) -> Result<()> {
        let mut seen = BTreeSet::new();
        let payload = vault.payload();
        let mut jobs: Vec<(Vec<String>, Result<Job>)> = Vec::new();
        for profile in payload.credential_names() {
            let id = payload.access_key_id(profile).unwrap_or_default();
            let begun = payload.rotation_of(id).is_some();
            if seen.insert(id.to_owned()) && (begun || !self.args.resume) {
                let same = |name: &&str| payload.access_key_id(name) == Some(id);
                let names = payload.credential_names().filter(same).map(str::to_owned);
                jobs.push((names.collect(), self.job(profile, payload)));
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
        let done: Vec<(Vec<String>, Result<Done>)> = jobs
            .into_iter()
            .map(|(profiles, job)| (profiles, job.and_then(|job| self.one(&job, vault))))
            .collect();
        let shown = |(profiles, done): &(Vec<String>, Result<Done>)| match done {
            Ok(done) => done.to_text(&profiles.join(", ")),
            Err(error) => {
                let hint = error.hint.as_ref().map(|hint| format!(" ({hint})"));
                let hint = hint.unwrap_or_default();
                format!("{}: failed: {}{hint}", profiles.join(", "), error.what)
            }
        };
        report::result(&match self.args.json {
            true => {
                let one = |(profiles, done): &(Vec<String>, Result<Done>)| match done {
                    Ok(done) => done.to_json(profiles),
                    Err(error) => failed(profiles, error),
                };
                format!("{}\n", Value::Array(done.iter().map(one).collect()))
            }
            false => done.iter().map(|one| format!("{}\n", shown(one))).collect(),
        })?;
        let count = done.len();
        let errors: Vec<_> = done.into_iter().filter_map(|(_, done)| done.err()).collect();
        match errors.first() {
            None => Ok(()),
            Some(first) => {
                let what = format!("{} of {count} keys could not be rotated", errors.len());
                let error = Error::new(first.class, what);
                let payload = vault.payload();
                let begun = payload.credential_names().any(|name| is_begun(name, payload));
                Err(if begun && !self.args.dry_run { error.hint(GOES_ON) } else { error })
            }
        }
    }

    fn one(&self, job: &Job, vault: &mut Vault) -> Result<Done> {
        let Context { env, clock, reporter, .. } = *self.context;
        let profile = job.profile.as_str();
        let payload = vault.payload();
        let begun = |payload: &Payload| is_begun(profile, payload);
        if self.args.resume && !begun(payload) {
            return Ok(Done::Nothing);
        }
        let (sts, iam) = profile::places(self.files, env, profile)?;
        let deadline = Instant::now() + DEADLINE;
        let cache = self.context.cache(Some(payload))?;
        let sessions_of = self.sessions_of(profile, payload);
        let made = Cell::new(false);
        let mfa = job.mfa.as_ref().filter(|_| !self.args.no_session);
        let session = mfa.map(|mfa| {
            |vault: &Vault<'_>, key: &Credentials| {
                // The program may print the code once more that was sent just now.
                let has_seed = vault.payload().totp(&mfa.serial).is_some();
                if made.replace(true) && mfa.process.is_some() && !has_seed {
                    return Err(Error::aws("the policies want one more MFA code for the new key")
                        .hint(format!("in half a minute, run vault rotate {profile} again")));
                }
                let provider = Provider {
                    profiles: self.files,
                    env,
                    vault: Ok(vault),
                    prompt: self.prompt,
                    mfa_token: self.token.take(),
                    cache: &cache,
                    refresh: true,
                    min_left: None,
                    clock,
                    reporter,
                };
                provider.mfa_session(key, profile, mfa, &sts)
            }
        });
        let rotate = Rotate {
            profile,
            delete_other: self.args.delete_other,
            sts: &Sts::connect(&sts, env, deadline, reporter)?,
            iam: &Iam::connect(&iam, env, deadline, reporter)?,
            mfa: session.as_ref().map(|session| session as &rotate::MakeSession),
            cache: &cache,
            sessions_of: &sessions_of,
            deadline,
            pause: &std::thread::sleep,
            clock,
            reporter,
            vault: &mut *vault,
        };
        if self.args.dry_run {
            return rotate.preview().map(Done::RotationPreview);
        }
        let done = rotate.run().map(Done::Rotated);
        done.map_err(|error| match error.hint {
            None if begun(vault.payload()) => error.hint(GOES_ON),
            _ => error,
        })
    }

    /// The profiles whose sessions start from the key of this one.
    fn sessions_of(&self, profile: &str, payload: &Payload) -> Vec<String> {
        let id = payload.access_key_id(profile);
        let configured = self.files.names();
        let names = configured.iter().map(String::as_str).chain(payload.credential_names());
        let names: BTreeSet<&str> = names.collect();
        let starts_there = |name: &&str| {
            let plan = plan(self.files, self.context.env, payload, name, false);
            let base = plan.map(|plan| plan.base);
            matches!(&base, Ok(Base::Vault { profile }) if payload.access_key_id(profile) == id)
        };
        names.into_iter().filter(starts_there).map(str::to_owned).collect()
    }
}

fn plan(files: &Profiles, env: &Env, payload: &Payload, name: &str, token: bool) -> Result<Plan> {
    let stored = payload.credential_names().map(str::to_owned).collect();
    let ask = Ask {
        profile: name.to_owned(),
        mfa_token_given: token,
        seeds: payload.totp_serials().map(str::to_owned).collect(),
        ..Ask::default()
    };
    profile::plan(files, env, &stored, &ask)
}

/// True if the journal has the key of this profile.
fn is_begun(profile: &str, payload: &Payload) -> bool {
    payload.access_key_id(profile).is_some_and(|id| payload.rotation_of(id).is_some())
}

fn device(plan: &Plan) -> Option<Mfa> {
    plan.steps.iter().find_map(Step::mfa).cloned()
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
