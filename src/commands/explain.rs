//! `explain`: the plan for a profile, printed and not run.

use serde_json::{Value, json};

use super::context::Context;
use crate::cli::Explain;
use crate::error::{Result, one_line};
use crate::report;
use crate::session::Standing;

pub fn run(args: Explain, context: &Context) -> Result<()> {
    let profile = context.profile_name(args.profile.as_deref())?;
    let prompt = context.prompt(None);
    context.planned(&profile, &args.making, &prompt, |provider, plan| {
        let login = provider.login_of(&plan);
        report::result(&if args.json {
            let mut plan = plan.to_json();
            if let Some((_, standing)) = login {
                plan["login"] = json(standing);
            }
            format!("{plan}\n")
        } else {
            let login = login.map(|(owner, standing)| text(owner, standing));
            plan.to_text() + &login.unwrap_or_default()
        })
    })
}

fn text(profile: &str, standing: Standing) -> String {
    let state = match standing {
        Standing::None => format!("none; vault sso login {profile}"),
        Standing::Refreshed => "there, and refreshed by itself".to_owned(),
        Standing::Until(end) => format!("there until {}", end.to_rfc3339()),
    };
    format!("{:<10}{}\n", "login", one_line(&state))
}

fn json(standing: Standing) -> Value {
    match standing {
        Standing::None => json!({ "logged_in": false }),
        Standing::Refreshed => json!({ "logged_in": true, "refreshed": true }),
        Standing::Until(end) => {
            json!({ "logged_in": true, "refreshed": false, "until": end.to_rfc3339() })
        }
    }
}
