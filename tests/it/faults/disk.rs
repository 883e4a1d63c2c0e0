//! Disks that are full, read-only, or write less than they were asked to.

use std::path::PathBuf;
use std::process::Command;

use super::CSV;
use super::inject::stops;
use crate::support::builder::Test;
use crate::support::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::vault_file::payload_of;

/// A test whose vault lies on a small file system of its own.
struct Disk {
    test: Test,
    directory: PathBuf,
}

impl Disk {
    fn new() -> Self {
        let test = Test::new().vault_with("demo");
        let (directory, old) = (test.home().join("disk"), test.read(test.vault_file()));
        std::fs::create_dir(&directory).unwrap();
        let vault = directory.join("vault.age");
        let disk = Self { test: test.env("AWS_VAULT_FILE", &vault), directory };
        disk.mount(&["-t", "tmpfs", "-o", "size=64k,mode=0700", "none"]);
        std::fs::write(vault, old).unwrap();
        disk
    }

    fn mount(&self, words: &[&str]) {
        let status = Command::new("mount").args(words).arg(&self.directory).status();
        assert!(status.is_ok_and(|it| it.success()), "mount {words:?}: only root can do that");
    }

    fn add(&self) -> Test {
        self.test.command(["add", "second", "--stdin", "--no-add-config"]).stdin(CSV)
    }

    fn profiles(&self) -> Vec<String> {
        let payload = payload_of(self.directory.join("vault.age"));
        payload.credential_names().map(str::to_owned).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.directory).unwrap();
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|it| name(it).into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.directory).status();
    }
}

#[test]
#[ignore = "needs root"]
fn a_disk_that_fills_up_in_the_middle_leaves_the_old_vault() {
    let disk = Disk::new();
    disk.add().run();
    // A page is left, and the vault is larger: the write is cut short, and the next one fails.
    let ballast = disk.directory.join("ballast");
    for size in (4096..65536).rev().step_by(4096) {
        if std::fs::write(&ballast, vec![0; size]).is_ok() {
            break;
        }
    }
    let error = "vault: error: the vault [HOME]/disk/vault.age was not saved: writing failed: no space left on device\n";
    let room = |pages: u64| {
        let size = ballast.metadata().unwrap().len();
        std::fs::File::options().write(true).open(&ballast).unwrap().set_len(size - pages * 4096)
    };
    disk.add().expect_error(7, error).run();
    room(1).unwrap();
    disk.add().expect_error(7, error).run();
    assert_eq!(disk.profiles(), ["demo", "second"]);
    assert_eq!(disk.names(), ["ballast", "vault.age", "vault.age.lock"]);
    std::fs::remove_file(ballast).unwrap();
    disk.add().run();
}

#[test]
#[ignore = "needs root"]
fn a_read_only_disk_is_read_and_not_written() {
    let disk = Disk::new();
    let list = || disk.test.command(["list", "--credentials"]).expect_stdout("demo\n").run();
    let hint =
        "vault: hint: the file system of its directory is read-only: mount that one writable\n";
    let lock = "vault: error: the vault was not saved: cannot lock \
                [HOME]/disk/vault.age.lock: read-only file system\n";
    for lock_is_there in [false, true] {
        disk.mount(&["-o", "remount,ro"]);
        list();
        disk.add().expect_error(7, &format!("{lock}{hint}")).run();
        disk.mount(&["-o", "remount,rw"]);
        if !lock_is_there {
            std::fs::write(disk.directory.join("vault.age.lock"), "").unwrap();
        }
    }
    assert_eq!(disk.profiles(), ["demo"]);
    disk.add().run();
}

#[test]
#[ignore = "needs strace"]
fn a_write_that_is_cut_short_is_continued() {
    let test = Test::new()
        .vault_with("demo")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY);
    let limit = |pid: i32, size: &str| {
        let words = [format!("--pid={pid}"), format!("--fsize={size}:unlimited")];
        let status = Command::new("prlimit").args(words).status();
        assert!(status.is_ok_and(|it| it.success()), "prlimit");
    };
    let mut short = 0;
    let run = test.command(["add", "second", "--env"]);
    let status = stops(&run, "openat,write", &[], |line, pid| {
        if line.contains("O_CREAT") && line.contains(".tmp-") {
            limit(pid, "10");
        } else if line.trim_end().ends_with("= 10") {
            short += 1;
            limit(pid, "unlimited");
        }
    });
    // The vault's, the memory's and the config's.
    assert_eq!((status, short), (Some(0), 3));
    let list = test.command(["list", "--credentials"]);
    list.expect_stdout("demo\nsecond\n").expect_stderr("").run();
    assert_eq!(test.read(".aws/config"), b"[profile second]\n");
}

#[test]
#[ignore = "needs strace"]
fn a_write_that_only_says_it_was_done_is_noticed() {
    let test = Test::new().vault_with("demo");
    let old = test.read(test.vault_file());
    let words = ["-f", "-o", "/dev/null", "-e", "inject=write:retval=100:when=1"];
    let add = test.command(["add", "second", "--stdin", "--no-add-config"]).stdin(CSV);
    let error = "vault: error: the vault [HOME]/.local/share/vault/vault.age was not saved: what was read back is not what was written\n";
    add.under("strace", words).expect_error(7, error).run();
    assert_eq!(test.read(test.vault_file()), old);
}
