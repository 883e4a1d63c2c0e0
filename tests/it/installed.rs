//! The package, as somebody gets it: in a Debian without Rust and without the source, beside a package that
//! owns `/usr/bin/vault`, the commands of README.md and docs/ are run by the tests that run them here, with
//! the installed program in the place of the built one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::readme::PLAYED;
use crate::support::documents;
use crate::support::place::TestHome;

const PROGRAM: &str = env!("CARGO_BIN_EXE_vault");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The blocks that are not run there, beside those that are run nowhere, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("exec --vault fixtures/demo/by-key.age", "wants the source: cargo builds it"),
    ("python3 fixtures/open_vault.py", "wants a newer cryptography than Debian 12 has"),
    ("sudo apt install ./aws-age-vault", "is what this test begins with"),
];

/// A Debian in a directory, and what is in it of ours.
struct Debian {
    place: TestHome,
}

impl Debian {
    /// docker/bases makes the image that it comes from.
    fn new() -> Self {
        let place = TestHome::new();
        let script = "id=$(docker create vault-base/debian true)\ntrap 'docker rm \"$id\" >/dev/null' EXIT\n\
                      mkdir root\ndocker export \"$id\" | tar -C root -x";
        shell(Command::new("sh").args(["-euc", script]).current_dir(place.path()));
        Self { place }
    }

    fn root(&self) -> PathBuf {
        self.place.path().join("root")
    }

    /// A path of this machine's, in there.
    fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root().join(path.as_ref().strip_prefix("/").expect("an absolute path"))
    }

    /// The same file at the same path, with its directories.
    fn has(&self, path: impl AsRef<Path>) {
        let there = self.path(&path);
        std::fs::create_dir_all(there.parent().expect("a directory")).expect("directories");
        shell(Command::new("cp").arg("-r").arg(path.as_ref()).arg(there));
    }

    /// What a login shell says there.
    fn says(&self, script: &str) -> String {
        // What is mounted is so in this process's namespace only, and gone with it.
        let mounts = "mount --rbind /dev \"$0/dev\"; mount -t proc proc \"$0/proc\"\n\
                      exec env -i HOME=/root DEBIAN_FRONTEND=noninteractive \
                      PATH=/usr/sbin:/usr/bin:/sbin:/bin \"$(command -v chroot)\" \"$0\" sh -ec \"$1\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-euc", mounts]);
        shell(command.arg(self.root()).arg(script))
    }
}

/// Stdout of a command that has to succeed.
#[track_caller]
fn shell(command: &mut Command) -> String {
    let output = command.output().expect("a command");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// The package of this machine's processor, from `.ci/packages`.
fn package() -> PathBuf {
    let arch = shell(Command::new("dpkg").arg("--print-architecture"));
    let name = format!("aws-age-vault_{}-1_{}.deb", env!("CARGO_PKG_VERSION"), arch.trim());
    let path = Path::new(ROOT).join("target/packages").join(name);
    assert!(path.is_file(), "{} is missing: run .ci/packages", path.display());
    path
}

/// A package with another program of the name `vault`, which runs nothing.
fn install_another_vault(debian: &Debian) {
    let theirs = debian.path("/srv/theirs");
    let file = |path: &str, text: &str| {
        let path = theirs.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("directories");
        std::fs::write(path, text).expect("a file");
    };
    file("usr/bin/vault", "#!/bin/sh\necho 'Vault v1.20.4'\n[ \"$1\" = version ]\n");
    file(
        "DEBIAN/control",
        "Package: vault\nVersion: 1.20.4-1\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\n\
         Description: another program of this name\n",
    );
    debian.says("chmod 755 /srv/theirs/usr/bin/vault; dpkg-deb --build /srv/theirs /srv/vault.deb; dpkg -i /srv/vault.deb");
}

/// README's lines for a package, without sudo, since root runs them; the shell is left as they leave it.
fn install(debian: &Debian) -> String {
    let lines = documents::block("sh", "sudo apt install ./aws-age-vault").replace("sudo ", "");
    let file = lines.split("./").nth(1).and_then(|rest| rest.split_whitespace().next());
    let there = debian.path("/srv").join(file.expect("a file"));
    std::fs::copy(package(), there).expect("the package");
    let asks =
        "echo; command -v vault; command -v aws-vault; vault --version; /usr/bin/vault version";
    debian.says(&format!("cd /srv\n{lines}{asks}"))
}

/// What the tests themselves want: their binary, the pages, fixtures, and a place for homes; the built
/// program's path leads to the installed one.
fn bring_tests(debian: &Debian) -> PathBuf {
    let tests = std::env::current_exe().expect("the tests");
    for path in ["README.md", "docs", "fixtures"] {
        debian.has(Path::new(ROOT).join(path));
    }
    debian.has(&tests);
    // In the place of Debian's package, for which a network would be needed.
    debian.has("/usr/bin/age");
    std::fs::create_dir_all(debian.path(env!("CARGO_TARGET_TMPDIR"))).expect("a directory");
    std::os::unix::fs::symlink("/usr/bin/aws-age-vault", debian.path(PROGRAM)).expect("a link");
    tests
}

#[test]
#[ignore = "needs root, docker, the images of docker/images, age, and the packages of .ci/packages"]
fn readme_and_docs_hold_for_the_package() {
    let debian = Debian::new();
    install_another_vault(&debian);
    let said = install(&debian);
    let links = "/usr/lib/aws-age-vault/bin";
    let version = env!("CARGO_PKG_VERSION");
    let names = format!("\n{links}/vault\n{links}/aws-vault\nvault {version}\nVault v1.20.4\n");
    assert!(said.ends_with(&names), "{said}");

    let tests = bring_tests(&debian);
    let excepted = |part: &str| EXCEPTIONS.iter().any(|(exception, _)| *exception == part);
    let mut played: Vec<_> =
        PLAYED.iter().filter(|(part, _)| !excepted(part)).map(|(_, test)| *test).collect();
    played.sort_unstable();
    played.dedup();
    let names = played.join(" ");
    let run = format!(". ~/.profile; exec {} --include-ignored --exact {names}", tests.display());
    let said = debian.says(&run);
    for test in played {
        assert!(said.contains(&format!("test {test} ... ok\n")), "{test}:\n{said}");
    }

    let left = debian.says("apt-get -q remove -y aws-age-vault >/dev/null; /usr/bin/vault version; ls /usr/bin/*vault*");
    assert_eq!(left, "Vault v1.20.4\n/usr/bin/vault\n");
}
