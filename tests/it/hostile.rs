//! Files that somebody made or changed to do harm: none is taken for a vault, and none costs time,
//! memory or an answer that never comes.

mod changed;
mod mounted;
mod odd;

use std::os::unix::process::ExitStatusExt;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::builder::Test;
use crate::support::{AGE_KEY, PASSPHRASE};
use crate::vault_file::{plaintext_of, seal};

/// The address space that a run gets, in KiB. The program itself takes half of it, its heap is what
/// is left: a few times the largest file.
const MEMORY: u32 = 40_000;

/// The CPU time that a refusal may take: hundreds of times what it takes now, a fraction of what one
/// derived key or a quadratic loop over 2 MiB would. Unlike the clock, it does not depend on what else
/// the machine does.
const CPU: Duration = Duration::from_secs(1);

/// The same run with little memory.
fn in_little_memory(test: &Test, words: &[&str]) -> Test {
    let script = format!("ulimit -v {MEMORY}; exec \"$0\" \"$@\"");
    let test = test.clone().program("sh");
    test.command(["-c", script.as_str(), env!("CARGO_BIN_EXE_vault")]).args(words)
}

/// Runs it once more, without output: its status and the processor's time that it took.
#[track_caller]
fn cpu_of(test: &Test) -> (i32, Duration) {
    let pid = test.start().id() as i32;
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
        // SAFETY: a child of ours that nobody else waits for, and two valid out-pointers; all-zero is
        // a valid struct.
        let usage = unsafe {
            assert_eq!(libc::wait4(pid, &mut status, 0, usage.as_mut_ptr()), pid);
            usage.assume_init()
        };
        let time = |time: libc::timeval| {
            Duration::new(time.tv_sec as u64, 0) + Duration::from_micros(time.tv_usec as u64)
        };
        let _ = send.send((status, time(usage.ru_utime) + time(usage.ru_stime)));
    });
    let Ok((status, cpu)) = receive.recv_timeout(Duration::from_secs(60)) else {
        // SAFETY: the child leads its own process group and has not been waited for.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
        panic!("hung: killed after the deadline");
    };
    let status = std::process::ExitStatus::from_raw(status);
    (status.code().expect("an exit code"), cpu)
}

/// A header of these stanzas, with a MAC that nothing makes true and a payload of nothing.
fn file_of(stanzas: &str) -> Vec<u8> {
    let mac = "A".repeat(43);
    let mut file = format!("age-encryption.org/v1\n{stanzas}--- {mac}\n").into_bytes();
    file.extend([0; 32]);
    file
}

fn slot(memory: u64, passes: u32, lanes: u32) -> String {
    let (salt, arg, body) = ("A".repeat(22), "A".repeat(43), "A".repeat(64));
    let slot = format!("-> vault-argon2id-x25519 {salt} {memory} {passes} {lanes}\n{body}\n\n");
    format!("-> X25519 {arg}\n{arg}\n{slot}")
}

#[test]
fn a_hostile_vault_costs_neither_time_nor_memory() {
    let full = format!("{}\n", "a".repeat(64));
    let limit = 2 << 20;
    let fill = |line: &str, size: usize| line.repeat(size / line.len());
    let stanzas = file_of(&"-> a\n\n".repeat(10_000));
    let mib = "[HOME]/hostile.age is over 2 MiB, so not a vault";
    let header = "the vault's header is larger than 16 KiB";
    let costly = "the cost of the vault's passphrase slots is over the limits: each 1 GiB, 16 passes and 4 \
                  lanes, and together 4 GiB times passes";
    let cases: [(&str, Vec<u8>, i32, &str); 13] = [
        ("a header of 20 MB", file_of(&fill("-> a\n\n", 20_000_000)), 6, mib),
        ("10,000 stanzas", stanzas, 6, "the vault's header has more than 32 stanzas"),
        ("one stanza of 2 MB", file_of(&format!("-> a\n{}", fill(&full, limit - 999))), 6, header),
        ("one line of 2 MB", file_of(&format!("-> {}\n\n", "a".repeat(limit - 999))), 6, header),
        ("no line at all", vec![b'a'; limit], 5, "the file is not a vault: it is not an age file"),
        ("argon2 at 4 GiB", file_of(&slot(4 << 20, 1, 4)), 6, costly),
        ("argon2 at 9 TiB", file_of(&slot(9_999_999_999, 1, 4)), 6, costly),
        ("15 slots of 1 GiB", file_of(&slot(1 << 20, 1, 4).repeat(15)), 6, costly),
        ("a pass too many", file_of(&slot(64, 17, 1)), 6, costly),
        (
            "armor of nothing",
            [
                b"-----BEGIN AGE ENCRYPTED FILE-----\n".as_slice(),
                &fill("\n", limit - 99).into_bytes(),
            ]
            .concat(),
            5,
            "the vault file's armor is damaged",
        ),
        (
            "armor without an end",
            format!("-----BEGIN AGE ENCRYPTED FILE-----\n{}", fill(&full, limit - 99)).into_bytes(),
            5,
            "the vault file's armor is damaged",
        ),
        ("blanks", [fill(" ", limit - 99).into_bytes(), stanzas_in_armor()].concat(), 5, "armor"),
        ("a payload of 2 MB", [file_of("-> a\n\n"), vec![0; limit - 999]].concat(), 4, "no key"),
    ];
    let test = Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY);
    let words = ["--vault", "hostile.age", "list"];
    for (name, file, status, what) in cases {
        std::fs::write(test.home().join("hostile.age"), file).unwrap();
        let output = in_little_memory(&test, &words).expect_status(status).expect_stdout("").run();
        let expected = what.replace("[HOME]/", "");
        assert!(output.stderr.contains(&expected), "{name}: {}", output.stderr);
        let (again, cpu) = cpu_of(&test.command(words));
        assert_eq!(again, status, "{name}");
        assert!(cpu < CPU, "{name}: {cpu:?}");
    }
}

