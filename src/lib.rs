//! vault: AWS credentials for machines without a keyring.
//!
//! The house, from the ground up. A room imports only lower ones, and siblings do not know each
//! other; `tests/it/house.rs` holds that.
//!
//! | floor | rooms |
//! | --- | --- |
//! | 8 | `commands/`: one file per command, the order of events and nothing else |
//! | 7 | `enroll`: a new MFA device; `rotate`: a new access key |
//! | 6 | `user_change`: what these two have in common; `cli/`: clap types; `report`: errors to text and codes |
//! | 5 | `provider/`: profile to credentials: plan, vault, session and aws together; `import/`: keys from elsewhere; `doctor/`: what is wrong on this host |
//! | 4 | `vault/`: payload, pins, store; `session/`: cache, flight, ledger; `aws/`: STS, IAM, S3; `exec/`: the child; `server/`: credentials over HTTP |
//! | 3 | `sealed/`: the age container and the argon2id slot; `unlock/`: where keys come from; `profile/`: read, plan, edit; `place`: the default paths; `export/`: credentials as text; `totp`: seeds and codes; `store/`: objects that hosts share, written by condition |
//! | 2 | `env`, `clock`, `credential`, `name`, `nearest`, `duration`, `file`, `origin`, `process`, `prompt`, `random`, `reporter` |
//! | 1 | `style`: colour; `waiting`: what is waited for, on the terminal; `called`: the name that the program was started by |
//! | 0 | `os/`: the only unsafe; `error`, `secret` |
#![deny(unsafe_code)]

pub mod aws;
pub mod called;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod credential;
pub mod doctor;
pub mod duration;
pub mod enroll;
pub mod env;
pub mod error;
pub mod exec;
pub mod export;
pub mod file;
pub mod import;
pub mod name;
pub mod nearest;
pub mod origin;
pub mod os;
pub mod place;
pub mod process;
pub mod profile;
pub mod prompt;
pub mod provider;
pub mod random;
pub mod report;
pub mod reporter;
pub mod rotate;
pub mod sealed;
pub mod secret;
pub mod server;
pub mod session;
pub mod store;
pub mod style;
pub mod totp;
pub mod unlock;
pub mod user_change;
pub mod vault;
pub mod waiting;

/// The program; gives its exit code.
///
/// The environment is taken while no other thread can read it, and the process is hardened before anything in
/// it is used.
pub fn main() -> u8 {
    os::on_enough_stack(start).unwrap_or_else(|(limit, why)| {
        let why = error::os_text(&why);
        report::error(
            &error::Error::other(format!(
                "the stack is limited to {limit} KiB, and no thread with a larger one can be started: {why}"
            ))
            .hint("raise the limit: ulimit -s 8192"),
        );
        error::Class::Other.code()
    })
}

fn start() -> u8 {
    let wiped: Vec<&str> = env::UNLOCK.iter().chain(&env::DROPPED).copied().collect();
    let env = env::Env::from_raw(os::take_environment(&wiped));
    let limits = os::harden();
    os::end_also_as_process_1();
    os::fail_at_file_size_limit();
    os::keep_status_of_children();
    // A panic's message may quote a secret, so only its place is reported.
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        report::error(&error::Error::other(format!("this is a bug in vault{place}")));
        std::process::exit(1);
    }));
    style::allow(env.get_os("NO_COLOR").is_none() && env.terminal_takes_escapes());
    let argv: Vec<_> = std::env::args_os().collect();
    let program = called::ProgramName::of(&argv);
    called::set_name(program);
    let done = match cli::parse(&argv) {
        Ok(cli::Answer::Print(text)) => report::result(&text).map(|()| 0),
        Ok(cli::Answer::Usage(text)) => {
            report::usage(&text);
            Ok(error::Class::Usage.code())
        }
        Ok(cli::Answer::Run(parsed)) => commands::run(*parsed, program, env, limits),
        Err(error) => Err(error),
    };
    done.unwrap_or_else(|error| {
        report::error(&error);
        error.class.code()
    })
}
