//! Paths that name an open file descriptor: `-`, `/dev/stdin`, `/dev/fd/N`, and every other path that
//! resolves to an entry of a `fd` directory in procfs (proc_pid_fd(5)).

use std::fs::File;
use std::io::IsTerminal;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path};

use super::meta::{Meta, object_of};
use super::{LINKS, directory_of};
use crate::os;

/// The descriptor that a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Descriptor {
    /// A descriptor of this process, by its number. It may be closed already.
    Own(i32),
    /// A descriptor of another process. It is opened by its path; this process may have inherited a
    /// descriptor for the same file or pipe.
    Foreign,
}

/// The descriptor that a path names; `None` for any other path.
///
/// The usual names are recognised by their spelling, so that they work without /proc. Of any other path
/// the symlinks are followed: a link in procfs whose name is a number is a descriptor, wherever procfs
/// is mounted.
pub fn descriptor(path: &Path) -> Option<Descriptor> {
    if path.as_os_str() == "-" {
        return Some(Descriptor::Own(0));
    }
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        if let Some(number) = usual_name(&path) {
            return Some(Descriptor::Own(number));
        }
        let name = path.file_name()?;
        let directory = directory_of(&path).canonicalize().ok()?;
        let link = directory.join(name);
        let target = std::fs::read_link(&link).ok()?;
        if let Some(number) = number(name.to_str()?)
            && os::is_procfs(&directory)
        {
            let meant = link.metadata().ok()?;
            let own = open_file(number).and_then(|file| file.metadata().ok());
            let is_own =
                own.is_some_and(|own| (own.dev(), own.ino()) == (meant.dev(), meant.ino()));
            return Some(if is_own { Descriptor::Own(number) } else { Descriptor::Foreign });
        }
        path = directory.join(target);
    }
    None
}

/// The number in `/dev/stdin`, `/dev/fd/N`, `/proc/self/fd/N` or `/proc/thread-self/fd/N`, repeated
/// slashes allowed.
fn usual_name(path: &Path) -> Option<i32> {
    let mut parts = path.components();
    if parts.next() != Some(Component::RootDir) {
        return None;
    }
    let parts: Option<Vec<&str>> = parts.map(|part| part.as_os_str().to_str()).collect();
    match parts?[..] {
        ["dev", "stdin"] => Some(0),
        ["dev", "fd", name] | ["proc", "self" | "thread-self", "fd", name] => number(name),
        _ => None,
    }
}

/// The number as procfs writes it: decimal, without sign and leading zeros.
fn number(name: &str) -> Option<i32> {
    name.parse().ok().filter(|number: &i32| number.to_string() == name && *number >= 0)
}

/// A copy of an inherited descriptor.
fn open_file(number: i32) -> Option<File> {
    os::duplicate(number).ok().map(File::from)
}

/// Closes the descriptor from which a key was read, and every other inherited descriptor for the same
/// file, pipe or socket, so that no child reads the key; stdin becomes /dev/null. Stdout, stderr and
/// terminals stay open: a terminal does not keep what was read from it.
pub fn close_inherited(from: Descriptor, read: &Meta) {
    for number in os::inherited() {
        let Some(file) = open_file(number) else { continue };
        let same = || {
            let object = file.metadata().ok().and_then(|about| object_of(&about));
            object.is_some() && object == read.object
        };
        if file.is_terminal() || !(from == Descriptor::Own(number) || same()) {
            continue;
        }
        // An error means that the descriptor is closed already.
        let _ = if number == 0 { os::null_onto_stdin() } else { os::close(number) };
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::fs::symlink;

    use super::super::testing::Directory;
    use super::*;

    fn of(path: impl AsRef<Path>) -> Option<Descriptor> {
        descriptor(path.as_ref())
    }

    #[test]
    fn the_usual_names_need_no_proc() {
        for (path, number) in [
            ("-", 0),
            ("/dev/stdin", 0),
            ("//dev/./stdin", 0),
            ("/dev/fd/9", 9),
            ("/dev//fd/9", 9),
            ("/dev/fd/./9", 9),
            ("/proc/self/fd/1234", 1234),
            ("/proc/thread-self/fd/9", 9),
        ] {
            assert_eq!(of(path), Some(Descriptor::Own(number)), "{path}");
        }
        for path in [
            "",
            "/",
            "./-",
            "/dev/fd",
            "/dev/fd/",
            "/dev/fd/+9",
            "/dev/fd/09",
            "/dev/fd/-1",
            "fd/9",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_that_resolves_to_a_descriptor_is_one() {
        let d = Directory::new();
        let (reader, _writer) = io::pipe().unwrap();
        let n = os::testing::without_close_on_exec(&reader);
        let pid = std::process::id();
        for (link, target) in [
            ("direct", format!("/dev/fd/{n}")),
            ("relative", "direct".to_owned()),
            ("above", format!("../../../../../../../proc/self/fd/{n}")),
            ("directory", "/proc/self/fd".to_owned()),
        ] {
            symlink(target, d.path.join(link)).unwrap();
        }
        let own = Some(Descriptor::Own(n));
        for path in [
            format!("/proc/self/../self/fd/{n}"),
            format!("/proc/{pid}/fd/{n}"),
            format!("/proc/self/task/{pid}/fd/{n}"),
            format!("/dev/../dev/fd/../fd/{n}"),
            format!("/proc/self/root/proc/self/fd/{n}"),
        ] {
            assert_eq!(of(&path), own, "{path}");
        }
        for link in ["direct", "relative", "above", &format!("directory/{n}")] {
            assert_eq!(of(d.path.join(link)), own, "{link}");
        }
        os::close(n).unwrap();
        assert_eq!(of(format!("/proc/{pid}/fd/{n}")), None, "nothing is there");
        assert_eq!(of(d.path.join("direct")), own, "it is named, and is not open");
    }

    #[test]
    fn another_process_s_descriptor_is_not_this_one_s() {
        let mut other = std::process::Command::new("sleep");
        let mut other = other.arg("60").stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert_eq!(of(format!("/proc/{}/fd/0", other.id())), Some(Descriptor::Foreign));
        other.kill().and_then(|()| other.wait()).unwrap();
    }

    #[test]
    fn a_file_is_no_descriptor() {
        let d = Directory::new();
        std::fs::write(d.path.join("9"), "x").unwrap();
        symlink("9", d.path.join("8")).unwrap();
        symlink("7", d.path.join("7")).unwrap();
        for name in ["9", "8", "7", "none", "none/9"] {
            assert_eq!(of(d.path.join(name)), None, "{name}");
        }
        for path in ["/proc/self/exe", "/proc/self/fdinfo/0", "/proc/self/ns/pid", "/proc/1"] {
            assert_eq!(of(path), None, "{path}");
        }
    }
}
