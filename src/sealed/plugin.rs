//! age plugins: programs that hold a key (a TPM, a YubiKey) and speak age's protocol on a pipe.
//!
//! <https://c2sp.org/age-plugin>. age starts the program and talks to it; here is the time limit,
//! and the words for what went wrong. Nobody may be near, so a plugin that asks gets no answer.
//! This is the one place of the room that starts a thread, and only where a plugin is named.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use age::plugin::{IdentityPluginV1, RecipientPluginV1};
use age::{DecryptError, EncryptError, Identity as _, NoCallbacks, Recipient as _};
use age_core::format::{FileKey, Stanza};

use crate::error::{Error, Result, os_text};
use crate::os;

/// How long a plugin may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a plugin may take to end after its answer.
const FAREWELL: Duration = Duration::from_secs(1);
/// Characters of a plugin's own message that are passed on.
const MESSAGE: usize = 200;

/// The program of a plugin.
pub(super) fn program(name: &str) -> String {
    format!("age-plugin-{name}")
}

/// Wraps the file key for one recipient. Errors: class 7, naming recipient and program.
pub(super) fn wrap(
    recipient: &age::plugin::Recipient,
    brief: &str,
    file_key: FileKey,
) -> Result<(Vec<Stanza>, HashSet<String>)> {
    let program = program(recipient.plugin());
    let failed =
        |why: String| Error::not_saved(format!("{program} cannot write for {brief}: {why}"));
    let plugin = RecipientPluginV1::new(
        recipient.plugin(),
        std::slice::from_ref(recipient),
        &[],
        NoCallbacks,
    )
    .map_err(|_| {
        Error::not_saved(format!("the program {program} is missing; it is needed for {brief}"))
            .hint("install it where PATH finds it, or remove the recipient")
    })?;
    let answer =
        within(PATIENCE, move || plugin.wrap_file_key(&file_key).map_err(|e| encrypt_text(&e)));
    answer.and_then(|wrapped| wrapped).map_err(failed)
}

/// Offers the stanzas to the plugins, one program after the other. `Err` says of each why it gave
/// no file key, in words that fit behind the program's name.
pub(super) fn unwrap(
    identities: &[&age::plugin::Identity],
    stanzas: &[Stanza],
) -> std::result::Result<FileKey, Vec<String>> {
    let mut programs: BTreeMap<&str, Vec<age::plugin::Identity>> = BTreeMap::new();
    for identity in identities {
        programs.entry(identity.plugin()).or_default().push((*identity).clone());
    }
    let mut reasons = Vec::new();
    for (name, identities) in programs {
        let program = program(name);
        let Ok(plugin) = IdentityPluginV1::new(name, &identities, NoCallbacks) else {
            reasons.push(format!("the program {program} is missing"));
            continue;
        };
        let stanzas: Vec<Stanza> = stanzas.iter().map(copy).collect();
        let answer = within(PATIENCE, move || {
            plugin.unwrap_stanzas(&stanzas).map(|key| key.map_err(|e| decrypt_text(&e)))
        });
        match answer {
            Ok(Some(Ok(file_key))) => return Ok(file_key),
            Ok(Some(Err(why))) | Err(why) => reasons.push(format!("{program}: {why}")),
            Ok(None) => reasons.push(format!("{program} gave no key, or did not start")),
        }
    }
    Err(reasons)
}

/// Runs the work on a thread of its own and waits for it, but not for ever: then the plugin is killed,
/// with what it started. age hides its number, but it is the one child of that thread. A thread that
/// does not answer even then is left behind; its pipes close when this process ends or becomes another.
fn within<T: Send + 'static>(
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, String> {
    let (send, receive) = mpsc::channel();
    // The thread, as long as its children may be killed: not yet waited for, their numbers are theirs.
    let working = Arc::new(Mutex::new(None));
    std::thread::Builder::new()
        .name("plugin".to_owned())
        .spawn({
            let working = Arc::clone(&working);
            move || {
                *lock(&working) = Some(os::thread_id());
                let answer = work();
                *lock(&working) = None;
                // age closes the plugin's pipes and goes on; the plugin ends a moment later.
                os::reap_children_of_this_thread(Instant::now() + FAREWELL);
                // The receiver may have gone: then nobody wants the answer.
                drop(send.send(answer));
            }
        })
        .map_err(|error| os_text(&error))?;
    match receive.recv_timeout(patience) {
        Ok(answer) => Ok(answer),
        Err(mpsc::RecvTimeoutError::Timeout) => {
            if let Some(thread) = *lock(&working) {
                os::kill_children_of(thread);
            }
            // Time to wait for the dead. An answer that comes now comes too late.
            drop(receive.recv_timeout(FAREWELL));
            Err(format!("no answer within {} s", patience.as_secs()))
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => Err("it failed".to_owned()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stanza once more: age's type cannot be cloned.
fn copy(stanza: &Stanza) -> Stanza {
    Stanza { tag: stanza.tag.clone(), args: stanza.args.clone(), body: stanza.body.clone() }
}

fn encrypt_text(error: &EncryptError) -> String {
    match error {
        EncryptError::Plugin(errors) => plugin_text(errors),
        EncryptError::Io(error) => io_text(error),
        _ => "it failed".to_owned(),
    }
}

fn decrypt_text(error: &DecryptError) -> String {
    match error {
        DecryptError::Plugin(errors) => plugin_text(errors),
        DecryptError::Io(error) => io_text(error),
        _ => "it failed".to_owned(),
    }
}

/// The system's errors have words of their own; age's, made up on the way, are many lines long.
fn io_text(error: &std::io::Error) -> String {
    if error.raw_os_error().is_some() {
        format!("{} (a plugin needs a writable TMPDIR)", os_text(error))
    } else {
        "it ended without an answer".to_owned()
    }
}

/// The first thing that a plugin says of itself, on one line and without what could move a
/// terminal's cursor or turn its text around.
fn plugin_text(errors: &[impl std::fmt::Display]) -> String {
    let message = errors.first().map(ToString::to_string).unwrap_or_default();
    let clean: String = message
        .chars()
        .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE)
        .collect();
    let clean = clean.trim();
    if clean.is_empty() { "it refused".to_owned() } else { clean.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_plugin_that_never_answers_is_not_waited_for() {
        let (held, never) = mpsc::channel::<()>();
        let answer = within(Duration::from_millis(1), move || never.recv().is_ok());
        assert_eq!(answer, Err("no answer within 0 s".to_owned()));
        drop(held);
        assert_eq!(within(PATIENCE, || 7), Ok(7));
    }

    #[test]
    #[allow(clippy::zombie_processes)] // as age starts them
    fn a_plugin_that_never_answers_is_killed() {
        let (send, receive) = mpsc::channel();
        let answer = within(Duration::from_millis(100), move || {
            let script = ["-c", "sleep 600; true"];
            let child =
                Command::new("/bin/sh").args(script).stdout(Stdio::piped()).spawn().unwrap();
            let pid = child.id();
            let said = child.stdout.unwrap().read_to_end(&mut Vec::new()).is_ok();
            send.send((pid, said)).unwrap();
        });
        assert_eq!(answer, Err("no answer within 0 s".to_owned()));
        // The shell and its sleep have closed the pipe.
        let (pid, said) = receive.recv_timeout(Duration::from_secs(60)).expect("an end");
        assert!(said && os::testing::is_over(pid));
    }
}
