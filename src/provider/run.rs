//! Running a plan: each session comes from the cache or is made once for all processes; each MFA code is sent
//! once.

mod codes;
mod shared;

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::base::BaseCredentials;
use super::code::{ClaimScope, Code};
use super::fleet::fleet_is_busy;
use super::options::Request;
use super::session::CredentialSession;
use crate::aws::{ServiceError, Sts};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::error::{Class, Error, Result};
use crate::profile::{Base, Mfa, Plan, Step, Target};
use crate::secret::Secret;
use crate::session::{Cache, Length, MintError, Minted, Obtained, SessionKind, Wanted};

/// A code that waited longer than this for a lock is not sent: AWS accepts it for a step or two beyond its
/// own of 30 s, and its age when it was given is not known.
const FRESH: Duration = Duration::from_secs(30);

/// How long others wait for a process that runs the mfa_process. Then they run it themselves: it may be
/// waiting for a person at another terminal.
const TURN: Duration = Duration::from_secs(20);

/// A role may demand that the code is not older than this (`aws:MultiFactorAuthAge`); only its refusal says
/// so.
const OLD_CODE: Duration = Duration::from_secs(15 * 60);

/// A code, and when it was given.
struct GivenCode {
    code: Secret,
    since: Instant,
}

/// One run of one plan.
pub(super) struct Run<'a> {
    with: &'a CredentialSession<'a>,
    request: &'a Request<'a>,
    plan: &'a Plan,
    base: &'a BaseCredentials,
    cache: &'a Cache,
    /// Made at the first call: a hit needs none.
    sts: OnceCell<Sts>,
    started: Instant,
    /// For locks, waits and calls together.
    deadline: Cell<Instant>,
    /// The answer to the question for a code, until it is used.
    asked: RefCell<Option<Result<GivenCode>>>,
    /// True once AWS has refused a code that a person gave. Each refusal counts against the device, so the
    /// person is asked once more at most.
    refused: Cell<bool>,
    /// Sessions made by a code before this do not count: a role was refused over one.
    newer: Cell<Option<Timestamp>>,
    /// How long this run has waited for another host of the fleet that did not finish.
    waited: Cell<Duration>,
    /// True once a person has to log in.
    pub logged_out: Cell<bool>,
    /// With [`Request::refresh`], sessions made before this run do not count.
    not_before: Option<Timestamp>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        with: &'a CredentialSession<'a>,
        request: &'a Request<'a>,
        plan: &'a Plan,
        base: &'a BaseCredentials,
        cache: &'a Cache,
        deadline: Instant,
    ) -> Self {
        // A session of this very second may be older than the process.
        let not_before = request.refresh.then(|| with.clock.now().plus(Duration::from_secs(1)));
        Self {
            with,
            request,
            plan,
            base,
            cache,
            sts: OnceCell::new(),
            started: Instant::now(),
            deadline: Cell::new(deadline),
            asked: RefCell::default(),
            refused: Cell::new(false),
            newer: Cell::default(),
            waited: Cell::default(),
            logged_out: Cell::new(false),
            not_before,
        }
    }

    /// The credentials that the plan ends with.
    pub(super) fn credentials(&self) -> Result<Credentials> {
        let Some(last) = self.plan.steps.len().checked_sub(1) else {
            return Err(Error::other("a plan without steps has nothing to run"));
        };
        let mut turn = None;
        let made = loop {
            match self.session(last, None) {
                Ok(made) => break made,
                Err(MintError::Failed(error) | MintError::Refused(error)) => return Err(error),
                Err(MintError::NeedsCode) => {}
            }
            let Some((at, mfa)) = self.device() else {
                return Err(Error::other("a plan without MFA needs a code"));
            };
            if mfa.process.is_some() && turn.is_none() {
                // The process that had the lock before may have made the session.
                let left = self.deadline.get().saturating_duration_since(Instant::now());
                turn = Some(self.cache.program_lock(&self.key(at), TURN.min(left)));
                continue;
            }
            self.ask(mfa);
        };
        if let Some(warning) = self.sts.get().and_then(Sts::clock_warning) {
            self.with.reporter.warn(warning);
        }
        Ok(made.credentials)
    }

    /// The device whose code the plan needs, and for which step: there is one at most.
    fn device(&self) -> Option<(usize, &Mfa)> {
        let mut steps = self.plan.steps.iter().enumerate();
        steps.find_map(|(at, step)| Some((at, step.mfa()?)))
    }

    /// Asks for a code, while no lock is held. If that fails, the session fails with it, or an old session
    /// is used.
    fn ask(&self, mfa: &Mfa) {
        let (profile, within) = (&self.plan.profile, &self.plan.within);
        let (deadline, refused) = (self.deadline.get(), self.refused.get());
        let asked = self.with.ask_for_code(profile, mfa, within, deadline, refused);
        // A person may have taken long; only machines have a time limit.
        self.deadline.set(self.with.deadline());
        self.asked.replace(Some(asked.map(|code| GivenCode { code, since: Instant::now() })));
    }

    /// The session of a step, made at the time `newer` or later. Its lock is taken before that of the step
    /// it builds on, from the profile towards its base, so that there is no deadlock.
    fn session(&self, at: usize, newer: Option<Timestamp>) -> Result<Obtained, MintError> {
        let key = self.key(at);
        let wanted = self.wanted(at, &key, newer);
        let made = self.cache.obtain(&wanted, self.deadline.get(), &mut |length| {
            self.make(at, length, &wanted).map_err(|failed| self.not_made(failed))
        })?;
        if self.request.refresh {
            self.with.refreshed().insert(key);
        }
        Ok(made)
    }

    /// The sessions in the cache that the steps would use: each step's number from 0, and when it ends.
    pub(super) fn cached(&self) -> Vec<(usize, Timestamp)> {
        let until = |at| {
            let key = self.key(at);
            Some((at, self.cache.until(&self.wanted(at, &key, None))?))
        };
        (0..self.plan.steps.len()).filter_map(until).collect()
    }

    /// True if the cache has what the plan ends with, or the session that costs its code.
    pub(super) fn needs_no_code(&self) -> bool {
        let fresh = |at: usize| {
            let key = self.key(at);
            self.cache.is_fresh(&self.wanted(at, &key, None))
        };
        self.plan.steps.len().checked_sub(1).is_some_and(fresh)
            || self.device().is_some_and(|(at, _)| fresh(at))
    }

    /// What is looked for in the cache for a step with this key.
    fn wanted<'k>(&'k self, at: usize, key: &'k [String], newer: Option<Timestamp>) -> Wanted<'k> {
        // This process may have refreshed it for another profile.
        let refresh = self.not_before.filter(|_| !self.with.refreshed().contains(key));
        Wanted {
            profile: &self.plan.profile,
            kind: match self.plan.steps[at] {
                Step::Session { .. } => SessionKind::Session,
                Step::Role { .. } | Step::WebIdentity { .. } => SessionKind::Role,
                Step::SsoRole { .. } => SessionKind::Sso,
            },
            key,
            length: match self.plan.steps[at] {
                Step::Session { duration, asked, mfa: Some(_) } => Some(Length {
                    wanted: duration,
                    least: if asked { duration } else { Duration::ZERO },
                }),
                _ => None,
            },
            not_before: refresh.max(newer),
            // Only what is handed out must last: a role may outlast the session that it is assumed with.
            min_left: match at + 1 == self.plan.steps.len() {
                true => self.request.min_left,
                false => self.with.options.min_left,
            },
        }
    }

    /// Makes the session of a step from that of the step before it, with this `length` if one is given.
    fn make(
        &self,
        at: usize,
        length: Option<Duration>,
        wanted: &Wanted<'_>,
    ) -> Result<Minted, Failed> {
        let mut step = self.plan.steps[at].clone();
        if let (Step::Session { duration, .. }, Some(length)) = (&mut step, length) {
            *duration = length;
        }
        let Some(before) = at.checked_sub(1) else {
            return match self.base {
                BaseCredentials::Credentials(base) => self.call_for_all(step, base, wanted),
                BaseCredentials::Token(token) => self.exchange(at, token).map(Minted::Here),
                BaseCredentials::Login(_) => self.by_login(at).map(Minted::Here),
            };
        };
        let by_code = self.plan.steps.get(before).and_then(Step::mfa).is_some();
        let newer = self.newer.get().filter(|_| by_code);
        let from = self.session(before, newer)?;
        match self.call_for_all(step.clone(), &from.credentials, wanted) {
            Err(error) if self.wants_a_newer_code(at, &error, from.made) => {
                let after = from.made.plus(Duration::from_secs(1));
                self.newer.set(Some(after));
                let fresh = self.session(before, Some(after))?;
                self.call_for_all(step, &fresh.credentials, wanted)
            }
            done => done,
        }
    }

    /// What a call's answer depends on, from the base to this step: equal keys mean the same session,
    /// whichever profile asks.
    fn key(&self, at: usize) -> Vec<String> {
        // The answer of IAM Identity Center does not depend on the STS that is asked later.
        let by_login = matches!(self.plan.steps[at], Step::SsoRole { .. });
        let sts = self.plan.sts.as_ref().filter(|_| !by_login);
        let mut key = self.owner().unwrap_or_else(|| vec![self.base.identity()]);
        key.extend(sts.map(Target::realm).unwrap_or_default());
        // `Debug` names every field, so a field that a step gets later is in it, too.
        key.extend(self.plan.steps.iter().take(at + 1).map(|step| match step {
            // Which program gives the code does not change AWS's answer. A session made with a code
            // serves every request for no more than its length.
            Step::Session { mfa: Some(mfa), .. } => format!("session with {}", mfa.serial),
            Step::Session { duration, mfa: None, .. } => format!("session {}", duration.as_secs()),
            Step::Role { .. } => {
                let mut step = step.clone();
                if let Step::Role { mfa: Some(mfa), .. } = &mut step {
                    mfa.process = None;
                }
                format!("{step:?}")
            }
            Step::WebIdentity { .. } | Step::SsoRole { .. } => format!("{step:?}"),
        }));
        key
    }

    /// The identity of a program that gives other temporary keys each time, and of the login that it uses.
    fn owner(&self) -> Option<Vec<String>> {
        // Without a vault the secret of this very base is the cache's key.
        let owner = self.base.owner(&self.plan.base).filter(|_| self.with.vault().is_ok());
        // What this program gives itself is known more exactly than by its account.
        let mut owner = owner.filter(|_| self.plan.inside.is_none())?;
        owner.push(self.with.login_variables()?);
        Some(owner)
    }

    /// Exchanges a token for credentials.
    fn exchange(&self, at: usize, token: &Secret) -> Result<Credentials, Failed> {
        let Step::WebIdentity { role_arn, session_name, duration } = &self.plan.steps[at] else {
            return Err(Failed::Ours(Error::other("a plan has no use for its token")));
        };
        self.with.reporter.debug(format!("calling AssumeRoleWithWebIdentity for {role_arn}"));
        let sts = self.sts()?;
        Ok(sts.assume_role_with_web_identity(token, role_arn, session_name, *duration)?)
    }

    /// Gets credentials with a login.
    fn by_login(&self, at: usize) -> Result<Credentials, Failed> {
        let (Base::Sso { profile, sign_on }, Step::SsoRole { account, name }) =
            (&self.plan.base, &self.plan.steps[at])
        else {
            return Err(Failed::Ours(Error::other("a plan has no use for its login")));
        };
        let center = self.with.identity_center(profile, sign_on);
        let given = center.credentials(account, name, self.deadline.get())?;
        self.logged_out.set(given.is_none());
        given.ok_or_else(|| Failed::Ours(center.not_logged_in()))
    }

    /// Makes the session of a step, with its code if it needs one.
    fn call(
        &self,
        step: &Step,
        from: &Credentials,
        scope: ClaimScope<'_, '_>,
    ) -> Result<Credentials, Failed> {
        let Some(mfa) = step.mfa() else { return Ok(self.send(step, from, None)?) };
        let (code, asked) = match self.with.code(mfa, self.request.mfa_token)? {
            Code::Seed(seed) => return self.send_with(step, from, (mfa, &seed), scope),
            Code::Given(code) => (GivenCode { code, since: self.started }, false),
            Code::Asked => (self.asked.take().ok_or(MintError::NeedsCode)??, true),
        };
        if code.since.elapsed() > FRESH {
            return Err(self.is_too_old(mfa, asked));
        }
        if self.is_overtaken(scope)? {
            if asked {
                self.asked.replace(Some(Ok(code)));
            }
            return Err(Failed::Overtaken);
        }
        match self.send(step, from, Some((&mfa.serial, &code.code))) {
            Err(ServiceError::MfaInvalid { .. })
                if asked
                    && mfa.process.is_none()
                    && !self.with.prompt.is_timed()
                    && !self.refused.replace(true) =>
            {
                Err(MintError::NeedsCode.into())
            }
            done => Ok(done?),
        }
    }

    /// What follows from a code that is too old to be sent. `asked`: it was not on the command line.
    fn is_too_old(&self, mfa: &Mfa, asked: bool) -> Failed {
        // A machine that waits for a person's input does not wait for it a second time.
        match asked && (mfa.process.is_some() || !self.with.prompt.is_timed()) {
            true => Failed::NeedsCode,
            false => Failed::Ours(too_old()),
        }
    }

    fn send(
        &self,
        step: &Step,
        from: &Credentials,
        mfa: Option<(&str, &Secret)>,
    ) -> Result<Credentials, ServiceError> {
        let sts = self.sts().map_err(ServiceError::Setup)?;
        match step {
            Step::Session { duration, .. } => {
                self.with.reporter.debug("calling GetSessionToken");
                sts.session_token(from, *duration, mfa)
            }
            Step::Role { role, .. } => {
                self.with.reporter.debug(format!("calling AssumeRole for {}", role.arn));
                sts.assume_role(from, role, mfa)
            }
            Step::WebIdentity { .. } | Step::SsoRole { .. } => {
                Err(ServiceError::Setup(Error::other("a plan needs a token and has credentials")))
            }
        }
    }

    fn sts(&self) -> Result<&Sts> {
        if let Some(sts) = self.sts.get() {
            return Ok(sts);
        }
        let CredentialSession { env, reporter, .. } = self.with;
        let Some(target) = &self.plan.sts else {
            return Err(Error::other("a plan with steps names no STS"));
        };
        let sts = Sts::connect(target, env, self.deadline.get(), *reporter)?;
        self.with.missed.store(true, Ordering::Relaxed);
        Ok(self.sts.get_or_init(|| sts))
    }

    /// The error of a step: whose key AWS refused, and whether a code may be missing.
    fn not_made(&self, failed: Failed) -> MintError {
        let refused = match failed {
            Failed::Aws(refused) => refused,
            Failed::Ours(error) => return MintError::Failed(error),
            Failed::Refused(error) => return MintError::Refused(error),
            Failed::NeedsCode => return MintError::NeedsCode,
            Failed::Overtaken => return MintError::Failed(fleet_is_busy()),
        };
        // Other refusals, of a key that has expired, say nothing of whose session is in the cache.
        let denied =
            matches!(&refused, ServiceError::Denied { code, .. } if code == "AccessDenied");
        let role =
            denied && matches!(&refused, ServiceError::Denied { operation: "AssumeRole", .. });
        let BaseCredentials::Credentials(key) = self.base else {
            return MintError::Failed(refused.into_error());
        };
        let holder = self.plan.base.profile().unwrap_or(&self.plan.profile);
        let error = refused.into_error_of(&key.access_key_id, holder);
        let error = without_mfa(error, self.plan, role && !key.is_temporary());
        match denied && self.owner().is_some() {
            true => MintError::Refused(error),
            false => MintError::Failed(error),
        }
    }

    /// True if a role was refused to a session whose code is old, and no person has to be asked for a new
    /// one.
    fn wants_a_newer_code(&self, at: usize, error: &Failed, made: Timestamp) -> bool {
        let denied = matches!(error, Failed::Aws(ServiceError::Denied { code, .. }) if code == "AccessDenied");
        let age = self.with.clock.now().seconds_since(made);
        let old = u64::try_from(age).is_ok_and(|age| age > OLD_CODE.as_secs());
        let before = at.checked_sub(1).and_then(|before| self.plan.steps.get(before));
        let mfa = before.and_then(Step::mfa);
        denied && old && mfa.is_some_and(|mfa| self.with.has_automatic_codes(mfa))
    }
}

