//! `doctor`: what is wrong on this host.

use super::context::Context;
use crate::cli::Doctor;
use crate::doctor::{DEFAULT, Host, ProfileScope, examine};
use crate::error::Result;
use crate::name::ProfileName;
use crate::report;
use crate::style::{Style, styled};

/// Exit code 0 if nothing is wrong, else 1.
pub fn run(args: &Doctor, context: &Context) -> Result<u8> {
    let named_by = |default| match (default, &context.global.vault) {
        (true, _) => DEFAULT,
        (false, Some(_)) => "--vault",
        (false, None) => "AWS_VAULT_FILE",
    };
    // A word that cannot be a profile's name is a usage error.
    let word = args.profile.as_deref().map(ProfileName::new).transpose()?;
    let named = ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"].iter().any(|name| context.env.is_set(name));
    let scope = match (args.all, word.is_some() || named) {
        (true, _) => ProfileScope::All,
        (false, true) => ProfileScope::Named,
        (false, false) => ProfileScope::Default,
    };
    let found = examine(&Host {
        env: &context.env,
        named: &context.named,
        places: &context.places,
        remote: context.remote()?,
        vault: context.vault_file().map(|(path, default)| (path, named_by(default))),
        cache_flag: context.global.cache_dir.as_deref(),
        state: context.state(),
        pins: context.pins(),
        min_generation: context.min_generation(),
        max_passphrase_memory: context.max_passphrase_memory(),
        profile: context.profile_name(args.profile.as_deref()).map(|name| name.as_str().to_owned()),
        scope,
        has_terminal: context.prompt.available(),
        clock: context.clock,
        limits: &context.limits,
    });
    report::result(&if args.json {
        format!("{}\n", found.to_json())
    } else {
        coloured(&found.to_text(args.verbose))
    })?;
    Ok(u8::from(!found.is_well()))
}

/// Colours the mark of each finding, which is the first word of its line.
fn coloured(text: &str) -> String {
    let line = |line: &str| {
        let (mark, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
        let style = match mark {
            "problem" => Style::Error,
            "note" => Style::Warning,
            _ => Style::Success,
        };
        styled(&std::io::stdout(), style, mark) + rest
    };
    text.split_inclusive('\n').map(line).collect()
}
