//! The settings that AWS's tools, aws-vault or this program read, and those of them that decide which
//! credentials a profile gives.

use crate::nearest::nearest;

/// Settings that lead to credentials, and that are not inherited from `[default]`.
pub(super) const SOURCE_KEYS: [&str; 10] = [
    "source_profile",
    "credential_process",
    "web_identity_token_file",
    "sso_session",
    "sso_start_url",
    "sso_account_id",
    "sso_role_name",
    "credential_source",
    "include_profile",
    "web_identity_token_process",
];

/// Settings that change those credentials.
const CHANGE: [&str; 2] = ["mfa_serial", "role_arn"];

/// Settings whose value is a block of settings below them.
const BLOCKS: [&str; 4] = ["api_versions", "emr", "s3", "s3api"];

/// Settings that are inherited from `[default]`. The rest stays with the profile that names it.
pub(super) const INHERITABLE: [&str; 15] = [
    "region",
    "mfa_serial",
    "mfa_process",
    "duration_seconds",
    "sts_regional_endpoints",
    "use_fips_endpoint",
    "use_dualstack_endpoint",
    "endpoint_url",
    "ignore_configured_endpoint_urls",
    "services",
    "ca_bundle",
    "role_session_name",
    "session_tags",
    "transitive_session_tags",
    "source_identity",
];

/// The other settings of a profile that the AWS CLI, the SDKs, aws-vault or this program read. (AWS SDKs and
/// Tools reference, "Settings reference"; botocore's `configprovider`; AWS CLI reference, "config".)
const OTHERS: [&str; 51] = [
    "account_id_endpoint_mode",
    "auth_scheme_preference",
    "aws_access_key_id",
    "aws_account_id",
    "aws_secret_access_key",
    "aws_security_token",
    "aws_session_token",
    "cli_auto_prompt",
    "cli_binary_format",
    "cli_error_format",
    "cli_follow_urlparam",
    "cli_help_output",
    "cli_history",
    "cli_pager",
    "cli_timestamp_format",
    "csm_client_id",
    "csm_enabled",
    "csm_host",
    "csm_port",
    "data_path",
    "defaults_mode",
    "disable_host_prefix_injection",
    "disable_request_compression",
    "ec2_metadata_service_endpoint",
    "ec2_metadata_service_endpoint_mode",
    "ec2_metadata_v1_disabled",
    "endpoint_discovery_enabled",
    "external_id",
    "imds_use_ipv6",
    "login_session",
    "max_attempts",
    "metadata_service_num_attempts",
    "metadata_service_timeout",
    "output",
    "parameter_validation",
    "request_checksum_calculation",
    "request_min_compression_size_bytes",
    "response_checksum_validation",
    "retry_mode",
    "s3_disable_express_session_auth",
    "s3_disable_multiregion_access_points",
    "s3_us_east_1_regional_endpoint",
    "s3_use_arn_region",
    "sdk_ua_app_id",
    "sigv4a_signing_region_set",
    "sso_auto_populated",
    "sso_region",
    "sso_registration_scopes",
    "tcp_keepalive",
    "toolkit_artifact_guid",
    "web_identity_token",
];

/// All settings that one of them reads; a setting may come twice.
fn known() -> impl Iterator<Item = &'static str> {
    SOURCE_KEYS.iter().chain(&CHANGE).chain(&INHERITABLE).chain(&BLOCKS).chain(&OTHERS).copied()
}

/// True if a profile gives other credentials without this setting.
pub(super) fn chooses(key: &str) -> bool {
    SOURCE_KEYS.contains(&key) || CHANGE.contains(&key)
}

/// True if nothing reads this setting, and it is near to one that chooses credentials.
pub(super) fn may_choose(key: &str) -> bool {
    !is_known(key) && nearest(key, SOURCE_KEYS.into_iter().chain(CHANGE)).is_some()
}

/// True if a program reads this setting.
pub(super) fn is_known(key: &str) -> bool {
    known().any(|name| name == key)
}

/// True if the value of this setting is never a block of settings. An unknown one may be the name of a
/// service.
pub(super) fn is_plain(key: &str) -> bool {
    is_known(key) && !BLOCKS.contains(&key)
}

/// The known setting that is meant by an unknown one. Short names are those of services, and other programs
/// read `s3_region` and `sts_region`.
pub(super) fn meant(key: &str) -> Option<&'static str> {
    let others = ["s3_region", "sts_region"];
    if key.len() <= 3 || others.contains(&key) {
        return None;
    }
    nearest(key, known())
}
