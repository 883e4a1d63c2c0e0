//! `explain`: the plan for a profile, printed and not run.

use super::context::Context;
use crate::cli::Explain;
use crate::error::Result;
use crate::report;

pub fn run(args: Explain, context: &Context) -> Result<()> {
    let profile = context.profile_name(args.profile.as_deref())?;
    let prompt = context.prompt(None);
    context.planned(&profile, &args.making, &prompt, |_, plan| {
        report::result(&if args.json { format!("{}\n", plan.to_json()) } else { plan.to_text() })
    })
}
