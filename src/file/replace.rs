//! Replacing a file so that at every moment either the old or the new one is there, complete.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::attributes::{Existing, set_attributes, set_mode};
use super::directory_of;
use super::lock::Lock;
use super::read::{ReadError, read_regular};
use super::replace_error::{ReplaceError, failed, not_saved};
use super::temporary::{Temporary, remove_temporaries};
use crate::error::os_text;

/// Puts `bytes` in the place of `target`, a resolved path whose lock the caller holds.
///
/// Stale temporary files are removed. A new one is written beside the target, gets the old one's mode, owner,
/// group and access control list, is synced, read back by another open and passed to `verify`. Then it is
/// renamed over the target and the directory is synced. A failed fsync is not repeated: the kernel may have
/// dropped the data and report success the next time.
///
/// # Errors
/// [`ReplaceError`]; except for `NotDurable` the old file is unchanged and the temporary one removed.
pub fn replace(
    lock: &Lock,
    target: &Path,
    bytes: &[u8],
    existing: Existing<'_>,
    verify: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<(), ReplaceError> {
    let name = target.file_name().ok_or_else(|| not_saved("it has no name"))?;
    let path = directory_of(target);
    let directory = File::open(path).map_err(failed("the directory cannot be opened"))?;
    let about = directory.metadata().map_err(failed("the directory cannot be looked at"))?;
    if !about.is_dir() {
        return Err(not_saved("its parent is not a directory"));
    }
    if is_unsafe(about.mode()) {
        return Err(ReplaceError::UnsafeDirectory);
    }
    remove_temporaries(target);
    if matches!(existing, Existing::New { .. }) {
        match target.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed("its place cannot be looked at")(error)),
            Ok(_) => return Err(not_saved("a file of that name has appeared")),
        }
    }

    let mut temporary = Temporary::create(path, name)
        .map_err(failed("a temporary file beside it cannot be made"))?;
    temporary.file.write_all(bytes).map_err(failed("writing failed"))?;
    set_attributes(&temporary.file, target, existing)?;
    temporary.file.sync_all().map_err(failed("the disk did not store it"))?;
    let read_back = match read_regular(&temporary.path, bytes.len() as u64) {
        Ok((read_back, _)) => read_back,
        Err(ReadError::Io(error)) => return Err(failed("reading it back failed")(error)),
        Err(_) => return Err(not_saved("what was read back is not what was written")),
    };
    if *read_back != bytes || !verify(&read_back) {
        return Err(not_saved("what was read back is not what was written"));
    }
    if !lock.is_current().map_err(failed("its lock cannot be read"))? {
        return Err(not_saved("another writer has taken the lock over; try again"));
    }
    std::fs::rename(&temporary.path, target).map_err(failed("renaming failed"))?;
    temporary.kept = true;
    directory.sync_all().map_err(|error| ReplaceError::NotDurable(os_text(&error)))
}

/// Puts `bytes` in the place of `target` by rename and without a sync: for what may be lost, but must
/// never be seen half written. After an error the old file is unchanged and the temporary one removed.
pub fn replace_quickly(target: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let name = target.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut temporary = Temporary::create(directory_of(target), name)?;
    temporary.file.write_all(bytes)?;
    set_mode(&temporary.file, mode)?;
    std::fs::rename(&temporary.path, target)?;
    temporary.kept = true;
    Ok(())
}

/// True if all users may rename and remove files in this directory: world-writable, no sticky bit.
pub fn is_unsafe_directory(directory: &Path) -> bool {
    directory.metadata().is_ok_and(|about| is_unsafe(about.mode()))
}

fn is_unsafe(mode: u32) -> bool {
    mode & 0o002 != 0 && mode & 0o1000 == 0
}

