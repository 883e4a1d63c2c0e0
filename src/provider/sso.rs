//! IAM Identity Center: logging in by device code (RFC 8628), and what the login is good for.
//!
//! A person's yes is waited for without any lock. Whoever refreshes a login, on the other hand, holds
//! its lock meanwhile: of all processes that find it ended, one asks for a new token.

use std::time::{Duration, Instant};

use super::base::Start;
use super::device::{invitation, wait_for_a_person};
use super::session::{CredentialSession, VaultState};
use crate::aws::{NotGiven, Oidc, Portal, ServiceError, Tokens, is_over, is_slow_down};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::process::shell_word;
use crate::profile::{self, Base, Plan, SignOn};
use crate::random;
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::session::{Login, LoginFile, LoginLock, LoginState};
use crate::waiting::waiting;

/// For each of: the calls before a person is asked, a refresh, a logout.
const DEADLINE: Duration = Duration::from_secs(50);
/// An access token with less left, in seconds, is refreshed before it is used.
const REFRESH_BEFORE: i64 = 5 * 60;
/// The longest time for a refresh that is optional.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before each further try of a refresh that AWS answers with `slow_down`, in seconds.
const SLOW_DOWN_PAUSES: [u64; 2] = [1, 3];

/// One place where people log in, seen from one profile.
pub struct IdentityCenter<'a> {
    /// The place.
    sign_on: &'a SignOn,
    /// The profile, for what is said.
    profile: &'a str,
    session: &'a CredentialSession<'a>,
}

/// Why a role gives no credentials.
pub(super) enum NoCredentials {
    /// Only a person can help: nobody is logged in, or no longer.
    LoggedOut,
    /// Anything else.
    Ours(Error),
}

impl From<Error> for NoCredentials {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl IdentityCenter<'_> {
    /// Shows a page and a code, and waits until a person has said yes on that page. The login is kept,
    /// in the place of one that was there.
    ///
    /// # Errors
    /// AWS (9): a no, or nobody's answer while the code lives. Not saved (7), before anybody is asked
    /// if that can be known.
    pub fn log_in(&self) -> Result<Login> {
        self.place().try_lock().map_or(Ok(()), |lock| lock.may_keep())?;
        let oidc = self.oidc(Instant::now() + DEADLINE)?;
        let client = oidc.register(&self.sign_on.scopes).map_err(ServiceError::into_error)?;
        let device =
            oidc.start(&client, &self.sign_on.start_url).map_err(ServiceError::into_error)?;
        let ends = Instant::now() + device.expires_in;
        self.session.prompt.show(&invitation(&device));

        let oidc = self.oidc(ends)?;
        let ask = || oidc.token(&client, &device);
        let tokens = wait_for_a_person(&device, ends, self.session.reporter, &ask)?;
        let login = Login {
            id: format!("{:032x}", u128::from_ne_bytes(*random::bytes()?)),
            expires: self.session.clock.now().plus(tokens.expires_in),
            access: tokens.access,
            refresh: tokens.refresh,
            client_id: client.id,
            client_secret: client.secret,
            client_expires: client.expires,
        };
        self.place().lock(Instant::now() + DEADLINE)?.keep(&login)?;
        Ok(login)
    }

    /// Forgets the login, and lets AWS end it; false if there was none.
    ///
    /// # Errors
    /// Not saved (7); AWS's (9) or a lack of time (8) where it is forgotten here, and AWS was not told.
    pub fn log_out(&self) -> Result<bool> {
        let place = self.place();
        let login = {
            let lock = place.lock(Instant::now() + DEADLINE)?;
            let login = place.load();
            lock.forget()?;
            login
        };
        let Some(login) = login else { return Ok(false) };
        if login.left(self.session.clock.now()) <= 0 {
            return Ok(true);
        }
        match self.portal(Instant::now() + DEADLINE)?.log_out(&login.access) {
            Ok(()) | Err(NotGiven::LoggedOut | NotGiven::NoSuchRole) => Ok(true),
            Err(NotGiven::Failed(error)) => {
                let error = error.into_error();
                let what =
                    format!("the login is forgotten here, but AWS was not told: {}", error.what);
                Err(Error { what, ..error }
                    .hint("it ends by itself; an administrator can end it now"))
            }
        }
    }

