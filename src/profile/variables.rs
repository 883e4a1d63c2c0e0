//! The environment's variables that plans are made from, looked up once. One that is not UTF-8 is an error only
//! for what needs its text.
//!
//! AWS's are those of the AWS SDKs and Tools reference, whose pages are named below; aws-vault's those of its
//! USAGE.md, "Environment variables".

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use crate::env::{Env, text};
use crate::error::Result;

/// A value, and what an error calls it: a variable's name, or a key and the profile that sets it.
pub(super) type Named<'a> = (&'a str, String);

/// The variables. An empty one counts as unset, as in AWS's tools.
pub struct Variables {
    // "AWS Region"; the AWS CLI has the second.
    pub(super) region: Variable,
    pub(super) default_region: Variable,
    // "Service-specific endpoints"
    /// `AWS_ENDPOINT_URL`, and each `AWS_ENDPOINT_URL_SERVICE`, by name.
    endpoints: BTreeMap<String, OsString>,
    pub(super) ignore_endpoints: Variable,
    // "AWS STS Regional endpoints"
    pub(super) sts_regional: Variable,
    // "Dual-stack and FIPS endpoints"
    pub(super) use_fips: Variable,
    pub(super) use_dual_stack: Variable,
    // "General configuration"
    pub(super) ca_bundle: Variable,
    // "Assume role credential provider"
    pub(super) role_arn: Variable,
    pub(super) role_session_name: Variable,
    pub(super) web_identity_token_file: Variable,
    // aws-vault's
    pub(super) mfa_serial: Variable,
    pub(super) session_tags: Variable,
    pub(super) transitive_tags: Variable,
    pub(super) source_identity: Variable,
    pub(super) session_token_ttl: Variable,
    pub(super) chained_session_token_ttl: Variable,
    pub(super) assume_role_ttl: Variable,
    pub(super) federation_token_ttl: Variable,
    // "AWS access keys": true if set, since secrets are not copied.
    pub(super) access_key_id: Result<bool>,
    pub(super) secret_access_key: Result<bool>,
    /// boto's old name for the next.
    pub(super) security_token: Result<bool>,
    pub(super) session_token: Result<bool>,
    // "Container credential provider"
    pub(super) container_relative_uri: Variable,
    pub(super) container_full_uri: Variable,
    // "IMDS credential provider"
    pub(super) metadata_disabled: Variable,
    pub(super) metadata_endpoint: Variable,
    pub(super) metadata_endpoint_mode: Variable,
    /// Where the program of a `credential_process` is searched.
    pub(super) path: Variable,
}

impl Variables {
    /// Looks them up.
    pub fn of(env: &Env) -> Self {
        let variable = |name| Variable { name, value: env.get_os(name).map(OsStr::to_os_string) };
        let is_set = |name| env.text(name).map(|value| value.is_some());
        let endpoints = env.vars().filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(ENDPOINT))?;
            (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
        });
        Self {
            region: variable("AWS_REGION"),
            default_region: variable("AWS_DEFAULT_REGION"),
            endpoints: endpoints.collect(),
            ignore_endpoints: variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
            sts_regional: variable("AWS_STS_REGIONAL_ENDPOINTS"),
            use_fips: variable("AWS_USE_FIPS_ENDPOINT"),
            use_dual_stack: variable("AWS_USE_DUALSTACK_ENDPOINT"),
            ca_bundle: variable("AWS_CA_BUNDLE"),
            role_arn: variable("AWS_ROLE_ARN"),
            role_session_name: variable("AWS_ROLE_SESSION_NAME"),
            web_identity_token_file: variable("AWS_WEB_IDENTITY_TOKEN_FILE"),
            mfa_serial: variable("AWS_MFA_SERIAL"),
            session_tags: variable("AWS_SESSION_TAGS"),
            transitive_tags: variable("AWS_TRANSITIVE_TAGS"),
            source_identity: variable("AWS_SOURCE_IDENTITY"),
            session_token_ttl: variable("AWS_SESSION_TOKEN_TTL"),
            chained_session_token_ttl: variable("AWS_CHAINED_SESSION_TOKEN_TTL"),
            assume_role_ttl: variable("AWS_ASSUME_ROLE_TTL"),
            federation_token_ttl: variable("AWS_FEDERATION_TOKEN_TTL"),
            access_key_id: is_set("AWS_ACCESS_KEY_ID"),
            secret_access_key: is_set("AWS_SECRET_ACCESS_KEY"),
            security_token: is_set("AWS_SECURITY_TOKEN"),
            session_token: is_set("AWS_SESSION_TOKEN"),
            container_relative_uri: variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
            container_full_uri: variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"),
            metadata_disabled: variable("AWS_EC2_METADATA_DISABLED"),
            metadata_endpoint: variable("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
            metadata_endpoint_mode: variable("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"),
            path: variable("PATH"),
        }
    }

    /// The file of a web identity's token, if its role is set too: GitHub's and GitLab's jobs set both, and EKS
    /// does for a pod.
    pub(super) fn web_identity(&self) -> Option<&OsStr> {
        self.role_arn.os()?;
        self.web_identity_token_file.os()
    }

    /// The endpoint for one service (`sts`, `sso_oidc`).
    pub(super) fn endpoint_of(&self, service: &str) -> Result<Option<&str>> {
        self.endpoint_in(&format!("{ENDPOINT}_{}", service.to_ascii_uppercase()))
    }

    /// The endpoint for a service: its own, else the one for every service.
    pub(super) fn endpoint(&self, service: &str) -> Result<Option<&str>> {
        match self.endpoint_of(service)? {
            None => self.endpoint_in(ENDPOINT),
            own => Ok(own),
        }
    }

    fn endpoint_in(&self, name: &str) -> Result<Option<&str>> {
        text(name, self.endpoints.get(name).map(OsString::as_os_str))
    }

    /// All endpoints that are UTF-8, each with the name of its variable.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = Named<'_>> {
        self.endpoints.iter().filter_map(|(name, url)| Some((url.to_str()?, name.clone())))
    }
}

/// What the names of variables for endpoints begin with.
const ENDPOINT: &str = "AWS_ENDPOINT_URL";

/// One variable.
pub(super) struct Variable {
    pub name: &'static str,
    value: Option<OsString>,
}

impl Variable {
    /// The value as bytes, for a path.
    pub fn os(&self) -> Option<&OsStr> {
        self.value.as_deref()
    }

    /// The value, which has to be UTF-8.
    pub fn text(&self) -> Result<Option<&str>> {
        text(self.name, self.os())
    }

    /// The same, with the variable's name.
    pub fn named(&self) -> Result<Option<Named<'_>>> {
        Ok(self.text()?.map(|value| (value, self.name.to_owned())))
    }
}
