//! The environment of a child, made from the parent's public variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::credential::Credentials;
use crate::env::Env;
use crate::export;
use crate::profile::EndpointVariant;
use crate::secret::Secret;

/// The command's part of the environment.
#[derive(Clone, Copy, Debug)]
pub struct Child<'a> {
    /// The value of `AWS_VAULT`.
    pub profile: &'a str,
    pub delivery: Delivery<'a>,
    /// The region, if known; else the child's own region variables stay.
    pub region: Option<&'a str>,
    /// The profile's variant of AWS's endpoints.
    pub variant: EndpointVariant,
    /// True if `SOPS_AGE_KEY` or `SOPS_AGE_KEY_FILE` opened the vault: then the child gets neither.
    pub drop_sops: bool,
}

/// How a command gets credentials.
#[derive(Clone, Copy)]
pub enum Delivery<'a> {
    /// In variables.
    Keys(&'a Credentials),
    /// From a server only (AWS SDKs, "Container credential provider").
    Server {
        url: &'a str,
        /// The server's token, for clients that read it from a variable.
        token: Option<&'a Secret>,
        /// A file with the token, for clients that read it from a file.
        token_file: Option<&'a Path>,
        /// True if an AWS config or credentials file would take precedence: the command sees none.
        without_files: bool,
    },
}

/// Without the credentials and the token.
impl std::fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Keys(_) => "Keys",
            Self::Server { .. } => "Server",
        })
    }
}

/// Variables that would take precedence over the new credentials or contradict them: other credentials, their
/// sources, a profile or a role. AWS's older SDKs and tools still read the legacy names.
const REMOVED: [&str; 16] = [
    "AWS_VAULT",
    "AWS_ACCOUNT_ID",
    "AWS_ACCESS_KEY_ID",
    "AWS_ACCESS_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_SESSION_EXPIRATION",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CREDENTIAL_FILE",
    "AWS_SDK_LOAD_CONFIG",
];

/// ECS's and EKS's credential endpoints and their tokens.
const REMOVED_PREFIX: &[u8] = b"AWS_CONTAINER_";

const SOPS_KEY: &str = "SOPS_AGE_KEY";
const SOPS_FILE: &str = "SOPS_AGE_KEY_FILE";