    /// Forgets the sessions of every profile that logs in there, through whichever chain.
    ///
    /// # Errors
    /// Not saved (7).
    pub fn clear_sessions(&self) -> Result<()> {
        let CredentialSession { profiles, env, cache, .. } = self.session;
        for name in profiles.names() {
            let place = profile::sign_on(profiles, env, &name);
            if place.is_ok_and(|(_, other)| other.key() == self.sign_on.key()) {
                cache.clear(&name)?;
            }
        }
        Ok(())
    }

    /// The login as it is kept, whatever it is still good for.
    pub fn login(&self) -> Option<Login> {
        self.place().load()
    }

    /// The error for who has to log in first.
    pub(super) fn nobody(&self) -> Error {
        let profile = self.profile;
        Error::aws(format!("nobody is logged in to IAM Identity Center for profile \"{profile}\""))
            .hint(format!("vault sso login {}", shell_word(profile)))
    }

    /// A role's credentials, by the login. `deadline` is for the locks and calls together.
    pub(super) fn credentials(
        &self,
        account: &str,
        role: &str,
        deadline: Instant,
    ) -> std::result::Result<Credentials, NoCredentials> {
        let portal = self.portal(deadline)?;
        let ask = |token: &Secret| portal.role_credentials(token, account, role);
        let token = self.access(deadline, None)?;
        let mut given = ask(&token);
        if given.as_ref().is_err_and(|error| *error == NotGiven::LoggedOut) {
            // Ended, or ended early by our clock: a refresh tells.
            let newer = self.access(deadline, Some(&token))?;
            given = ask(&newer);
            if given.as_ref().is_err_and(|error| *error == NotGiven::LoggedOut) {
                self.end(&newer, deadline)?;
            }
        }
        given.map_err(|error| match error {
            NotGiven::LoggedOut => NoCredentials::LoggedOut,
            NotGiven::Failed(error) => NoCredentials::Ours(error.into_error()),
            NotGiven::NoSuchRole => NoCredentials::Ours(
                Error::aws(format!("who is logged in has no role {role} in account {account}"))
                    .hint(format!(
                        "check sso_account_id and sso_role_name of profile \"{}\"",
                        self.profile
                    )),
            ),
        })
    }

    /// An access token, refreshed if it soon ends or is the one that was `refused`.
    fn access(
        &self,
        deadline: Instant,
        refused: Option<&Secret>,
    ) -> std::result::Result<Secret, NoCredentials> {
        let place = self.place();
        let now = || self.session.clock.now();
        let is_refused = |login: &Login| refused.is_some_and(|token| is_of(token, login));
        let good = |login: &Login| login.left(now()) >= REFRESH_BEFORE && !is_refused(login);
        let valid = |login: &Login| login.left(now()) > 0 && !is_refused(login);

        let login = place.load().ok_or(NoCredentials::LoggedOut)?;
        if good(&login) {
            return Ok(login.access);
        }
        let lock = match place.try_lock() {
            Some(lock) => lock,
            // Somebody else refreshes it.
            None if valid(&login) => return Ok(login.access),
            None => place.lock(deadline)?,
        };
        let login = place.load().ok_or(NoCredentials::LoggedOut)?;
        let Some(refresh) = login.refresh_token(now()).filter(|_| !good(&login)) else {
            if valid(&login) {
                return Ok(login.access);
            }
            // Over by our clock is no word of AWS's.
            if is_refused(&login) {
                keep(&lock, &login.ended(), self.session.reporter);
            }
            return Err(NoCredentials::LoggedOut);
        };
        // One that still lasts is used if there is no new one soon.
        let soon = Instant::now() + PATIENCE;
        let deadline = if valid(&login) { deadline.min(soon) } else { deadline };
        match self.refresh(&login, refresh, deadline, valid(&login))? {
            Ok(tokens) => {
                let refresh =
                    tokens.refresh.or_else(|| login.refresh.as_ref().map(Secret::duplicate));
                let expires = now().plus(tokens.expires_in);
                let login = Login { access: tokens.access, expires, refresh, ..login };
                // The old refresh token may be worth nothing by now, so this comes first.
                keep(&lock, &login, self.session.reporter);
                Ok(login.access)
            }
            Err(error) if !is_over(&error) => match valid(&login) {
                true => Ok(login.access),
                false => Err(NoCredentials::Ours(error.into_error())),
            },
            Err(_) if valid(&login) => {
                let login = Login { refresh: None, ..login };
                keep(&lock, &login, self.session.reporter);
                Ok(login.access)
            }
            Err(_) => {
                keep(&lock, &login.ended(), self.session.reporter);
                Err(NoCredentials::LoggedOut)
            }
        }
    }

