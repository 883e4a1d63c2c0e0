//! `man`: a manual page, or all of them as files.

use crate::cli::man::{self, Man};
use crate::error::{Error, Result, os_text};
use crate::file;
use crate::report;

pub fn run(args: &Man) -> Result<()> {
    let Some(dir) = &args.dir else {
        return report::result(&man::page(&args.command, args.program)?);
    };
    std::fs::create_dir_all(dir).map_err(|error| {
        Error::other(format!("cannot make {}: {}", dir.display(), os_text(&error)))
    })?;
    for (name, text) in man::pages(args.program) {
        let path = dir.join(name);
        file::replace_quickly(&path, text.as_bytes(), 0o644).map_err(|error| {
            Error::other(format!("cannot write {}: {}", path.display(), os_text(&error)))
        })?;
    }
    Ok(())
}
