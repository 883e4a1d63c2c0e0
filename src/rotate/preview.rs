//! What a rotation would do.

use super::{Rotate, keys, user_of};
use crate::clock::Timestamp;
use crate::error::Result;

#[derive(Debug)]
pub struct RotationPreview {
    /// The profiles that would have the new key.
    pub profiles: Vec<String>,
    /// The IAM user's name.
    pub user: String,
    /// The id of the key that would go.
    pub old: String,
    /// When that was made, if AWS says so without MFA.
    pub created: Option<Timestamp>,
    /// The other key that would be deleted first, in words.
    pub other: Option<String>,
    /// True if it would finish what was begun.
    pub finish: bool,
}

impl Rotate<'_, '_> {
    /// What [`Rotate::run`] would do. AWS is asked only what the key may ask without MFA.
    pub fn preview(self) -> Result<RotationPreview> {
        let run = Rotate { mfa: None, ..self };
        if let Some(started) = run.started() {
            let new = started.new.as_ref().map(|new| new.access_key_id.as_str());
            let ids = [Some(started.old.access_key_id.as_str()), new];
            let payload = run.change.payload()?;
            let has = |id: &str| ids.contains(&payload.access_key_id(id));
            return Ok(RotationPreview {
                profiles: payload
                    .credential_names()
                    .filter(|p| has(p))
                    .map(str::to_owned)
                    .collect(),
                user: user_of(started.user)?.name,
                old: started.old.access_key_id,
                created: None,
                other: None,
                finish: true,
            });
        }
        let key = run.change.key().map_err(|error| error.or_hint("vault list"))?;
        let user = user_of(run.change.caller_identity(&key)?)?;
        let profiles = run.change.payload()?.profiles_of(&key.access_key_id);
        let keys = match run.change.iam.list_access_keys(&key, &user.name) {
            Ok(keys) => keys,
            // A device that would be asked is not asked now.
            Err(error) if error.is("AccessDenied") => Vec::new(),
            Err(error) => {
                return Err(error.into_error_of(&key.access_key_id, run.change.profile));
            }
        };
        let (own, others): (Vec<_>, Vec<_>) =
            keys.iter().partition(|listed| listed.id == key.access_key_id);
        let mut other = None;
        if let Some(listed) = others.first() {
            let used = run.change.iam.access_key_last_used(&key, &listed.id).ok();
            run.refuse_other(&user, listed, used.as_ref())?;
            other = Some(keys::describe(listed, used.as_ref()));
        }
        Ok(RotationPreview {
            profiles,
            user: user.name,
            created: own.first().and_then(|own| own.created),
            old: key.access_key_id,
            other,
            finish: false,
        })
    }
}