/// Makes a file that must not exist yet, with exactly this mode, and syncs it and its directory. A
/// file that could not be finished is removed.
///
/// # Errors
/// `AlreadyExists` (a dangling symlink counts), or what the system says.
pub fn create_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let directory = File::open(directory_of(path))?;
    let mut made = Temporary::at(path.to_owned(), mode & 0o600)?;
    made.file.write_all(bytes)?;
    set_mode(&made.file, mode)?;
    made.file.sync_all()?;
    directory.sync_all()?;
    made.kept = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use std::time::Duration;

    use super::super::Meta;
    use super::super::testing::Directory;
    use super::*;

    fn yes(_: &[u8]) -> bool {
        true
    }

    /// [`replace`] under the lock.
    fn put(
        path: &Path,
        bytes: &[u8],
        existing: Existing<'_>,
        verify: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), ReplaceError> {
        let lock = super::super::lock(path, Duration::from_secs(45), "tests").unwrap();
        let done = replace(&lock, path, bytes, existing, verify);
        std::fs::remove_file(path.with_extension("age.lock")).unwrap();
        done
    }

    #[test]
    fn the_mode_of_the_old_file_is_kept() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        put(&path, b"one", Existing::New { mode: 0o600 }, &mut yes).unwrap();
        assert_eq!(read_regular(&path, 99).unwrap().1.mode, 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o664)).unwrap();
        let (_, meta) = read_regular(&path, 99).unwrap();
        let mut seen = Vec::new();
        let mut verify = |bytes: &[u8]| {
            seen = bytes.to_vec();
            true
        };
        put(&path, b"two", Existing::Keep(&meta), &mut verify).unwrap();
        assert_eq!(seen, b"two");
        let (bytes, meta) = read_regular(&path, 99).unwrap();
        assert_eq!((bytes.as_slice(), meta.mode), (b"two".as_slice(), 0o664));
        assert_eq!(d.names(), ["vault.age"]);
    }

    #[test]
    fn owner_and_group_are_kept_or_the_write_is_refused() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        std::fs::write(&path, "one").unwrap();
        let (_, mut meta) = read_regular(&path, 99).unwrap();
        meta.uid = 12345;
        meta.gid = 54321;
        let result = put(&path, b"two", Existing::Keep(&meta), &mut yes);
        if crate::os::effective_uid() == 0 {
            result.unwrap();
            let (_, now) = read_regular(&path, 99).unwrap();
            assert_eq!((now.uid, now.gid), (12345, 54321));
        } else {
            let Err(ReplaceError::NotSaved(what, None)) = result else { panic!("{result:?}") };
            assert!(what.starts_with("owner and group of the old file cannot be kept"), "{what}");
            assert_eq!(std::fs::read(&path).unwrap(), b"one");
        }
        assert_eq!(d.names(), ["vault.age"]);
    }

    #[test]
    fn a_failed_verification_leaves_the_old_file_only() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        std::fs::write(&path, "old").unwrap();
        let (_, meta) = read_regular(&path, 99).unwrap();
        let result = put(&path, b"new", Existing::Keep(&meta), &mut |_| false);
        assert!(matches!(result, Err(ReplaceError::NotSaved(_, None))), "{result:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(d.names(), ["vault.age"]);
    }

    #[test]
    fn stale_temporary_files_are_removed_and_others_are_not() {
        let d = Directory::new();
        for name in [".vault.age.tmp-12-00ff", ".other.tmp-12-00ff", ".vault.age.tmp-mine!"] {
            std::fs::write(d.path.join(name), "x").unwrap();
        }
        let path = d.path.join("vault.age");
        put(&path, b"new", Existing::New { mode: 0o600 }, &mut yes).unwrap();
        assert_eq!(d.names(), [".other.tmp-12-00ff", ".vault.age.tmp-mine!", "vault.age"]);
    }

    #[test]
    fn a_world_writable_directory_is_refused_without_the_sticky_bit() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        std::fs::set_permissions(&d.path, Permissions::from_mode(0o777)).unwrap();
        let result = put(&path, b"new", Existing::New { mode: 0o600 }, &mut yes);
        assert_eq!(result, Err(ReplaceError::UnsafeDirectory));
        assert!(d.names().is_empty());
        std::fs::set_permissions(&d.path, Permissions::from_mode(0o1777)).unwrap();
        put(&path, b"new", Existing::New { mode: 0o600 }, &mut yes).unwrap();
    }

    #[test]
    fn a_writer_that_lost_the_lock_saves_nothing() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        std::fs::write(&path, "old").unwrap();
        let (_, meta) = read_regular(&path, 99).unwrap();
        let lock = super::super::lock(&path, Duration::ZERO, "tests").unwrap();
        // While the new file is being written, another process takes the lock over.
        let mut take_over = |_: &[u8]| {
            std::fs::remove_file(d.path.join("vault.age.lock")).unwrap();
            std::fs::write(d.path.join("vault.age.lock"), "").unwrap();
            true
        };
        let result = replace(&lock, &path, b"new", Existing::Keep(&meta), &mut take_over);
        let what = "another writer has taken the lock over; try again".to_owned();
        assert_eq!(result, Err(ReplaceError::NotSaved(what, None)));
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(d.names(), ["vault.age", "vault.age.lock"]);
    }

    #[test]
    fn a_new_file_replaces_no_other() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        symlink("elsewhere", &path).unwrap();
        let result = put(&path, b"new", Existing::New { mode: 0o600 }, &mut yes);
        assert!(matches!(result, Err(ReplaceError::NotSaved(_, None))), "{result:?}");
        let refused = create_new(&path, b"key", 0o600).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
        assert_eq!(d.names(), ["vault.age"]);
        create_new(&d.path.join("identity.txt"), b"key", 0o600).unwrap();
        let (bytes, meta) = read_regular(&d.path.join("identity.txt"), 99).unwrap();
        assert_eq!((bytes.as_slice(), meta.mode), (b"key".as_slice(), 0o600));
    }

    #[test]
    fn a_rename_that_fails_leaves_no_temporary_file() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        std::fs::create_dir(&path).unwrap();
        let meta = Meta { mode: 0o600, uid: 0, gid: 0, for_secrets: false, len: 0, object: None };
        let meta =
            Meta { uid: crate::os::effective_uid(), gid: d.path.metadata().unwrap().gid(), ..meta };
        let result = put(&path, b"new", Existing::Keep(&meta), &mut yes);
        let Err(ReplaceError::NotSaved(what, None)) = result else { panic!("{result:?}") };
        assert_eq!(what, "renaming failed: is a directory");
        assert_eq!(d.names(), ["vault.age"]);
    }

    #[test]
    fn errors_of_a_mounted_file_carry_the_hint() {
        let mount = "mount the directory, not the file";
        let read_only = "the file system of its directory is read-only: mount that one writable";
        for (number, advice) in
            [(libc::EBUSY, mount), (libc::EXDEV, mount), (libc::EROFS, read_only)]
        {
            let error = failed("renaming failed")(io::Error::from_raw_os_error(number));
            let ReplaceError::NotSaved(_, hint) = error else { panic!("{error:?}") };
            assert_eq!(hint, Some(advice));
        }
    }

    #[test]
    fn no_update_is_lost_and_readers_always_see_a_whole_file() {
        let d = Directory::new();
        let path = d.path.join("vault.age");
        let read = || {
            let (bytes, meta) = read_regular(&path, 1 << 20).unwrap();
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            assert_eq!(text.len(), 5000, "a torn file");
            (text.trim().parse::<u32>().unwrap(), meta)
        };
        let content = |count: u32| format!("{count:5000}");
        put(&path, content(0).as_bytes(), Existing::New { mode: 0o600 }, &mut yes).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10 {
                        read();
                        let lock =
                            super::super::lock(&path, Duration::from_secs(45), "tests").unwrap();
                        let (count, meta) = read();
                        let bytes = content(count + 1);
                        replace(&lock, &path, bytes.as_bytes(), Existing::Keep(&meta), &mut yes)
                            .unwrap();
                    }
                });
            }
        });
        assert_eq!(read().0, 40);
        assert_eq!(d.names(), ["vault.age", "vault.age.lock"]);
    }
}
