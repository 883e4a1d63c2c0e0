//! A login to IAM Identity Center: the tokens that a user approved, as long as they can be refreshed.
//!
//! It is stored in its own file, encrypted like a session, and written only under its lock: a process that
//! refreshes it holds the lock from reading to writing, since a refresh may invalidate the old refresh
//! token. It is replaced without fsync(2): after a power cut the user logs in again.
//!
//! The file has two numbers (when the access token and the client expire) and five texts, as in `record`.

use std::io;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::cache::Cache;
use super::envelope::LOGIN;
use super::flight::LOCK_WAIT;
use super::record::{encode, text, time};
use crate::clock::Timestamp;
use crate::error::{Error, Result, os_text};
use crate::file::Lock;
use crate::secret::Secret;

/// The tokens of a login.
#[derive(Debug)]
pub struct Login {
    /// Identifies this login. Sessions are stored under it, so that none is served after a login as another
    /// user. Not a secret.
    pub id: String,
    pub access: Secret,
    /// When the access token expires.
    pub expires: Timestamp,
    pub refresh: Option<Secret>,
    /// The id of this program as a registered OIDC client.
    pub client_id: String,
    pub client_secret: Secret,
    /// When the client registration expires, and with it the refresh token.
    pub client_expires: Timestamp,
}

impl Login {
    /// The seconds until the access token expires; zero or negative after that.
    pub fn left(&self, now: Timestamp) -> i64 {
        self.expires.seconds_since(now)
    }

    /// The refresh token, if it can still be used.
    pub fn refresh_token(&self, now: Timestamp) -> Option<&Secret> {
        self.refresh.as_ref().filter(|_| self.client_expires > now)
    }

    /// The same login after AWS has rejected it: it has no tokens, and its sessions are served until they
    /// end.
    #[must_use]
    pub fn ended(self) -> Self {
        let nothing = || Secret::new(String::new());
        Self {
            access: nothing(),
            expires: Timestamp(0),
            refresh: None,
            client_secret: nothing(),
            ..self
        }
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let texts = [
            self.id.as_str(),
            self.access.expose(),
            self.refresh.as_ref().map_or("", Secret::expose),
            &self.client_id,
            self.client_secret.expose(),
        ];
        encode(&[self.expires, self.client_expires], &texts, &[])
    }

    fn decode(mut bytes: &[u8]) -> Option<Self> {
        let bytes = &mut bytes;
        let (expires, client_expires) = (time(bytes)?, time(bytes)?);
        let mut text = || text(bytes);
        let id = text()?;
        let access = Secret::new(text()?);
        let refresh = Some(text()?).filter(|text| !text.is_empty()).map(Secret::new);
        let client_id = text()?;
        let client_secret = Secret::new(text()?);
        Some(Self { id, access, expires, refresh, client_id, client_secret, client_expires })
    }
}

/// The state of a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginState {
    /// There is no login, or it has expired.
    None,
    /// It can be refreshed without the user.
    Refreshed,
    /// It expires then.
    Until(Timestamp),
}

impl LoginState {
    /// The state of a login at a time.
    pub fn of(login: Option<&Login>, now: Timestamp) -> Self {
        match login {
            Some(login) if login.refresh_token(now).is_some() => Self::Refreshed,
            Some(login) if login.left(now) > 0 => Self::Until(login.expires),
            _ => Self::None,
        }
    }

    /// For a program: `logged_in`, `refreshed`, and `until` where that is known.
    pub fn to_json(self) -> Value {
        match self {
            Self::None => json!({ "logged_in": false }),
            Self::Refreshed => json!({ "logged_in": true, "refreshed": true }),
            Self::Until(end) => {
                json!({ "logged_in": true, "refreshed": false, "until": end.to_rfc3339() })
            }
        }
    }
}

/// The file of one login.
#[derive(Debug)]
pub struct LoginFile<'a> {
    cache: &'a Cache,
    name: String,
}

/// The lock of a login, which is needed to write it.
#[derive(Debug)]
pub struct LoginLock<'a> {
    file: &'a LoginFile<'a>,
    lock: Option<Lock>,
}

impl Cache {
    /// The file of the login with this key.
    pub fn login(&self, key: &[String]) -> LoginFile<'_> {
        let name = self.keys.name(LOGIN, key);
        LoginFile { cache: self, name }
    }
}

impl LoginFile<'_> {
    /// Loads the login; `None` if it is missing or damaged.
    pub fn load(&self) -> Option<Login> {
        Login::decode(&self.cache.read(LOGIN, &self.name)?)
    }

    /// Takes the login's lock, waiting for 45 s at most, and not beyond `deadline`.
    /// Errors: busy (8).
    pub fn lock(&self, deadline: Instant) -> Result<LoginLock<'_>> {
        let wait = LOCK_WAIT.min(deadline.saturating_duration_since(Instant::now()));
        Ok(LoginLock { file: self, lock: self.cache.lock(LOGIN, &self.name, wait)? })
    }

    /// Takes the lock without waiting.
    pub fn try_lock(&self) -> Option<LoginLock<'_>> {
        let lock = self.cache.lock(LOGIN, &self.name, Duration::ZERO).ok()?;
        Some(LoginLock { file: self, lock })
    }
}

