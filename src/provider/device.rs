//! Waiting for a person to allow a login in a browser: what they are shown, and how often AWS is asked
//! meanwhile (RFC 8628, sections 3.3 to 3.5).

use std::time::{Duration, Instant};

use crate::aws::{DeviceCode, NoToken, ServiceError, Tokens};
use crate::duration::show_duration;
use crate::error::{Error, Result};
use crate::reporter::Reporter;
use crate::waiting::waiting;

/// What `slow_down` adds to the interval, from then on (RFC 8628, section 3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// The instructions on the terminal. The page shows the code too: a person who did not start this login
/// sees another one, or none.
pub(super) fn instructions(device: &DeviceCode) -> [String; 3] {
    [
        "Open this page in a browser, on any machine, and allow the request:".to_owned(),
        format!("  {}", device.page),
        format!("Check that the page shows the code {}", device.user_code),
    ]
}

/// Asks until there is an answer, or the code has expired.
pub(super) fn wait_for_approval(
    device: &DeviceCode,
    ends: Instant,
    reporter: Reporter,
    ask: &dyn Fn() -> Result<Tokens, NoToken>,
) -> Result<Tokens> {
    let mut interval = device.interval;
    let mut warned = false;
    let what = || "the request to be allowed in the browser".to_owned();
    let _waiting = waiting(what, Some(ends));
    loop {
        let no = match ask() {
            Ok(tokens) => return Ok(tokens),
            Err(no) => no,
        };
        let Some(next) = next_interval(interval, &no) else { return Err(refused(no, device)) };
        interval = next;
        if Instant::now() + interval >= ends {
            return Err(refused(NoToken::Expired, device));
        }
        if let NoToken::Failed(error) = no
            && !warned
        {
            warned = true;
            reporter.warn(format!("{}; trying again", error.into_error().what));
        }
        std::thread::sleep(interval);
    }
}

/// The pause before AWS is asked again, and from then on; none if the login has failed.
fn next_interval(interval: Duration, no: &NoToken) -> Option<Duration> {
    match no {
        NoToken::Pending => Some(interval),
        NoToken::SlowDown => Some(interval + SLOWER),
        // "On encountering a connection timeout, clients MUST unilaterally reduce their polling
        // frequency"; doubling is what the RFC names.
        NoToken::Failed(
            ServiceError::Timeout { .. }
            | ServiceError::Unreachable { .. }
            | ServiceError::Unavailable { .. }
            | ServiceError::Throttled { .. },
        ) => Some(interval.saturating_mul(2)),
        NoToken::Expired | NoToken::Denied | NoToken::Over | NoToken::Failed(_) => None,
    }
}

fn refused(no: NoToken, device: &DeviceCode) -> Error {
    match no {
        NoToken::Denied => Error::aws("the login was refused in the browser"),
        NoToken::Failed(error) => error.into_error(),
        NoToken::Over => Error::aws("AWS no longer knows this login request")
            .hint("start again, and open the new page"),
        NoToken::Expired | NoToken::Pending | NoToken::SlowDown => {
            let time = show_duration(device.expires_in);
            Error::aws(format!("the login was not approved within {time}; the code has expired"))
                .hint("start again, and open the new page")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn device() -> DeviceCode {
        DeviceCode {
            code: Secret::new("device".to_owned()),
            user_code: "ABCD-EFGH".to_owned(),
            page: "https://device.example/?user_code=ABCD-EFGH".to_owned(),
            expires_in: Duration::from_secs(600),
            interval: Duration::from_secs(1),
        }
    }

    fn timeout() -> NoToken {
        NoToken::Failed(ServiceError::Timeout { origin: "oidc.example:443".to_owned() })
    }

    #[test]
    fn the_pace_is_that_of_the_rfc() {
        let mut interval = Duration::from_secs(1);
        for (answer, seconds) in [
            (NoToken::Pending, Some(1)),
            (NoToken::SlowDown, Some(6)),
            // It stays so: "the interval MUST be increased … for this and all subsequent requests".
            (NoToken::Pending, Some(6)),
            (NoToken::SlowDown, Some(11)),
            (timeout(), Some(22)),
            (NoToken::Pending, Some(22)),
            (NoToken::Expired, None),
            (NoToken::Denied, None),
            (NoToken::Over, None),
            (NoToken::Failed(ServiceError::MfaMissing), None),
        ] {
            let next = next_interval(interval, &answer);
            assert_eq!(next, seconds.map(Duration::from_secs), "{answer:?}");
            interval = next.unwrap_or(interval);
        }
    }

    #[test]
    fn every_end_has_its_words() {
        let quiet = Reporter { quiet: true, debug: false };
        let end = |no: fn() -> NoToken| {
            let ends = Instant::now() + Duration::from_secs(1);
            wait_for_approval(&device(), ends, quiet, &|| Err(no())).unwrap_err().what
        };
        assert_eq!(end(|| NoToken::Denied), "the login was refused in the browser");
        assert_eq!(end(|| NoToken::Over), "AWS no longer knows this login request");
        let expired = "the login was not approved within 10m; the code has expired";
        // If the next question would come too late, there is no wait for it.
        for no in [|| NoToken::Expired, || NoToken::Pending, || NoToken::SlowDown] {
            assert_eq!(end(no), expired);
        }
        assert_eq!(end(timeout), expired);
    }

    #[test]
    fn the_device_code_is_not_shown() {
        let shown = instructions(&device()).join("\n");
        assert!(!shown.contains("device\n") && shown.contains("the code ABCD-EFGH"), "{shown}");
        assert!(!format!("{:?}", device()).contains("\"device\""));
    }
}
