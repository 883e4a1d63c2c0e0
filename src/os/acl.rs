//! POSIX access control lists (acl(5)), in the form in which the kernel keeps them: an extended
//! attribute of a header and entries of eight bytes (linux/posix_acl_xattr.h).

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use rustix::fs::{XattrFlags, fremovexattr, fsetxattr, lgetxattr};
use rustix::io::Errno;

const NAME: &str = "system.posix_acl_access";
/// XATTR_SIZE_MAX of linux/limits.h, in bytes.
const LARGEST: usize = 65536;
/// The version, four bytes.
const HEADER: usize = 4;
/// Tag and permissions, two bytes each, and an id of four; all little-endian.
const ENTRY: usize = 8;
/// The entries of the file's owner, of its group, and of what all but the owner may do at most.
const USER_OBJ: u16 = 0x01;
const GROUP_OBJ: u16 = 0x04;
const MASK: u16 = 0x10;
/// The permission to write.
const WRITE: u8 = 0o2;

/// The access control list of a file; `None` if there is only the mode, or the file system has no lists. A
/// symlink is not followed.
pub fn acl(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut list = vec![0; LARGEST];
    match lgetxattr(path, NAME, &mut list[..]) {
        Ok(length) => {
            list.truncate(length);
            Ok(Some(list))
        }
        Err(error) => unless_none(error).map(|()| None),
    }
}

/// Sets the access control list of an open file, which also sets its mode; or removes it, if there is
/// one, which leaves the mode.
pub fn set_acl(file: BorrowedFd<'_>, list: Option<&[u8]>) -> io::Result<()> {
    match list {
        Some(list) => Ok(fsetxattr(file, NAME, list, XattrFlags::empty())?),
        None => fremovexattr(file, NAME).or_else(unless_none),
    }
}

/// A missing list, and a file system without lists, is no error.
fn unless_none(error: Errno) -> io::Result<()> {
    match error {
        Errno::NODATA | Errno::NOTSUP | Errno::NOSYS => Ok(()),
        _ => Err(error.into()),
    }
}

/// The list for a lock file: those who may write, and the owner, may read and write, and all others nothing.
pub fn only_writers(mut list: Vec<u8>) -> Vec<u8> {
    for entry in list.get_mut(HEADER..).unwrap_or_default().chunks_exact_mut(ENTRY) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        let writes = tag == USER_OBJ || entry[2] & WRITE != 0;
        entry[2] = if writes { 0o6 } else { 0 };
    }
    list
}

/// True if the list lets the file's group write it.
pub fn lets_group_write(list: &[u8]) -> bool {
    let entries = list.get(HEADER..).unwrap_or_default().chunks_exact(ENTRY);
    let mut of_group = entries
        .filter(|entry| [GROUP_OBJ, MASK].contains(&u16::from_le_bytes([entry[0], entry[1]])));
    of_group.all(|entry| entry[2] & WRITE != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A list of what the owner, user 4711, the owning group, the mask and all others may do.
    fn list(permissions: [u8; 5]) -> Vec<u8> {
        let entries = [(0x01, None), (0x02, Some(4711)), (0x04, None), (0x10, None), (0x20, None)];
        let mut list = 2u32.to_le_bytes().to_vec();
        for ((tag, id), allowed) in entries.into_iter().zip(permissions) {
            list.extend([tag, 0, allowed, 0]);
            list.extend(id.unwrap_or(u32::MAX).to_le_bytes());
        }
        list
    }

    #[test]
    fn users_who_may_not_write_may_not_lock() {
        assert_eq!(only_writers(list([6, 6, 4, 6, 4])), list([6, 6, 0, 6, 0]));
        assert_eq!(only_writers(list([4, 4, 7, 2, 0])), list([6, 0, 6, 6, 0]));
        assert_eq!(only_writers(vec![2, 0]), [2, 0]);
    }

    #[test]
    fn the_group_may_write_if_its_entry_and_the_mask_say_so() {
        assert!(lets_group_write(&list([4, 4, 6, 6, 4])));
        for no in [list([6, 6, 4, 6, 6]), list([6, 6, 6, 4, 6])] {
            assert!(!lets_group_write(&no));
        }
    }

    #[test]
    fn what_has_no_list_has_none_and_what_is_missing_is_an_error() {
        assert_eq!(acl(Path::new("/proc/self/status")).unwrap(), None);
        assert_eq!(
            acl(Path::new("/dev/null/none")).unwrap_err().raw_os_error(),
            Some(libc::ENOTDIR)
        );
    }
}
