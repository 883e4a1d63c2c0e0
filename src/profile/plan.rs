//! The calls that lead from a profile's credentials to what was asked for.
//!
//! | roles | MFA | `--no-session` | steps |
//! | --- | --- | --- | --- |
//! | none | with or without | | GetSessionToken |
//! | none | | yes | none: the key itself |
//! | one or more | no | | AssumeRole each |
//! | one, for 1 h at most | yes | | GetSessionToken with the code, AssumeRole |
//! | one, for longer | yes | | AssumeRole with the code |
//! | two or more | yes | | GetSessionToken with the code, AssumeRole each |
//! | one or more | yes | yes | AssumeRole each, the code to the first |
//!
//! A web identity's token is exchanged for credentials first, by AssumeRoleWithWebIdentity, for as long as its
//! role allows; that is no role from a role, but the next one is.
//!
//! From temporary credentials there is no GetSessionToken, no code, and no role for over an hour, nor
//! is there for a role from a role (AWS: "role chaining").
//!
//! aws-vault asks for a code once per role profile unless the source profile names the same MFA
//! device; here one session on the key serves all, whichever profile names the device. And where a source
//! profile without MFA has no role, aws-vault may hand out the long-term key; here that takes `--no-session`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::arn as check;
use super::base::{Base, Chain, TokenSource, walk};
use super::durations::{Asked, Durations, HOUR, ROLE_RANGE, SESSION_RANGE};
use super::faults::{first_swallowed, unread};
use super::own_command::recursion;
use super::read::Profiles;
use super::region::region;
use super::role::{self, Role};
use super::settings::{Settings, fits};
use super::sso;
use super::step::{Mfa, Step};
use super::sts::{self, Target};
use super::value::plain;
use super::variant::EndpointVariant;
use crate::duration::show_duration;
use crate::error::{Class, Error, Reason, Result};

/// What the command line asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanRequest {
    pub profile: String,
    /// `--no-session`: no GetSessionToken.
    pub no_session: bool,
    /// `--duration`, of the plan's last step.
    pub duration: Option<Duration>,
    /// `--region`.
    pub region: Option<String>,
    /// True with `--mfa-token`.
    pub mfa_token_given: bool,
    /// MFA serials whose TOTP seed is in the vault.
    pub seeds: BTreeSet<String>,
}

/// How to get from a profile to credentials: pure data, without a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The profile asked for.
    pub profile: String,
    /// The region for the child; `None` does not change its variables.
    pub region: Option<String>,
    pub base: Base,
    /// The plan of the base's `credential_process`, if that is this program: it is not started.
    pub inside: Option<Box<Plan>>,
    /// The profiles whose `credential_process` led here, from the outside in.
    pub within: Vec<String>,
    /// The STS of the steps; `None` if no step asks it.
    pub sts: Option<Target>,
    /// Which of AWS's endpoints are asked, here and by the child.
    pub variant: EndpointVariant,
    /// The calls, in order. Without any, the base itself is handed out.
    pub steps: Vec<Step>,
    /// An MFA device that only a source profile names, left out since only a person could give its code. A
    /// hint names it where AWS then refuses.
    pub mfa_left_out: Option<String>,
    /// The session of that device, for when there is one already.
    pub session_left_out: Option<Step>,
    /// Warnings, for when the plan is run.
    pub notes: Vec<String>,
}

/// Makes a plan from values: files, environment, and the profiles with a key in the vault (`stored`). Only
/// for a `credential_process` it looks whether the program is this one.
///
/// # Errors
/// [`crate::error::Class::NotFound`]: a profile, or credentials for it.
/// [`crate::error::Class::Usage`]: a loop, and values that AWS would refuse or that are invalid.
pub fn plan(profiles: &Profiles, stored: &BTreeSet<String>, request: &PlanRequest) -> Result<Plan> {
    plan_within(profiles, stored, request, &[]).map_err(|error| {
        let is_of_files = matches!(error.class, Class::Usage | Class::NotFound)
            && error.reason != Some(Reason::CommandLine);
        match first_swallowed(profiles, &request.profile).filter(|_| is_of_files) {
            // A setting that continues the value above it is the likely reason.
            Some(line) => error.hint(line),
            None => error,
        }
    })
}

