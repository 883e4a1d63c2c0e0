//! The errors of a call to a service of AWS's, and their messages.
//!
//! AWS's own code and message are passed on, since they say which policy or role is wrong; nothing
//! of the SDK's or the TLS library's text is, and no secret that AWS may echo.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::error::{Error, Reason};

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub enum ServiceError {
    /// AWS refused the call: its code and message. `skew` is
    /// [`Sts::clock_offset`](super::Sts::clock_offset).
    Denied { operation: &'static str, code: String, message: String, skew: Option<i64> },
    /// The MFA code is wrong, was used before, or the clock is off.
    MfaInvalid { skew: Option<i64> },
    /// No such MFA device, or too many codes were sent for it in the last minutes.
    MfaUnable,
    /// AWS requires an MFA serial number and a code, and got at most one of them.
    MfaMissing,
    /// Too many calls. The code, if there was one, may not have been looked at.
    Throttled { code: String },
    /// AWS itself failed (5xx). `service` is its name for people: STS, IAM.
    Unavailable { service: &'static str, status: u16, code: String },
    /// No response in time from `origin`, a `host:port`. The request may have arrived.
    Timeout { origin: String },
    /// No connection, or it broke before there was a response: why, and what to do. The request may have
    /// arrived only if `lost`.
    Unreachable { why: String, hint: Option<String>, lost: bool },
    /// A response that is not the service's. The media type is empty if there was none.
    BadAnswer { service: &'static str, status: u16, media_type: String },
    /// A response without an end, or larger than any of the service's.
    TooLarge { service: &'static str, origin: String },
    /// The request could not be prepared: endpoint, proxy, TLS roots. Nothing was sent.
    Setup(Error),
}

impl ServiceError {
    /// AWS's code, if AWS refused the call.
    pub fn denied(&self) -> &str {
        match self {
            Self::Denied { code, .. } => code,
            _ => "",
        }
    }

    /// True if AWS refused the call with this code.
    pub fn is(&self, wanted: &str) -> bool {
        self.denied() == wanted
    }

    /// True if AWS does not know the key: it is too new, inactive or deleted.
    pub fn is_of_an_unknown_key(&self) -> bool {
        self.is("InvalidClientTokenId") || self.is("UnrecognizedClientException")
    }

    /// True if the same call may succeed in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled { .. }) || self.may_have_arrived()
    }

    /// True if AWS may have executed the call, and only its response is missing.
    pub fn may_have_arrived(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Timeout { .. }
                | Self::BadAnswer { .. }
                | Self::TooLarge { .. }
                | Self::Unreachable { lost: true, .. }
        )
    }

    /// The error for the user: class 9 (AWS), a lack of time 8 (busy), a setup error its own.
    pub fn into_error(self) -> Error {
        match self.is_of_an_unknown_key() {
            true => self.message().because(Reason::UnknownKey),
            false => self.message(),
        }
    }

    /// As [`Self::into_error`]; if AWS refused the call, the message names the key and its profile.
    pub fn into_error_of(self, key_id: &str, profile: &str) -> Error {
        let refused = matches!(self, Self::Denied { .. });
        let mut error = self.into_error();
        if refused {
            error.what = format!("{} (key {key_id} of profile {profile})", error.what);
        }
        error
    }

    fn message(self) -> Error {
        match self {
            Self::Denied { operation, code, message, skew } => denied(operation, &code, &message, skew),
            Self::MfaInvalid { skew } => {
                let clock = clock_message(skew).unwrap_or_else(|| "this machine's clock is off".into());
                Error::aws("AWS refused the MFA code")
                    .hint(format!("it is wrong, was used before, or {clock}"))
            }
            Self::MfaUnable => Error::aws("AWS cannot validate an MFA code for this device").hint(
                "check mfa_serial; if it is right, the device was asked too often: wait three minutes",
            ),
            Self::MfaMissing => Error::aws("AWS needs both an MFA serial number and a code")
                .hint("set mfa_serial in the profile"),
            Self::Throttled { code } => Error::aws(format!("AWS is throttling requests ({code})"))
                .hint("wait a while, or let fewer jobs ask at once"),
            Self::Unavailable { service, status, code } => {
                Error::aws(format!("{service} failed (HTTP {status}, {code})")).hint("try again later")
            }
            Self::Timeout { origin } => {
                Error::busy(format!("out of time: no answer from {origin}"))
            }
            Self::Unreachable { why, hint, .. } => Error { hint, ..Error::aws(why) },
            Self::BadAnswer { service, status, media_type } => {
                let media_type = or_none(&media_type);
                Error::aws(format!(
                    "{service} answered with something that is not {service} (HTTP {status}, {media_type})"
                ))
                .hint(NOT_THE_SERVICE)
            }
            Self::TooLarge { service, origin } => Error::aws(format!(
                "{service} at {origin} sent too much: an answer may have 256 KiB, and 100 headers of 64 KiB in all"
            ))
            .hint(NOT_THE_SERVICE),
            Self::Setup(error) => error,
        }
    }
}

/// The hint for a response that is not the service's.
pub(super) const NOT_THE_SERVICE: &str =
    "is endpoint_url right, and is there a proxy or a login page in between?";

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        error.into_error()
    }
}