/// Why a step failed.
enum Failed {
    /// AWS refused, or did not answer.
    Aws(ServiceError),
    /// No code is available, or no time is left.
    Ours(Error),
    /// AWS refused the session below this one: [`MintError::Refused`].
    Refused(Error),
    /// A program or person has to be asked for a code first.
    NeedsCode,
    /// Another host of the fleet makes the session by now.
    Overtaken,
}

impl From<ServiceError> for Failed {
    fn from(error: ServiceError) -> Self {
        Self::Aws(error)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<MintError> for Failed {
    fn from(not_made: MintError) -> Self {
        match not_made {
            MintError::NeedsCode => Self::NeedsCode,
            MintError::Failed(error) => Self::Ours(error),
            MintError::Refused(error) => Self::Refused(error),
        }
    }
}

/// Adds the hint that a role may have been refused since no code was sent. `role`: it is one that takes a
/// code.
fn without_mfa(error: Error, plan: &Plan, role: bool) -> Error {
    if error.class != Class::Aws || error.hint.is_some() {
        return error;
    }
    match &plan.mfa_left_out {
        Some(serial) => error.hint(format!(
            "only the source profile sets mfa_serial ({serial}); if the role requires MFA, give a \
             code with --mfa-token"
        )),
        None if role && plan.steps.iter().all(|step| step.mfa().is_none()) => error.hint(format!(
            "profile {} has no mfa_serial: set it if the role requires MFA",
            plan.profile
        )),
        None => error,
    }
}

fn too_old() -> Error {
    Error::busy("the MFA code became too old while another process was making the same session")
        .hint("it was not sent; try again with a new one")
}
