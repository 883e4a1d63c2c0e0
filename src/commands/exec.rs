//! `exec`: the process becomes the command, with credentials; or prints them for an SDK; or stands by
//! the command and serves them.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::context::{Context, requested_duration};
use super::serving;
use crate::cli::Exec;
use crate::credential::Credentials;
use crate::error::{Class, Error, Result, os_text};
use crate::exec::{self, Child, ExecError, Given};
use crate::export;
use crate::provider;
use crate::report;
use crate::server::Server;

/// The command failed before it started (as env(1) and timeout(1) say it).
const NOT_STARTED: u8 = 125;

pub fn run(args: Exec, words: Vec<OsString>, context: &Context) -> Result<u8> {
    // What the words themselves say is judged first: these are usage errors, 2.
    requested_duration(&args.options)?;
    context.profile_name(args.profile.as_deref())?;
    if args.ec2_server {
        return Err(Error::usage("--ec2-server is not to be had: it stands in for the metadata service of a whole machine")
            .hint("let the command's credential_process be vault exec --json PROFILE"));
    }
    if args.json {
        if !words.is_empty() {
            return Err(Error::usage(
                "--json prints credentials and runs nothing, so it takes no command",
            ));
        }
        let made = make(&args, &words, context)?;
        report::result(&export::json(&made.credentials))?;
        return Ok(0);
    }
    // From here on the exit codes are the command's, so ours keep out of their way.
    let failure = match args.server {
        true => stand_by(&args, &words, context),
        false => make(&args, &words, context).map(|made| become_it(words, &made, context)),
    };
    let (error, code) = match failure {
        Ok(failure) => failure,
        // A flag that cannot be right is the command line's fault, found late: still 2.
        Err(error) if error.class == Class::Usage && error.what.starts_with("--") => {
            return Err(error);
        }
        Err(error) => (error, NOT_STARTED),
    };
    report::say(&error);
    Ok(code)
}

/// What the child gets.
struct Made {
    profile: String,
    region: Option<String>,
    credentials: Credentials,
    opened_by_sops: bool,
}

fn make(args: &Exec, words: &[OsString], context: &Context) -> Result<Made> {
    refuse_nesting(args, words, context)?;
    let profile = context.profile_name(args.profile.as_deref())?;
    let prompt = context.prompt(args.json.then(|| Instant::now() + provider::DEADLINE));
    context
        .planned(&profile, &args.options, &prompt, |provider, plan| {
            Ok(Made {
                profile: profile.to_string(),
                region: plan.region.clone(),
                credentials: provider.run(plan)?,
                opened_by_sops: provider.opened_by_sops(),
            })
        })
        .map_err(|error| meant_as_a_command(error, args, words))
}

fn refuse_nesting(args: &Exec, words: &[OsString], context: &Context) -> Result<()> {
    if !args.json && words.is_empty() && context.env.get("AWS_VAULT").is_some() {
        return Err(Error::refused("running in an existing vault subshell")
            .hint("exit from the subshell, or unset AWS_VAULT to force"));
    }
    Ok(())
}

/// Starts a server and the command, and ends as the command does; comes back only with an error from
/// before that.
fn stand_by<T>(args: &Exec, words: &[OsString], context: &Context) -> Result<T> {
    refuse_nesting(args, words, context)?;
    let profile = context.profile_name(args.profile.as_deref())?;
    let names = std::slice::from_ref(&profile);
    serving::served("--server", names, &args.options, context, |served| {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let server = Server::bind(local)
            .map_err(|error| Error::other(format!("cannot listen: {}", os_text(&error))))?;
        if served.outranked {
            context.reporter.warn(
                "profile default says where credentials come from, which would outrank the server: \
                 the command sees no AWS config and credentials file",
            );
        }
        let words = if words.is_empty() { vec![subshell(context)] } else { words.to_vec() };
        let given = Given::Server {
            url: &server.url(profile.as_str()),
            token: server.token(),
            without_files: served.outranked,
        };
        let child = Child {
            profile: Some(profile.as_str()),
            given,
            region: served.region.as_deref(),
            drop_sops: served.opened_by_sops,
        };
        let vars = exec::environment(context.env, &child);
        let log = serving::log(context, true);
        let supervisor = exec::Supervisor::new();
        let never = server.run(served.sources, context.clock, &log, || {
            let ended = supervisor.and_then(|by| by.run(&words, &vars));
            ended.unwrap_or_else(|failure| {
                let (error, code) = not_started(failure);
                report::say(&error);
                code
            })
        })?;
        match never {}
    })
    .map_err(|error| meant_as_a_command(error, args, words))
}

/// `vault exec terraform apply`: the first word was meant as the command. A better guess stands.
fn meant_as_a_command(error: Error, args: &Exec, words: &[OsString]) -> Error {
    let no_profile = error.class == Class::NotFound && error.what.starts_with("no profile");
    let guessed = error.hint.as_deref().is_some_and(|hint| !hint.starts_with("looked in"));
    if no_profile && !guessed && args.profile.is_some() && !words.is_empty() {
        return error.hint("to run a command with the default profile: vault exec -- COMMAND");
    }
    error
}

fn become_it(words: Vec<OsString>, made: &Made, context: &Context) -> (Error, u8) {
    let words = if words.is_empty() { vec![subshell(context)] } else { words };
    let child = Child {
        profile: Some(&made.profile),
        given: Given::Keys(&made.credentials),
        region: made.region.as_deref(),
        drop_sops: made.opened_by_sops,
    };
    let vars = exec::environment(context.env, &child);
    not_started(exec::become_command(&words, &vars, context.limits))
}

/// As env(1) and timeout(1) say it.
fn not_started(failure: ExecError) -> (Error, u8) {
    match failure {
        ExecError::NotFound(why) => (Error::other(why), 127),
        ExecError::NotExecutable(why) => (Error::other(why), 126),
        ExecError::Other(why) => (Error::other(why), NOT_STARTED),
    }
}

fn subshell(context: &Context) -> OsString {
    let shell = context.env.get_os("SHELL").unwrap_or("/bin/sh".as_ref()).to_owned();
    context.reporter.note(format!(
        "Starting subshell {}, use `exit` to exit the subshell",
        shell.to_string_lossy()
    ));
    shell
}
