//! Shows on the terminal what the program waits for: after two seconds one line on stderr, which is rewritten
//! in place each second and cleared at the end.
//!
//! - A process has one terminal, so this is global state: [`show`] enables it once, and each wait has a
//!   [`Waiting`] for as long as it lasts.
//! - Only on a terminal, and only in its foreground process group: the line of a background job would
//!   overwrite what the user types. With `--debug`, a wait that is not shown there is one line.
//! - A thread writes the line, since a wait may be in a system call. It starts with the first wait that may
//!   be shown.
//! - Other output to the terminal clears the line first: [`aside`].

use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::one_line;
use crate::os;

/// A wait is shown once it has lasted this long.
pub const AFTER: Duration = Duration::from_secs(2);
/// How often the line is rewritten.
const EVERY: Duration = Duration::from_secs(1);
/// The width of a terminal if it is unknown.
const COLUMNS: u16 = 80;
/// Carriage return, and "erase in line" (ECMA-48).
const CLEAR: &str = "\r\x1b[K";

const TERMINAL: u8 = 1;
const DEBUG: u8 = 2;

/// The sum of the above.
static SHOWN: AtomicU8 = AtomicU8::new(0);
static LINE: Mutex<WaitLine> =
    Mutex::new(WaitLine { waits: Vec::new(), next: 0, aside: 0, drawn: false, has_thread: false });
/// A wait has begun, or the line may be drawn again.
static CHANGED: Condvar = Condvar::new();

/// The text after "waiting for".
type What = Box<dyn Fn() -> String + Send>;

/// The terminal's line.
struct WaitLine {
    /// The outermost wait first.
    waits: Vec<WaitEntry>,
    /// The number of the next wait.
    next: u64,
    /// The number of [`Aside`]s.
    aside: usize,
    /// True while the terminal shows the line.
    drawn: bool,
    has_thread: bool,
}

struct WaitEntry {
    number: u64,
    what: What,
    since: Instant,
    until: Option<Instant>,
    /// True if it is for the terminal; else it is one line of `--debug`.
    on_terminal: bool,
    said: bool,
}

impl WaitEntry {
    /// How long it has lasted, its limit, and what it is for. A limit that has passed was an estimate.
    fn text(&self, now: Instant) -> String {
        let seconds = |to: Instant| to.saturating_duration_since(self.since).as_secs_f64().round();
        let past = now.saturating_duration_since(self.since).as_secs();
        let until = self.until.filter(|until| now <= *until);
        let of = until.map_or_else(String::new, |until| format!(" of {} s", seconds(until)));
        let unit = if of.is_empty() { " s" } else { "" };
        format!("waiting {past}{unit}{of} for {}", one_line(&(self.what)()))
    }
}

/// A wait, until this is dropped. Of several, the outermost is shown.
#[must_use]
#[derive(Debug)]
pub struct Waiting(Option<u64>);

/// Nothing is shown while this lives.
#[must_use]
#[derive(Debug)]
pub struct Aside;

/// Shows waits on stderr, if it is a terminal, and as debug lines. Without this call none is shown.
pub fn show(on_terminal: bool, debug: bool) {
    let shown = if on_terminal { TERMINAL } else { 0 } + if debug { DEBUG } else { 0 };
    SHOWN.store(shown, Ordering::Relaxed);
}

/// Shows no more waits on the terminal, since a command uses it beside this process.
pub fn leave_terminal() {
    SHOWN.fetch_and(!TERMINAL, Ordering::Relaxed);
}

/// True if waits are shown on the terminal.
pub fn is_shown() -> bool {
    SHOWN.load(Ordering::Relaxed) & TERMINAL != 0 && std::io::stderr().is_terminal()
}

/// Begins a wait for `what`, which is called each time it is shown, until that time at the latest.
pub fn waiting(what: impl Fn() -> String + Send + 'static, until: Option<Instant>) -> Waiting {
    let shown = SHOWN.load(Ordering::Relaxed);
    if shown == 0 {
        return Waiting(None);
    }
    let on_terminal = is_shown();
    if !on_terminal && shown & DEBUG == 0 {
        return Waiting(None);
    }
    let (what, since) = (Box::new(what), Instant::now());
    let mut line = line();
    let number = line.next;
    line.next += 1;
    line.waits.push(WaitEntry { number, what, since, until, on_terminal, said: false });
    if !line.has_thread {
        let started = std::thread::Builder::new().name("waiting".to_owned()).spawn(tell);
        line.has_thread = started.is_ok();
    }
    CHANGED.notify_all();
    Waiting(Some(number))
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(number) = self.0 else { return };
        let mut line = line();
        line.waits.retain(|wait| wait.number != number);
        // The line of an outer wait stays.
        if line.due(Instant::now()).is_none() {
            line.clear();
        }
    }
}

/// Clears the line, before the terminal is used otherwise.
pub fn aside() -> Aside {
    let mut line = line();
    line.aside += 1;
    line.clear();
    Aside
}

