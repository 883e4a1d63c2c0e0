//! Limits that a session, a unit or an engine sets (setrlimit(2)). Those of memory: `hostile.rs`; of
//! files while a vault is written: `write.rs`.

use crate::support::builder::Test;
use crate::support::scene::{self, PROFILES};
use crate::support::{ACCESS_KEY_ID, PASSPHRASE};

const CSV: &str = "Access key ID,Secret access key\nAKIAIOSFODNN7EXAMPLE,wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
const ADD: [&str; 4] = ["add", "second", "--stdin", "--no-add-config"];

/// The same run in a shell that prepares something first.
fn after(preparation: &str, test: &Test, words: &[&str]) -> Test {
    let script = format!("{preparation}; exec \"$0\" \"$@\"");
    let test = test.clone().program("sh");
    test.command(["-c", &script, env!("CARGO_BIN_EXE_vault")]).args(words)
}

#[test]
fn a_small_stack_is_enough_and_the_command_keeps_its_limit() {
    let test = Test::new().vault_with_passphrase("demo");
    for kib in ["32", "64", "256", "1024", "unlimited"] {
        // As far as the hard limit lets it.
        let limit = format!("ulimit -s {kib} 2>/dev/null || true; [ \"$(ulimit -s)\" = {kib} ]");
        let shown = ["exec", "-n", "demo", "--", "sh", "-c", "ulimit -s; echo $AWS_ACCESS_KEY_ID"];
        after(&limit, &test, &shown)
            .expect_stdout(format!("{kib}\n{ACCESS_KEY_ID}\n"))
            .expect_stderr("")
            .run();
        after(&limit, &test, &ADD).stdin(CSV).expect_stderr("").run();
    }
    after("ulimit -s 64", &test, &["exec", "--none"]).expect_status(2).expect_stdout("").run();
}

#[test]
fn without_a_larger_stack_there_is_an_error() {
    let test = Test::new().env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    after("ulimit -s 256", &test, &["list"])
        .refuse(&[libc::SYS_clone, libc::SYS_clone3], libc::EAGAIN)
        .expect_error(
            1,
            "vault: error: the stack is limited to 256 KiB, and no thread with a larger one can be \
             started: resource temporarily unavailable\n\
             vault: hint: raise the limit: ulimit -s 8192\n",
        )
        .run();
}

#[test]
fn programs_inherit_the_file_size_signal_as_vault_found_it() {
    let (_standin, test) = scene::usual();
    let helper = "echo \"$(sed -n s/^SigIgn:.//p /proc/self/status)\" >>ignored; \
                  echo '{\"Version\":1,\"AccessKeyId\":\"AKIAIOSFODNN7EXAMPLE\",\
                  \"SecretAccessKey\":\"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\"}'";
    let home = test.home().to_owned();
    let test = test.file("helper", helper, 0o700).config(&format!(
        "{PROFILES}[profile helped]\ncredential_process = sh {}/helper\n",
        home.display()
    ));
    let ignored = |mask: &str| {
        let mask = u64::from_str_radix(mask.trim(), 16).expect("a mask");
        mask & 1 << (libc::SIGXFSZ - 1) != 0
    };
    for (trap, expected) in [("true", false), ("trap '' XFSZ", true)] {
        let show = ["--", "sed", "-n", "s/^SigIgn:.//p", "/proc/self/status"];
        for how in [["exec", "role"].as_slice(), &["exec", "--server", "role"]] {
            let run = after(trap, &test, &[how, show.as_slice()].concat());
            assert_eq!(ignored(&run.run().stdout), expected, "{how:?} {trap}");
        }
        after(trap, &test, &["exec", "-n", "--json", "helped"]).run();
        let told = String::from_utf8(test.read("ignored")).unwrap();
        assert_eq!(ignored(told.lines().last().unwrap()), expected, "a helper, {trap}");
    }
}
