//! Colour is for who reads on a terminal; what goes elsewhere has none.

use std::time::Duration;

use crate::support::builder::Test;
use crate::support::scene;

const SOON: Duration = Duration::from_secs(40);

fn screen(test: &Test) -> String {
    test.pty().end(SOON).1
}

#[test]
fn errors_and_hints_are_coloured_on_a_terminal() {
    let test = Test::new().command(["list", "--jsno"]).env("TERM", "xterm");
    assert_eq!(
        screen(&test),
        "\x1b[1;31mvault: error:\x1b[0m unknown flag \"--jsno\"\n\
         \x1b[36mvault: hint:\x1b[0m did you mean \"--json\"?\n"
    );
}

/// `CLICOLOR_FORCE` is for who wants colours in a pipe, where programs read ours.
#[test]
fn there_is_no_colour_where_the_environment_or_a_pipe_wants_none() {
    let plain = "vault: error: unknown flag \"--jsno\"\nvault: hint: did you mean \"--json\"?\n";
    let test = Test::new().command(["list", "--jsno"]);
    for (name, value) in [("TERM", "dumb"), ("NO_COLOR", "1")] {
        let test = test.clone().env("TERM", "xterm").env("CLICOLOR_FORCE", "1").env(name, value);
        assert_eq!(screen(&test), plain, "{name}");
    }
    // No TERM at all.
    assert_eq!(screen(&test), plain);
    test.env("TERM", "xterm").env("CLICOLOR_FORCE", "1").expect_error(2, plain).run();
}

#[test]
fn doctor_marks_and_sessions_that_expire_soon_are_coloured_and_json_is_not() {
    let (_standin, test) = scene::usual();
    let test = test.env("TERM", "xterm");
    test.command(["exec", "--duration", "15m", "role", "--", "true"]).run();
    let doctor = screen(&test.command(["doctor"]));
    assert!(doctor.contains("\x1b[32mok\x1b[0m "), "{doctor}");
    let list = screen(&test.command(["list"]));
    assert!(list.contains(" \x1b[33mrole:1"), "{list}");
    let list = screen(&test.command(["list", "--sessions"]));
    assert!(list.starts_with("role \x1b[33mrole:1"), "{list}");
    for words in [&["list", "--json"][..], &["doctor", "--json"], &["export", "role"]] {
        let screen = screen(&test.command(words));
        assert!(!screen.contains('\x1b'), "{words:?}: {screen}");
    }
    let forced = test.env("CLICOLOR_FORCE", "1");
    for words in [&["list"][..], &["list", "-l"], &["list", "--sessions"], &["doctor"]] {
        let output = forced.command(words).any_status().run();
        assert!(!output.stdout.contains('\x1b'), "{words:?}: {}", output.stdout);
    }
}