/// The command's environment, in the order of the names.
pub fn environment(env: &Env, child: &Child<'_>) -> Vec<(OsString, OsString)> {
    let mut vars = for_any_child(env, child.drop_sops);
    vars.retain(|name, _| !is_removed(name));
    if let Delivery::Server { token_file: Some(path), .. } = child.delivery {
        vars.insert("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE".into(), path.into());
    }
    let mut set = |name: &str, value: &str| {
        vars.insert(name.into(), value.into());
    };
    set("AWS_VAULT", child.profile);
    match child.delivery {
        Delivery::Keys(credentials) => {
            for (name, value) in export::credential_variables(credentials) {
                set(name, &value);
            }
            if let Some(account) = &credentials.account_id {
                set("AWS_ACCOUNT_ID", account);
            }
        }
        Delivery::Server { url, token, token_file: _, without_files } => {
            set("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
            if let Some(token) = token {
                set("AWS_CONTAINER_AUTHORIZATION_TOKEN", token.expose());
            }
            if without_files {
                set("AWS_CONFIG_FILE", "/dev/null");
                set("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
            }
        }
    }
    if let Some(region) = child.region {
        set("AWS_REGION", region);
        set("AWS_DEFAULT_REGION", region);
    }
    for (name, value) in child.variant.variables() {
        set(name, value);
    }
    vars.into_iter().collect()
}

/// The environment of a credential_process or mfa_process: ours, without what opens a vault. With
/// `drop_sops` (see [`Child`]) sops's key goes too.
pub fn helper_environment(env: &Env, drop_sops: bool) -> Vec<(OsString, OsString)> {
    for_any_child(env, drop_sops).into_iter().collect()
}

/// The public variables, without our own unlock variables; and sops's key, which [`Env`] keeps among the
/// secrets, unless it opened the vault.
fn for_any_child(env: &Env, drop_sops: bool) -> BTreeMap<OsString, OsString> {
    let mut vars: BTreeMap<_, _> =
        env.vars().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if drop_sops {
        vars.remove(OsStr::new(SOPS_FILE));
    } else if let Some(key) = env.unlock(SOPS_KEY) {
        vars.insert(SOPS_KEY.into(), key.expose().into());
    }
    vars
}

fn is_removed(name: &OsStr) -> bool {
    REMOVED.iter().any(|r| name == *r) || name.as_bytes().starts_with(REMOVED_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::env::UNLOCK;
    use crate::secret::Secret;

    fn key() -> Credentials {
        Credentials::long_term(
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
        )
    }

    fn session() -> Credentials {
        Credentials {
            session_token: Some(Secret::new("FwoGZXIvYXdzEXAMPLE".to_owned())),
            expiration: Timestamp::parse("2026-01-31T12:00:00Z"),
            account_id: Some("123456789012".to_owned()),
            ..key()
        }
    }

    fn child(credentials: &Credentials) -> Child<'_> {
        let delivery = Delivery::Keys(credentials);
        let variant = EndpointVariant::default();
        Child { profile: "prod", delivery, region: None, variant, drop_sops: false }
    }

    fn text(vars: Vec<(OsString, OsString)>) -> Vec<String> {
        vars.into_iter().map(|(n, v)| format!("{}={}", n.display(), v.display())).collect()
    }

    #[test]
    fn a_session_sets_the_three_keys_the_end_the_account_and_the_region() {
        let credentials = session();
        let child = Child { region: Some("eu-west-1"), ..child(&credentials) };
        let env = Env::of(&[("HOME", "/h"), ("AWS_REGION", "us-east-1"), ("AWS_PAGER", "")]);
        assert_eq!(
            text(environment(&env, &child)),
            [
                "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
                "AWS_ACCOUNT_ID=123456789012",
                "AWS_CREDENTIAL_EXPIRATION=2026-01-31T12:00:00Z",
                "AWS_DEFAULT_REGION=eu-west-1",
                "AWS_PAGER=",
                "AWS_REGION=eu-west-1",
                "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "AWS_SESSION_TOKEN=FwoGZXIvYXdzEXAMPLE",
                "AWS_VAULT=prod",
                "HOME=/h",
            ]
        );
    }

    #[test]
    fn what_would_contradict_the_credentials_is_removed() {
        let stale: Vec<(&str, &str)> = REMOVED
            .iter()
            .chain(&[
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
            ])
            .map(|name| (*name, "stale"))
            .collect();
        let credentials = key();
        assert_eq!(
            text(environment(&Env::of(&stale), &child(&credentials))),
            [
                "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
                "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "AWS_VAULT=prod",
            ]
        );
    }

    #[test]
    fn a_server_sets_where_and_by_what_and_no_key() {
        let token = Secret::new("token".to_owned());
        let url = "http://127.0.0.1:1/x";
        let by_variable = |without_files| Delivery::Server {
            url,
            token: Some(&token),
            token_file: None,
            without_files,
        };
        let delivery = by_variable(true);
        let variant = EndpointVariant { fips: Some(true), dual_stack: None };
        let (profile, region) = ("prod", Some("r"));
        let child = Child { profile, delivery, region, variant, drop_sops: false };
        let stale: Vec<_> = REMOVED.iter().map(|name| (*name, "stale")).collect();
        let mut expected = vec![
            "AWS_CONFIG_FILE=/dev/null",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN=token",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:1/x",
            "AWS_DEFAULT_REGION=r",
            "AWS_REGION=r",
            "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
            "AWS_USE_FIPS_ENDPOINT=true",
            "AWS_VAULT=prod",
        ];
        assert_eq!(text(environment(&Env::of(&stale), &child)), expected);
        let child = Child { delivery: by_variable(false), ..child };
        expected.retain(|line| !line.ends_with("/dev/null"));
        assert_eq!(text(environment(&Env::of(&stale), &child)), expected);
        let token_file = Some(Path::new("/run/token"));
        let delivery = Delivery::Server { url, token: None, token_file, without_files: false };
        let child = Child { delivery, ..child };
        expected[0] = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/run/token";
        assert_eq!(text(environment(&Env::of(&stale), &child)), expected);
        assert!(!format!("{child:?}").contains("token"));
    }

    #[test]
    fn without_a_region_the_childs_own_stays() {
        let credentials = key();
        let env = Env::of(&[("AWS_DEFAULT_REGION", "eu-north-1"), ("AWS_CONFIG_FILE", "/c")]);
        let vars = text(environment(&env, &child(&credentials)));
        assert!(vars.contains(&"AWS_DEFAULT_REGION=eu-north-1".to_owned()));
        assert!(vars.contains(&"AWS_CONFIG_FILE=/c".to_owned()));
        assert!(!vars.iter().any(|v| v.starts_with("AWS_REGION=")));
    }

    #[test]
    fn no_unlock_variable_reaches_any_child() {
        let pairs: Vec<(&str, &str)> = UNLOCK
            .iter()
            .chain(&["SOPS_AGE_KEY_FILE"])
            .map(|name| (*name, "opens the vault"))
            .collect();
        let credentials = key();
        let child = Child { drop_sops: true, ..child(&credentials) };
        for vars in
            [environment(&Env::of(&pairs), &child), helper_environment(&Env::of(&pairs), true)]
        {
            assert!(!text(vars).iter().any(|v| v.contains("opens the vault")));
        }
    }

    #[test]
    fn sops_keeps_its_key_unless_it_opened_the_vault() {
        let env = Env::of(&[("SOPS_AGE_KEY", "k"), ("SOPS_AGE_KEY_FILE", "/f"), ("CI", "1")]);
        assert_eq!(
            text(helper_environment(&env, false)),
            ["CI=1", "SOPS_AGE_KEY=k", "SOPS_AGE_KEY_FILE=/f"]
        );
        assert_eq!(text(helper_environment(&env, true)), ["CI=1"]);
    }

    #[test]
    fn a_helper_keeps_the_aws_variables_of_its_user() {
        let env = Env::of(&[("AWS_PROFILE", "p"), ("AWS_VAULT", "v"), ("AWS_VAULT_FILE", "/v")]);
        assert_eq!(
            text(helper_environment(&env, false)),
            ["AWS_PROFILE=p", "AWS_VAULT=v", "AWS_VAULT_FILE=/v"]
        );
    }
}
