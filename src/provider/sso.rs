//! IAM Identity Center: logging in by device code (RFC 8628), and getting a role's credentials with the login.
//!
//! No lock is held while a person is waited for. A process that refreshes a login holds its lock meanwhile:
//! of all processes that find it expired, one asks for a new token.

use std::time::{Duration, Instant};

use super::base::BaseCredentials;
use super::code::pause;
use super::device::{instructions, wait_for_approval};
use super::session::CredentialSession;
use super::vault_state::VaultState;
use crate::aws::{NotGiven, Oidc, Portal, ServiceError, Tokens, is_over, is_slow_down};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::process::shell_word;
use crate::profile::{self, Base, Plan, SignOn};
use crate::random;
use crate::reporter::Reporter;
use crate::secret::Secret;
use crate::session::{Login, LoginFile, LoginLock, LoginState};

/// For each of: the calls before a person is asked, a refresh, a logout.
const DEADLINE: Duration = Duration::from_secs(50);
/// An access token that expires sooner, in seconds, is refreshed before it is used.
const REFRESH_BEFORE: i64 = 5 * 60;
/// The longest time for a refresh that is optional.
const PATIENCE: Duration = Duration::from_secs(10);
/// Before each further try of a refresh that AWS answers with `slow_down`, in seconds.
const SLOW_DOWN_PAUSES: [u64; 2] = [1, 3];

/// The IAM Identity Center that a profile names.
pub struct IdentityCenter<'a> {
    sign_on: &'a SignOn,
    /// The profile, for messages.
    profile: &'a str,
    session: &'a CredentialSession<'a>,
}

