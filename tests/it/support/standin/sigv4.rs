//! AWS Signature Version 4, written from AWS's page "Create a signed AWS API request". The verifier
//! builds the canonical request anew and believes nothing that the client says about it.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

use super::answer::Refusal;
use super::http::{Request, form};
use super::time;

/// How far a client's clock may be off, in seconds.
const SKEW: i64 = 5 * 60;

/// What a request's `Authorization` and `X-Amz-Date` claim.
#[derive(Debug)]
pub struct Claim {
    pub access_key_id: String,
    pub scope: Scope,
    stamp: String,
    signed_headers: Vec<String>,
    signature: String,
}

/// The credential scope, without its end `aws4_request`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scope {
    pub date: String,
    pub region: String,
    pub service: String,
}

/// Reads the claim.
pub fn claim(request: &Request) -> Result<Claim, Refusal> {
    let Some(authorization) = request.header("authorization") else {
        return Err(Refusal::new(
            403,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
        ));
    };
    parse(authorization, request.header("x-amz-date")).ok_or_else(|| {
        Refusal::new(
            400,
            "IncompleteSignature",
            "Authorization header is not complete or not SigV4",
        )
    })
}

fn parse(authorization: &str, stamp: Option<&str>) -> Option<Claim> {
    let mut parts = authorization.strip_prefix("AWS4-HMAC-SHA256 ")?.split(',');
    let mut part = |name: &str| parts.next()?.trim().strip_prefix(name)?.strip_prefix('=');
    let [id, date, region, service, "aws4_request"] =
        part("Credential")?.split('/').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let claim = Claim {
        access_key_id: id.to_owned(),
        scope: Scope {
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        },
        stamp: stamp?.to_owned(),
        signed_headers: part("SignedHeaders")?.split(';').map(str::to_owned).collect(),
        signature: part("Signature")?.to_owned(),
    };
    parts.next().is_none().then_some(claim)
}

/// Checks scope, time, coverage and signature, with the secret that belongs to the key.
pub fn check(
    request: &Request,
    claim: &Claim,
    secret: &str,
    now: i64,
    service: &str,
    region: Option<&str>,
) -> Result<(), Refusal> {
    let refuse = |message: String| Err(Refusal::new(403, "SignatureDoesNotMatch", message));
    let Scope { date, region: named, service: serving } = &claim.scope;
    if serving != service {
        return refuse(format!("Credential should be scoped to correct service: '{service}'."));
    }
    if region.is_some_and(|r| r != named) {
        return refuse(format!("Credential should be scoped to a valid region, not '{named}'."));
    }
    let stamp = &claim.stamp;
    let Some(at) = time::parse_amz(stamp).filter(|_| stamp.starts_with(date.as_str())) else {
        return refuse("Date in Credential scope does not match YYYYMMDD from X-Amz-Date".into());
    };
    let (now_text, limit) = (time::amz(now), if at < now { now - SKEW } else { now + SKEW });
    let limit_text = time::amz(limit);
    if at < now - SKEW {
        return refuse(format!(
            "Signature expired: {stamp} is now earlier than {limit_text} ({now_text} - 5 min.)"
        ));
    }
    if at > now + SKEW {
        return refuse(format!(
            "Signature not yet current: {stamp} is still later than {limit_text} ({now_text} + 5 min.)"
        ));
    }
    let signed = |name: &str| claim.signed_headers.iter().any(|s| s == name);
    let covered = signed("host")
        && claim.signed_headers.is_sorted()
        && claim.signed_headers.iter().all(|name| request.headers.iter().any(|(n, _)| n == name))
        && request.headers.iter().all(|(name, _)| !name.starts_with("x-amz-") || signed(name));
    let ours = signature(request, &claim.signed_headers, secret, &claim.scope, stamp);
    if !covered || ours != claim.signature {
        return refuse(
            "The request signature we calculated does not match the signature you provided. Check \
             your AWS Secret Access Key and signing method. Consult the service documentation for \
             details."
                .into(),
        );
    }
    Ok(())
}

/// Signs a request as a client does, at a point in time; every header that it has is signed.
pub fn sign(
    request: &mut Request,
    id: &str,
    secret: &str,
    token: Option<&str>,
    at: i64,
    scope: &Scope,
) {
    let stamp = time::amz(at);
    request.headers.push(("x-amz-date".into(), stamp.clone()));
    if let Some(token) = token {
        request.headers.push(("x-amz-security-token".into(), token.to_owned()));
    }
    let mut names: Vec<String> = request.headers.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    let signature = signature(request, &names, secret, scope, &stamp);
    let Scope { date, region, service } = scope;
    request.headers.push((
        "authorization".into(),
        format!(
            "AWS4-HMAC-SHA256 Credential={id}/{date}/{region}/{service}/aws4_request, \
             SignedHeaders={}, Signature={signature}",
            names.join(";")
        ),
    ));
}

fn signature(
    request: &Request,
    signed: &[String],
    secret: &str,
    scope: &Scope,
    stamp: &str,
) -> String {
    let Scope { date, region, service } = scope;
    let canonical = hex(&Sha256::digest(canonical_request(request, signed)));
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{stamp}\n{date}/{region}/{service}/aws4_request\n{canonical}");
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [date, region, service, "aws4_request"] {
        key = mac(&key, part);
    }
    hex(&mac(&key, &to_sign))
}

fn canonical_request(request: &Request, signed: &[String]) -> String {
    let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let mut pairs: Vec<(String, String)> = form(query)
        .unwrap_or_default()
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort();
    let query: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    // Every service but S3 encodes the path, as it stands on the wire, a second time.
    let path: Vec<String> = path.split('/').map(encode).collect();
    let headers: String = signed
        .iter()
        .map(|name| {
            let values: Vec<String> = request
                .headers
                .iter()
                .filter(|(n, _)| n == name)
                .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
                .collect();
            format!("{name}:{}\n", values.join(","))
        })
        .collect();
    format!(
        "{}\n{}\n{}\n{headers}\n{}\n{}",
        request.method,
        path.join("/"),
        query.join("&"),
        signed.join(";"),
        hex(&Sha256::digest(&request.body))
    )
}

/// RFC 3986: everything but the unreserved characters.
pub fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(b).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

pub(super) fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
