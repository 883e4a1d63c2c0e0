//! The client of IAM: virtual MFA devices, and access keys.
//!
//! Creating and enabling are sent once only: a call whose response was lost may have succeeded, and a
//! repetition has to take account of that.

mod keys;

use aws_sdk_iam::Client;

use super::service_client::{Call, ServiceClient};
use super::service_error::ServiceError;
use crate::credential::Credentials;
use crate::secret::Secret;

pub use keys::{LastUse, ListedKey};

pub type Iam = ServiceClient<Client>;

/// A virtual MFA device that no user has yet.
#[derive(Debug)]
pub struct NewDevice {
    /// Its ARN.
    pub serial: String,
    /// Its seed in base32, which AWS sends only once.
    pub seed: Secret,
}

impl Iam {
    /// CreateVirtualMFADevice, once.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateVirtualMFADevice.html>
    pub fn create_virtual_mfa_device(
        &self,
        base: &Credentials,
        name: &str,
    ) -> Result<NewDevice, ServiceError> {
        let call = Call::of(base, "CreateVirtualMFADevice").once();
        let answer = self.call(call, |client, config| {
            client
                .create_virtual_mfa_device()
                .virtual_mfa_device_name(name)
                .customize()
                .config_override(config)
                .send()
        })?;
        // The SDK has decoded the base64 of the blob; the content is base32.
        let device = answer.virtual_mfa_device;
        let seed = device.and_then(|device| {
            let seed = Secret::from_utf8(device.base32_string_seed?.into_inner())?;
            Some(NewDevice { serial: device.serial_number, seed })
        });
        seed.filter(|device| !device.serial.is_empty() && !device.seed.is_empty())
            .ok_or_else(|| Self::without("seed"))
    }

    /// EnableMFADevice with the codes of two consecutive steps, once.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_EnableMFADevice.html>
    pub fn enable_mfa_device(
        &self,
        base: &Credentials,
        user: &str,
        serial: &str,
        codes: [&Secret; 2],
    ) -> Result<(), ServiceError> {
        let call = Call { secrets: &codes, once: true, ..Call::of(base, "EnableMFADevice") };
        let [first, second] = codes;
        self.call(call, |client, config| {
            client
                .enable_mfa_device()
                .user_name(user)
                .serial_number(serial)
                .authentication_code1(first.expose())
                .authentication_code2(second.expose())
                .customize()
                .config_override(config)
                .send()
        })
        .map(drop)
    }

    /// DeleteVirtualMFADevice: AWS refuses it for a device that a user has.
    /// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteVirtualMFADevice.html>
    pub fn delete_virtual_mfa_device(
        &self,
        base: &Credentials,
        serial: &str,
    ) -> Result<(), ServiceError> {
        let call = Call::of(base, "DeleteVirtualMFADevice");
        self.call(call, |client, config| {
            client
                .delete_virtual_mfa_device()
                .serial_number(serial)
                .customize()
                .config_override(config)
                .send()
        })
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::service_client::Service;
    use super::*;
    use crate::profile::EndpointVariant;

    #[test]
    fn iam_is_one_for_a_partition() {
        let at = |region: &str| {
            let url =
                Client::endpoint(region, EndpointVariant::default()).unwrap().url().to_owned();
            (url, Client::signing_region(region))
        };
        let pair = |url: &str, region: &str| (url.to_owned(), region.to_owned());
        assert_eq!(at("eu-central-1"), pair("https://iam.amazonaws.com", "us-east-1"));
        assert_eq!(at("cn-northwest-1").1, "cn-north-1");
        assert_eq!(at("us-gov-east-1"), pair("https://iam.us-gov.amazonaws.com", "us-gov-west-1"));
    }

    #[test]
    fn fips_and_dual_stack_have_names_of_their_own() {
        let (yes, no) = (Some(true), None);
        for (region, fips, dual_stack, url) in [
            ("eu-central-1", yes, no, "https://iam-fips.amazonaws.com"),
            ("eu-central-1", no, yes, "https://iam.global.api.aws"),
            ("eu-central-1", yes, yes, "https://iam-fips.global.api.aws"),
            ("us-gov-west-1", yes, no, "https://iam.us-gov.amazonaws.com"),
        ] {
            let variant = EndpointVariant { fips, dual_stack };
            let endpoint = Client::endpoint(region, variant).unwrap();
            assert_eq!(endpoint.url(), url, "{region} {variant:?}");
        }
    }
}
