//! `exec`: becomes a command that has credentials, prints credentials for an SDK, or starts a command and
//! serves credentials to it.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::context::Context;
use super::credentials::requested_duration;
use super::serving::{self, Serving};
use crate::cli::{Exec, TokenBy};
use crate::error::{Error, Reason, Result, os_text};
use crate::exec::{self, Child, Delivery, ExecError};
use crate::export;
use crate::name::ProfileName;
use crate::process::{Program, find};
use crate::report;
use crate::server::{Server, TokenFile};

/// The command failed before it started (as env(1) and timeout(1) say it).
const NOT_STARTED: u8 = 125;

pub fn run(args: &Exec, words: &[OsString], context: &'static Context) -> Result<u8> {
    // Errors of the command line itself come first, with code 2.
    requested_duration(&args.options)?;
    let profile = context.profile_name(args.profile.as_deref());
    if args.ec2_server {
        return Err(Error::usage(
            "--ec2-server is not supported: it would replace the metadata service of the whole \
             machine",
        )
        .hint("let the command's credential_process be vault exec --json PROFILE"));
    }
    if args.json {
        if !words.is_empty() {
            return Err(Error::usage(
                "--json prints credentials and runs nothing, so it takes no command",
            ));
        }
        let (session, plan) = context.planned(&profile?, &args.options)?;
        report::result(&export::json(&session.into_credentials(&plan)?))?;
        return Ok(0);
    }
    // From here on the exit code is the command's, and an error of vault has the code 125, 126 or 127.
    match profile.and_then(|profile| start(args, &profile, words, context)) {
        // An error of the command line that is found late has code 2, too.
        Err(error) if error.reason != Some(Reason::CommandLine) => {
            report::error(&meant_as_a_command(error, args, words, context));
            Ok(NOT_STARTED)
        }
        done => done,
    }
}

/// Becomes the command, or starts it beside a server. The exit code of that one, or of a command that was not
/// started.
fn start(
    args: &Exec,
    profile: &ProfileName,
    words: &[OsString],
    context: &'static Context,
) -> Result<u8> {
    if words.is_empty() && context.env.get("AWS_VAULT").is_some() {
        return Err(Error::refused("running in an existing vault subshell")
            .hint("exit from the subshell, or unset AWS_VAULT to force"));
    }
    if args.server {
        return start_with_server(args, profile, words, context);
    }
    let (session, plan) = context.planned(profile, &args.options)?;
    let drop_sops = session.opened_by_sops();
    let credentials = session.into_credentials(&plan)?;
    let child = Child {
        profile: profile.as_str(),
        delivery: Delivery::Keys(&credentials),
        region: plan.region.as_deref(),
        variant: plan.variant,
        drop_sops,
    };
    let vars = exec::environment(&context.env, &child);
    Ok(not_started(exec::become_command(&command(words, context), &vars, &context.limits)))
}

/// Starts a server and the command, which it waits for.
fn start_with_server(
    args: &Exec,
    profile: &ProfileName,
    words: &[OsString],
    context: &'static Context,
) -> Result<u8> {
    let names = std::slice::from_ref(profile);
    // Before AWS is called and a code is used.
    let with_file = args.token_by != TokenBy::Variable;
    let token_directory = with_file.then(|| token_directory(context)).transpose()?;
    let serving = Serving::start("--server", names, &args.options, context)?;
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let server = Server::bind(local)
        .map_err(|error| Error::other(format!("cannot listen: {}", os_text(&error))))?;
    let without_files = serving.session.profiles().outrank_a_server();
    if without_files {
        context.reporter.warn(
            "profile default says where credentials come from, which would outrank the server: \
             the command sees no AWS config and credentials file",
        );
    }
    let words = command(words, context);
    // From here on signals are kept for the command, so that none ends vault before it has removed the file.
    let supervisor = exec::Supervisor::new();
    let token_file =
        token_directory.map(|directory| token_file(&directory, &server)).transpose()?;
    let url = server.url(profile.as_str());
    let child = Child {
        profile: profile.as_str(),
        delivery: Delivery::Server {
            url: &url,
            token: (args.token_by != TokenBy::File).then(|| server.token()),
            token_file: token_file.as_ref().map(TokenFile::path),
            without_files,
        },
        region: serving.region(),
        variant: serving.variant(),
        drop_sops: serving.session.opened_by_sops(),
    };
    let vars = exec::environment(&context.env, &child);
    server.start(serving.sources(), context.clock, &serving::log(context, true))?;
    let ended = supervisor.and_then(|by| by.run(&words, &vars));
    drop(token_file);
    Ok(ended.unwrap_or_else(not_started))
}

/// The directory for the token's file.
fn token_directory(context: &Context) -> Result<PathBuf> {
    context.places.memory_dir().ok_or_else(|| {
        Error::other(
            "no place for the token's file: neither XDG_RUNTIME_DIR nor /dev/shm nor /tmp is a tmpfs \
             that this user may write",
        )
        .hint("mount a tmpfs at /dev/shm, or leave out --token-by")
    })
}

fn token_file(directory: &Path, server: &Server) -> Result<TokenFile> {
    TokenFile::create(directory, server.token()).map_err(|error| {
        let directory = directory.display();
        Error::other(format!("cannot write the token into {directory}: {}", os_text(&error)))
    })
}

/// `vault exec terraform apply`: the first word is no profile but a program, so the command was meant. A hint
/// that names a similar profile is kept.
fn meant_as_a_command(error: Error, args: &Exec, words: &[OsString], context: &Context) -> Error {
    let no_profile = error.reason == Some(Reason::NoSuchProfile { guessed: false });
    let path = context.env.get_os("PATH");
    let program = args.profile.as_deref().filter(|word| find(word, path) != Program::Missing);
    match program.filter(|_| no_profile && !words.is_empty()) {
        Some(program) => error.hint(format!(
            "to run {program} with the default profile: vault exec -- {program} ..."
        )),
        None => error,
    }
}

/// Reports why the command was not started. The codes of env(1) and timeout(1).
fn not_started(failure: ExecError) -> u8 {
    let (why, code) = match failure {
        ExecError::NotFound(why) => (why, 127),
        ExecError::NotExecutable(why) => (why, 126),
        ExecError::Other(why) => (why, NOT_STARTED),
    };
    report::error(&Error::other(why));
    code
}

/// The command, or a shell where there is none.
fn command(words: &[OsString], context: &Context) -> Vec<OsString> {
    if !words.is_empty() {
        return words.to_vec();
    }
    let shell = context.env.get_os("SHELL").unwrap_or("/bin/sh".as_ref()).to_owned();
    context.reporter.note(format!(
        "Starting subshell {}, use `exit` to exit the subshell",
        shell.to_string_lossy()
    ));
    vec![shell]
}
