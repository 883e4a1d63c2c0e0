//! The metadata service of an EC2 instance, version 2, as far as clients ask it for credentials and the
//! region ("Use the Instance Metadata Service to access instance metadata", AWS's EC2 User Guide): a PUT
//! gives a session token, and a GET with that token is answered.
//!
//! The token protects against a proxy that forwards any GET, not against other processes: every process that
//! can connect gets a token.

use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use hmac::{Hmac, Mac};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::request::{Hosts, Refusal, check, only};
use crate::clock::Timestamp;
use crate::credential::Credentials;
use crate::random;
use crate::secret::Secret;

/// A session token's lifetime in seconds, in the request and in the response.
pub(super) const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const TOKEN: &str = "x-aws-ec2-metadata-token";
/// The longest lifetime that EC2 gives a token: six hours.
const LONGEST: i64 = 21_600;

const TOKEN_PATH: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const REGION: &str = "/latest/meta-data/placement/region";
const ZONE: &str = "/latest/meta-data/placement/availability-zone";
const IDENTITY: &str = "/latest/dynamic/instance-identity/document";

/// The metadata service.
pub(super) struct Imds {
    hosts: Hosts,
    /// True to answer requests without a token, as version 1 does.
    v1: bool,
    key: Zeroizing<[u8; 32]>,
    role: String,
    region: Option<String>,
    current: RwLock<Current>,
}

/// The credentials that are served now.
struct Current {
    body: Bytes,
    account: Option<String>,
    ends: Timestamp,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A session token, and its lifetime in seconds.
    Token(String, i64),
    /// Text, or JSON as text.
    Text(Bytes),
}

impl Imds {
    /// `name` is the profile's, from which the role's is made.
    pub(super) fn new(
        address: SocketAddr,
        v1: bool,
        name: &str,
        region: Option<String>,
        first: &Credentials,
        now: Timestamp,
    ) -> crate::error::Result<Self> {
        let hosts = Hosts::of(address);
        let current = RwLock::new(Current::of(first, now));
        Ok(Self { hosts, v1, key: random::bytes()?, role: role(name), region, current })
    }

    pub(super) fn replace(&self, credentials: &Credentials, now: Timestamp) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Current::of(credentials, now);
    }

    pub(super) fn answer<B>(&self, request: &Request<B>, now: Timestamp) -> Result<Reply, Refusal> {
        let put = request.method() == Method::PUT && request.uri().path() == TOKEN_PATH;
        if request.method() != Method::GET && !put {
            return Err(Refusal::Method);
        }
        check(request, Some(&self.hosts))?;
        if put {
            return self.token(request.headers(), now);
        }
        let token = only(request.headers(), &HeaderName::from_static(TOKEN));
        let v1 = self.v1 && !request.headers().contains_key(TOKEN);
        if !v1 && !token.is_some_and(|token| self.is_valid(token, now)) {
            return Err(Refusal::Session);
        }
        self.metadata(request.uri().path(), now)
    }

    fn metadata(&self, path: &str, now: Timestamp) -> Result<Reply, Refusal> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let text = |text: String| Ok(Reply::Text(text.into()));
        let region = self.region.as_deref().ok_or(Refusal::Path);
        match path {
            REGION => text(region?.to_owned()),
            ZONE => text(zone(region?)),
            IDENTITY => text(identity(region?, current.account.as_deref())),
            _ => match path.strip_prefix(ROLES.trim_end_matches('/')) {
                Some("" | "/") => text(self.role.clone()),
                Some(role) if role.strip_prefix('/') == Some(&self.role) => {
                    let valid = (current.ends > now).then(|| current.body.clone());
                    valid.map(Reply::Text).ok_or(Refusal::Ended)
                }
                _ => Err(Refusal::Path),
            },
        }
    }

    /// A token is its expiration (8 bytes, big-endian) and the HMAC-SHA256 of that. It is not stored, so
    /// any number of tokens costs no memory.
    fn token(&self, headers: &HeaderMap, now: Timestamp) -> Result<Reply, Refusal> {
        let life = only(headers, &HeaderName::from_static(TTL))
            .and_then(|life| std::str::from_utf8(life).ok()?.parse().ok());
        let life = life.filter(|life| (1..=LONGEST).contains(life)).ok_or(Refusal::Life)?;
        let end = now.0.saturating_add(life).to_be_bytes();
        let sum = self.sum(&end).finalize().into_bytes();
        Ok(Reply::Token(BASE64.encode([&end[..], &sum].concat()), life))
    }

    fn is_valid(&self, token: &[u8], now: Timestamp) -> bool {
        let bytes = BASE64.decode(token).unwrap_or_default();
        let Some((end, sum)) = bytes.split_first_chunk::<8>() else { return false };
        self.sum(end).verify_slice(sum).is_ok() && i64::from_be_bytes(*end) > now.0
    }

    fn sum(&self, end: &[u8; 8]) -> Hmac<Sha256> {
        let mut mac = Hmac::new_from_slice(&*self.key).expect("HMAC takes a key of any length");
        mac.update(end);
        mac
    }
}

