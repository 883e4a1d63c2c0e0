//! age plugins: programs that hold a key (a TPM, a YubiKey) and speak age's protocol on a pipe.
//!
//! <https://c2sp.org/age-plugin>, version 1, the client side of both state machines. The age crate has an
//! implementation too, but it reads a plugin's output without a size limit and without a timeout. A job
//! may have no user, so a plugin that asks a question gets no answer.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;
use std::process::Command;
use std::time::{Duration, Instant};

use age_core::format::{FileKey, Stanza};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use super::stanza::{COLUMNS, STANZA, canonical_base64, vchars};
use crate::error::{Error, Result, os_text};
use crate::process::{Failure, OUTPUT_LIMIT, PipedProcess};
use crate::waiting::{Waiting, waiting};

/// The longest run of a plugin.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The most characters of a plugin's own message that an error quotes.
const MESSAGE_LIMIT: usize = 200;

/// A result whose error is text that follows the program's name.
type Outcome<T> = std::result::Result<T, String>;

/// The program of a plugin.
pub(super) fn program(name: &str) -> String {
    format!("age-plugin-{name}")
}

/// Wraps the file key for one recipient. Errors: class 7, naming recipient and program.
pub(super) fn wrap(
    recipient: &age::plugin::Recipient,
    brief: &str,
    file_key: &FileKey,
) -> Result<(Vec<Stanza>, HashSet<String>)> {
    let program = program(recipient.plugin());
    let failed = |why| Error::not_saved(format!("{program} cannot encrypt to {brief}: {why}"));
    let Some(started) = Plugin::start(&program, "recipient-v1") else {
        let what = format!("the program {program} is missing; it is needed for {brief}");
        return Err(Error::not_saved(what)
            .hint("install it in a directory of PATH, or remove the recipient"));
    };
    let _waiting = touch(&program);
    started.and_then(|plugin| plugin.wrapped(&recipient.to_string(), file_key)).map_err(failed)
}

/// Passes the stanzas to the plugins, one program after the other. `Err` has the reason of each program
/// that returned no file key.
pub(super) fn unwrap<'a>(
    identities: impl Iterator<Item = &'a age::plugin::Identity>,
    stanzas: &[Stanza],
) -> std::result::Result<FileKey, Vec<String>> {
    let mut programs: BTreeMap<&str, Vec<Zeroizing<String>>> = BTreeMap::new();
    for identity in identities {
        programs.entry(identity.plugin()).or_default().push(Zeroizing::new(identity.to_string()));
    }
    let mut reasons = Vec::new();
    for (name, identities) in programs {
        let program = program(name);
        let Some(started) = Plugin::start(&program, "identity-v1") else {
            reasons.push(format!("the program {program} is missing"));
            continue;
        };
        let _waiting = touch(&program);
        match started.and_then(|plugin| plugin.unwrapped(&identities, stanzas)) {
            Ok(file_key) => return Ok(file_key),
            Err(why) => reasons.push(format!("{program}: {why}")),
        }
    }
    Err(reasons)
}

/// The wait for a program that has just been started.
fn touch(program: &str) -> Waiting {
    let program = program.to_owned();
    let what = move || format!("{program}, which may want a touch");
    waiting(what, Some(Instant::now() + TIMEOUT))
}

/// A running plugin.
struct Plugin(PipedProcess);

