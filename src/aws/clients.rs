//! The SDK's clients of the services, which have the same methods and no common trait.

use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

use super::service_client::{Service, ready_now};
use crate::profile::EndpointVariant;

macro_rules! service {
    ($sdk:ident, $name:literal, $example:literal) => {
        impl Service for $sdk::Client {
            const NAME: &'static str = $name;
            const EXAMPLE: &'static str = $example;
            type Config = $sdk::config::Builder;

            fn endpoint(region: &str, variant: EndpointVariant) -> Option<Endpoint> {
                use $sdk::config::endpoint::{DefaultResolver, Params, ResolveEndpoint};
                let params = Params::builder().region(region).use_fips(variant.is_fips());
                let params = params.use_dual_stack(variant.is_dual_stack()).build().ok()?;
                ready_now(DefaultResolver::new().resolve_endpoint(&params))?.ok()
            }

            fn client(config: &SdkConfig) -> Self {
                let config = $sdk::config::Builder::from(config)
                    .identity_cache($sdk::config::IdentityCache::no_cache());
                Self::from_conf(config.build())
            }

            fn config(
                key: Option<SharedCredentialsProvider>,
                retry: RetryConfig,
                timeout: TimeoutConfig,
            ) -> Self::Config {
                let mut config = Self::Config::new().retry_config(retry).timeout_config(timeout);
                config.set_credentials_provider(key);
                config
            }
        }
    };
}

service!(aws_sdk_iam, "IAM", "https://iam.amazonaws.com");
service!(aws_sdk_sso, "IAM Identity Center", "https://portal.sso.eu-central-1.amazonaws.com");
service!(aws_sdk_ssooidc, "IAM Identity Center", "https://oidc.eu-central-1.amazonaws.com");
service!(aws_sdk_sts, "STS", "https://sts.eu-central-1.amazonaws.com");