fn stanzas_in_armor() -> Vec<u8> {
    b"-----BEGIN AGE ENCRYPTED FILE-----\n".to_vec()
}

/// Nothing is proven before a key is derived, so a forger could ask for all that the format allows.
#[test]
fn a_forged_cost_is_refused_before_a_key_is_derived() {
    let test = Test::new();
    let words = ["--vault", "hostile.age", "list"];
    let file = test.home().join("hostile.age");
    for (stanzas, cost, needed) in [
        (slot(1 << 20, 4, 4), "1024 MiB, and 4096 MiB times", 1024),
        (slot(257 << 10, 1, 1), "257 MiB, and 257 MiB times", 257),
        (slot((256 << 10) + 1, 1, 1), "257 MiB, and 257 MiB times", 257),
        (slot(80 << 10, 13, 4), "80 MiB, and 1040 MiB times", 260),
        (slot(64 << 10, 3, 4).repeat(6), "64 MiB, and 1152 MiB times", 288),
        (slot(8, 1, 1) + &slot(1 << 20, 1, 1), "1024 MiB, and 1025 MiB times", 1024),
    ] {
        std::fs::write(&file, file_of(&stanzas)).unwrap();
        let stderr = format!(
            "vault: error: the cost of the vault's passphrase is over the limit: {cost} passes in all, \
             instead of 256 and 1024\n\
             vault: hint: if the vault was created with it, give --max-passphrase-memory {needed} or \
             AWS_VAULT_MAX_PASSPHRASE_MEMORY={needed}; if not, its header is forged\n"
        );
        for by in ["AWS_VAULT_PASSPHRASE", "AWS_VAULT_FILE_PASSPHRASE"] {
            let test = test.clone().env(by, PASSPHRASE);
            in_little_memory(&test, &words).expect_error(6, &stderr).run();
            let (_, cpu) = cpu_of(&test.command(words));
            assert!(cpu < CPU, "{cost}: {cpu:?}");
        }
        // A key derives nothing, so what is said is that these shares are none.
        let test = test.clone().env("AWS_VAULT_AGE_KEY", AGE_KEY);
        let damaged = "vault: error: the vault's header is damaged\nvault: hint: that is hostile.age: put a backup in its place, or name \
                       another file with --vault\n";
        in_little_memory(&test, &words).expect_error(5, damaged).run();
    }
}

/// The limits leave room for real work: that is seen by a slot at the limit, which is tried.
#[test]
fn a_slot_within_the_limits_is_tried() {
    let test = Test::new().env("AWS_VAULT_PASSPHRASE", PASSPHRASE);
    std::fs::write(test.home().join("hostile.age"), file_of(&slot(64, 16, 4))).unwrap();
    test.command(["--vault", "hostile.age", "list"])
        .expect_error(
            4,
            "vault: error: the passphrase does not open this vault\n\
             vault: hint: tried AWS_VAULT_PASSPHRASE\n",
        )
        .run();
}

/// Whoever knows the public keys can seal any plaintext.
#[test]
fn a_sealed_plaintext_that_nests_too_deep_costs_neither_time_nor_memory() {
    let test = Test::new().vault_with("demo");
    let plain = plaintext_of(&test.read(test.vault_file())).unwrap();
    let plain = String::from_utf8(plain).unwrap();
    let key = ["k"; 79].join(".");
    for text in [
        format!("{key} = {{").repeat(6000),
        format!("{key} = {{").repeat(79) + &"}".repeat(79),
        "a = ".to_owned() + &"[".repeat(1_000_000),
        format!("[{key}]"),
    ] {
        std::fs::write(test.vault_file(), seal(&format!("{text}\n{plain}"), false)).unwrap();
        let stderr = "vault: error: the vault's content nests too deep (line 1)\n\
                      vault: hint: that is [HOME]/.local/share/vault/vault.age: put a backup in its place, \
                      or name another file with --vault\n";
        in_little_memory(&test, &["list"]).expect_error(5, stderr).run();
        let (_, cpu) = cpu_of(&test.command(["list"]));
        assert!(cpu < CPU, "{cpu:?}");
    }
}
