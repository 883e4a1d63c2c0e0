//! `man`: the manual pages.

use std::os::unix::fs::PermissionsExt;

use crate::support::builder::Test;

const README: &str = include_str!("../../README.md");

fn page(words: &[&str]) -> String {
    let test = Test::new().command(["man"]).args(words).expect_stderr("");
    test.run().stdout
}

#[test]
fn a_page_goes_to_stdout() {
    let text = page(&["exec"]);
    let version = env!("CARGO_PKG_VERSION");
    assert!(text.starts_with(&format!(
        ".TH VAULT-EXEC 1 \"\" \"vault {version}\"\n.nh\n.ad l\n.SH NAME\n"
    )));
    assert!(text.contains(".SH EXAMPLES\n.RS 4\n.nf\nvault exec prod \\-\\- terraform apply\n"));
    assert!(page(&[]).starts_with(".TH VAULT 1 "));
    assert!(page(&["recipient", "add"]).contains("\nvault\\-recipient\\-add \\- Add a recipient"));
    assert_eq!(page(&["ls"]), page(&["list"]));
}

#[test]
fn all_pages_go_into_a_directory() {
    let test = Test::new();
    let dir = test.home().join("share/man/man1");
    // It is made, with those above it. A second time over the first.
    for _ in 0..2 {
        test.command(["man", "--dir", "share/man/man1"]).expect_stdout("").expect_stderr("").run();
    }
    let written = std::fs::read_dir(&dir).expect("the pages").count();
    for (file, words) in
        [("vault.1", &[][..]), ("vault-exec.1", &["exec"]), ("vault-totp-add.1", &["totp", "add"])]
    {
        assert_eq!(String::from_utf8(test.read(dir.join(file))).expect("text"), page(words));
        let mode = dir.join(file).metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
    assert!(written > 25, "{written}");
    test.command(["man", "--dir", "share/man/man1/vault.1/none"])
        .expect_error(1, "vault: error: cannot make share/man/man1/vault.1/none: not a directory\n")
        .run();
}

/// HashiCorp's program is `vault`, too, so packages have another name, and their pages that one only.
#[test]
fn pages_carry_the_name_of_the_program() {
    let test = Test::new();
    let packaged = test.home().join("aws-age-vault");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vault"), &packaged).expect("a link");
    let test = test.clone().program(packaged.to_str().expect("a path"));
    test.command(["man", "--dir", "pages"]).expect_stdout("").expect_stderr("").run();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(test.home().join("pages")).expect("the pages") {
        let name = entry.expect("a page").file_name().into_string().expect("a name");
        let page = String::from_utf8(test.read(format!("pages/{name}"))).expect("text");
        let (title, _) = name.rsplit_once('.').expect("a section");
        assert!(page.starts_with(&format!(".TH {} 1 ", title.to_uppercase())), "{page}");
        assert!(!page.contains(" vault exec") && !page.contains("\nvault "), "{page}");
        names.push(name);
    }
    assert!(names.iter().all(|name| name.starts_with("aws-age-vault")), "{names:?}");
    let exec = test.command(["man", "exec"]).expect_stderr("").run().stdout;
    assert!(exec.contains("\naws\\-age\\-vault exec prod \\-\\- terraform apply\n"), "{exec}");
    assert!(exec.contains(".BR aws\\-age\\-vault (1),\n"), "{exec}");
}

#[test]
fn what_has_no_page_is_an_error() {
    let test = Test::new();
    test.command(["man", "nothing"])
        .expect_error(
            2,
            "vault: error: unknown command \"nothing\"\nvault: hint: see vault --help\n",
        )
        .run();
    test.command(["man", "exec", "--dir", "x"])
        .expect_error(
            2,
            "vault: error: [COMMAND]... and --dir <DIR> cannot be used together\n\
             vault: hint: see vault man --help\n",
        )
        .run();
}

/// The README's table and the pages' say the same of the exit codes.
#[test]
fn exit_codes_are_those_of_the_readme() {
    let plain = |text: &str| text.replace("\\-", "-").replace('`', "");
    let text = plain(&page(&[]));
    let (_, rows) = README.split_once("\n## Exit codes\n").expect("a section");
    let rows = rows.lines().skip_while(|line| !line.starts_with("| ")).skip(2);
    let mut count = 0;
    for row in rows.take_while(|line| line.starts_with("| ")) {
        let cells: Vec<_> = row.trim_matches('|').splitn(2, " | ").map(str::trim).collect();
        let wanted = format!(".B {}\n{}\n", cells[0], plain(cells[1]));
        assert!(text.contains(&wanted), "{wanted}");
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
#[ignore = "needs mandoc and groff (see .ci/run)"]
fn the_readers_of_pages_find_no_fault_in_them() {
    let test = Test::new();
    test.command(["man", "--dir", "share/man/man1"]).run();
    for entry in std::fs::read_dir(test.home().join("share/man/man1")).expect("the pages") {
        let path = entry.expect("a page").path();
        let linted = test.command(["-T", "lint", "-W", "warning"]).arg(&path).program("mandoc");
        let said = linted.any_status().run().stdout;
        // The same source gives the same page on every day.
        let said: Vec<_> = said.lines().filter(|line| !line.contains("missing date")).collect();
        assert_eq!(said, [""; 0]);
        // Without colours, bold is written twice.
        let groff = test.command(["-ww", "-man", "-Tutf8", "-P-cbou"]).arg(&path).program("groff");
        let shown = groff.expect_stderr("").run().stdout;
        for section in ["NAME", "SYNOPSIS", "EXAMPLES", "EXIT STATUS", "ENVIRONMENT", "FILES"] {
            assert!(shown.contains(section), "{section}: {shown}");
        }
    }
}
