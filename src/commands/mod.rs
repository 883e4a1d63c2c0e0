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

use crate::cli;
use crate::cli::fleet::FleetCommand;
use crate::cli::key_slots::{PassphraseCommand, RecipientCommand};
use crate::cli::sso::SsoCommand;
use crate::cli::totp::{MfaCommand, TotpCommand};
use crate::cli::{Command, Parsed};
use crate::env::Env;
use crate::error::Result;
use crate::os;
use crate::report;
use crate::waiting;

/// Runs a command line that was understood; the exit code, unless the process became another one.
///
/// # Errors
/// The command's, to be said and turned into an exit code by the caller.
pub fn run(parsed: Parsed, env: &Env, limits: &os::SavedLimit) -> Result<u8> {
    show_waits(&parsed, env);
    // Before anything is changed: that it was done could not be said.
    if !matches!(&parsed.command, Command::Exec(args) if !args.json) {
        report::is_open()?;
    }
    let context = context::Context::new(parsed.global, env, limits)?;
    match parsed.command {
        Command::Doctor(args) => return doctor::run(&args, &context),
        Command::Exec(args) => return exec::run(args, parsed.words, &context),
        Command::Serve(args) => return serve::run(&args, &context),
        Command::Init(args) => init::run(&args, &context),
        Command::Add(args) => add::run(&args, &context),
        Command::Import(args) => import::run(&args, &context),
        Command::List(args) => list::run(&args, &context),
        Command::Remove(args) => remove::run(&args, &context),
        Command::Clear(args) => clear::run(&args, &context),
        Command::Export(args) => export::run(args, &context),
        Command::Login(args) => login::run(&args, &context),
        Command::Explain(args) => explain::run(args, &context),
        Command::Fleet(command) => match command {
            FleetCommand::Join(args) => fleet::join(&args, &context),
            FleetCommand::Check(args) => fleet::check(&args, &context),
            FleetCommand::Status(args) => fleet::status(&args, &context),
            FleetCommand::Pull => fleet::pull(&context),
            FleetCommand::Leave => fleet::leave(&context),
        },
        Command::Recipient(command) => match command {
            RecipientCommand::Add(args) => recipient::add(&args, &context),
            RecipientCommand::List(args) => recipient::list(&args, &context),
            RecipientCommand::Remove(args) => recipient::remove(&args, &context),
        },
        Command::Passphrase(command) => match command {
            PassphraseCommand::Set(args) => passphrase::set(&args, &context),
            PassphraseCommand::Remove(args) => passphrase::remove(&args, &context),
        },
        Command::Unlock(args) => unlock::unlock(&args, &context),
        Command::Lock => unlock::lock(&context),
        Command::Rekey => rekey::run(&context),
        Command::Totp(command) => match command {
            TotpCommand::Add(args) => totp::add(&args, &context),
            TotpCommand::Code(args) => totp::code(&args, &context),
            TotpCommand::List(args) => totp::list(&args, &context),
            TotpCommand::Remove(args) => totp::remove(&args, &context),
        },
        Command::Mfa(command) => match command {
            MfaCommand::Enroll(args) => mfa::enroll(&args, &context),
        },
        Command::Rotate(args) => rotate::run(&args, &context),
        Command::Sso(command) => match command {
            SsoCommand::Login(args) => sso::login(&args, &context),
            SsoCommand::Logout(args) => sso::logout(&args, &context),
        },
        Command::Pin(args) => pin::run(&args, &context),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
        Command::Complete(_) => completions::complete(&parsed.words, &context),
    }?;
    Ok(0)
}

/// A person is told what is waited for, unless a program started this: it may show or drop what stands on
/// stderr, and several of them may run at once.
fn show_waits(parsed: &Parsed, env: &Env) {
    let cli::Global { quiet, debug, .. } = parsed.global;
    let on_terminal = !quiet && !parsed.for_a_program;
    waiting::show(on_terminal && env.terminal_takes_escapes(), debug);
}