fn denied(operation: &str, code: &str, message: &str, skew: Option<i64>) -> Error {
    if operation == WEB_IDENTITY
        && let Some(error) = identity_denied(code, message)
    {
        return error;
    }
    let refused = match message {
        "" => format!("AWS refused {operation}: {code}"),
        _ => format!("AWS refused {operation}: {code}: {message}"),
    };
    let clock = clock_message(skew);
    let clock_or = |hint| clock.as_deref().unwrap_or(hint);
    let (what, hint) = match code {
        "ExpiredToken" | "ExpiredTokenException" => (
            "the temporary credentials that were used have expired",
            "get new ones from the same source; `vault clear` drops cached sessions",
        ),
        "InvalidClientTokenId" | "UnrecognizedClientException" => (
            "AWS does not know the access key",
            "it was deleted, is inactive, belongs to another partition, or is only seconds old",
        ),
        // The message of this one can quote the whole request, the session token included.
        "SignatureDoesNotMatch" | "InvalidSignatureException" => (
            "AWS refused the signature",
            clock_or(
                "the secret access key does not belong to the access key ID, or this machine's clock is off",
            ),
        ),
        "RequestExpired" | "RequestTimeTooSkewed" => {
            ("AWS refused the request's time", clock_or("this machine's clock is off"))
        }
        "RegionDisabledException" => {
            (&*refused, "activate STS for that region in IAM, or use another region")
        }
        _ => return Error::aws(refused),
    };
    Error::aws(what).hint(hint)
}

/// The call that is authorised by a token alone.
const WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

/// The error for a web identity token, whose codes partly have another meaning in other calls.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors>
fn identity_denied(code: &str, message: &str) -> Option<Error> {
    let (what, hint) = match code {
        "ExpiredToken" | "ExpiredTokenException" => {
            let hint =
                "get a new token from its issuer; check that its file is still being updated";
            return Some(Error::aws("the web identity token has expired").hint(hint));
        }
        "InvalidIdentityToken" => (
            "AWS does not accept the web identity token",
            "the account needs an IAM identity provider of the token's issuer (iss) and audience (aud)",
        ),
        "IDPRejectedClaim" => (
            "the identity provider rejects the web identity token",
            "it was revoked or has expired there: take a new one",
        ),
        "IDPCommunicationError" => {
            ("AWS cannot reach the identity provider of the web identity token", "try again later")
        }
        "AccessDenied" => (
            "AWS refused AssumeRoleWithWebIdentity: AccessDenied",
            "the role's trust policy has to allow the token's issuer, audience (aud) and subject (sub)",
        ),
        _ => return None,
    };
    let separator = if message.is_empty() { "" } else { ": " };
    Some(Error::aws(format!("{what}{separator}{message}")).hint(hint))
}

/// A clock offset of fewer seconds is not mentioned: a TOTP step.
const NOTABLE_SKEW: i64 = 30;

