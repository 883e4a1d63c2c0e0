use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

/// (profile, command words) of an exec line.
fn exec(line: &str) -> Result<(Option<String>, Vec<String>)> {
    match parse(&words(line))? {
        Answer::Run(parsed) => match parsed.command {
            Command::Exec(exec) => Ok((
                exec.profile,
                parsed.words.iter().map(|w| w.to_string_lossy().into_owned()).collect(),
            )),
            other => panic!("{other:?}"),
        },
        Answer::Print(text) | Answer::Usage(text) => panic!("{text}"),
    }
}

fn of(profile: &str, command: &str) -> (Option<String>, Vec<String>) {
    (
        (!profile.is_empty()).then(|| profile.to_owned()),
        command.split_whitespace().map(str::to_owned).collect(),
    )
}

#[test]
fn the_clap_definition_holds() {
    definition().debug_assert();
}

#[test]
fn the_version_is_what_clap_prints() {
    assert_eq!(VERSION, Cli::command().render_version());
    for line in ["vault --version", "vault -V", "vault --quiet --version", "vault -V exec"] {
        let Ok(Answer::Print(text)) = parse(&words(line)) else { panic!("{line}") };
        assert_eq!(text, VERSION, "{line}");
    }
}

#[test]
fn the_first_bare_word_is_the_profile_and_the_second_starts_the_command() {
    for (line, profile, command) in [
        ("vault exec prod -- terraform apply", "prod", "terraform apply"),
        ("vault exec prod terraform apply -auto-approve", "prod", "terraform apply -auto-approve"),
        ("vault exec prod git -- x", "prod", "git -- x"),
        ("vault exec prod -- git -- x", "prod", "git -- x"),
        ("vault exec -- ls -l", "", "ls -l"),
        ("vault exec", "", ""),
        ("vault exec prod", "prod", ""),
        ("vault exec --json prod", "prod", ""),
        ("vault exec prod --json", "prod", ""),
        ("vault exec -d 1h prod env", "prod", "env"),
        ("vault exec --duration=1h prod env --json", "prod", "env --json"),
        ("vault exec -nd 1h prod env", "prod", "env"),
        ("vault exec -nd1h prod env", "prod", "env"),
        ("vault --vault f exec -i k prod env -i x", "prod", "env -i x"),
        ("vault -i exec exec prod env", "prod", "env"),
        ("vault exec --no-session --region eu-west-1 prod - x", "prod", "- x"),
        ("aws-vault --backend file --prompt terminal exec prod -- env", "prod", "env"),
        ("aws-vault exec --lazy --stdout prod env", "prod", "env"),
    ] {
        assert_eq!(
            exec(line).unwrap_or_else(|e| panic!("{line}: {e:?}")),
            of(profile, command),
            "{line}"
        );
    }
}

#[test]
fn an_unknown_flag_before_the_command_is_a_usage_error() {
    let error = exec("vault exec --jsno prod env").unwrap_err();
    assert_eq!(error.what, "unknown flag \"--jsno\"");
    assert_eq!(exec("vault exec prod --jsno env").unwrap_err().what, "unknown flag \"--jsno\"");
}

#[test]
fn nothing_that_could_be_a_secret_is_echoed() {
    for line in [
        "vault add prod AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI",
        "vault add prod --wJalrXUtnFEMI",
        "vault add prod --secret=wJalrXUtnFEMI",
        "vault add prod -wJalrXUtnFEMI",
        "vault wJalrXUtnFEMI",
        "vault -i AGE-SECRET-KEY-1QQQwJalrXUtnFEMI list",
        "vault --identity=age-secret-key-1qqqwJalrXUtnFEMI list",
        "vault export --format wJalrXUtnFEMI prod",
        "vault init --passphrase=wJalrXUtnFEMI",
        "vault init --passphrase-memory wJalrXUtnFEMI --passphrase",
    ] {
        let error = parse(&words(line)).unwrap_err();
        assert_eq!(error.class, crate::error::Class::Usage);
        let text = format!("{error:?}").to_lowercase();
        assert!(!text.contains("wjalr"), "{line}: {text}");
        assert!(!text.contains("akia"), "{line}: {text}");
    }
}

