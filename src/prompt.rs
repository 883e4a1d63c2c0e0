//! Prompts on the terminal.
//!
//! - Only /dev/tty is written and read: stdin may hold data, and SDKs drop the stderr of a
//!   credential_process. Only the foreground process group prompts; a background job would be stopped, or
//!   read another job's input.
//! - The terminal stays in canonical mode, so that its line editing works. A secret is not echoed; a newline
//!   is written for the one that was not echoed.
//! - Type-ahead is accepted (scripts on a pty write before the prompt), and only one line is read: the rest
//!   is for the command that runs next.
//! - SIGINT, SIGTERM, SIGHUP and SIGQUIT restore the echo and end the process by the same signal; SIGTSTP
//!   restores it while the process is stopped, and the prompt is repeated.
//! - Text that needs no answer is shown on the terminal too, or on stderr without one.
//! - A prompt without an answer discards partial input, so that the shell does not read it.
//!
//! Not by the crate rpassword 7: it has no deadline, turns off canonical mode and the terminal's signals, so that ^Z
//! does nothing, and leaves the echo off if SIGTERM ends the process.

mod conversation;

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use self::conversation::{Ended, ask};
use crate::error::{Error, Result, one_line, os_text};
use crate::os;
use crate::secret::Secret;
use crate::waiting;

/// The time before the deadline that is reserved for the calls after the answer.
const RESERVE: Duration = Duration::from_secs(5);

/// Whether there are prompts, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Prompt {
    allowed: bool,
    deadline: Option<Instant>,
}

impl Prompt {
    /// With `no_input` there are no prompts. With a `deadline` a program waits for the result until then, and
    /// prompts time out 5 s before.
    pub fn new(no_input: bool, deadline: Option<Instant>) -> Self {
        Self { allowed: !no_input, deadline }
    }

    /// The time limit of a program that waits for the result; `None` if a user waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// True if a program waits for the result.
    pub fn is_timed(&self) -> bool {
        self.deadline.is_some()
    }

    /// True if there is a terminal and this process is in its foreground.
    pub fn available(&self) -> bool {
        self.terminal().is_some()
    }

    /// Prompts for a line with echo. A blank follows the text.
    ///
    /// # Errors
    /// [`crate::error::Class::Other`] without a terminal, [`crate::error::Class::Usage`] for no answer
    /// (^D), one that is too long or not UTF-8, [`crate::error::Class::Busy`] at the timeout.
    pub fn line(&self, text: &str) -> Result<String> {
        let answer = self.ask(text, true)?;
        Ok(utf8(&answer)?.to_owned())
    }

    /// Prompts for a secret without echo. An empty line is an answer.
    pub fn hidden(&self, text: &str) -> Result<Secret> {
        let answer = self.ask(text, false)?;
        Ok(Secret::new(utf8(&answer)?.to_owned()))
    }