/// The message about a clock that is off.
pub fn clock_message(skew: Option<i64>) -> Option<String> {
    let skew = skew.filter(|s| s.saturating_abs() >= NOTABLE_SKEW)?;
    let way = if skew > 0 { "behind" } else { "ahead of" };
    Some(format!("this machine's clock is {} s {way} AWS's", skew.unsigned_abs()))
}

/// The error for a status, code and message of AWS's.
pub(super) fn refused(
    status: u16,
    code: String,
    message: String,
    (service, operation): (&'static str, &'static str),
    skew: Option<i64>,
) -> ServiceError {
    let throttling = ["Throttl", "TooManyRequests", "RequestLimitExceeded", "SlowDown"];
    if status == 429 || throttling.iter().any(|t| code.starts_with(t)) || code == "RequestThrottled"
    {
        return ServiceError::Throttled { code };
    }
    if status >= 500 {
        return ServiceError::Unavailable { service, status, code };
    }
    if code == "AccessDenied" && message.starts_with("MultiFactorAuthentication failed") {
        if message.contains("invalid MFA one time pass code") {
            return ServiceError::MfaInvalid { skew };
        }
        if message.contains("unable to validate MFA code") {
            return ServiceError::MfaUnable;
        }
        if message.contains("must provide both MFA serial number and one time pass code") {
            return ServiceError::MfaMissing;
        }
    }
    ServiceError::Denied { operation, code, message, skew }
}

/// The error for a response that is not the service's.
pub fn bad_answer(service: &'static str, response: &HttpResponse) -> ServiceError {
    let (status, media_type) = (response.status().as_u16(), media_type(response));
    ServiceError::BadAnswer { service, status, media_type }
}

/// A response's media type without characters that no media type has; empty if there is none.
pub(super) fn media_type(response: &HttpResponse) -> String {
    let header = response.headers().get("content-type").unwrap_or_default();
    let media_type = header.split(';').next().unwrap_or_default().trim();
    media_type
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "/+.-".contains(*c))
        .take(60)
        .collect()
}

/// A code of AWS's without other characters, and without secrets, which a server other than AWS could echo.
pub(super) fn clean_code(code: &str, secrets: &[&str]) -> String {
    let code = without(code, secrets);
    code.chars().filter(|c| c.is_ascii_alphanumeric() || "._:-".contains(*c)).take(64).collect()
}

fn without(text: &str, secrets: &[&str]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
}

/// The media type in a message.
pub(super) fn or_none(media_type: &str) -> &str {
    if media_type.is_empty() { "no content type" } else { media_type }
}