impl Drop for Aside {
    fn drop(&mut self) {
        line().aside -= 1;
        CHANGED.notify_all();
    }
}

fn line() -> MutexGuard<'static, WaitLine> {
    LINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread: shows the waits that are due, and sleeps until the next one is.
fn tell() {
    let mut line = line();
    loop {
        let now = Instant::now();
        line.tell(now);
        let next = line.next_look(now);
        line = match next {
            Some(next) => {
                let left = next.saturating_duration_since(now);
                CHANGED.wait_timeout(line, left).unwrap_or_else(PoisonError::into_inner).0
            }
            None => CHANGED.wait(line).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

impl WaitLine {
    /// Shows the outermost wait that has lasted long enough, unless the terminal is another job's now.
    fn tell(&mut self, now: Instant) {
        for wait in self.waits.iter_mut().filter(|wait| !wait.on_terminal) {
            if !wait.said && now >= wait.since + AFTER {
                wait.said = true;
                write(&format!("vault: debug: {}\n", wait.text(now)));
            }
        }
        let stderr = std::io::stderr();
        if let Some(wait) = self.due(now)
            && self.aside == 0
            && os::in_foreground(stderr.as_fd())
        {
            let columns = os::columns(stderr.as_fd()).unwrap_or(COLUMNS);
            let text = format!("vault: {}", wait.text(now));
            write(&format!("\r{}\x1b[K", cut(&text, usize::from(columns).saturating_sub(1))));
            self.drawn = true;
        }
    }

    /// The outermost wait that has lasted long enough to be shown on the terminal.
    fn due(&self, now: Instant) -> Option<&WaitEntry> {
        self.waits.iter().find(|wait| wait.on_terminal && now >= wait.since + AFTER)
    }

    fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) && os::in_foreground(std::io::stderr().as_fd()) {
            write(CLEAR);
        }
    }

    /// The time of the next change.
    fn next_look(&self, now: Instant) -> Option<Instant> {
        let next = |wait: &WaitEntry| match now < wait.since + AFTER {
            true => Some(wait.since + AFTER),
            false => wait.on_terminal.then_some(now + EVERY),
        };
        self.waits.iter().filter_map(next).min()
    }
}

/// The beginning of a text that fits into so many columns. A character outside ASCII may take two.
fn cut(text: &str, columns: usize) -> &str {
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += if c.is_ascii() { 1 } else { 2 };
        taken > columns
    });
    end.map_or(text, |(end, _)| text.get(..end).unwrap_or_default())
}

fn write(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(what: &'static str, since: Instant, until: Option<u64>) -> WaitEntry {
        WaitEntry {
            number: 0,
            what: Box::new(move || what.to_owned()),
            since,
            until: until.map(|seconds| since + Duration::from_secs(seconds)),
            on_terminal: true,
            said: false,
        }
    }

    #[test]
    fn the_line_says_for_how_long_until_when_and_what_for() {
        let since = Instant::now();
        let after = |milliseconds| since + Duration::from_millis(milliseconds);
        let lock = wait("process 7, which writes the vault", since, Some(45));
        assert_eq!(
            lock.text(after(2999)),
            "waiting 2 of 45 s for process 7, which writes the vault"
        );
        assert!(lock.text(after(45_001)).starts_with("waiting 45 s for process 7"));
        assert_eq!(wait("a touch", since, None).text(after(61_000)), "waiting 61 s for a touch");
        assert_eq!(
            wait("a\x1b[2Jb\nc", since, None).text(since),
            "waiting 0 s for a\u{fffd}[2Jb\u{fffd}c"
        );
    }

    #[test]
    fn the_line_is_no_wider_than_the_terminal() {
        assert_eq!(cut("waiting", 7), "waiting");
        assert_eq!(cut("waiting", 6), "waitin");
        assert_eq!(cut("für", 3), "fü");
        assert_eq!(cut("für", 2), "f");
        assert_eq!((cut("日本", 3), cut("x", 0)), ("日", ""));
    }

    #[test]
    fn a_wait_is_looked_at_after_two_seconds_and_then_each_second() {
        let now = Instant::now();
        let mut line =
            WaitLine { waits: Vec::new(), next: 0, aside: 0, drawn: false, has_thread: true };
        assert_eq!(line.next_look(now), None);
        line.waits.push(wait("one", now, None));
        line.waits.push(WaitEntry { on_terminal: false, ..wait("two", now, None) });
        assert_eq!(line.next_look(now), Some(now + AFTER));
        let later = now + AFTER;
        assert_eq!(line.next_look(later), Some(later + EVERY));
        line.waits.remove(0);
        assert_eq!(line.next_look(later), None);
    }

    #[test]
    fn without_show_no_wait_is_shown() {
        drop(waiting(|| unreachable!(), None));
        assert!(!line().has_thread);
    }
}