    /// Asks a question; only `y` and `yes` mean yes.
    pub fn confirm(&self, text: &str) -> Result<bool> {
        let answer = self.line(&format!("{} (y|N)", text.trim_end()))?;
        Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Shows lines on the terminal, or on stderr without one.
    pub fn show(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{}\n", one_line(line))).collect();
        let _aside = waiting::aside();
        // If this fails, the user cannot answer, and the caller times out.
        let _ = match self.terminal() {
            Some(mut tty) => tty.write_all(text.as_bytes()),
            None => std::io::stderr().write_all(text.as_bytes()),
        };
    }

    /// The terminal, if prompts are allowed and this process is in its foreground.
    pub fn terminal(&self) -> Option<File> {
        if !self.allowed {
            return None;
        }
        os::open_terminal().ok().filter(|tty| os::in_foreground(tty.as_fd()))
    }

    fn ask(&self, text: &str, echo: bool) -> Result<Zeroizing<Vec<u8>>> {
        let tty = self.terminal().ok_or_else(|| Error::other("no terminal to ask on"))?;
        let _aside = waiting::aside();
        let start = Instant::now();
        let left = self.deadline.map(|end| end.saturating_duration_since(start + RESERVE));
        match ask(&tty, text, echo, left.map(|left| start + left)) {
            Ok(answer) => Ok(answer),
            Err(Ended::Signal(signal)) => os::die_of(signal),
            Err(Ended::Nothing) => Err(Error::usage("nothing was entered")),
            Err(Ended::TooLong) => Err(Error::usage("the line that was entered is too long")),
            Err(Ended::TimedOut) => {
                let seconds = left.unwrap_or_default().as_secs_f64().round();
                Err(Error::busy(format!("no answer within {seconds} s")))
            }
            Err(Ended::Io(error)) => {
                Err(Error::other(format!("cannot ask on the terminal: {}", os_text(&error))))
            }
        }
    }
}

fn utf8(answer: &[u8]) -> Result<&str> {
    std::str::from_utf8(answer).map_err(|_| Error::usage("what was entered is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Stdio};

    use super::*;
    use crate::error::Class;
    use crate::os::testing;

    /// Reads what the person sees, until the text has appeared.
    fn see(person: &mut File, until: &str) {
        let mut text = String::new();
        let mut part = [0; 256];
        while !text.contains(until) {
            let n = person.read(&mut part).unwrap();
            text.push_str(&String::from_utf8_lossy(&part[..n]));
        }
    }

    #[test]
    fn without_a_terminal_there_is_no_prompt() {
        let prompt = Prompt::new(true, None);
        assert!(!prompt.available());
        assert_eq!(prompt.hidden("Passphrase:").unwrap_err().class, Class::Other);
        assert!(utf8(b"\xff").is_err());
    }

    const IN_A_SESSION: &str = "prompt::tests::on_a_terminal_of_its_own";

    /// The part of the process that asks on /dev/tty.
    fn play(part: &str) {
        let prompt = Prompt::new(false, Some(Instant::now() + Duration::from_secs(60)));
        assert!(prompt.available());
        match part {
            "hidden" => println!("got {}", prompt.hidden("Passphrase:").unwrap().expose()),
            "confirm" => println!("sure {}", prompt.confirm("Really?").unwrap()),
            _ => {
                let prompt = Prompt::new(false, Some(Instant::now()));
                println!("said {:?}", prompt.line("Name:").unwrap_err());
            }
        }
    }

    /// Starts a process on a terminal of its own; stdin and stdout are not that terminal.
    fn on_terminal(part: &str) -> (File, OwnedFd, Child) {
        let (person, program) = testing::pty();
        let mut command = testing::again(IN_A_SESSION, part);
        testing::on_terminal(&mut command, &program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        (person, program, command.spawn().unwrap())
    }

    #[test]
    fn on_a_terminal_of_its_own() {
        if let Some(part) = testing::role() {
            return play(&part);
        }
        let (mut person, tty, child) = on_terminal("hidden");
        see(&mut person, "Passphrase: ");
        assert!(!testing::echoes(&tty));
        person.write_all("gr\u{fc}n\n".as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        testing::passed(&output);
        assert!(String::from_utf8_lossy(&output.stdout).contains("got gr\u{fc}n\n"));
        assert!(testing::echoes(&tty));

        let (mut person, _tty, child) = on_terminal("confirm");
        see(&mut person, "Really? (y|N) ");
        person.write_all(b"Yes\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("sure true\n"));

        let (_person, _tty, child) = on_terminal("late");
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("no answer within 0 s"), "{text}");
    }

    #[test]
    fn a_fatal_signal_gives_the_echo_back_and_ends_the_process() {
        for (key, signal) in [(b"\x03", libc::SIGINT), (b"\x1c", libc::SIGQUIT)] {
            let (mut person, tty, mut child) = on_terminal("hidden");
            see(&mut person, "Passphrase: ");
            person.write_all(b"half").unwrap();
            person.write_all(key).unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(signal));
            assert!(testing::echoes(&tty));
        }
    }

    #[test]
    fn a_stop_asks_again() {
        let (mut person, tty, child) = on_terminal("hidden");
        see(&mut person, "Passphrase: ");
        // A session without a shell cannot be stopped: the process continues at once.
        person.write_all(b"half\x1a").unwrap();
        see(&mut person, "Passphrase: ");
        person.write_all(b"whole\n").unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("got whole\n"));
        assert!(testing::echoes(&tty));
    }
}
