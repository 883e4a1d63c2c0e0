//! What is wrong with a profile and no plan tells: settings whose names nobody knows, and mistakes behind the
//! first one, with which a plan ends.

use super::read::Profiles;
use super::role;
use super::settings::{Durations, ROLE_RANGE, Settings};
use crate::env::Env;
use crate::error::Error;
use crate::name::nearest;

/// The settings of a profile that the AWS CLI, the SDKs, aws-vault or this program read. (AWS SDKs and Tools
/// reference, "Settings reference"; botocore's `configprovider`; AWS CLI reference, "config".)
const KNOWN: [&str; 81] = [
    "account_id_endpoint_mode",
    "api_versions",
    "auth_scheme_preference",
    "aws_access_key_id",
    "aws_account_id",
    "aws_secret_access_key",
    "aws_security_token",
    "aws_session_token",
    "ca_bundle",
    "cli_auto_prompt",
    "cli_binary_format",
    "cli_error_format",
    "cli_follow_urlparam",
    "cli_help_output",
    "cli_history",
    "cli_pager",
    "cli_timestamp_format",
    "credential_process",
    "credential_source",
    "csm_client_id",
    "csm_enabled",
    "csm_host",
    "csm_port",
    "data_path",
    "defaults_mode",
    "disable_host_prefix_injection",
    "disable_request_compression",
    "duration_seconds",
    "ec2_metadata_service_endpoint",
    "ec2_metadata_service_endpoint_mode",
    "ec2_metadata_v1_disabled",
    "emr",
    "endpoint_discovery_enabled",
    "endpoint_url",
    "external_id",
    "ignore_configured_endpoint_urls",
    "imds_use_ipv6",
    "include_profile",
    "login_session",
    "max_attempts",
    "metadata_service_num_attempts",
    "metadata_service_timeout",
    "mfa_process",
    "mfa_serial",
    "output",
    "parameter_validation",
    "region",
    "request_checksum_calculation",
    "request_min_compression_size_bytes",
    "response_checksum_validation",
    "retry_mode",
    "role_arn",
    "role_session_name",
    "s3",
    "s3_disable_express_session_auth",
    "s3_disable_multiregion_access_points",
    "s3_us_east_1_regional_endpoint",
    "s3_use_arn_region",
    "s3api",
    "sdk_ua_app_id",
    "services",
    "session_tags",
    "sigv4a_signing_region_set",
    "source_identity",
    "source_profile",
    "sso_account_id",
    "sso_auto_populated",
    "sso_region",
    "sso_registration_scopes",
    "sso_role_name",
    "sso_session",
    "sso_start_url",
    "sts_regional_endpoints",
    "tcp_keepalive",
    "toolkit_artifact_guid",
    "transitive_session_tags",
    "use_dualstack_endpoint",
    "use_fips_endpoint",
    "web_identity_token",
    "web_identity_token_file",
    "web_identity_token_process",
];

/// Settings of a profile that nobody reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unknown {
    /// As written, and the setting that is meant.
    pub misspelt: Vec<(String, &'static str)>,
    /// Those of other programs, or of nobody.
    pub others: Vec<String>,
}

/// The settings of a profile's own section whose names are unknown, sorted.
pub fn unknown_settings(profiles: &Profiles, profile: &str) -> Unknown {
    let mut unknown = Unknown::default();
    let mut names: Vec<&str> = profiles.settings(profile).map(|(name, _)| name).collect();
    names.sort_unstable();
    for name in names.into_iter().filter(|name| !KNOWN.contains(name)) {
        match nearest(name, KNOWN) {
            Some(meant) => unknown.misspelt.push((name.to_owned(), meant)),
            None => unknown.others.push(shown(name)),
        }
    }
    unknown
}

/// The name of a setting, unless it could be a key that stands in the wrong place.
fn shown(name: &str) -> String {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b);
    let name = if name.len() < 32 && name.bytes().all(plain) { name } else { "..." };
    name.to_owned()
}

/// The profiles that a profile's settings come from: itself, those that it includes or has its credentials
/// from, and `default`, which lends.
pub fn related(profiles: &Profiles, profile: &str) -> Vec<String> {
    let mut found = vec![profile.to_owned()];
    let mut at = 0;
    while let Some(name) = found.get(at).cloned() {
        let named = ["include_profile", "source_profile"].into_iter();
        let named = named.filter_map(|key| profiles.get(&name, key));
        for other in named.chain(["default"]).filter(|other| profiles.has(other)) {
            if !found.iter().any(|known| known == other) {
                found.push(other.to_owned());
            }
        }
        at += 1;
    }
    found
}

/// What is wrong with the role of a profile's own section, each mistake by itself.
pub fn role_faults(profiles: &Profiles, env: &Env, profile: &str) -> Vec<Error> {
    let (Ok(settings), Ok(durations)) = (Settings::of(profiles, profile), Durations::of(env))
    else {
        return Vec::new();
    };
    if settings.own("role_arn").is_none() {
        return Vec::new();
    }
    let duration = durations.role(&settings).and_then(|asked| asked.within("a role", ROLE_RANGE));
    role::of(&settings, None).err().into_iter().chain(duration.err()).collect()
}
