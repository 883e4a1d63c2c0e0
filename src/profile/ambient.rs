//! The credentials that a host has without a profile, and the endpoint of the store that hosts share.

use std::collections::BTreeSet;

use super::base::Base;
use super::host;
use super::plan::{Plan, PlanRequest, plan};
use super::read::{Files, Profiles};
use super::region::region;
use super::settings::Settings;
use super::sts::Target;
use super::variables::Variables;
use super::variant::EndpointVariant;
use crate::env::Env;
use crate::error::{Error, Result};

/// The region if none is named.
const REGION: &str = "us-east-1";

/// The region and endpoint of S3: the region `asked` for, else the environment's, else the profile's, else
/// `us-east-1`.
pub fn store_target(
    profiles: &Profiles,
    profile: Option<&str>,
    asked: Option<&str>,
) -> Result<Target> {
    let settings = Settings::of(profiles, profile.unwrap_or("default"))?;
    let region = region(asked, &settings)?.unwrap_or_else(|| REGION.to_owned());
    Target::of("s3", region, &settings)
}

/// The plan for the host's own credentials, in the order of AWS's SDKs: the environment's key, its web
/// identity, the container's agent, the EC2 instance's role.
///
/// # Errors
/// Not found: the host has none. Usage: variables that AWS's SDKs would not follow either.
pub fn ambient(env: &Env) -> Result<Plan> {
    let none = Profiles::parse_in(env, &Files::default(), "", "");
    let settings = Settings::of(&none, "default")?;
    let Variables { access_key_id, secret_access_key, .. } = settings.variables;
    let base = if let (Ok(true), Ok(true)) = (access_key_id, secret_access_key) {
        Base::Environment
    } else if settings.variables.web_identity().is_some() {
        let request = PlanRequest { profile: "default".to_owned(), ..PlanRequest::default() };
        return plan(&none, &BTreeSet::new(), &request);
    } else if let Some(url) = host::container(settings.variables)? {
        Base::Container { url }
    } else if let Some(endpoint) = host::instance(&settings)? {
        Base::Instance { endpoint }
    } else {
        return Err(Error::not_found("this host has no credentials of its own for the store")
            .hint("a web identity, a container's or an instance's role, or AWS_ACCESS_KEY_ID"));
    };
    let region = settings.variables.region.text()?.map(str::to_owned);
    Ok(Plan::of_base(base, "default", region, EndpointVariant::of(&settings)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
    const TOKEN: [(&str, &str); 2] = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"),
        ("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/r"),
    ];
    const AGENT: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x");

    #[test]
    fn what_a_host_has_by_itself_is_taken_in_the_sdks_order() {
        let kind = |vars: &[(&str, &str)]| ambient(&Env::of(vars)).unwrap().base.kind();
        assert_eq!(kind(&[KEY[0], KEY[1], TOKEN[0], TOKEN[1], AGENT]), "the environment");
        assert_eq!(kind(&[TOKEN[0], TOKEN[1], AGENT]), "a web identity's token");
        assert_eq!(kind(&[KEY[0], TOKEN[0], AGENT]), "the container's agent");
        assert_eq!(kind(&[]), "the EC2 instance's metadata service");
        let error = ambient(&Env::of(&[("AWS_EC2_METADATA_DISABLED", "true")])).unwrap_err();
        assert_eq!(error.what, "this host has no credentials of its own for the store");
    }

    #[test]
    fn a_store_is_asked_at_its_endpoint_and_as_the_profile_says() {
        let config = "[profile p]\nregion = eu-west-1\nuse_fips_endpoint = true\n\
                      endpoint_url = https://ceph.example\n";
        let target = |vars: &[(&str, &str)], profile, asked| {
            let profiles = Profiles::parse_in(&Env::of(vars), &Files::default(), config, "");
            store_target(&profiles, profile, asked).unwrap()
        };
        let given = target(&[], Some("p"), None);
        assert_eq!((given.region.as_str(), given.variant.is_fips()), ("eu-west-1", true));
        assert_eq!(given.endpoint.as_deref(), Some("https://ceph.example"));
        assert_eq!(target(&[], None, None).region, "us-east-1");
        let vars = [("AWS_REGION", "eu-north-1"), ("AWS_ENDPOINT_URL_S3", "https://s3.example")];
        let by_variable = target(&vars, Some("p"), None);
        assert_eq!(by_variable.region, "eu-north-1");
        assert_eq!(by_variable.endpoint.as_deref(), Some("https://s3.example"));
        assert_eq!(target(&vars, Some("p"), Some("eu-south-1")).region, "eu-south-1");
    }
}