impl IdentityCenter<'_> {
    /// Shows a page and a code, and waits until a person has allowed the login on that page. The login
    /// replaces an earlier one.
    ///
    /// # Errors
    /// AWS (9): the person refused, or did not answer before the code expired. Not saved (7), before a
    /// person is asked if that can be known.
    pub fn log_in(&self) -> Result<Login> {
        self.login_file().try_lock().map_or(Ok(()), |lock| lock.may_keep())?;
        let oidc = self.oidc(Instant::now() + DEADLINE)?;
        let client = oidc.register(&self.sign_on.scopes).map_err(ServiceError::into_error)?;
        let device =
            oidc.start(&client, &self.sign_on.start_url).map_err(ServiceError::into_error)?;
        let ends = Instant::now() + device.expires_in;
        self.session.prompt.show(&instructions(&device));

        let oidc = self.oidc(ends)?;
        let ask = || oidc.token(&client, &device);
        let tokens = wait_for_approval(&device, ends, self.session.reporter, &ask)?;
        let login = Login {
            id: format!("{:032x}", u128::from_ne_bytes(*random::bytes()?)),
            expires: self.session.clock.now().plus(tokens.expires_in),
            access: tokens.access,
            refresh: tokens.refresh,
            client_id: client.id,
            client_secret: client.secret,
            client_expires: client.expires,
        };
        self.login_file().lock(Instant::now() + DEADLINE)?.keep(&login)?;
        Ok(login)
    }

    /// Deletes the login, and lets AWS end it; false if there was none.
    ///
    /// # Errors
    /// Not saved (7); AWS (9) or busy (8) if it is deleted here, and AWS was not told.
    pub fn log_out(&self) -> Result<bool> {
        let file = self.login_file();
        let login = {
            let lock = file.lock(Instant::now() + DEADLINE)?;
            let login = file.load();
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
                let what = format!(
                    "the login was removed here, but the logout at AWS failed: {}",
                    error.what
                );
                Err(Error { what, ..error }
                    .hint("the login stays valid at AWS until it expires; an administrator can end it now"))
            }
        }
    }

    /// Deletes the sessions of each profile that logs in there, directly or through its chain.
    pub fn clear_sessions(&self) -> Result<()> {
        let CredentialSession { profiles, cache, .. } = self.session;
        for name in profiles.names() {
            let sign_on = profile::sign_on(profiles, &name);
            if sign_on.is_ok_and(|(_, other)| other.key() == self.sign_on.key()) {
                cache.clear(&name)?;
            }
        }
        Ok(())
    }

    /// The login as it is stored, expired or not.
    pub fn login(&self) -> Option<Login> {
        self.login_file().load()
    }

    /// The error if a person has to log in first.
    pub(super) fn not_logged_in(&self) -> Error {
        let profile = self.profile;
        Error::aws(format!("not logged in to IAM Identity Center for profile \"{profile}\""))
            .hint(format!("vault sso login {}", shell_word(profile)))
    }

    /// A role's credentials; none without a login. `deadline` is for the locks and calls together.
    pub(super) fn credentials(
        &self,
        account: &str,
        role: &str,
        deadline: Instant,
    ) -> Result<Option<Credentials>> {
        let portal = self.portal(deadline)?;
        let ask = |token: &Secret| portal.role_credentials(token, account, role);
        let Some(token) = self.access(deadline, None)? else { return Ok(None) };
        let mut given = ask(&token);
        if given.as_ref().is_err_and(|error| *error == NotGiven::LoggedOut) {
            // It has ended, or our clock is wrong: a refresh shows which.
            let Some(newer) = self.access(deadline, Some(&token))? else { return Ok(None) };
            given = ask(&newer);
            if given.as_ref().is_err_and(|error| *error == NotGiven::LoggedOut) {
                self.end(&newer, deadline)?;
            }
        }
        match given {
            Ok(credentials) => Ok(Some(credentials)),
            Err(NotGiven::LoggedOut) => Ok(None),
            Err(NotGiven::Failed(error)) => Err(error.into_error()),
            Err(NotGiven::NoSuchRole) => Err(Error::aws(format!(
                "the logged-in user has no role {role} in account {account}"
            ))
            .hint(format!(
                "check sso_account_id and sso_role_name of profile \"{}\"",
                self.profile
            ))),
        }
    }

    /// An access token, refreshed if it soon ends or is the one that was `refused`; none without a login.
    fn access(&self, deadline: Instant, refused: Option<&Secret>) -> Result<Option<Secret>> {
        let file = self.login_file();
        let now = || self.session.clock.now();
        let is_refused = |login: &Login| refused.is_some_and(|token| is_of(token, login));
        let good = |login: &Login| login.left(now()) >= REFRESH_BEFORE && !is_refused(login);
        let valid = |login: &Login| login.left(now()) > 0 && !is_refused(login);

        let Some(login) = file.load() else { return Ok(None) };
        if good(&login) {
            return Ok(Some(login.access));
        }
        let lock = match file.try_lock() {
            Some(lock) => lock,
            // Another process refreshes it.
            None if valid(&login) => return Ok(Some(login.access)),
            None => file.lock(deadline)?,
        };
        let Some(login) = file.load() else { return Ok(None) };
        let Some(refresh) = login.refresh_token(now()).filter(|_| !good(&login)) else {
            if valid(&login) {
                return Ok(Some(login.access));
            }
            // That it has expired by our clock does not mean that AWS has ended it.
            if is_refused(&login) {
                keep(&lock, &login.ended(), self.session.reporter);
            }
            return Ok(None);
        };
        // A valid one is used if there is no new one soon.
        let soon = Instant::now() + PATIENCE;
        let deadline = if valid(&login) { deadline.min(soon) } else { deadline };
        let oidc = self.oidc(deadline)?;
        match refreshed(&oidc, &login, refresh, deadline, valid(&login)) {
            Ok(tokens) => {
                let refresh =
                    tokens.refresh.or_else(|| login.refresh.as_ref().map(Secret::duplicate));
                let expires = now().plus(tokens.expires_in);
                let login = Login { access: tokens.access, expires, refresh, ..login };
                // AWS may have revoked the old refresh token, so the new one is saved first.
                keep(&lock, &login, self.session.reporter);
                Ok(Some(login.access))
            }
            Err(error) if !is_over(&error) => match valid(&login) {
                true => Ok(Some(login.access)),
                false => Err(error.into_error()),
            },
            Err(_) if valid(&login) => {
                let login = Login { refresh: None, ..login };
                keep(&lock, &login, self.session.reporter);
                Ok(Some(login.access))
            }
            Err(_) => {
                keep(&lock, &login.ended(), self.session.reporter);
                Ok(None)
            }
        }
    }

    /// Records that AWS has ended the login of a token, unless there is another by now.
    fn end(&self, token: &Secret, deadline: Instant) -> Result<()> {
        let file = self.login_file();
        let lock = file.lock(deadline)?;
        if let Some(login) = file.load().filter(|login| is_of(token, login)) {
            keep(&lock, &login.ended(), self.session.reporter);
        }
        Ok(())
    }

    fn login_file(&self) -> LoginFile<'_> {
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
    /// The state of the login that a plan starts from, if it starts from one, with the profile to log in
    /// for.
    pub fn login_of<'p>(&self, plan: &'p Plan) -> Option<(&'p str, LoginState)> {
        let (profile, sign_on) = plan.all().find_map(|plan| match &plan.base {
            Base::Sso { profile, sign_on } => Some((profile, sign_on)),
            _ => None,
        })?;
        let login = self.cache.login(&sign_on.key()).load();
        Some((profile, LoginState::of(login.as_ref(), self.clock.now())))
    }

    pub fn identity_center<'b>(
        &'b self,
        profile: &'b str,
        sign_on: &'b SignOn,
    ) -> IdentityCenter<'b> {
        IdentityCenter { sign_on, profile, session: self }
    }

    /// The login that there is, or the one that a person makes now.
    pub(super) fn login(&self, profile: &str, sign_on: &SignOn) -> Result<BaseCredentials> {
        // A login is stored in the vault's own cache.
        if let VaultState::Missing(why) = &self.vault {
            return Err(why.clone());
        }
        let center = self.identity_center(profile, sign_on);
        match center.login() {
            Some(login) => Ok(start(sign_on, &login)),
            None => self.log_in_again(profile, sign_on)?.ok_or_else(|| center.not_logged_in()),
        }
    }

    /// A new login, if there is a person to ask.
    pub(super) fn log_in_again(
        &self,
        profile: &str,
        sign_on: &SignOn,
    ) -> Result<Option<BaseCredentials>> {
        let center = self.identity_center(profile, sign_on);
        if self.prompt.is_timed() || !self.prompt.available() {
            return Ok(None);
        }
        Ok(Some(start(sign_on, &center.log_in()?)))
    }
}