impl Plugin {
    /// Starts the program, with `/` as its working directory; `None` if it does not exist.
    fn start(program: &str, state_machine: &str) -> Option<Outcome<Self>> {
        let mut command = Command::new(program);
        command.arg(format!("--age-plugin={state_machine}")).current_dir("/");
        match PipedProcess::start(command, Instant::now() + TIMEOUT) {
            Ok(talk) => Some(Ok(Self(talk))),
            Err(Failure::NotStarted(error))
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) =>
            {
                None
            }
            Err(failure) => Some(Err(failure_text(&failure))),
        }
    }

    /// The state machine `recipient-v1`, for one recipient and one file key.
    fn wrapped(
        mut self,
        recipient: &str,
        file_key: &FileKey,
    ) -> Outcome<(Vec<Stanza>, HashSet<String>)> {
        self.send("add-recipient", &[recipient], &[])?;
        self.send("extension-labels", &[], &[])?;
        self.send("wrap-file-key", &[], file_key.expose_secret())?;
        self.send("done", &[], &[])?;
        let (mut stanzas, mut labels) = (Vec::new(), None);
        let error = self.answer(|command| {
            match command.tag.as_str() {
                // The only file.
                "recipient-stanza" => match command.args.as_slice() {
                    [file, tag, args @ ..] if file == "0" => stanzas.push(Stanza {
                        tag: tag.clone(),
                        args: args.to_vec(),
                        body: command.body,
                    }),
                    _ => return Err(protocol_error()),
                },
                "labels" => {
                    let count = command.args.len();
                    let set: HashSet<String> = command.args.into_iter().collect();
                    if set.len() != count || labels.replace(set).is_some() {
                        return Err(protocol_error());
                    }
                }
                _ => return Ok("unsupported"),
            }
            Ok("ok")
        })?;
        match error {
            Some(error) => Err(error),
            None if stanzas.is_empty() => Err("it returned no stanza".to_owned()),
            None => Ok((stanzas, labels.unwrap_or_default())),
        }
    }

    /// The state machine `identity-v1`, for one file.
    fn unwrapped(
        mut self,
        identities: &[Zeroizing<String>],
        stanzas: &[Stanza],
    ) -> Outcome<FileKey> {
        for identity in identities {
            self.send("add-identity", &[identity.as_str()], &[])?;
        }
        for stanza in stanzas {
            let args = stanza.args.iter().map(String::as_str);
            let args: Vec<_> = ["0", stanza.tag.as_str()].into_iter().chain(args).collect();
            self.send("recipient-stanza", &args, &stanza.body)?;
        }
        self.send("done", &[], &[])?;
        let mut file_key = None;
        let error = self.answer(|command| {
            if command.tag != "file-key" {
                return Ok("unsupported");
            }
            let body = Zeroizing::new(command.body);
            if command.args != ["0"] || file_key.is_some() {
                return Ok("fail");
            }
            let body: &[u8; 16] = body.as_slice().try_into().map_err(|_| protocol_error())?;
            file_key = Some(FileKey::init_with_mut(|key| key.copy_from_slice(body)));
            Ok("ok")
        })?;
        file_key.ok_or_else(|| error.unwrap_or_else(|| "it returned no key".to_owned()))
    }

    /// Answers the plugin's commands until it is done; `answer_to` answers those of one state machine. Returns
    /// the first error that the plugin reports.
    fn answer(
        &mut self,
        mut answer_to: impl FnMut(Stanza) -> Outcome<&'static str>,
    ) -> Outcome<Option<String>> {
        let mut error = None;
        loop {
            let command = self.receive()?;
            let answer = match command.tag.as_str() {
                "done" => return Ok(error),
                "msg" => "ok",
                // There is no user to answer.
                "confirm" | "request-public" | "request-secret" => "fail",
                "error" => {
                    error.get_or_insert_with(|| message(&command.body));
                    "ok"
                }
                _ => answer_to(command)?,
            };
            self.send(answer, &[], &[])?;
        }
    }

    fn send(&mut self, command: &str, args: &[&str], body: &[u8]) -> Outcome<()> {
        let mut text = Zeroizing::new(String::from("-> "));
        text.push_str(command);
        for arg in args {
            text.push(' ');
            text.push_str(arg);
        }
        text.push('\n');
        let body = Zeroizing::new(STANDARD_NO_PAD.encode(body));
        // A line that is not full, perhaps empty, ends the body.
        let mut rest = body.as_str();
        while let Some((line, more)) = rest.split_at_checked(COLUMNS) {
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text.push_str(rest);
        text.push('\n');
        self.0.send(text.as_bytes()).map_err(|failure| failure_text(&failure))
    }

    fn receive(&mut self) -> Outcome<Stanza> {
        let first = self.line()?;
        let words = first.strip_prefix(STANZA).ok_or_else(protocol_error)?;
        if !words.split(|&byte| byte == b' ').all(vchars) {
            return Err(protocol_error());
        }
        let words = std::str::from_utf8(words).map_err(|_| protocol_error())?;
        let mut words = words.split(' ').map(str::to_owned);
        let tag = words.next().unwrap_or_default();
        let mut body = Zeroizing::new(Vec::with_capacity(OUTPUT_LIMIT));
        loop {
            let line = self.line()?;
            if line.len() > COLUMNS || !canonical_base64(&line) {
                return Err(protocol_error());
            }
            body.extend_from_slice(&line);
            if line.len() < COLUMNS {
                break;
            }
        }
        let body = STANDARD_NO_PAD.decode(&*body).map_err(|_| protocol_error())?;
        Ok(Stanza { tag, args: words.collect(), body })
    }

    fn line(&mut self) -> Outcome<Zeroizing<Vec<u8>>> {
        let line = self.0.read_line().map_err(|failure| failure_text(&failure))?;
        line.ok_or_else(|| "it exited without an answer".to_owned())
    }
}

fn protocol_error() -> String {
    "its answer does not follow age's plugin protocol".to_owned()
}

fn failure_text(failure: &Failure) -> String {
    match failure {
        Failure::NotStarted(error) => os_text(error),
        Failure::TimedOut => format!("no answer within {} s", TIMEOUT.as_secs()),
        Failure::TooMuch => format!("it printed more than {} KiB", OUTPUT_LIMIT / 1024),
        Failure::Status(status) => format!("it failed with exit status {status}"),
    }
}

/// A plugin's message on one line, without control characters and without the characters that change the
/// direction of text.
fn message(body: &[u8]) -> String {
    let clean: String = String::from_utf8_lossy(body)
        .chars()
        .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE_LIMIT)
        .collect();
    let clean = clean.trim();
    if clean.is_empty() { "it refused".to_owned() } else { clean.to_owned() }
}
