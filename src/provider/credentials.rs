//! A plan in, credentials out.

use std::time::{Duration, Instant};

use super::base::BaseCredentials;
use super::code::SHORT;
use super::options::Request;
use super::run::Run;
use super::session::CredentialSession;
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::Result;
use crate::os;
use crate::profile::{Base, Mfa, Plan, Step, Target};
use crate::secret::Secret;
use crate::session::{Cache, InStore};
use crate::store::Store;

/// The time limit where a machine waits, from the start of the process: SDKs kill a credential_process after
/// 60 s. A person may take long to open the vault or to enter a code; then helper programs, and the calls
/// after each answer, each have this time.
pub const DEADLINE: Duration = Duration::from_secs(50);

impl CredentialSession<'_> {
    /// Runs a plan. What that leaves on the stack is overwritten.
    ///
    /// # Errors
    /// What the base credentials' source, the MFA code or AWS refuse; busy (8) past the deadline.
    pub fn run(&self, plan: &Plan) -> Result<Credentials> {
        self.run_with(plan, self.options.min_left)
    }

    /// The same for credentials that last at least so long, unless `AWS_MIN_TTL` says how long.
    pub fn run_for(&self, plan: &Plan, least: Duration) -> Result<Credentials> {
        self.run_with(plan, self.options.min_left.or(Some(least)))
    }

    /// The same for a server, which asks no person for a code later: if there is a code now, no MFA session
    /// is enough that was made for less time than the plan says.
    pub fn run_to_the_end(&self, plan: &Plan) -> Result<Credentials> {
        match self.options.mfa_token.is_some() || self.prompt.available() {
            true => self.run(&plan.clone().for_its_whole_duration()),
            false => self.run(plan),
        }
    }

    /// Runs a plan once more, for credentials that last at least so long.
    pub fn renew(&self, plan: &Plan, least: Duration) -> Result<Credentials> {
        // The notes were printed the first time.
        let plan = without_notes(plan.clone());
        let request = Request { mfa_token: None, refresh: false, min_left: Some(least) };
        self.make(&plan, &request)
    }

    pub(super) fn run_with(&self, plan: &Plan, min_left: Option<Duration>) -> Result<Credentials> {
        self.make(plan, &self.request(min_left))
    }

    pub(super) fn request(&self, min_left: Option<Duration>) -> Request<'_> {
        let (mfa_token, refresh) = (self.options.mfa_token.as_ref(), self.options.refresh);
        Request { mfa_token, refresh, min_left }
    }

    pub(super) fn make(&self, plan: &Plan, request: &Request) -> Result<Credentials> {
        os::on_wiped_stack(|| self.make_unwiped(plan, request))
    }

    fn make_unwiped(&self, plan: &Plan, request: &Request) -> Result<Credentials> {
        let by_session = self.by_cached_session(plan, request);
        let plan = by_session.as_ref().unwrap_or(plan);
        let base = self.base(plan, request, self.deadline())?;
        // What a credential_process gives is known only after a run.
        let plan = match &base {
            BaseCredentials::Credentials(credentials) if credentials.is_temporary() => {
                &plan.clone().for_temporary_base()
            }
            _ => plan,
        };
        for note in &plan.notes {
            self.reporter.warn(note);
        }
        let base = match base {
            BaseCredentials::Credentials(credentials) if plan.steps.is_empty() => {
                return Ok(self.with_account(credentials, plan));
            }
            base => base,
        };
        // Its parent waits for it, and it would wait for its parent's lock.
        if plan.steps.iter().any(|step| step.mfa().is_some_and(|mfa| mfa.process.is_some())) {
            self.refuse_recursion("mfa_process", &plan.profile, &plan.within)?;
        }
        let own = self.cache_of(plan, &base);
        let cache = own.as_ref().unwrap_or(&self.cache);
        let run = Run::new(self, request, plan, &base, cache, self.deadline());
        let done = run.credentials();
        match &plan.base {
            Base::Sso { profile, sign_on } if done.is_err() && run.logged_out.get() => {
                let Some(base) = self.log_in_again(profile, sign_on)? else { return done };
                Run::new(self, request, plan, &base, cache, self.deadline()).credentials()
            }
            _ => done.map(|made| self.with_account(made, plan)),
        }
    }

    /// The cache where no vault is open: its key comes from the secret that the plan starts from. A session
    /// made with a code is not kept in it, since knowing the secret must not be enough to get it.
    fn cache_of(&self, plan: &Plan, base: &BaseCredentials) -> Option<Cache> {
        let with_code = plan.steps.iter().any(|step| step.mfa().is_some());
        base.secret().filter(|_| !with_code).and_then(|secret| self.cache.with_secret(secret))
    }

    /// The sessions in the cache that a plan's steps would use: each step's number from 0, and when its
    /// session ends. None where only a program or a server could say whose credentials the plan starts from.
    pub fn cached(&self, plan: &Plan) -> Option<Vec<(usize, Timestamp)>> {
        let request = self.request(self.options.min_left);
        self.inspect(plan, &request, |run| Some(run.cached()))
    }

    /// The name in the fleet's store of the session that costs this plan a code, if one does. None as for
    /// [`CredentialSession::cached`].
    pub fn shared_name(&self, plan: &Plan) -> Option<String> {
        let fleet = self.fleet.as_deref()?;
        let request = self.request(self.options.min_left);
        self.inspect(plan, &request, |run| run.shared_name(fleet.keys()))
    }

    /// The plan as it runs now: by the session of a device that only a source profile names, if the cache
    /// has one, so that nobody is asked for a code.
    pub fn as_it_runs(&self, plan: Plan) -> Plan {
        self.by_cached_session(&plan, &self.request(self.options.min_left)).unwrap_or(plan)
    }

    fn by_cached_session(&self, plan: &Plan, request: &Request) -> Option<Plan> {
        let session = plan.session_left_out.clone()?;
        let mut by_session = Plan { mfa_left_out: None, session_left_out: None, ..plan.clone() };
        by_session.steps.retain(|step| !matches!(step, Step::Session { .. }));
        by_session.steps.insert(0, session);
        let fresh = self.inspect(&by_session, request, |run| Some(run.needs_no_code()));
        (fresh == Some(true)).then_some(by_session)
    }

    /// Looks at a run of a plan without running it.
    fn inspect<T>(
        &self,
        plan: &Plan,
        request: &Request,
        look: impl FnOnce(&Run) -> Option<T>,
    ) -> Option<T> {
        if !matches!(plan.base, Base::Vault { .. } | Base::Plaintext { .. } | Base::Environment) {
            return None;
        }
        os::on_wiped_stack(|| {
            let base = self.base(plan, request, self.deadline()).ok()?;
            let own = self.cache_of(plan, &base);
            let cache = own.as_ref().unwrap_or(&self.cache);
            look(&Run::new(self, request, plan, &base, cache, self.deadline()))
        })
    }

    /// What the fleet's store has of the session of this name; none if it cannot be opened.
    pub fn in_store(&self, name: &str, store: &dyn Store) -> Result<Option<InStore>> {
        let Some(fleet) = self.fleet.as_deref() else { return Ok(None) };
        Ok(fleet.keys().look(name, store.read(name, None)?, self.clock.now()))
    }

    /// A short session on a key with a code of this device, for calls that the policies refuse without MFA.
    /// The key need not be the profile's.
    ///
    /// # Errors
    /// No code is available, or what AWS refuses (9); busy (8) past the deadline.
    pub fn mfa_session(
        &self,
        key: &Credentials,
        profile: &str,
        mfa: &Mfa,
        sts: &Target,
        mfa_token: Option<&Secret>,
    ) -> Result<Credentials> {
        if mfa.process.is_some() {
            self.refuse_recursion("mfa_process", profile, &[])?;
        }
        let base = Base::Vault { profile: profile.to_owned() };
        let plan = Plan {
            sts: Some(sts.clone()),
            steps: vec![Step::Session { duration: SHORT, asked: false, mfa: Some(mfa.clone()) }],
            ..Plan::of_base(base, profile, None, sts.variant)
        };
        let secret = Secret::new(key.secret_access_key.expose().to_owned());
        let base =
            BaseCredentials::Credentials(Credentials::long_term(key.access_key_id.clone(), secret));
        let request = Request { mfa_token, refresh: true, min_left: None };
        Run::new(self, &request, &plan, &base, &self.cache, self.deadline()).credentials()
    }

    /// The time limit of what begins now.
    pub(super) fn deadline(&self) -> Instant {
        self.prompt.deadline().unwrap_or_else(|| Instant::now() + DEADLINE)
    }

    /// A device whose codes only a person can give, if the plan has one.
    pub fn asks_a_person<'p>(&self, plan: &'p Plan) -> Option<&'p str> {
        let mut devices = plan.all().flat_map(|plan| &plan.steps).filter_map(|step| step.mfa());
        devices.find(|mfa| !self.has_automatic_codes(mfa)).map(|mfa| mfa.serial.as_str())
    }
}

pub(super) fn without_notes(mut plan: Plan) -> Plan {
    plan.notes.clear();
    plan.inside = plan.inside.map(|inside| Box::new(without_notes(*inside)));
    plan
}
