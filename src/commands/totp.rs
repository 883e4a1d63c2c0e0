//! `totp`: the seeds of MFA devices, and their codes.

use std::time::Instant;

use super::context::Context;
use super::removal;
use super::stdin::stdin_text;
use crate::aws::{ServiceError, Sts};
use crate::cli::totp::{TotpAdd, TotpCode, TotpList, TotpRemove};
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::name::ProfileName;
use crate::nearest::nearest;
use crate::profile::{self, Profiles};
use crate::prompt::Prompt;
use crate::provider::{CodeCheck, CredentialSession, DEADLINE};
use crate::report;
use crate::secret::Secret;
use crate::totp::Seed;
use crate::vault::Payload;
use crate::waiting;

pub fn add(args: &TotpAdd, context: &Context) -> Result<()> {
    context.may_take_stdin(args.stdin, "--stdin and -i - both want stdin")?;
    let mut session = context.vault_session()?;
    let serial = serial_of(&args.device, &session)?;
    if !args.stdin && context.prompt.available() {
        session.vault()?.check_writable()?;
    }
    let (seed, warnings) = Seed::parse(&read_seed(args, &serial, context.prompt)?)?;
    for warning in warnings {
        context.reporter.warn(warning);
    }
    if serial.starts_with("arn:") && !seed.is_like_aws() {
        context
            .reporter
            .warn("AWS's virtual MFA devices use SHA1, 6 digits and 30 s; this seed differs");
    }
    let other = |payload: &Payload| match payload.totp(&serial) {
        Some(old) if !old.is(&seed) => {
            Err(Error::refused(format!("there is another seed for {serial} in the vault"))
                .hint(format!("if it is not needed any more: vault totp remove {serial}")))
        }
        _ => Ok(()),
    };
    other(session.vault()?.payload())?;
    if args.verify {
        verify(&args.device, &serial, &seed, &session, context)?;
    }
    session.vault_mut()?.change(|payload| {
        other(payload)?;
        payload.set_totp(&serial, &seed, context.clock.now());
        Ok(())
    })?;
    report::result(&format!("Added the seed of {serial}\n"))
}

pub fn code(args: &TotpCode, context: &Context) -> Result<()> {
    let session = context.vault_session()?;
    let serial = serial_of(&args.device, &session)?;
    let seed = session.vault()?.payload().totp(&serial).ok_or_else(|| no_seed(&serial))?;
    let (now, deadline) = (context.clock.now(), Instant::now() + DEADLINE);
    // Claimed, so that no other process sends it and AWS accepts it from the user.
    let claim = session.claim_code(&serial, &seed, now, deadline)?;
    if claim.wait > waiting::AFTER && !waiting::is_shown() {
        let seconds = claim.wait.as_secs_f64().ceil();
        context.reporter.note(format!("Waiting {seconds} s for the next MFA code"));
    }
    report::result(&format!("{}\n", session.code_of(&claim, &seed).expose()))
}

pub fn list(args: &TotpList, context: &Context) -> Result<()> {
    let session = context.vault_session()?;
    let (profiles, payload) = (session.profiles(), session.vault()?.payload());
    let users = |serial: &str| -> Vec<String> {
        let names = profiles.names().into_iter();
        names.filter(|name| profiles.get(name, "mfa_serial") == Some(serial)).collect()
    };
    if args.json {
        let devices: Vec<_> = payload
            .totp_serials()
            .filter_map(|serial| Some((serial, payload.totp(serial)?)))
            .map(|(serial, seed)| {
                serde_json::json!({
                    "serial": serial,
                    "algorithm": seed.algorithm(),
                    "digits": seed.digits(),
                    "period": seed.period(),
                    "created": payload.totp_created(serial),
                    "profiles": users(serial),
                })
            })
            .collect();
        return report::result(&format!("{}\n", serde_json::json!({ "totp": devices })));
    }
    let line = |serial: &str| match users(serial) {
        users if users.is_empty() => format!("{serial}\n"),
        users => format!("{serial}  ({})\n", users.join(", ")),
    };
    report::result(&payload.totp_serials().map(line).collect::<String>())
}

pub fn remove(args: &TotpRemove, context: &Context) -> Result<()> {
    let mut session = context.vault_session()?;
    let serial = serial_of(&args.device, &session)?;
    let vault = session.vault_mut()?;
    if vault.payload().totp(&serial).is_none() {
        return Err(no_seed(&serial));
    }
    removal::confirm(args.force, context.prompt, &format!("Delete the seed of {serial}?"))?;
    vault.change(|payload| {
        payload.remove_totp(&serial).then_some(()).ok_or_else(|| no_seed(&serial))
    })?;
    report::result("Deleted the seed.\n")
}

fn no_seed(serial: &str) -> Error {
    Error::not_found(format!("no seed for {serial} in the vault")).hint("vault totp list")
}

