//! Where vault differs from the AWS CLI on purpose.

use vault::profile::Profiles;

use super::grammar::Case;
use super::{Answer, Planned, same};

/// A difference: what in the files it is about, and what each makes of that.
pub struct Rule {
    pub what: &'static str,
    pub aws: &'static str,
    pub vault: &'static str,
    /// True if this rule makes the two answers differ.
    pub holds: Holds,
}

type Holds = fn(&Case, &Profiles, &str, &Answer, &Answer) -> bool;

/// All of them. docs/profiles.md shows this table.
pub const DIFFERENCES: [Rule; 10] = [
    Rule {
        what: "a line that is no setting, a repeated header or key, a byte order mark",
        aws: "refuses the file, for every profile",
        vault: "refuses the profiles that read the section with that line; what is repeated merges, and the last counts",
        holds: |_, _, _, judge, ours| {
            refused(judge).is_some_and(|why| why == "file")
                || refused(ours).is_some_and(|why| why.contains("not understood"))
        },
    },
    Rule {
        what: "`[ profile NAME ]`, a header with a blank at an end",
        aws: "ignores the section",
        vault: "reads it, where no other has this name",
        holds: |case, _, _, _, _| {
            let is_it = |line: &str| line.contains("[ ") || line.contains(" ]");
            case.config.split(['\n', '\r']).any(is_it)
        },
    },
    Rule {
        what: "`[default]` with a region, role_session_name, duration_seconds or another setting",
        aws: "are its own",
        vault: "lends them to profiles that lack them, as aws-vault does, but no source of credentials",
        holds: |_, profiles, _, judge, ours| match (judge, ours) {
            (Answer::Plan(judge), Answer::Plan(ours)) => {
                same(&Answer::Plan(judge.clone()), &Answer::Plan(unlent(profiles, judge, ours)))
            }
            _ => false,
        },
    },
    Rule {
        what: "a comment behind a value that can hold no blank (`region = x # y`)",
        aws: "takes it for a part of the value",
        vault: "cuts it off; commands, paths and names of profiles are never cut",
        holds: |case, profiles, _, judge, ours| match (judge, ours) {
            (Answer::Plan(judge), Answer::Plan(ours)) => {
                let judge = cut(judge);
                let ours = unlent(profiles, &judge, ours);
                same(&Answer::Plan(judge), &Answer::Plan(ours))
            }
            _ => comments(case),
        },
    },
    Rule {
        what: "a key without a value",
        aws: "has an empty value, which may be an error",
        vault: "is not set",
        holds: |case, _, _, _, _| {
            [&case.config, &case.credentials].iter().any(|text| has_empty(text))
        },
    },
    Rule {
        what: "`include_profile`",
        aws: "does not know it",
        vault: "reads the profile that it names, as aws-vault does",
        holds: |_, profiles, name, _, _| {
            chain(profiles, name).any(|at| profiles.get(at, "include_profile").is_some())
        },
    },
    Rule {
        what: "a `role_arn` without source_profile, credential_source or token",
        aws: "is an error",
        vault: "is assumed from the profile's own credentials, as in aws-vault",
        holds: |_, _, _, judge, _| refused(judge).is_some_and(|why| why == "no source"),
    },
    Rule {
        what: "a `source_profile` or `credential_source` without a `role_arn`, or a `source_profile` that names its own profile",
        aws: "is ignored, or an error",
        vault: "is where the credentials come from, if the profile has no others, as in aws-vault",
        holds: |_, _, _, judge, ours| {
            matches!(ours, Answer::Plan(_))
                && refused(judge).is_some_and(|why| {
                    why == "none"
                        || why.contains("must have credentials")
                        || why.contains("InfiniteLoop")
                })
        },
    },
    Rule {
        what: "`services` that names no section, or an empty one",
        aws: "is an error at the first request",
        vault: "is an error before that",
        holds: |_, _, _, _, ours| refused(ours).is_some_and(|why| why.starts_with("[services ")),
    },
    Rule {
        what: "a value that AWS would refuse, such as a `role_arn` that is no ARN",
        aws: "is sent",
        vault: "is an error before anything is sent",
        holds: |_, profiles, name, judge, ours| match judge {
            Answer::Plan(judge) => {
                refused(ours).is_some() && (!sendable(judge) || has_odd_value(profiles, name))
            }
            Answer::Refused(_) => false,
        },
    },
];

