//! What can go wrong with a call to STS or IAM, and the words for it.
//!
//! AWS's own code and message are passed on, since they say which policy or role is wrong; nothing
//! of the SDK's or the TLS library's text is, and no secret that AWS may echo.

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use crate::error::{Error, Reason};

/// A call that gave no credentials.
#[derive(Debug, PartialEq, Eq)]
pub enum ServiceError {
    /// AWS said no: its code and message. `skew` is the clock's offset as in
    /// [`Sts::clock_offset`](super::Sts::clock_offset).
    Denied { operation: &'static str, code: String, message: String, skew: Option<i64> },
    /// The MFA code is wrong, was used before, or the clock is off.
    MfaInvalid { skew: Option<i64> },
    /// No such MFA device, or it was asked too often in the last minutes.
    MfaUnable,
    /// AWS wants the MFA serial and a code, and got at most one of them.
    MfaMissing,
    /// Too many calls. The code, if there was one, may not have been looked at.
    Throttled { code: String },
    /// AWS itself failed (5xx). `service` is its name for people: STS, IAM.
    Unavailable { service: &'static str, status: u16, code: String },
    /// No answer in time. What was sent may have arrived. The server's `host:port`.
    Timeout { origin: String },
    /// No connection, or it broke before an answer came: why, and what to do. What was sent may have
    /// arrived only if `lost`.
    Unreachable { why: String, hint: Option<String>, lost: bool },
    /// An answer that is not the service's. The media type is empty if there was none.
    BadAnswer { service: &'static str, status: u16, media_type: String },
    /// An answer without an end, or longer than any of the service's. `who` sent it, and its `host:port`.
    TooMuch { who: &'static str, origin: String },
    /// The call could not be prepared: endpoint, proxy, TLS roots. Nothing was sent.
    Setup(Error),
}

impl ServiceError {
    /// True if AWS said no with this code.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Denied { code, .. } if code == wanted)
    }

    /// True if AWS does not know the key: it is too new, inactive or deleted.
    pub fn is_of_an_unknown_key(&self) -> bool {
        self.is("InvalidClientTokenId") || self.is("UnrecognizedClientException")
    }

    /// True for what may be otherwise in a moment.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Throttled { .. }) || self.may_have_arrived()
    }

    /// True if AWS may have done what was asked, and only the answer is missing.
    pub fn may_have_arrived(&self) -> bool {
        matches!(
            self,
            Self::Unavailable { .. }
                | Self::Timeout { .. }
                | Self::BadAnswer { .. }
                | Self::TooMuch { .. }
                | Self::Unreachable { lost: true, .. }
        )
    }

    /// The error for the user: class 9 (AWS), a lack of time 8 (busy), a setup error its own.
    pub fn into_error(self) -> Error {
        match self.is_of_an_unknown_key() {
            true => self.in_words().because(Reason::UnknownKey),
            false => self.in_words(),
        }
    }

    /// As [`Self::into_error`]; where AWS said no, with whose key it was: its id, and the profile that has it.
    pub fn into_error_of(self, key_id: &str, profile: &str) -> Error {
        let refused = matches!(self, Self::Denied { .. });
        let mut error = self.into_error();
        if refused {
            error.what = format!("{} (key {key_id} of profile {profile})", error.what);
        }
        error
    }

    fn in_words(self) -> Error {
        match self {
            Self::Denied { operation, code, message, skew } => denied(operation, &code, &message, skew),
            Self::MfaInvalid { skew } => {
                let clock = clock_words(skew).unwrap_or_else(|| "this machine's clock is off".into());
                Error::aws("AWS refused the MFA code")
                    .hint(format!("it is wrong, was used before, or {clock}"))
            }
            Self::MfaUnable => Error::aws("AWS cannot validate an MFA code for this device").hint(
                "check mfa_serial; if it is right, the device was asked too often: wait three minutes",
            ),
            Self::MfaMissing => Error::aws("AWS wants both an MFA serial number and a code")
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
                let kind = if media_type.is_empty() { "no content type" } else { &media_type };
                Error::aws(format!("{service} answered with something that is not {service} (HTTP {status}, {kind})"))
                    .hint(MISLED)
            }
            Self::TooMuch { who, origin } => Error::aws(format!(
                "{who} at {origin} sent too much: an answer may have 256 KiB, and 100 headers of 64 KiB in all"
            ))
            .hint(MISLED),
            Self::Setup(error) => error,
        }
    }
}

/// What to look for where it is not the service that answers.
pub(super) const MISLED: &str =
    "is endpoint_url right, and is there a proxy or a login page in between?";

impl From<ServiceError> for Error {
    fn from(error: ServiceError) -> Self {
        error.into_error()
    }
}

fn denied(operation: &str, code: &str, message: &str, skew: Option<i64>) -> Error {
    let clock = clock_words(skew);
    if operation == WEB_IDENTITY
        && let Some(error) = identity_denied(code, message)
    {
        return error;
    }
    let (what, hint) = match code {
        "ExpiredToken" | "ExpiredTokenException" => (
            "the temporary credentials that were used have expired".to_owned(),
            Some("get new ones where they came from; `vault clear` drops cached sessions".to_owned()),
        ),
        "InvalidClientTokenId" | "UnrecognizedClientException" => (
            "AWS does not know the access key".to_owned(),
            Some("it was deleted, is inactive, belongs to another partition, or is only seconds old".to_owned()),
        ),
        // The message of this one can quote the whole request, the session token included.
        "SignatureDoesNotMatch" | "InvalidSignatureException" => (
            "AWS refused the signature".to_owned(),
            Some(clock.unwrap_or_else(|| {
                "the secret access key does not belong to the access key ID, or this machine's clock is off".to_owned()
            })),
        ),
        "RequestExpired" | "RequestTimeTooSkewed" => (
            "AWS refused the request's time".to_owned(),
            Some(clock.unwrap_or_else(|| "this machine's clock is off".to_owned())),
        ),
        "RegionDisabledException" => (
            format!("AWS refused {operation}: {code}: {message}"),
            Some("activate STS for that region in IAM, or use another region".to_owned()),
        ),
        _ if message.is_empty() => (format!("AWS refused {operation}: {code}"), None),
        _ => (format!("AWS refused {operation}: {code}: {message}"), None),
    };
    Error { hint, ..Error::aws(what) }
}

/// The call whose one proof is a token.
const WEB_IDENTITY: &str = "AssumeRoleWithWebIdentity";

/// What AWS says of a token, in codes some of which mean something else elsewhere.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html#API_AssumeRoleWithWebIdentity_Errors>
fn identity_denied(code: &str, message: &str) -> Option<Error> {
    let said = |what: &str| match message {
        "" => what.to_owned(),
        message => format!("{what}: {message}"),
    };
    let (what, hint) = match code {
        "ExpiredToken" | "ExpiredTokenException" => (
            "the web identity token has expired".to_owned(),
            "take a new one from where it came from; is its file still written to?",
        ),
        "InvalidIdentityToken" => (
            said("AWS does not take the web identity token"),
            "the account needs an IAM identity provider of the token's issuer (iss) and audience (aud)",
        ),
        "IDPRejectedClaim" => (
            said("the identity provider rejects the web identity token"),
            "it was revoked or has expired there: take a new one",
        ),
        "IDPCommunicationError" => (
            said("AWS cannot reach the identity provider of the web identity token"),
            "try again later",
        ),
        "AccessDenied" => (
            said("AWS refused AssumeRoleWithWebIdentity: AccessDenied"),
            "the role's trust policy has to allow the token's issuer, audience (aud) and subject (sub)",
        ),
        _ => return None,
    };
    Some(Error::aws(what).hint(hint))
}

/// Seconds of offset that are worth a word: a TOTP step.
const NOTABLE_SKEW: i64 = 30;

/// The offset in words, if it is worth any.
pub fn clock_words(skew: Option<i64>) -> Option<String> {
    let skew = skew.filter(|s| s.saturating_abs() >= NOTABLE_SKEW)?;
    let way = if skew > 0 { "behind" } else { "ahead of" };
    Some(format!("this machine's clock is {} s {way} AWS's", skew.unsigned_abs()))
}

/// What AWS's own code and message come to.
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

/// The error for an answer of `response`'s status and type that has no meaning for us.
pub fn bad_answer(service: &'static str, response: &HttpResponse) -> ServiceError {
    let (status, media_type) = (response.status().as_u16(), media_type(response));
    ServiceError::BadAnswer { service, status, media_type }
}

/// An answer's media type, fit for an error; empty if it has none.
pub(super) fn media_type(response: &HttpResponse) -> String {
    let kind = response.headers().get("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.chars().filter(|c| c.is_ascii_alphanumeric() || "/+.-".contains(*c)).take(60).collect()
}

/// A code of AWS's, fit for an error: without secrets, which only somebody else than AWS would put there.
pub(super) fn clean_code(code: &str, secrets: &[&str]) -> String {
    let code = without(code, secrets);
    code.chars().filter(|c| c.is_ascii_alphanumeric() || "._:-".contains(*c)).take(64).collect()
}

fn without(text: &str, secrets: &[&str]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
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
    fn what_is_wrong_with_a_token_is_said_in_its_own_words() {
        let said = |code: &str, message: &str| {
            let error = refused(400, code.into(), message.into(), ("STS", WEB_IDENTITY), None);
            let error = error.into_error();
            assert_eq!(error.class, Class::Aws);
            format!("{} / {}", error.what, error.hint.unwrap_or_default())
        };
        assert!(
            said("ExpiredTokenException", "Token expired: current date/time 1 must be before")
                .starts_with("the web identity token has expired / take a new one")
        );
        let incorrect = said("InvalidIdentityToken", "Incorrect token audience");
        assert!(incorrect.starts_with(
            "AWS does not take the web identity token: Incorrect token audience / the account needs"
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
