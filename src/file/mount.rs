//! The file systems on which containers get their secrets.

use std::fs::{File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::os;

/// Magic numbers of statfs(2) that the libc crate lacks.
const RAMFS_MAGIC: i64 = 0x8584_58f6;
const V9FS_MAGIC: i64 = 0x0102_1997;

/// True for a file on tmpfs or ramfs, and on a read-only 9p (gVisor) or virtiofs (Kata), which these
/// show in place of the host's tmpfs. A writable one of these two is an ordinary share.
pub(super) fn is_for_secrets(file: &File, about: &Metadata) -> bool {
    let mountinfo = || std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let read_only = || os::is_read_only(file.as_fd());
    match os::file_system(file.as_fd()) {
        Some(libc::TMPFS_MAGIC | RAMFS_MAGIC) => true,
        Some(V9FS_MAGIC) => read_only(),
        // Virtiofs shares the magic number of FUSE with others, such as sshfs.
        Some(libc::FUSE_SUPER_MAGIC) => {
            read_only() && type_of(&mountinfo(), about.dev()).is_some_and(|kind| kind == "virtiofs")
        }
        _ => false,
    }
}

/// True for a directory on tmpfs or ramfs, whose files are on no disk except in swap.
pub fn is_in_memory(directory: &Path) -> bool {
    let opened = File::open(directory).ok();
    let kind = opened.and_then(|directory| os::file_system(directory.as_fd()));
    matches!(kind, Some(libc::TMPFS_MAGIC | RAMFS_MAGIC))
}

/// The type of the file system with this device number (proc_pid_mountinfo(5): the third field, and the
/// first after the hyphen).
fn type_of(mountinfo: &str, device: u64) -> Option<&str> {
    let device = format!("{}:{}", libc::major(device), libc::minor(device));
    mountinfo.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        (mount.split(' ').nth(2)? == device).then(|| kind.split(' ').next())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tmpfs_is_for_secrets_and_a_disk_is_not() {
        let of = |path: &str| {
            let file = File::open(path).unwrap();
            is_for_secrets(&file, &file.metadata().unwrap())
        };
        assert!(of("/dev/shm"));
        assert!(!of("/proc/self/status"));
        assert!(!of(env!("CARGO_MANIFEST_DIR")));
    }

    #[test]
    fn a_directory_is_in_memory_or_on_a_disk() {
        assert!(is_in_memory(Path::new("/dev/shm")));
        assert!(!is_in_memory(Path::new(env!("CARGO_MANIFEST_DIR"))));
        assert!(!is_in_memory(Path::new("/none")));
    }

    #[test]
    fn the_type_of_a_mount_is_found_by_its_device() {
        let text = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n\
                    36 22 0:45 / /mnt/a\\040b ro,nosuid master:2 - virtiofs share ro\n\
                    37 22 0:46 / /mnt/c ro - fuse.sshfs host: ro\n";
        assert_eq!(type_of(text, libc::makedev(0, 45)), Some("virtiofs"));
        assert_eq!(type_of(text, libc::makedev(0, 46)), Some("fuse.sshfs"));
        assert_eq!(type_of(text, libc::makedev(8, 1)), Some("ext4"));
        assert_eq!(type_of(text, libc::makedev(0, 4)), None);
        assert_eq!(type_of("", 0), None);
    }
}