impl Current {
    fn of(credentials: &Credentials, now: Timestamp) -> Self {
        let ends = credentials.expiration.unwrap_or(Timestamp(i64::MAX));
        let body = serde_json::json!({
            "Code": "Success",
            "LastUpdated": now.to_rfc3339(),
            "Type": "AWS-HMAC",
            "AccessKeyId": credentials.access_key_id,
            "SecretAccessKey": credentials.secret_access_key.expose(),
            "Token": credentials.session_token.as_ref().map_or("", Secret::expose),
            "Expiration": ends.to_rfc3339(),
        });
        Self { body: body.to_string().into(), account: credentials.account_id.clone(), ends }
    }
}

/// A role's name has no other characters (IAM, "Names"), and clients put it into a path as it is.
fn role(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    name.chars().map(|c| if fits(c) { c } else { '-' }).collect()
}

/// Every region has this zone; clients remove the letter to get the region.
fn zone(region: &str) -> String {
    format!("{region}a")
}

fn identity(region: &str, account: Option<&str>) -> String {
    let mut document = serde_json::json!({
        "version": "2017-09-30",
        "region": region,
        "availabilityZone": zone(region),
    });
    if let Some(account) = account {
        document["accountId"] = account.into();
    }
    document.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);

    fn credentials(id: &str) -> Credentials {
        Credentials {
            session_token: Some(Secret::new("token".to_owned())),
            expiration: Some(Timestamp(5_000)),
            account_id: Some("123456789012".to_owned()),
            ..Credentials::long_term(id.to_owned(), Secret::new("secret".to_owned()))
        }
    }

    fn imds(v1: bool, region: Option<&str>) -> Imds {
        let address = "127.0.0.1:9912".parse().unwrap();
        let region = region.map(str::to_owned);
        Imds::new(address, v1, "my/prod", region, &credentials("ASIA1"), NOW).unwrap()
    }

    fn ask(
        imds: &Imds,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<Reply, Refusal> {
        let mut request = Request::builder().method(method).uri(path);
        request = request.header("host", "127.0.0.1:9912");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        imds.answer(&request.body(()).unwrap(), now)
    }

    fn token(imds: &Imds, life: &str) -> Result<Reply, Refusal> {
        ask(imds, Method::PUT, TOKEN_PATH, &[(TTL, life)], NOW)
    }

    /// The answer to a client with a token.
    fn answer(imds: &Imds, path: &str, now: Timestamp) -> Result<String, Refusal> {
        let Ok(Reply::Token(token, _)) = token(imds, "21600") else { panic!("no token") };
        match ask(imds, Method::GET, path, &[(TOKEN, &token)], now)? {
            Reply::Text(text) => Ok(String::from_utf8(text.to_vec()).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_instance_tells_its_role_its_credentials_and_its_region() {
        let imds = imds(false, Some("eu-west-1"));
        let roles = "/latest/meta-data/iam/security-credentials";
        for list in [roles, &format!("{roles}/")] {
            assert_eq!(answer(&imds, list, NOW).unwrap(), "my-prod");
        }
        let role = format!("{roles}/my-prod");
        let given = |id: &str, updated: &str| {
            format!(
                "{{\"AccessKeyId\":\"{id}\",\"Code\":\"Success\",\"Expiration\":\"1970-01-01T01:23:20Z\",\
                 \"LastUpdated\":\"{updated}\",\"SecretAccessKey\":\"secret\",\"Token\":\"token\",\
                 \"Type\":\"AWS-HMAC\"}}"
            )
        };
        assert_eq!(answer(&imds, &role, NOW).unwrap(), given("ASIA1", "1970-01-01T00:16:40Z"));
        imds.replace(&credentials("ASIA2"), Timestamp(2_000));
        assert_eq!(answer(&imds, &role, NOW).unwrap(), given("ASIA2", "1970-01-01T00:33:20Z"));
        assert_eq!(answer(&imds, &role, Timestamp(5_000)), Err(Refusal::Ended));
        assert_eq!(answer(&imds, REGION, NOW).unwrap(), "eu-west-1");
        assert_eq!(answer(&imds, ZONE, NOW).unwrap(), "eu-west-1a");
        assert_eq!(
            answer(&imds, IDENTITY, NOW).unwrap(),
            "{\"accountId\":\"123456789012\",\"availabilityZone\":\"eu-west-1a\",\
             \"region\":\"eu-west-1\",\"version\":\"2017-09-30\"}"
        );
        for none in [
            "/",
            "/latest/meta-data/",
            "/latest/user-data",
            &format!("{roles}/other"),
            &format!("{roles}x"),
        ] {
            assert_eq!(answer(&imds, none, NOW), Err(Refusal::Path), "{none}");
        }
    }

    #[test]
    fn without_a_region_none_is_served() {
        for path in [REGION, ZONE, IDENTITY] {
            assert_eq!(answer(&imds(false, None), path, NOW), Err(Refusal::Path), "{path}");
        }
    }

    #[test]
    fn a_token_lasts_as_long_as_was_asked_for() {
        let imds = imds(false, Some("eu-west-1"));
        for life in ["0", "21601", "-1", "", "1h", " 60"] {
            assert_eq!(token(&imds, life), Err(Refusal::Life), "{life:?}");
        }
        assert_eq!(ask(&imds, Method::PUT, TOKEN_PATH, &[], NOW), Err(Refusal::Life));
        let other_server = token(&self::imds(false, None), "60");
        let Ok(Reply::Token(another, _)) = other_server else { panic!("no token") };
        let Ok(Reply::Token(token, 60)) = token(&imds, "60") else { panic!("no token") };
        let get = |token: &str, now| ask(&imds, Method::GET, REGION, &[(TOKEN, token)], now);
        assert!(get(&token, Timestamp(1_059)).is_ok());
        assert_eq!(get(&token, Timestamp(1_060)), Err(Refusal::Session));
        // Another end, another server's, something else.
        let mut later = BASE64.decode(&token).unwrap();
        later[7] += 1;
        for wrong in [&*BASE64.encode(later), &another, "", "AAAA", &format!("{token}A")] {
            assert_eq!(get(wrong, NOW), Err(Refusal::Session), "{wrong}");
        }
    }

    #[test]
    fn without_a_token_only_version_1_answers() {
        let get = |imds: &Imds, headers: &[(&str, &str)]| {
            ask(imds, Method::GET, REGION, headers, NOW).map(|_| ())
        };
        let (v1, v2) = (imds(true, Some("r")), imds(false, Some("r")));
        assert_eq!(get(&v2, &[]), Err(Refusal::Session));
        assert_eq!(get(&v1, &[]), Ok(()));
        assert_eq!(get(&v1, &[(TOKEN, "wrong")]), Err(Refusal::Session));
    }

    #[test]
    fn what_comes_through_a_proxy_or_by_another_name_gets_nothing() {
        let imds = imds(true, Some("r"));
        let ttl = (TTL, "60");
        for name in ["X-Forwarded-For", "Forwarded", "Via", "Origin", "Referer"] {
            let put = ask(&imds, Method::PUT, TOKEN_PATH, &[ttl, (name, "x")], NOW);
            assert_eq!(put, Err(Refusal::Foreign), "{name}");
            let get = ask(&imds, Method::GET, REGION, &[(name, "x")], NOW);
            assert_eq!(get, Err(Refusal::Foreign), "{name}");
        }
        for method in [Method::POST, Method::HEAD, Method::OPTIONS] {
            assert_eq!(ask(&imds, method, TOKEN_PATH, &[ttl], NOW), Err(Refusal::Method));
        }
        assert_eq!(ask(&imds, Method::PUT, REGION, &[ttl], NOW), Err(Refusal::Method));
        let request = Request::builder().uri(REGION).header("host", "attacker.example");
        assert_eq!(imds.answer(&request.body(()).unwrap(), NOW), Err(Refusal::Host));
    }
}