/// The same, for the `credential_process` of the last of the profiles `within`.
fn plan_within(
    profiles: &Profiles,
    stored: &BTreeSet<String>,
    request: &PlanRequest,
    within: &[String],
) -> Result<Plan> {
    let mut chain = walk(profiles, stored, &request.profile)?;
    let inside = inside(profiles, stored, request, within, &chain)?;
    chain.temporary |= inside.as_ref().is_some_and(|inside| !inside.steps.is_empty());
    let asked_for = chain.start();
    let mut notes = notes(&chain);
    let durations = Durations::of(profiles.variables())?;
    let asked = request.duration.map(Asked::by_flag);

    let endpoint = sts::endpoint(asked_for, "sts");
    let from_aws = matches!(endpoint, Ok(None));
    let roles = roles(&chain, &durations, asked.as_ref(), from_aws)?;
    if let (Some(asked), []) = (&asked, roles.as_slice()) {
        asked.within("a session", SESSION_RANGE)?;
    }

    let (mut mfa, mfa_left_out) = mfa(request, &chain, &roles, from_aws)?;
    let handed_out = roles.is_empty() && (request.no_session || chain.temporary);
    notes.extend(unused(request, mfa.is_some(), handed_out));
    let mut steps = Vec::with_capacity(roles.len() + 1);
    let left_out = mfa_left_out.as_deref();
    let session_left_out = session_left_out(&chain, &roles, left_out, &durations, request);
    steps.extend(session(&chain, &roles, &mut mfa, &durations, request)?);
    if matches!(chain.base, Base::Sso { .. }) {
        steps.push(sso::role(chain.end())?);
    }
    assume(&chain, roles, mfa, &mut steps, &mut notes);

    let region = region(request.region.as_deref(), asked_for)?;
    let variant = EndpointVariant::of(asked_for)?;
    let (sts, mfa_left_out) = if steps.iter().all(|step| matches!(step, Step::SsoRole { .. })) {
        (None, None)
    } else {
        let (region, arn) = (region.as_deref(), arn(&steps));
        (Some(sts::target(asked_for, endpoint?, region, arn, variant)?), mfa_left_out)
    };
    if let Base::Sso { sign_on, .. } = &mut chain.base {
        sign_on.ask_for(variant);
    }
    notes.extend(targets(&chain.base, sts.as_ref()).find_map(Target::overridden));
    let plan = Plan {
        profile: request.profile.clone(),
        region,
        inside: inside.map(Box::new),
        within: within.to_vec(),
        sts,
        variant,
        steps,
        mfa_left_out,
        session_left_out,
        notes,
        base: chain.base,
    };
    Ok(if chain.temporary { plan.for_temporary_base() } else { plan })
}

/// Notes on flags without effect. `handed_out`: the base's credentials are handed out as they are.
fn unused(
    request: &PlanRequest,
    has_device: bool,
    handed_out: bool,
) -> impl Iterator<Item = String> {
    let profile = &request.profile;
    let code = (request.mfa_token_given && !has_device)
        .then(|| format!("no MFA serial is known for profile \"{profile}\": the code is not used"));
    let duration = (request.duration.is_some() && handed_out)
        .then(|| "--duration has no effect: the credentials are used as they are".to_owned());
    code.into_iter().chain(duration)
}

/// A role of a chain.
struct Hop<'c, 'a> {
    role: Role,
    /// The profile whose role it is.
    link: &'c Settings<'a>,
}

/// The roles, from the base to the profile asked for. `asked` is the duration of the last.
fn roles<'c, 'a>(
    chain: &'c Chain<'a>,
    durations: &Durations,
    asked: Option<&Asked>,
    from_aws: bool,
) -> Result<Vec<Hop<'c, 'a>>> {
    let mut hops = Vec::new();
    for (at, link) in chain.links.iter().enumerate().rev().skip(usize::from(chain.end_without_role))
    {
        let variables = (at == 0).then_some(link.variables);
        hops.extend(role::of(link, variables, from_aws)?.map(|role| Hop { role, link }));
    }
    if let Base::WebIdentity(TokenSource::File { profile: None, .. }) = chain.base {
        let link = chain.end();
        hops.insert(0, Hop { role: role::of_web_identity(link, from_aws)?, link });
    }
    let last = hops.len().saturating_sub(1);
    for (at, hop) in hops.iter_mut().enumerate() {
        let asked = match asked {
            Some(asked) if at == last => asked.clone(),
            _ => durations.role(hop.link)?,
        };
        hop.role.duration = asked.within("a role", ROLE_RANGE)?;
    }
    Ok(hops)
}

