//! The clock compared with AWS's, the codes left of each MFA device, and logins.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::host::SILENT;
use super::{Host, Report};
use crate::aws::Sts;
use crate::clock::Timestamp;
use crate::error::{Class, Error};
use crate::process::shell_word;
use crate::profile::{self, Profiles};
use crate::session::{Cache, LoginState};
use crate::vault::Vault;

/// A host without a network does not wait longer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Codes fail from a step of 30 s on, signatures from five minutes.
const NOTABLE: u64 = 30;

/// By how many seconds AWS's clock is ahead of ours, if AWS can be asked.
pub fn clock(host: &Host, profiles: Option<&Profiles>, report: &mut Report) -> Option<i64> {
    let offset = match ask(host, profiles?) {
        Ok(offset) => offset,
        Err(error) => {
            // The check of these settings has reported their error.
            let reported = error.class == Class::Usage || report.quotes(&error.what);
            let text = match reported {
                true => "unknown: AWS cannot be reached with these settings".to_owned(),
                false => format!("unknown: {}", error.what),
            };
            report.note("clock.offset", text).with(json!({ "seconds": null }));
            return None;
        }
    };
    let way = if offset > 0 { "behind" } else { "ahead of" };
    let size = offset.unsigned_abs();
    let finding = if size < NOTABLE {
        report.ok("clock.offset", "this machine's clock agrees with AWS's")
    } else {
        report
            .problem("clock.offset", format!("this machine's clock is {size} s {way} AWS's"))
            .advise("set it: AWS refuses signatures that are five minutes off")
    };
    finding.with(json!({ "seconds": offset }));
    Some(offset)
}

fn ask(host: &Host, profiles: &Profiles) -> Result<i64, Error> {
    let profile = host.profile.clone()?;
    let (target, _) = profile::sts_and_iam(profiles, &profile)?;
    let sts = Sts::connect(&target, host.env, Instant::now() + PATIENCE, SILENT)?;
    sts.ask_the_time().map_err(|error| error.into_error())
}

fn open(host: &Host, vault: &Vault, dir: Option<PathBuf>) -> Cache {
    let (id, key) = vault.payload().cache_seed();
    Cache::open(dir, &id, &key, host.clock, SILENT)
}

/// The codes that may still be sent, by the ledger; nothing is claimed.
pub fn devices(
    host: &Host,
    vault: &Vault,
    cache: Option<PathBuf>,
    offset: Option<i64>,
    report: &mut Report,
) {
    let cache = open(host, vault, cache);
    let now = Timestamp(host.clock.now().0.saturating_add(offset.unwrap_or(0)));
    let serials: Vec<&str> = vault.payload().totp_serials().collect();
    for serial in serials {
        let Some(seed) = vault.payload().totp(serial) else { continue };
        let (left, next) = cache.ledger(serial).left(seed.period(), now);
        let text = format!("{serial}: {left} of 6 codes left in these three minutes");
        let wait = next.seconds_since(now).max(0);
        let finding = match wait {
            0 => report.ok("mfa.budget", text),
            _ => report.note("mfa.budget", format!("{text}; the next may be sent in {wait} s")),
        };
        finding.with(json!({ "serial": serial, "left": left, "next_in_seconds": wait }));
    }
}

/// The logins to IAM Identity Center that profiles use. AWS is not asked.
pub fn logins(
    host: &Host,
    vault: &Vault,
    cache: Option<PathBuf>,
    profiles: &Profiles,
    report: &mut Report,
) {
    let cache = open(host, vault, cache);
    let now = host.clock.now();
    for (profile, sign_on) in profile::sign_ons(profiles) {
        let sign_on = match sign_on {
            Ok(sign_on) => sign_on,
            Err(error) if report.quotes(&error.what) => continue,
            Err(error) => {
                report.error("sso.login", &error);
                continue;
            }
        };
        let state = LoginState::of(cache.login(&sign_on.key()).load().as_ref(), now);
        let url = &sign_on.start_url;
        let until = match state {
            LoginState::Until(end) => Some(end.to_rfc3339()),
            LoginState::None | LoginState::Refreshed => None,
        };
        let finding = match (state, &until) {
            (LoginState::None, _) => {
                let advice = format!("vault sso login {}", shell_word(&profile));
                report.note("sso.login", format!("{url}: not logged in")).advise(advice)
            }
            (_, None) => {
                report.ok("sso.login", format!("{url}: logged in, and refreshed automatically"))
            }
            (_, Some(end)) => report.ok("sso.login", format!("{url}: logged in until {end}")),
        };
        finding.with(json!({
            "profile": profile,
            "start_url": url,
            "logged_in": state != LoginState::None,
            "until": until,
        }));
    }
}