fn start(sign_on: &SignOn, login: &Login) -> BaseCredentials {
    let endpoint = sign_on.portal.endpoint.as_deref().unwrap_or_default();
    BaseCredentials::Login(format!("login {} {endpoint}", login.id))
}

/// Asks for new tokens; if AWS answers `slow_down`, again after a pause, unless the present one `lasts`.
fn refreshed(
    oidc: &Oidc,
    login: &Login,
    refresh: &Secret,
    deadline: Instant,
    lasts: bool,
) -> Result<Tokens, ServiceError> {
    let mut pauses = SLOW_DOWN_PAUSES.into_iter().map(Duration::from_secs);
    loop {
        let answer = oidc.refresh(&login.client_id, &login.client_secret, refresh);
        let again = answer.as_ref().is_err_and(is_slow_down) && !lasts;
        match pauses.next().filter(|pause| again && Instant::now() + *pause < deadline) {
            Some(time) => pause("IAM Identity Center, which limits requests", time),
            None => return answer,
        }
    }
}

/// Both are ours, so no constant time is needed.
fn is_of(token: &Secret, login: &Login) -> bool {
    token.expose() == login.access.expose()
}

/// Saves what a refresh gave. If that fails, this process still has it.
fn keep(lock: &LoginLock, login: &Login, reporter: Reporter) {
    if let Err(error) = lock.keep(login) {
        reporter.warn(error.what);
    }
}
