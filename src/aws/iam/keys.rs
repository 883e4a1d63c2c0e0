//! Access keys. The user is always named, which IAM requires with temporary credentials.

use aws_sdk_iam::types::StatusType;

use super::Iam;
use crate::aws::service_client::Call;
use crate::aws::service_error::ServiceError;
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::secret::Secret;

/// An access key as IAM lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    pub id: String,
    pub active: bool,
    pub created: Option<Timestamp>,
}

/// When and for what a key was last used; `service` and `region` are `N/A` for never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastUse {
    /// Exact to some hours.
    pub at: Option<Timestamp>,
    pub service: String,
    pub region: String,
}

impl Iam {
    /// ListAccessKeys.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListAccessKeys.html>
    pub fn list_access_keys(
        &self,
        base: &Credentials,
        user: &str,
    ) -> Result<Vec<ListedKey>, ServiceError> {
        let call = Call::of(base, "ListAccessKeys");
        // A user has two at most, and a page a hundred.
        let answer = self.call(call, |client, config| {
            client.list_access_keys().user_name(user).customize().config_override(config).send()
        })?;
        let listed = answer.access_key_metadata.into_iter().filter_map(|key| {
            Some(ListedKey {
                id: key.access_key_id.filter(|id| is_word(id))?,
                active: key.status == Some(StatusType::Active),
                created: key.create_date.map(|date| Timestamp(date.secs())),
            })
        });
        Ok(listed.collect())
    }

    /// CreateAccessKey, once: AWS sends the secret only in the response.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateAccessKey.html>
    pub fn create_access_key(
        &self,
        base: &Credentials,
        user: &str,
    ) -> Result<Credentials, ServiceError> {
        let call = Call::of(base, "CreateAccessKey").once();
        let answer = self.call(call, |client, config| {
            client.create_access_key().user_name(user).customize().config_override(config).send()
        })?;
        let key = answer.access_key.map(|key| {
            Credentials::long_term(key.access_key_id, Secret::new(key.secret_access_key))
        });
        key.and_then(Credentials::whole)
            .filter(|key| is_word(&key.access_key_id))
            .ok_or_else(|| Self::without("key"))
    }

    /// UpdateAccessKey: AWS refuses the key until it is activated again.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_UpdateAccessKey.html>
    pub fn deactivate_access_key(
        &self,
        base: &Credentials,
        user: &str,
        id: &str,
    ) -> Result<(), ServiceError> {
        let call = Call::of(base, "UpdateAccessKey");
        self.call(call, |client, config| {
            client
                .update_access_key()
                .user_name(user)
                .access_key_id(id)
                .status(StatusType::Inactive)
                .customize()
                .config_override(config)
                .send()
        })
        .map(drop)
    }

    /// DeleteAccessKey.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html>
    pub fn delete_access_key(
        &self,
        base: &Credentials,
        user: &str,
        id: &str,
    ) -> Result<(), ServiceError> {
        let call = Call::of(base, "DeleteAccessKey");
        self.call(call, |client, config| {
            client
                .delete_access_key()
                .user_name(user)
                .access_key_id(id)
                .customize()
                .config_override(config)
                .send()
        })
        .map(drop)
    }

    /// GetAccessKeyLastUsed.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccessKeyLastUsed.html>
    pub fn access_key_last_used(
        &self,
        base: &Credentials,
        id: &str,
    ) -> Result<LastUse, ServiceError> {
        let call = Call::of(base, "GetAccessKeyLastUsed");
        let answer = self.call(call, |client, config| {
            client
                .get_access_key_last_used()
                .access_key_id(id)
                .customize()
                .config_override(config)
                .send()
        })?;
        let none = || "N/A".to_owned();
        Ok(match answer.access_key_last_used {
            Some(used) => LastUse {
                at: used.last_used_date.map(|date| Timestamp(date.secs())),
                service: used.service_name,
                region: used.region,
            },
            None => LastUse { at: None, service: none(), region: none() },
        })
    }
}

/// The form of an access key id (IAM API reference: `[\w]+`).
fn is_word(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