/// One line of at most 300 characters, without control characters, secrets and the last full stop.
pub(super) fn clean_message(message: &str, secrets: &[&str]) -> String {
    let message = without(message, secrets);
    let spaced = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = spaced.chars().filter(|c| !c.is_control()).collect();
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.trim_end_matches('.').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    fn denied_text(code: &str, message: &str, skew: Option<i64>) -> Error {
        let operation = ("STS", "AssumeRole");
        let (code, message) = (clean_code(code, &[]), clean_message(message, &[]));
        refused(403, code, message, operation, skew).into_error()
    }

    #[test]
    fn aws_s_own_words_are_passed_on_in_one_line() {
        let error = denied_text(
            "AccessDenied",
            "User: arn:aws:iam::111122223333:user/ci is not authorized\n to perform: sts:AssumeRole\u{1b}[31m.",
            None,
        );
        assert_eq!(error.class, Class::Aws);
        assert_eq!(
            error.what,
            "AWS refused AssumeRole: AccessDenied: User: arn:aws:iam::111122223333:user/ci is not \
             authorized to perform: sts:AssumeRole[31m"
        );
        assert_eq!(error.hint, None);
    }

    #[test]
    fn long_messages_are_cut_and_secrets_never_pass() {
        let long = denied_text("ValidationError", &"ü".repeat(999), None);
        assert_eq!(long.what.chars().filter(|c| *c == 'ü').count(), 300);
        assert_eq!(
            clean_message("Value '12345' at 'tokenCode' failed", &["", "12345"]),
            "Value '…' at 'tokenCode' failed"
        );
        assert_eq!(clean_code("Acc12345ess\nDenied", &["", "12345"]), "AccessDenied");
        let quoted = "The Canonical String was x-amz-security-token:FwoGZXIvYXdzE";
        let error = denied_text("SignatureDoesNotMatch", quoted, None);
        assert!(!format!("{error:?}").contains("FwoGZ"));
    }

    #[test]
    fn the_three_mfa_texts_are_told_apart() {
        let mfa = |text: &str, skew| {
            let text = format!("MultiFactorAuthentication failed{text}");
            refused(403, "AccessDenied".to_owned(), text, ("STS", "AssumeRole"), skew)
        };
        let invalid = mfa(" with invalid MFA one time pass code.", Some(-90));
        assert_eq!(invalid, ServiceError::MfaInvalid { skew: Some(-90) });
        assert_eq!(
            invalid.into_error().hint.unwrap(),
            "it is wrong, was used before, or this machine's clock is 90 s ahead of AWS's"
        );
        let unable =
            mfa(", unable to validate MFA code. Please verify your MFA serial number", None);
        assert_eq!(unable, ServiceError::MfaUnable);
        let missing = mfa(", must provide both MFA serial number and one time pass code.", None);
        assert_eq!(missing, ServiceError::MfaMissing);
    }

    #[test]
    fn a_connection_that_was_never_made_leaves_nothing_behind() {
        let unreachable = |lost| ServiceError::Unreachable { why: String::new(), hint: None, lost };
        assert!(unreachable(true).may_have_arrived());
        assert!(!unreachable(false).may_have_arrived());
        assert!(ServiceError::Throttled { code: String::new() }.may_pass());
    }

    #[test]
    fn a_skewed_clock_is_named_with_its_seconds() {
        for code in ["SignatureDoesNotMatch", "RequestExpired"] {
            assert_eq!(
                denied_text(code, "", Some(412)).hint.unwrap(),
                "this machine's clock is 412 s behind AWS's"
            );
            assert!(!denied_text(code, "", Some(3)).hint.unwrap().contains('3'));
        }
    }

    #[test]
    fn errors_of_a_token_have_their_own_words() {
        let said = |code: &str, message: &str| {
            let error = refused(400, code.into(), message.into(), ("STS", WEB_IDENTITY), None);
            let error = error.into_error();
            assert_eq!(error.class, Class::Aws);
            format!("{} / {}", error.what, error.hint.unwrap_or_default())
        };
        assert!(
            said("ExpiredTokenException", "Token expired: current date/time 1 must be before")
                .starts_with("the web identity token has expired / get a new token")
        );
        let incorrect = said("InvalidIdentityToken", "Incorrect token audience");
        assert!(incorrect.starts_with(
            "AWS does not accept the web identity token: Incorrect token audience / the account \
             needs"
        ));
        assert!(
            said("AccessDenied", "Not authorized").contains("Not authorized / the role's trust")
        );
        assert!(said("IDPRejectedClaim", "").contains("rejects"));
        assert!(said("IDPCommunicationError", "").contains("cannot reach"));
        assert_eq!(
            said("ValidationError", "x"),
            "AWS refused AssumeRoleWithWebIdentity: ValidationError: x / "
        );
    }

    #[test]
    fn throttling_and_aws_s_own_failures_have_variants() {
        let kind =
            |status, code: &str| refused(status, code.into(), String::new(), ("IAM", "X"), None);
        assert_eq!(kind(400, "Throttling"), ServiceError::Throttled { code: "Throttling".into() });
        assert_eq!(kind(400, "ThrottlingException").into_error().class, Class::Aws);
        assert!(matches!(kind(429, "Foo"), ServiceError::Throttled { .. }));
        assert!(matches!(kind(503, "ServiceUnavailable"), ServiceError::Unavailable { .. }));
        assert_eq!(kind(403, "Nope").into_error().what, "AWS refused X: Nope");
    }
}