/// The serial itself, or the one in the settings of the profile of this name. A word is a serial if it begins
/// like an ARN or has a seed in the vault.
fn serial_of(device: &str, session: &CredentialSession) -> Result<String> {
    let (profiles, payload) = (session.profiles(), session.vault()?.payload());
    let checked = |serial: String, named_by: &str| {
        // One that is in the vault can be used and removed, whatever it is.
        if payload.totp(&serial).is_none() {
            profile::check_device(&serial, named_by, false)?;
        }
        Ok(serial)
    };
    if device.starts_with("arn:") || payload.totp(device).is_some() {
        let fits = (9..=256).contains(&device.len())
            && device.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=/:,.@-".contains(&b));
        if !fits {
            return Err(Error::usage("this is neither an MFA serial nor a profile"));
        }
        return checked(device.to_owned(), "DEVICE");
    }
    let profile = ProfileName::new(device)?;
    if let Some(serial) = profile::mfa_serial(profiles, profile.as_str())? {
        return checked(serial, &format!("the mfa_serial of profile \"{profile}\""));
    }
    let by_arn = "name the device by its ARN, or write mfa_serial into the profile's section";
    if profiles.has(device) || payload.access_key_id(device).is_some() {
        let what = format!("profile \"{profile}\" names no MFA device");
        return Err(Error::not_found(what).hint(by_arn));
    }
    let names = profiles.names();
    let names = names.iter().map(String::as_str).chain(payload.credential_names());
    let hint = match nearest(device, names) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None => by_arn.to_owned(),
    };
    Err(Error::not_found(format!("no profile \"{profile}\"")).hint(hint))
}

fn read_seed(args: &TotpAdd, serial: &str, prompt: Prompt) -> Result<Secret> {
    if args.stdin {
        return stdin_text("seed");
    }
    if !prompt.available() {
        return Err(Error::usage("no seed given, and there is no terminal to ask on")
            .hint("pipe it into vault totp add DEVICE --stdin"));
    }
    prompt.hidden(&format!("Enter the secret key (seed) of {serial}: "))
}

/// Tests the seed: asks AWS for a session with a code of it.
fn verify(
    device: &str,
    serial: &str,
    seed: &Seed,
    session: &CredentialSession,
    context: &Context,
) -> Result<()> {
    let (profiles, payload) = (session.profiles(), session.vault()?.payload());
    let names_it = |profile: &str| matches!(profile::mfa_serial(profiles, profile), Ok(Some(named)) if named == serial);
    // The given profile, else the first that has a key and names the device.
    let profile = std::iter::once(device)
        .chain(payload.credential_names())
        .find(|name| payload.access_key_id(name).is_some() && names_it(name))
        .or_else(|| source_with_key(device, profiles, payload))
        .ok_or_else(|| {
            Error::not_found("--verify: no profile with a key in the vault names this device")
                .hint("AWS takes a code only with the key of the device's user")
        })?;
    let key = payload.credential(profile).ok_or_else(|| payload.no_key(profile))?;
    let (target, _) = profile::sts_and_iam(profiles, profile)?;
    context.warn_of_overridden(&[&target]);
    let deadline = Instant::now() + DEADLINE;
    let sts = Sts::connect(&target, &context.env, deadline, context.reporter)?;
    // This also gives the offset of AWS's clock, without a code.
    let known = sts.caller_identity(&key);
    known.map_err(|error| error.into_error_of(&key.access_key_id, profile))?;
    // The first code may have been used elsewhere just now.
    for last in [false, true] {
        let now = context.clock.now().0.saturating_add(sts.clock_offset().unwrap_or(0));
        match session.check_code(&sts, &key, (serial, seed), Timestamp(now), deadline)? {
            CodeCheck::Accepted => return Ok(()),
            // Where claims are recorded nowhere, one code is all that is sent.
            CodeCheck::Refused { error: ServiceError::MfaInvalid { .. }, recorded }
                if last || !recorded =>
            {
                return Err(Error::aws(format!("AWS refused the codes of this seed for {serial}"))
                    .hint("it is another device's seed, or was copied wrong; nothing was stored"));
            }
            CodeCheck::Refused { error: ServiceError::MfaInvalid { .. }, .. } => {}
            CodeCheck::Refused { error, .. } => return Err(error.into_error()),
        }
    }
    Ok(())
}

/// The first profile with a key in the chain of `source_profile`.
fn source_with_key<'a>(
    profile: &str,
    profiles: &'a Profiles,
    payload: &Payload,
) -> Option<&'a str> {
    let source_of = |name: &str| profiles.get(name, "source_profile");
    let mut sources = std::iter::successors(source_of(profile), |at| source_of(at)).take(16);
    sources.find(|at| payload.access_key_id(at).is_some())
}
