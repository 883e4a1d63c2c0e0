//! `man`: a manual page, or all of them as files.

use super::context::Context;
use crate::cli::man::{self, Man};
use crate::error::{Error, Result, os_text};
use crate::file;
use crate::report;

pub fn run(args: &Man, context: &Context) -> Result<()> {
    let Some(dir) = &args.dir else {
        return report::result(&man::page(&args.command, context.program)?);
    };
    std::fs::create_dir_all(dir).map_err(|error| {
        Error::other(format!("cannot make {}: {}", dir.display(), os_text(&error)))
    })?;
    for (name, text) in man::pages(context.program) {
        let path = dir.join(name);
        file::replace_quickly(&path, text.as_bytes(), 0o644).map_err(|error| {
            Error::other(format!("cannot write {}: {}", path.display(), os_text(&error)))
        })?;
    }
    Ok(())
}
