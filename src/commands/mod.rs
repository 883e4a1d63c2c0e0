//! One file per command: the order of events, nothing else.

mod access;
mod add;
mod clear;
mod completions;
mod config;
mod context;
mod credentials;
mod doctor;
mod exec;
mod explain;
mod export;
mod fleet;
mod import;
mod init;
mod key_slots;
mod list;
mod login;
mod man;
mod mfa;
mod passphrase;
mod pin;
mod recipient;
mod rekey;
mod removal;
mod remove;
mod rotate;
mod serve;
mod serving;
mod sso;
mod stdin;
mod totp;
mod unlock;
mod work_tree;

use std::ffi::OsString;
use std::time::Instant;

use self::context::Context;
use crate::called::ProgramName;
use crate::cli::fleet::FleetCommand;
use crate::cli::key_slots::{PassphraseCommand, RecipientCommand};
use crate::cli::sso::SsoCommand;
use crate::cli::totp::{MfaCommand, TotpCommand};
use crate::cli::{Command, Parsed};
use crate::env::Env;
use crate::error::Result;
use crate::os;
use crate::prompt::Prompt;
use crate::provider::DEADLINE;
use crate::report;
use crate::waiting;

/// Runs a command line; gives the exit code, unless the process became the command of `exec`.
///
/// # Errors
/// The command's; the caller reports them.
pub fn run(parsed: Parsed, program: ProgramName, env: Env, limits: os::SavedLimit) -> Result<u8> {
    let Parsed { global, command, words, for_a_program } = parsed;
    // Waits are shown to a user, not to a program, which may start several commands at once.
    let show_waits = !global.quiet && !for_a_program && env.terminal_takes_escapes();
    waiting::show(show_waits, global.debug);
    // Before anything is changed, since the result could not be printed.
    if !matches!(&command, Command::Exec(args) if !args.json) {
        report::check_stdout()?;
    }
    let for_an_sdk = matches!(&command, Command::Exec(args) if args.json);
    let deadline = for_an_sdk.then(|| Instant::now() + DEADLINE);
    let prompt = Prompt::new(global.no_input, deadline);
    let context = Context::new(global, program, prompt, env, limits)?;
    // The threads of a server use it until the process ends.
    let context: &'static Context = Box::leak(Box::new(context));
    let done = dispatch(command, &words, context);
    // It is not dropped, so what opens the vault is wiped here.
    context.env.forget_unlock(false);
    done
}

fn dispatch(command: Command, words: &[OsString], context: &'static Context) -> Result<u8> {
    match command {
        Command::Doctor(args) => return doctor::run(&args, context),
        Command::Exec(args) => return exec::run(&args, words, context),
        Command::Serve(args) => return serve::run(&args, context),
        Command::Init(args) => init::run(&args, context),
        Command::Add(args) => add::run(&args, context),
        Command::Import(args) => import::run(&args, context),
        Command::List(args) => list::run(&args, context),
        Command::Remove(args) => remove::run(&args, context),
        Command::Clear(args) => clear::run(&args, context),
        Command::Export(args) => export::run(&args, context),
        Command::Login(args) => login::run(&args, context),
        Command::Explain(args) => explain::run(&args, context),
        Command::Fleet(FleetCommand::Join(args)) => fleet::join(args, context),
        Command::Fleet(FleetCommand::Check(args)) => fleet::check(&args, context),
        Command::Fleet(FleetCommand::Status(args)) => fleet::status(&args, context),
        Command::Fleet(FleetCommand::Pull) => fleet::pull(context),
        Command::Fleet(FleetCommand::Leave) => fleet::leave(context),
        Command::Recipient(RecipientCommand::Add(args)) => recipient::add(&args, context),
        Command::Recipient(RecipientCommand::List(args)) => recipient::list(&args, context),
        Command::Recipient(RecipientCommand::Remove(args)) => recipient::remove(&args, context),
        Command::Passphrase(PassphraseCommand::Set(args)) => passphrase::set(&args, context),
        Command::Passphrase(PassphraseCommand::Remove(args)) => passphrase::remove(&args, context),
        Command::Unlock(args) => unlock::unlock(&args, context),
        Command::Lock => unlock::lock(context),
        Command::Rekey => rekey::run(context),
        Command::Totp(TotpCommand::Add(args)) => totp::add(&args, context),
        Command::Totp(TotpCommand::Code(args)) => totp::code(&args, context),
        Command::Totp(TotpCommand::List(args)) => totp::list(&args, context),
        Command::Totp(TotpCommand::Remove(args)) => totp::remove(&args, context),
        Command::Mfa(MfaCommand::Enroll(args)) => mfa::enroll(&args, context),
        Command::Rotate(args) => rotate::run(&args, context),
        Command::Sso(SsoCommand::Login(args)) => sso::login(&args, context),
        Command::Sso(SsoCommand::Logout(args)) => sso::logout(&args, context),
        Command::Pin(args) => pin::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
        Command::Complete(_) => completions::complete(words, context),
    }?;
    Ok(0)
}