/// A profile and those that it sources, which may come round again.
fn chain<'a>(profiles: &'a Profiles, name: &'a str) -> impl Iterator<Item = &'a str> {
    std::iter::successors(Some(name), |at| profiles.get(at, "source_profile")).take(8)
}

fn refused(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Refused(why) => Some(why),
        Answer::Plan(_) => None,
    }
}

/// The plan with comments cut off each value.
fn cut(plan: &Planned) -> Planned {
    let cut = |text: &mut String| {
        let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|comment| text.find(comment)).min();
        text.truncate(end.unwrap_or(text.len()));
    };
    let mut plan = plan.clone();
    plan.region.iter_mut().for_each(cut);
    if plan.base.starts_with("AKIA") {
        let (id, token) = plan.base.split_once('+').unwrap_or((&plan.base, ""));
        let (mut id, token) = (id.to_owned(), token.to_owned());
        cut(&mut id);
        plan.base = if token.is_empty() { id } else { format!("{id}+{token}") };
    }
    for call in &mut plan.calls {
        cut(&mut call.role_arn);
        call.session_name.iter_mut().chain(&mut call.external_id).for_each(cut);
    }
    plan
}

fn comments(case: &Case) -> bool {
    let comment = |text: &String| [" # why", " ; was x"].iter().any(|c| text.contains(c));
    comment(&case.config) || comment(&case.credentials)
}

/// True if a key has no value, and no nested one.
fn has_empty(text: &str) -> bool {
    text.split(['\n', '\r']).map(str::trim).any(|line| {
        let key = line.trim_end_matches(['=', ':']).trim().to_ascii_lowercase();
        line.ends_with(['=', ':']) && !["s3", "sts"].contains(&key.as_str())
    })
}

/// True if AWS might take each value that is sent.
fn sendable(plan: &Planned) -> bool {
    let calls = plan.calls.iter().all(|call| {
        let mut values = call.session_name.iter().chain(&call.external_id);
        fits(&call.role_arn) && call.role_arn.starts_with("arn:") && values.all(|value| fits(value))
    });
    let one_line = plan.base.starts_with("process:") || !plan.base.contains('\n');
    calls && one_line && plan.region.iter().all(|region| fits(region))
}

/// True if a setting that botocore does not send here has a value that AWS would not take.
fn has_odd_value(profiles: &Profiles, name: &str) -> bool {
    let keys = [
        "region",
        "external_id",
        "role_session_name",
        "role_arn",
        "mfa_serial",
        "duration_seconds",
    ];
    let values = |at| keys.iter().filter_map(move |key| profiles.get(at, key));
    chain(profiles, name).chain(["default"]).flat_map(values).any(|value| !fits(value))
}

fn fits(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@:/-_".contains(&b))
}

/// Our plan without what `[default]` lends.
fn unlent(profiles: &Profiles, judge: &Planned, ours: &Planned) -> Planned {
    let mut ours = ours.clone();
    let lenders =
        || std::iter::successors(Some("default"), |at| profiles.get(at, "include_profile"));
    let lent =
        |key: &str| lenders().take(8).find_map(|at| profiles.get(at, key)).map(str::to_owned);
    if judge.region.is_none() && ours.region == lent("region") {
        ours.region = None;
    }
    for (call, judge) in ours.calls.iter_mut().zip(&judge.calls) {
        if judge.session_name.is_none() && call.session_name == lent("role_session_name") {
            call.session_name = None;
        }
    }
    ours
}