/// GetSessionToken, unless the roles are assumed with the key itself.
fn session(
    chain: &Chain,
    roles: &[Hop],
    mfa: &mut Option<Mfa>,
    durations: &Durations,
    request: &PlanRequest,
) -> Result<Option<Step>> {
    let direct = match roles {
        [] => false,
        [hop] => mfa.is_none() || hop.role.duration > HOUR,
        _ => mfa.is_none(),
    };
    let unfit = matches!(chain.base, Base::WebIdentity(_) | Base::Sso { .. });
    if direct || unfit || request.no_session {
        return Ok(None);
    }
    // aws-vault's "chained": profiles that source the same key share its session. A profile with a key of
    // its own and no role has a session of its own.
    let asked = match request.duration {
        Some(asked) if roles.is_empty() => Asked::by_flag(asked),
        _ if !roles.is_empty() || chain.links.len() > 1 => durations.chained.clone(),
        _ => durations.session.clone(),
    };
    let duration = asked.within("a session", SESSION_RANGE)?;
    Ok(Some(Step::Session { duration, asked: asked.is_asked_for(), mfa: mfa.take() }))
}

/// The same with a device that was left out.
fn session_left_out(
    chain: &Chain,
    roles: &[Hop],
    left_out: Option<&str>,
    durations: &Durations,
    request: &PlanRequest,
) -> Option<Step> {
    let mfa = Mfa { serial: left_out?.to_owned(), process: None };
    // A session that is not made fails no plan by its duration.
    session(chain, roles, &mut Some(mfa), durations, request).ok().flatten()
}

/// The calls for the roles.
fn assume(
    chain: &Chain,
    roles: Vec<Hop>,
    mut mfa: Option<Mfa>,
    steps: &mut Vec<Step>,
    notes: &mut Vec<String>,
) {
    let by_token = matches!(chain.base, Base::WebIdentity(_));
    let hops = roles.len();
    for (at, Hop { mut role, link }) in roles.into_iter().enumerate() {
        if by_token && at == 0 {
            notes.extend(left_out(&role, link));
            let Role { arn: role_arn, session_name, duration, .. } = role;
            steps.push(Step::WebIdentity { role_arn, session_name, duration });
            continue;
        }
        if hops > 1 {
            notes.extend(limit_to_hour(&mut role, "where roles are chained"));
        }
        // AWS takes a code with the key only, so it goes to the first call.
        steps.push(Step::Role { role, mfa: mfa.take() });
    }
}

/// The plan of a base that is this program for another profile.
fn inside(
    profiles: &Profiles,
    stored: &BTreeSet<String>,
    request: &PlanRequest,
    within: &[String],
    chain: &Chain,
) -> Result<Option<Plan>> {
    let (Base::Process { profile, .. }, Some(command)) = (&chain.base, chain.end().process())
    else {
        return Ok(None);
    };
    let of_process = |error: Error| {
        // The message for a loop has the whole chain.
        if error.class == Class::Other || error.reason == Some(Reason::Inside) {
            return error;
        }
        let what = format!("credential_process of profile \"{}\": {}", plain(profile), error.what);
        Error { what, reason: Some(Reason::Inside), ..error }
    };
    let Some(own) = command.of_other().map_err(of_process)? else { return Ok(None) };
    let mut names: Vec<&str> = within.iter().map(String::as_str).collect();
    let again = names.contains(&profile.as_str());
    names.push(profile);
    if again {
        return Err(recursion("credential_process", &names));
    }
    fits("credential_process", &names).map_err(|error| error.because(Reason::Inside))?;
    let inner = PlanRequest {
        profile: own.profile,
        no_session: own.no_session,
        duration: own.duration,
        region: own.region,
        mfa_token_given: false,
        seeds: request.seeds.clone(),
    };
    let within: Vec<String> = names.into_iter().map(str::to_owned).collect();
    plan_within(profiles, stored, &inner, &within).map(Some).map_err(of_process)
}