    /// Asks for new tokens; where AWS wants it slower, again after a pause, unless the present one
    /// `lasts`.
    fn refresh(
        &self,
        login: &Login,
        refresh: &Secret,
        deadline: Instant,
        lasts: bool,
    ) -> Result<std::result::Result<Tokens, ServiceError>> {
        let oidc = self.oidc(deadline)?;
        let mut pauses = SLOW_DOWN_PAUSES.into_iter().map(Duration::from_secs);
        loop {
            let answer = oidc.refresh(&login.client_id, &login.client_secret, refresh);
            let again = answer.as_ref().is_err_and(is_slow_down) && !lasts;
            match pauses.next().filter(|pause| again && Instant::now() + *pause < deadline) {
                Some(pause) => {
                    let what = || "IAM Identity Center, which wants fewer requests".to_owned();
                    let _waiting = waiting(what, Some(Instant::now() + pause));
                    std::thread::sleep(pause);
                }
                None => return Ok(answer),
            }
        }
    }

    /// Notes that AWS has ended the login of a token, unless there is another by now.
    fn end(&self, token: &Secret, deadline: Instant) -> Result<()> {
        let place = self.place();
        let lock = place.lock(deadline)?;
        if let Some(login) = place.load().filter(|login| is_of(token, login)) {
            keep(&lock, &login.ended(), self.session.reporter);
        }
        Ok(())
    }

    fn place(&self) -> LoginFile<'_> {
        self.session.cache.login(&self.sign_on.key())
    }

    fn oidc(&self, deadline: Instant) -> Result<Oidc> {
        Oidc::connect(&self.sign_on.oidc, self.session.env, deadline, self.session.reporter)
    }

    fn portal(&self, deadline: Instant) -> Result<Portal> {
        Portal::connect(&self.sign_on.portal, self.session.env, deadline, self.session.reporter)
    }
}

impl CredentialSession<'_> {
    /// What is left of the login that a plan starts from, if it starts from one: with the profile to log
    /// in for.
    pub fn login_of<'p>(&self, plan: &'p Plan) -> Option<(&'p str, LoginState)> {
        let (profile, sign_on) = plan.all().find_map(|plan| match &plan.base {
            Base::Sso { profile, sign_on } => Some((profile, sign_on)),
            _ => None,
        })?;
        let login = self.cache.login(&sign_on.key()).load();
        Some((profile, LoginState::of(login.as_ref(), self.clock.now())))
    }

    /// Where a profile logs in.
    pub fn identity_center<'b>(
        &'b self,
        profile: &'b str,
        sign_on: &'b SignOn,
    ) -> IdentityCenter<'b> {
        IdentityCenter { sign_on, profile, session: self }
    }

    /// The login that there is, or the one that a person makes now.
    pub(super) fn login(&self, profile: &str, sign_on: &SignOn) -> Result<Start> {
        // A login is kept in the vault's own cache.
        if let VaultState::Missing(why) = &self.vault {
            return Err(why.clone());
        }
        let center = self.identity_center(profile, sign_on);
        match center.login() {
            Some(login) => Ok(start(sign_on, &login)),
            None => self.log_in_again(profile, sign_on)?.ok_or_else(|| center.nobody()),
        }
    }

    /// A new login, if there is a person to ask.
    pub(super) fn log_in_again(&self, profile: &str, sign_on: &SignOn) -> Result<Option<Start>> {
        let center = self.identity_center(profile, sign_on);
        if self.prompt.is_timed() || !self.prompt.available() {
            return Ok(None);
        }
        Ok(Some(start(sign_on, &center.log_in()?)))
    }
}

fn start(sign_on: &SignOn, login: &Login) -> Start {
    let endpoint = sign_on.portal.endpoint.as_deref().unwrap_or_default();
    Start::Login(format!("login {} {endpoint}", login.id))
}

/// Both are ours: nobody learns anything by the time that this takes.
fn is_of(token: &Secret, login: &Login) -> bool {
    token.expose() == login.access.expose()
}

/// Keeps what a refresh gave. Where that cannot be, this process still has it.
fn keep(lock: &LoginLock, login: &Login, reporter: Reporter) {
    if let Err(error) = lock.keep(login) {
        reporter.warn(error.what);
    }
}
