//! Whether other users can read or change a key file, by its owner and mode.

use crate::file::Meta;
use crate::os;

/// The ids of this process to which a file's owner and mode are compared.
#[derive(Debug)]
pub(super) struct Ids {
    uid: u32,
    /// The effective group and the supplementary ones.
    groups: Vec<u32>,
    /// The uid that the kernel shows for an owner that this user namespace does not map.
    unknown: Option<u32>,
}

impl Ids {
    /// This process's own.
    pub fn current() -> Self {
        let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let overflow = text("/proc/sys/kernel/overflowuid");
        Self {
            uid: os::effective_uid(),
            groups: os::groups(),
            unknown: unknown(&text("/proc/self/uid_map"), &overflow),
        }
    }
}

/// The overflow uid (proc_sys_kernel(5)), if `uid_map` (user_namespaces(7)) does not map all uids; 65534 if
/// the kernel does not show it. `None` outside of a user namespace, where that uid is an ordinary user,
/// and if nothing is known.
fn unknown(uid_map: &str, overflow: &str) -> Option<u32> {
    let count = |line: &str| line.split_whitespace().nth(2)?.parse::<u64>().ok();
    let mapped: u64 = uid_map.lines().filter_map(count).sum();
    let is_some_unmapped = mapped > 0 && mapped < u64::from(u32::MAX);
    is_some_unmapped.then(|| overflow.trim().parse().unwrap_or(65_534))
}

/// Which other users can read or change the file, in words.
///
/// As for ssh's keys (sshkey_perm_ok in OpenSSH's authfile.c), a file of this user must not be accessible to
/// others; the group bits also show an access control list that names others (acl(5)). A file of root, or
/// of an owner outside the user namespace, may be readable for one of our groups, or for root's group if an
/// access control list names this user, as systemd's credentials do. Another user's file is refused, unless
/// this process is root.
pub(super) fn others_with_access(meta: &Meta, ids: &Ids) -> Option<String> {
    let ours = meta.uid == ids.uid;
    let provided = !ours && (meta.uid == 0 || ids.unknown == Some(meta.uid));
    let for_us = provided && (meta.gid == 0 || ids.groups.contains(&meta.gid));
    let can = |bits: u32| meta.mode & bits != 0;
    if !ours && !provided && ids.uid != 0 {
        return Some(format!("it belongs to uid {}", meta.uid));
    }
    let who = if can(0o002) {
        "everybody can write it"
    } else if can(0o020) {
        "its group can write it"
    } else if can(0o004) {
        "everybody can read it"
    } else if can(0o040) && !for_us {
        "its group can read it"
    } else {
        return None;
    };
    Some(who.to_owned())
}

/// The command that makes the file private, for a hint.
pub(super) fn remedy(meta: &Meta, ids: &Ids, shown: &str) -> String {
    match meta.uid == ids.uid || ids.uid == 0 {
        true => format!("chmod 600 {shown}"),
        false => format!("as root: chown {} {shown}; chmod 600 {shown}", ids.uid),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(uid: u32, gid: u32, mode: u32) -> Meta {
        Meta { mode, uid, gid, for_secrets: false, len: 9, object: None }
    }

    #[test]
    fn access_of_others_follows_from_owner_group_and_mode() {
        let user = Ids { uid: 1000, groups: vec![1000, 50], unknown: None };
        let root = Ids { uid: 0, groups: vec![0], unknown: None };
        let inside = Ids { uid: 1000, groups: vec![1000], unknown: Some(65_534) };
        let root_inside = Ids { uid: 0, groups: vec![0], unknown: Some(65_534) };
        const OWNER: Option<&str> = Some("it belongs to uid 7");
        const NOBODY: Option<&str> = Some("it belongs to uid 65534");
        const GROUP: Option<&str> = Some("its group can read it");
        const GROUP_WRITES: Option<&str> = Some("its group can write it");
        const ALL: Option<&str> = Some("everybody can read it");
        const ALL_WRITE: Option<&str> = Some("everybody can write it");
        for (ids, owner, group, mode, expected) in [
            (&user, 1000, 1000, 0o600, None),
            (&user, 1000, 1000, 0o400, None),
            (&user, 1000, 1000, 0o711, None),
            (&user, 1000, 1000, 0o640, GROUP),
            (&user, 1000, 0, 0o440, GROUP),
            (&user, 1000, 1000, 0o620, GROUP_WRITES),
            (&user, 1000, 1000, 0o604, ALL),
            (&user, 1000, 1000, 0o602, ALL_WRITE),
            // Root's file, for a group.
            (&user, 0, 1000, 0o640, None),
            (&user, 0, 50, 0o440, None),
            (&user, 0, 0, 0o440, None),
            (&user, 0, 51, 0o640, GROUP),
            (&user, 0, 50, 0o660, GROUP_WRITES),
            (&user, 0, 50, 0o644, ALL),
            // Another user's file.
            (&user, 7, 1000, 0o640, OWNER),
            (&user, 7, 1000, 0o600, OWNER),
            (&user, 7, 7, 0o666, OWNER),
            (&user, 65_534, 1000, 0o600, NOBODY),
            // As root.
            (&root, 0, 0, 0o600, None),
            (&root, 0, 0, 0o640, GROUP),
            (&root, 7, 7, 0o600, None),
            (&root, 7, 0, 0o640, GROUP),
            (&root, 7, 7, 0o644, ALL),
            // In a user namespace.
            (&inside, 65_534, 1000, 0o640, None),
            (&inside, 65_534, 65_534, 0o600, None),
            (&inside, 65_534, 1000, 0o660, GROUP_WRITES),
            (&inside, 65_534, 1000, 0o644, ALL),
            (&inside, 7, 1000, 0o600, OWNER),
            (&root_inside, 65_534, 65_534, 0o600, None),
        ] {
            let found = others_with_access(&meta(owner, group, mode), ids);
            assert_eq!(found.as_deref(), expected, "{ids:?} {owner}:{group} {mode:o}");
        }
    }

    #[test]
    fn owners_are_unknown_only_if_some_are_not_mapped() {
        let (whole, some) = ("         0          0 4294967295\n", "0 1000 1\n1 100000 65536\n");
        assert_eq!(unknown(whole, "65534\n"), None);
        assert_eq!(unknown(some, "65534\n"), Some(65_534));
        assert_eq!(unknown(some, "12\n"), Some(12));
        assert_eq!(unknown("0 1000 1\n", ""), Some(65_534));
        assert_eq!(unknown("", "65534\n"), None, "no /proc, or nothing mapped yet");
    }
}
