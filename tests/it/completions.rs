//! `completions`: in real shells on a terminal, with the keys that a person presses.

use std::time::Duration;

use crate::support::builder::Test;

const SOON: Duration = Duration::from_secs(60);

const CONFIG: &str = "[profile prod]\nregion = eu-central-1\n[profile preprod]\nregion = x\n\
                      [profile sso:admin]\nregion = x\n[profile a@b]\nregion = x\n\
                      [profile -n]\nregion = x\n";

/// In the place of the program: what a script asks goes to `ask`, what is run is written down.
fn stand_in(ask: &str) -> String {
    format!(
        "#!/bin/sh\ncase $1 in\n__complete) {ask} ;;\n*) printf '%s\\n' \"$*\" >>got ;;\nesac\n"
    )
}

/// A home in which all names are that program.
fn place(ask: &str) -> Test {
    let test = Test::new().config(CONFIG).on_path("real").env("TERM", "dumb");
    let program = stand_in(ask);
    let names = ["bin/vault", "bin/aws-vault", "bin/aws-age-vault"];
    names.into_iter().fold(test, |test, name| test.file(name, &program, 0o755))
}

/// Starts the shell with the script of completions in it, presses the keys and gives what was run.
fn pressed(test: &Test, shell: &str, keys: &str) -> String {
    pressed_after(test, shell, ":", keys)
}

/// The program by its packages' name.
fn packaged(test: &Test) -> Test {
    let link = test.home().join("aws-age-vault");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vault"), &link).expect("a link");
    }
    test.clone().program(link.to_str().expect("a path"))
}

/// The same, with something run in the shell before.
fn pressed_after(test: &Test, shell: &str, before: &str, keys: &str) -> String {
    let script = |test: &Test| test.command(["completions", shell]).expect_stderr("").run();
    // Of both names: they do not get into each other's way.
    let scripts = [script(test).raw_stdout, script(&packaged(test)).raw_stdout]
        .map(|script| String::from_utf8(script).expect("text"));
    let [own, packaged] = scripts;
    let test = test.clone().file("script", own, 0o644).file("packaged", packaged, 0o644);
    let (words, start): (&[&str], _) = match shell {
        "bash" => (&["--norc", "--noprofile", "-i"], ":"),
        "zsh" => (&["-f", "-i"], "autoload -U compinit; compinit -u -D"),
        _ => (&["-i"], ":"),
    };
    let start = format!("{start}; source ./script; source ./packaged");
    let mut pty = test.command(words).program(shell).pty();
    // What is typed before the shell reads may be thrown away.
    pty.send(&format!("{before}; {start}; echo re''ady"));
    pty.expect("ready", SOON);
    pty.press(keys);
    pty.send("exit");
    let (_, screen) = pty.end(SOON);
    let got = test.home().join("got");
    std::fs::read_to_string(got).unwrap_or_else(|_| panic!("nothing was run:\n{screen}"))
}

/// Keys, and the command line that they make.
const TYPED: [(&str, &str); 16] = [
    ("aws-age-vault exec prep\t", "exec preprod"),
    ("aws-age-vault exec prod -- unique-p\t", "exec prod -- unique-program"),
    ("vault exec prep\t", "exec preprod"),
    ("aws-vault exec prep\t", "exec preprod"),
    ("vault exec sso:\t", "exec sso:admin"),
    ("vault exec a\t", "exec a@b"),
    ("vault exec --no-s\tprep\t", "exec --no-session preprod"),
    ("vault exec -d 1h --region=x prep\t", "exec -d 1h --region=x preprod"),
    ("vault exec prod -- unique-p\t", "exec prod -- unique-program"),
    ("vault exec prod unique-p\t", "exec prod unique-program"),
    ("vault exec -- unique-program fi\t", "exec -- unique-program filed"),
    ("vault rem\tprep\t", "remove preprod"),
    ("vault export --format dote\tprep\t", "export --format dotenv preprod"),
    ("vault serve --profile prep\t", "serve --profile preprod"),
    ("vault totp co\tprep\t", "totp code preprod"),
    ("vault recip\trem\tme", "recipient remove me"),
];

/// No vault is there, and nothing could unlock one.
fn completes(shell: &str) {
    let test = place("exec real \"$@\"");
    let test = test.file("bin/unique-program", "#!/bin/sh\n", 0o755).file("filed", "", 0o644);
    let keys: Vec<_> = TYPED.iter().map(|(keys, _)| format!("{keys}\n")).collect();
    let wanted: Vec<_> = TYPED.iter().map(|(_, wanted)| *wanted).collect();
    let got = pressed(&test, shell, &keys.concat());
    assert_eq!(got.lines().map(str::trim_end).collect::<Vec<_>>(), wanted);
}

/// The parser of the AWS config lets none of these through; the scripts do not count on that.
const ODD: [&str; 15] = [
    "pre prod",
    "$(touch ran)",
    "`touch ran`",
    "a;touch ran",
    "a&touch ran&",
    "a|touch ran",
    "a>ran",
    "it's",
    "\"so\"",
    "$HOME",
    "*",
    "{a,b}",
    "#a",
    "!x",
    "a\\b",
];

