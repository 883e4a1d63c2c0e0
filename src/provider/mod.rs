//! From a profile to credentials: the plan, run with the vault's key and AWS's answers.

mod base;
mod code;
mod console;
mod device;
mod program;
mod run;
mod sso;
mod token;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use base::Start;
use run::Run;
pub use sso::IdentityCenter;

use crate::clock::Clock;
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Class, Error, Result};

use crate::profile::{self, Ask, Base, Mfa, Plan, Profiles, Step, Target};
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::session::Cache;
use crate::vault::Vault;

/// Where a machine waits, for everything from the start on: SDKs kill a credential_process after 60 s.
/// A person may take long to open the vault, or over a code; then helper programs, and the calls after
/// each answer, have it for themselves.
pub const DEADLINE: Duration = Duration::from_secs(50);

/// The shortest session that AWS gives.
const SHORT: Duration = Duration::from_secs(900);

/// Makes credentials for one profile.
pub struct Provider<'a> {
    /// The AWS config and credentials files.
    pub profiles: &'a Profiles,
    /// The environment.
    pub env: &'a Env,
    /// The open vault, or why there is none: a profile may need nothing from it.
    pub vault: std::result::Result<&'a Vault<'a>, Error>,
    /// How to ask for an MFA code.
    pub prompt: &'a Prompt,
    /// `--mfa-token`.
    pub mfa_token: Option<Secret>,
    /// Sessions, and the codes that were used.
    pub cache: &'a Cache,
    /// `--refresh`: no session from before this process.
    pub refresh: bool,
    /// `AWS_MIN_TTL`: the least time that a cached session must have left.
    pub min_left: Option<Duration>,
    /// Time.
    pub clock: Clock,
    /// Where warnings go.
    pub reporter: Reporter,
}

impl Provider<'_> {
    /// The plan for what was asked, as pure data.
    ///
    /// # Errors
    /// No such profile, no credentials for it, or no vault (3); usage (2); a loop (1).
    pub fn plan(&self, ask: &Ask) -> Result<Plan> {
        self.or_why_no_vault(profile::plan(self.profiles, self.env, &self.stored(), ask))
    }

    /// The profiles that have a key in the vault.
    fn stored(&self) -> BTreeSet<String> {
        match &self.vault {
            Ok(vault) => vault.payload().credential_names().map(str::to_owned).collect(),
            Err(_) => BTreeSet::new(),
        }
    }

    /// A key that was looked for in a vault that is not there: that is the reason to give.
    fn or_why_no_vault<T>(&self, planned: Result<T>) -> Result<T> {
        match (planned, &self.vault) {
            (Err(error), Err(no_vault)) if error.class == Class::NotFound => Err(no_vault.clone()),
            (planned, _) => planned,
        }
    }

    /// Runs a plan.
    ///
    /// # Errors
    /// What the base credentials' source, the MFA code or AWS refuse; busy (8) past the deadline.
    pub fn run(&self, plan: Plan) -> Result<Credentials> {
        let base = self.base(&plan.base, self.deadline())?;
        // Only a run tells what a credential_process gives.
        let plan = match &base {
            Start::Credentials(credentials) if credentials.is_temporary() => {
                plan.for_temporary_base()
            }
            _ => plan,
        };
        for note in &plan.notes {
            self.reporter.warn(note);
        }
        let base = match base {
            Start::Credentials(credentials) if plan.steps.is_empty() => return Ok(credentials),
            base => base,
        };
        // Its parent waits for it, and it would wait for its parent's turn.
        if plan.steps.iter().any(|step| step.mfa().is_some_and(|mfa| mfa.process.is_some())) {
            self.refuse_to_come_back("mfa_process", &plan.profile)?;
        }
        // A code is more than the secret: what it bought is not for who has only that.
        let with_code = plan.steps.iter().any(|step| step.mfa().is_some());
        let own = base.secret().and_then(|secret| self.cache.with_secret(secret));
        let own = own.filter(|_| !with_code);
        let cache = own.as_ref().unwrap_or(self.cache);
        let run = Run::new(self, &plan, &base, cache, self.deadline());
        let done = run.credentials();
        match &plan.base {
            Base::Sso { profile, sign_on } if done.is_err() && run.logged_out.get() => {
                let Some(base) = self.log_in_again(profile, sign_on)? else { return done };
                Run::new(self, &plan, &base, cache, self.deadline()).credentials()
            }
            _ => done,
        }
    }

    /// Runs a plan once more, for credentials that last at least so long.
    ///
    /// # Errors
    /// As [`Provider::run`].
    pub fn renew(&self, plan: &Plan, least: Duration) -> Result<Credentials> {
        let again = Provider {
            vault: self.vault.clone(),
            // Used up, and done.
            mfa_token: None,
            refresh: false,
            min_left: Some(least),
            ..*self
        };
        // They were said the first time.
        again.run(Plan { notes: Vec::new(), ..plan.clone() })
    }

    /// A short session on a key with a code of this device: for what the policies allow nobody without
    /// MFA. The key need not be the profile's, or not yet.
    ///
    /// # Errors
    /// No code to be had, or what AWS refuses (9); busy (8) past the deadline.
    pub fn mfa_session(
        &self,
        key: &Credentials,
        profile: &str,
        mfa: &Mfa,
        sts: &Target,
    ) -> Result<Credentials> {
        if mfa.process.is_some() {
            self.refuse_to_come_back("mfa_process", profile)?;
        }
        let plan = Plan {
            profile: profile.to_owned(),
            region: None,
            base: Base::Vault { profile: profile.to_owned() },
            sts: Some(sts.clone()),
            steps: vec![Step::Session { duration: SHORT, asked: false, mfa: Some(mfa.clone()) }],
            mfa_left_out: None,
            notes: Vec::new(),
        };
        let secret = Secret::new(key.secret_access_key.expose().to_owned());
        let base = Start::Credentials(Credentials::long_term(key.access_key_id.clone(), secret));
        Run::new(self, &plan, &base, self.cache, self.deadline()).credentials()
    }

    /// When what begins now has to be done.
    fn deadline(&self) -> Instant {
        self.prompt.deadline().unwrap_or_else(|| Instant::now() + DEADLINE)
    }

    /// A device whose codes only a person can give, if the plan has one.
    pub fn asks_a_person<'p>(&self, plan: &'p Plan) -> Option<&'p str> {
        let mut devices = plan.steps.iter().filter_map(|step| step.mfa());
        devices.find(|mfa| !self.has_codes_without_a_person(mfa)).map(|mfa| mfa.serial.as_str())
    }

    /// True if sops's variable opened the vault, so that it is no child's business.
    pub fn opened_by_sops(&self) -> bool {
        self.vault.as_ref().is_ok_and(|vault| vault.opened_by_sops())
    }
}