#[test]
fn global_flags_stand_before_and_after_and_add_up() {
    let Answer::Run(parsed) =
        parse(&words("vault -i a --vault x list -i b --vault y --quiet")).unwrap()
    else {
        panic!()
    };
    assert_eq!(parsed.global.identity, ["a", "b"].map(std::path::PathBuf::from));
    assert_eq!(parsed.global.vault.as_deref(), Some(std::path::Path::new("y")));
    assert!(parsed.global.quiet);
    let Answer::Run(parsed) = parse(&words("vault -i a recipient -i b list -i c")).unwrap() else {
        panic!()
    };
    assert_eq!(parsed.global.identity.len(), 3);
}

#[test]
fn other_commands_take_nothing_after_a_double_dash() {
    assert!(parse(&words("vault list -- x")).is_err());
    assert!(matches!(parse(&words("vault")), Ok(Answer::Usage(text)) if text.contains("Usage:")));
    assert_eq!(parse(&words("vault --quiet")).unwrap_err().what, "a command is missing");
}

#[test]
fn exec_alone_reads_a_line_as_the_whole_definition_does() {
    let global = Global::augment_args(clap::Command::new("exec"));
    for line in [
        "vault exec prod -- env",
        "vault --vault f -i k --debug exec -nd 1h prod env -h",
        "aws-vault --prompt terminal exec --json prod",
    ] {
        assert!(place_of_exec(&global, &words(line)).is_some(), "{line}");
    }
    for line in [
        "vault",
        "vault list",
        "vault -i exec list",
        "vault -h exec",
        "vault -hi exec",
        "vault --help exec",
        "vault -- exec",
        "vault -n exec",
        "vault -d 1h exec",
    ] {
        assert_eq!(place_of_exec(&global, &words(line)), None, "{line}");
    }
    let help = |line: &str| match parse(&words(line)).unwrap() {
        Answer::Print(text) | Answer::Usage(text) => text,
        Answer::Run(parsed) => panic!("{parsed:?}"),
    };
    assert!(help("vault -hh exec").contains("Commands:"));
    let whole = definition().try_get_matches_from(words("vault exec --help")).unwrap_err();
    assert_eq!(help("vault exec --help"), whole.render().to_string());
}

#[test]
fn what_a_program_reads_is_known_by_its_flag_whichever_the_command() {
    /// The lines of all commands that have `--json`, each with its flag.
    fn lines(command: &clap::Command, line: &str, all: &mut Vec<String>) {
        let values = " a".repeat(command.get_positionals().count());
        if command.get_arguments().any(|arg| arg.get_long() == Some("json")) {
            all.push(format!("{line}{values} --json"));
        }
        for inner in command.get_subcommands() {
            lines(inner, &format!("{line} {}", inner.get_name()), all);
        }
    }
    let mut all = Vec::new();
    lines(&definition(), "vault", &mut all);
    for line in ["vault exec a --json", "vault fleet check --json", "vault totp list --json"] {
        assert!(all.iter().any(|it| it == line), "{line} in {all:?}");
    }
    all.extend([
        "vault export --format json p".to_owned(),
        "vault --vault f exec --json p".to_owned(),
    ]);
    let is_for_a_program = |line: &str| match parse(&words(line)) {
        Ok(Answer::Run(parsed)) => parsed.for_a_program,
        other => panic!("{line}: {other:?}"),
    };
    for line in &all {
        assert!(is_for_a_program(line), "{line}");
    }
    for line in ["vault exec p -- sh --json", "vault list", "vault export p", "vault fleet status"]
    {
        assert!(!is_for_a_program(line), "{line}");
    }
}

#[test]
fn the_commands_that_are_called_by_the_program_s_name_are_all() {
    let clap = definition();
    let shown = clap.get_subcommands().filter(|sub| !sub.is_hide_set());
    let names =
        shown.flat_map(|sub| std::iter::once(sub.get_name()).chain(sub.get_visible_aliases()));
    let mut names: Vec<_> = names.chain(["help"]).collect();
    names.sort_unstable();
    assert_eq!(names, crate::called::COMMANDS);
}