fn runs_no_name(shell: &str) {
    // One name at a time: the one after those that were run.
    let ask = "echo profile; sed -n \"$(($(cat got 2>/dev/null | wc -l) + 1))p\" names";
    let test = place(ask).file("names", ODD.join("\n"), 0o644);
    let got = pressed(&test, shell, &"vault exec \t\n".repeat(ODD.len()));
    let got: Vec<_> = got.lines().collect();
    let wanted: Vec<_> = ODD.iter().map(|name| format!("exec {name}")).collect();
    assert_eq!(got, wanted);
    assert!(!test.home().join("ran").exists());
}

#[test]
fn bash_completes_commands_flags_profiles_and_the_command_of_exec() {
    completes("bash");
}

#[test]
fn bash_runs_nothing_of_a_profile_s_name() {
    runs_no_name("bash");
}

/// bash-completion's own names for it, old and new.
#[test]
fn bash_completion_is_told_where_the_command_of_exec_begins() {
    for function in ["_command_offset", "_comp_command_offset"] {
        let test = place("exec real \"$@\"");
        let before = format!("{function}() {{ COMPREPLY=(\"word$1\"); }}");
        // A colon and an equals sign part words in bash, and nowhere else.
        let keys = "vault exec --duration=1h sso:admin -- git w\t\n";
        let got = pressed_after(&test, "bash", &before, keys);
        assert_eq!(got, "exec --duration=1h sso:admin -- git word9\n");
    }
}

#[test]
#[ignore = "needs zsh (see .ci/run)"]
fn zsh_completes_commands_flags_profiles_and_the_command_of_exec() {
    completes("zsh");
}

#[test]
#[ignore = "needs zsh (see .ci/run)"]
fn zsh_runs_nothing_of_a_profile_s_name() {
    runs_no_name("zsh");
}

#[test]
#[ignore = "needs fish (see .ci/run)"]
fn fish_completes_commands_flags_profiles_and_the_command_of_exec() {
    completes("fish");
}

#[test]
#[ignore = "needs fish (see .ci/run)"]
fn fish_shows_what_values_mean_as_the_help_does() {
    let test = Test::new().on_path("vault");
    let script = test.command(["completions", "fish"]).run().raw_stdout;
    let test = test.file("vault.fish", script, 0o644).env("env", "expanded");
    let asked = "source vault.fish; complete -C 'vault export --format '";
    let shown = test.command(["-c", asked]).program("fish").run().stdout;
    for line in ["powershell\t`$env:` lines for PowerShell\n", "fish\t`set -gx` lines for fish\n"] {
        assert!(shown.contains(line), "{shown}");
    }
}

#[test]
#[ignore = "needs fish (see .ci/run)"]
fn fish_runs_nothing_of_a_profile_s_name() {
    runs_no_name("fish");
}

#[test]
#[ignore = "needs zsh and fish (see .ci/run)"]
fn the_shells_find_no_fault_in_the_scripts() {
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let test = Test::new();
        let script = test.command(["completions", shell]).expect_stderr("").run().raw_stdout;
        let test = test.file("script", script, 0o644);
        test.command([flag, "script"]).program(shell).expect_stdout("").expect_stderr("").run();
    }
}

#[test]
fn other_shells_have_a_script_of_clap_s() {
    for shell in ["elvish", "powershell"] {
        let test = Test::new().command(["completions", shell]).expect_stderr("");
        assert!(test.run().stdout.contains("min-generation"));
    }
    Test::new()
        .command(["completions", "tcsh"])
        .expect_error(
            2,
            "vault: error: <SHELL> takes one of: bash, elvish, fish, powershell, zsh, not \"tcsh\"\n\
             vault: hint: see vault completions --help\n",
        )
        .run();
    Test::new()
        .command(["completions"])
        .expect_error(
            2,
            "vault: error: <SHELL> is missing\nvault: hint: see vault completions --help\n",
        )
        .run();
}

#[test]
fn names_come_from_the_config_without_a_vault_and_never_with_an_error() {
    let ask = |test: &Test, words: &[&str]| {
        let test = test.command(["__complete", "--"]).args(words).expect_stderr("");
        test.run().stdout
    };
    let test = Test::new().config(CONFIG);
    // What begins with a dash would be a flag.
    let names = "profile\na@b\npreprod\nprod\nsso:admin\n";
    assert_eq!(ask(&test, &["exec", ""]), names);
    // The shell knows which of them fit.
    assert_eq!(ask(&test, &["exec", "--region", "x", "pr"]), names);
    assert_eq!(ask(&test, &["exec", "prod", "--", "l"]), "command 3\n");
    assert_eq!(ask(&test, &["exec", "--dura"]), "");
    assert_eq!(ask(&test, &[]), "");
    let sorry = "profile\n";
    assert_eq!(ask(&Test::new(), &["exec", ""]), sorry);
    let no_file = Test::new().file(".aws/config/in-it", "", 0o644);
    assert_eq!(ask(&no_file, &["exec", ""]), sorry);
    let half = test.clone().config("[profile prod\n");
    assert_eq!(ask(&half, &["exec", ""]), "profile\nprod\n");
    assert_eq!(ask(&test.env_remove("HOME"), &["exec", ""]), sorry);
}