impl Plan {
    /// The plan that hands out a base as it is.
    pub fn of_base(
        base: Base,
        profile: &str,
        region: Option<String>,
        variant: EndpointVariant,
    ) -> Self {
        Self {
            profile: profile.to_owned(),
            region,
            base,
            inside: None,
            within: Vec::new(),
            sts: None,
            variant,
            steps: Vec::new(),
            mfa_left_out: None,
            session_left_out: None,
            notes: Vec::new(),
        }
    }

    /// The same plan from temporary credentials, which is known only once a `credential_process` has run. With
    /// those AWS gives no session, takes no code, and gives no role for more than an hour.
    #[must_use]
    pub fn for_temporary_base(mut self) -> Self {
        self.steps.retain(|step| !matches!(step, Step::Session { .. }));
        for step in &mut self.steps {
            let Step::Role { role, mfa } = step else { continue };
            *mfa = None;
            self.notes.extend(limit_to_hour(role, "from temporary credentials"));
        }
        if self.steps.iter().all(|step| matches!(step, Step::SsoRole { .. })) {
            self.sts = None;
        }
        (self.mfa_left_out, self.session_left_out) = (None, None);
        self
    }

    /// The same plan, for which no MFA session is enough that was made for less time than it says. What this
    /// program gives as a credential_process gets no code that was given, so a plan inside stays as it is.
    #[must_use]
    pub fn for_its_whole_duration(mut self) -> Self {
        for step in &mut self.steps {
            if let Step::Session { asked, .. } = step {
                *asked = true;
            }
        }
        self
    }

    /// How long that lasts which the plan's MFA code is for.
    pub fn length_by_code(&self) -> Option<Duration> {
        self.steps.first().filter(|step| step.mfa().is_some()).and_then(Step::duration)
    }

    /// This plan, and those inside it.
    pub fn all(&self) -> impl Iterator<Item = &Plan> {
        std::iter::successors(Some(self), |plan| plan.inside.as_deref())
    }

    /// True if it needs nothing from a vault: it starts from a source that the profile names or the host has,
    /// and needs no code. A login needs one, since it is stored in the vault's own cache; so do plaintext
    /// keys, which may be left over from before the user moved them into the vault.
    pub fn needs_no_vault(&self) -> bool {
        self.all().all(|plan| {
            let elsewhere = match &plan.base {
                Base::Vault { .. } | Base::Plaintext { .. } | Base::Sso { .. } => false,
                Base::Process { .. }
                | Base::Environment
                | Base::Container { .. }
                | Base::Instance { .. }
                | Base::WebIdentity(_) => true,
            };
            let no_code =
                plan.mfa_left_out.is_none() && plan.steps.iter().all(|s| s.mfa().is_none());
            elsewhere && no_code
        })
    }
}

/// Shortens a role to an hour; the note that says so.
fn limit_to_hour(role: &mut Role, why: &str) -> Option<String> {
    let asked = role.duration;
    role.duration = asked.min(HOUR);
    (asked > HOUR).then(|| {
        let (arn, asked) = (&role.arn, show_duration(asked));
        format!("{arn} is assumed for 1h, not {asked}: AWS allows no more {why}")
    })
}

/// The note on settings of a profile for which AssumeRoleWithWebIdentity has no parameter.
fn left_out(role: &Role, link: &Settings) -> Option<String> {
    let asks = [
        (role.external_id.is_some(), "external_id"),
        (!role.tags.is_empty(), "session_tags"),
        (role.source_identity.is_some(), "source_identity"),
    ];
    let asks: Vec<_> = asks.into_iter().filter(|(there, _)| *there).map(|(_, key)| key).collect();
    (!asks.is_empty()).then(|| {
        let (keys, name) = (asks.join(", "), link.name);
        format!(
            "{keys} of profile \"{name}\" left out: AssumeRoleWithWebIdentity does not take them"
        )
    })
}

