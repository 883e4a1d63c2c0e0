//! A new vault in a git work tree: which of its files should not be committed.

use std::ffi::OsStr;
use std::path::Path;

use crate::env::Env;
use crate::file;
use crate::reporter::Reporter;

/// Names the lines for .gitignore, if the vault or its new key is in a git work tree. vault does not change
/// that file itself.
pub fn note_ignored_files(vault: &Path, identity: Option<&Path>, env: &Env, reporter: Reporter) {
    let home = env.get_os("HOME").map(Path::new);
    let lock = file::lock_file(vault);
    let files = [Some(lock.as_path()), identity];
    let lines: Vec<_> = files
        .into_iter()
        .flatten()
        .filter(|path| is_in_work_tree(path, home))
        .filter_map(Path::file_name)
        .map(OsStr::to_string_lossy)
        .collect();
    if !lines.is_empty() {
        let lines = lines.join(" and ");
        reporter.note(format!("In this git work tree, .gitignore should have {lines}"));
    }
}

/// A work tree above the home directory does not count.
fn is_in_work_tree(path: &Path, home: Option<&Path>) -> bool {
    let Ok(path) = std::path::absolute(path) else { return false };
    let above = path.ancestors().skip(1);
    let mut inside =
        above.take_while(|dir| home.is_none_or(|home| !home.starts_with(dir) || *dir == home));
    inside.any(|dir| dir.join(".git").symlink_metadata().is_ok())
}