impl LoginLock<'_> {
    /// Whether a login can be stored, before a person is asked for one.
    /// Errors: not saved (7).
    pub fn may_keep(&self) -> Result<()> {
        match self.lock {
            Some(_) => Ok(()),
            None => Err(Error::not_saved("the login was not saved: there is no cache directory")
                .hint("name one with --cache-dir")),
        }
    }

    /// Stores a login.
    /// Errors: not saved (7).
    pub fn keep(&self, login: &Login) -> Result<()> {
        let LoginFile { cache, name } = self.file;
        self.may_keep()?;
        cache.write(LOGIN, name, &login.encode()).map_err(|error| {
            Error::not_saved(format!("the login was not saved: {}", os_text(&error)))
                .hint("name another directory with --cache-dir")
        })?;
        cache.remove_old_logins();
        Ok(())
    }

    /// Removes the login.
    /// Errors: not saved (7).
    pub fn forget(&self) -> Result<()> {
        let LoginFile { cache, name } = self.file;
        let Some(path) = cache.path(LOGIN, name) else { return Ok(()) };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::not_saved(
                format!("the login could not be removed: {}", os_text(&error)),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{NOON, cache, cache_of, long};
    use super::*;
    use crate::file::testing::Directory;

    fn login(left: i64, refresh: bool) -> Login {
        Login {
            id: "00".repeat(16),
            access: Secret::new("access".to_owned()),
            expires: Timestamp(NOON + left),
            refresh: refresh.then(|| Secret::new("refresh".to_owned())),
            client_id: "client".to_owned(),
            client_secret: Secret::new("secret".to_owned()),
            client_expires: Timestamp(NOON + 1000),
        }
    }

    #[test]
    fn a_login_is_loaded_as_it_was_stored() {
        let dir = Directory::new();
        let key = ["https://example.awsapps.com/start".to_owned()];
        let kept = cache(&dir.path, 0);
        let file = kept.login(&key);
        assert!(file.load().is_none());
        for refresh in [true, false] {
            file.lock(long()).unwrap().keep(&login(60, refresh)).unwrap();
            let back = file.load().unwrap();
            assert_eq!(back.id, "00".repeat(16));
            assert_eq!((back.access.expose(), back.client_id.as_str()), ("access", "client"));
            assert_eq!(back.client_secret.expose(), "secret");
            assert_eq!(
                back.refresh.map(|r| r.expose().to_owned()),
                refresh.then(|| "refresh".into())
            );
            assert_eq!((back.expires.0, back.client_expires.0), (NOON + 60, NOON + 1000));
        }
        assert!(kept.login(&["elsewhere".to_owned()]).load().is_none());
        assert!(cache_of(Some(&dir.path), [7; 16], 0).login(&key).load().is_none());
        file.lock(long()).unwrap().forget().unwrap();
        file.lock(long()).unwrap().forget().unwrap();
        assert!(file.load().is_none());
    }

    #[test]
    fn a_truncated_login_is_not_decoded() {
        let bytes = login(60, true).encode();
        let texts = bytes.iter().rposition(|b| *b != 0).unwrap();
        for length in 0..=texts {
            assert!(Login::decode(&bytes[..length]).is_none(), "{length}");
        }
    }

    #[test]
    fn a_login_is_valid_while_it_lasts_or_can_be_refreshed() {
        let at = |seconds: i64| Timestamp(NOON + seconds);
        for (refresh, now, expected) in [
            (false, 59, LoginState::Until(at(60))),
            (false, 60, LoginState::None),
            (true, 60, LoginState::Refreshed),
            (true, 999, LoginState::Refreshed),
            // The client registration has expired.
            (true, 1000, LoginState::None),
        ] {
            let login = login(60, refresh);
            assert_eq!(LoginState::of(Some(&login), at(now)), expected, "{refresh} {now}");
        }
        let ended = login(60, true).ended();
        assert_eq!(LoginState::of(Some(&ended), at(0)), LoginState::None);
        assert_eq!(LoginState::of(None, at(0)), LoginState::None);
        assert!(ended.access.is_empty() && ended.client_secret.is_empty());
        assert_eq!(ended.id, login(60, true).id);
    }

    #[test]
    fn without_a_directory_a_login_is_not_stored() {
        let nowhere = cache_of(None, [1; 16], 0);
        let file = nowhere.login(&[]);
        let lock = file.lock(long()).unwrap();
        assert!(lock.may_keep().is_err());
        assert_eq!(lock.keep(&login(60, true)).unwrap_err().class, crate::error::Class::NotSaved);
    }

    #[test]
    fn storing_a_login_removes_old_ones() {
        let dir = Directory::new();
        let folder = dir.path.join("logins");
        std::fs::create_dir(&folder).unwrap();
        let days = |letter: &str, age: i64| {
            let path = folder.join(letter.repeat(64));
            std::fs::write(&path, "x").unwrap();
            let seconds = u64::try_from(NOON - age * 24 * 3600).unwrap();
            let time = std::time::UNIX_EPOCH + Duration::from_secs(seconds);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
            path
        };
        let (over, kept) = (days("a", 92), days("b", 90));
        cache(&dir.path, 0).login(&[]).lock(long()).unwrap().keep(&login(60, true)).unwrap();
        assert!(!over.exists() && kept.exists());
    }

    #[test]
    fn one_process_writes_at_a_time() {
        let dir = Directory::new();
        let (one, two) = (cache(&dir.path, 0), cache(&dir.path, 0));
        let (one, two) = (one.login(&[]), two.login(&[]));
        let held = one.try_lock().unwrap();
        assert!(two.try_lock().is_none());
        drop(held);
        assert!(two.try_lock().is_some());
    }
}