/// All endpoints that a plan asks.
fn targets<'a>(base: &'a Base, sts: Option<&'a Target>) -> impl Iterator<Item = &'a Target> {
    let sign_on = match base {
        Base::Sso { sign_on, .. } => Some([&sign_on.oidc, &sign_on.portal]),
        _ => None,
    };
    sts.into_iter().chain(sign_on.into_iter().flatten())
}

/// The ARN that determines a plan's partition.
pub(super) fn arn(steps: &[Step]) -> Option<&str> {
    steps.iter().rev().find_map(|step| match step {
        Step::Role { role, .. } => Some(role.arn.as_str()),
        Step::WebIdentity { role_arn, .. } => Some(role_arn),
        Step::Session { mfa, .. } => mfa.as_ref().map(|mfa| mfa.serial.as_str()),
        Step::SsoRole { .. } => None,
    })
}

/// The device for the one code of a plan, or the one that was left out.
///
/// First `AWS_MFA_SERIAL`, then the profile's own (with `include_profile` and `[default]`), then that of
/// another profile with a role. One that only a source without a role names is used if no person has to be
/// asked; aws-vault never uses it, and its users rely on not being asked.
fn mfa<'a>(
    request: &PlanRequest,
    chain: &Chain<'a>,
    roles: &[Hop<'_, 'a>],
    from_aws: bool,
) -> Result<(Option<Mfa>, Option<String>)> {
    let (asked_for, sources) = (chain.start(), &chain.links[1..]);
    // The command for a device: of the profile that names it, else of another one that names it too.
    let with_process = |serial: &str, from: &Settings<'a>| -> Option<String> {
        let mut same = chain.links.iter().filter(|link| link.get("mfa_serial") == Some(serial));
        from.get("mfa_process")
            .or_else(|| same.find_map(|link| link.get("mfa_process")))
            .map(str::to_owned)
    };
    let has_role = |link: &_| roles.iter().any(|hop| std::ptr::eq(hop.link, link));
    let named = match asked_for.variables.mfa_serial.named()? {
        Some((serial, by)) => Some((serial, asked_for, by)),
        None => std::iter::once(asked_for)
            .chain(sources.iter().filter(|source| has_role(source)))
            .find_map(|link| link.named("mfa_serial").map(|(serial, by)| (serial, link, by))),
    };
    if let Some((serial, from, by)) = named {
        check::device(serial, &by, from_aws)?;
        let (serial, process) = (serial.to_owned(), with_process(serial, from));
        return Ok((Some(Mfa { serial, process }), None));
    }
    let Some((serial, from)) =
        sources.iter().find_map(|source| Some((source.get("mfa_serial")?, source)))
    else {
        return Ok((None, None));
    };
    check::device(serial, &from.by("mfa_serial"), from_aws)?;
    let (serial, process) = (serial.to_owned(), with_process(serial, from));
    if request.mfa_token_given || process.is_some() || request.seeds.contains(&serial) {
        Ok((Some(Mfa { serial, process }), None))
    } else {
        Ok((None, Some(serial)))
    }
}

/// Warnings on the files: likely errors, and where aws-vault would do otherwise.
fn notes(chain: &Chain) -> Vec<String> {
    let mut notes: Vec<String> = Vec::new();
    for (at, link) in chain.links.iter().enumerate() {
        notes.extend(link.profiles.doubled(link.name).map(str::to_owned));
        if let Some((from, to)) = link.missing_include {
            notes.push(format!("no profile \"{}\", the include_profile of \"{from}\"", plain(to)));
        }
        let in_vault = at + 1 == chain.links.len() && matches!(chain.base, Base::Vault { .. });
        // Several links inherit from [default], which is named once.
        let unread = unread(link, in_vault).into_iter();
        notes.extend(unread.filter(|text| !notes.contains(text)).collect::<Vec<_>>());
        let mut keys = vec!["role_arn"];
        // With a key of its own in the vault a profile has no use for a source.
        keys.extend((!in_vault).then_some("source_profile"));
        keys.retain(|key| link.not_inherited(key));
        if !keys.is_empty() {
            notes.push(format!(
                "profile \"{}\" does not inherit {} from [default]; in aws-vault it would",
                link.name,
                keys.join(" and ")
            ));
        }
    }
    notes
}
