//! The AWS files: whether they can be read, by whom else, and what in them is ignored; and the environment's
//! variables for profiles.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::json;

use super::{Host, Mark, ProfileScope, Report};
use crate::error::os_text;
use crate::profile::{self, About, PlanRequest, Profiles, Variables};

/// Checks both files; their profiles, if they can be read.
pub fn check(host: &Host, report: &mut Report) -> Option<Profiles> {
    let files = profile::locate(host.env, host.places.home());
    for path in [&files.config, &files.credentials].into_iter().flatten() {
        modes(path, report);
        byte_order_mark(path, report);
    }
    let profiles = report.value_of("aws.config", profile::read(&files, host.env))?;
    for remark in profiles.remarks() {
        let (check, mark) = match remark.about {
            About::Ignored => ("aws.section", Mark::Problem),
            About::AwsCli => ("aws.cli", Mark::Problem),
            About::Swallowed => ("aws.setting", Mark::Problem),
            About::Comment => ("aws.comment", Mark::Note),
        };
        report.add(check, mark, remark.text);
    }
    let (count, shown) = (profiles.names().len(), files.config.as_deref());
    let shown = shown.map_or("no file".to_owned(), |path| path.display().to_string());
    let profile = if count == 1 { "profile" } else { "profiles" };
    report
        .ok("aws.config", format!("{shown}: {count} {profile}, the credentials file's included"))
        .with(
            json!({ "config": files.config, "credentials": files.credentials, "profiles": count }),
        );
    Some(profiles)
}

/// True if the profile that a command would use needs no vault.
pub fn needs_no_vault(host: &Host) -> bool {
    let files = profile::locate(host.env, host.places.home());
    let (Ok(profiles), Ok(profile)) = (profile::read(&files, host.env), host.profile.clone())
    else {
        return false;
    };
    let request = PlanRequest { profile, ..PlanRequest::default() };
    let plan = profile::plan(&profiles, &BTreeSet::new(), &request);
    host.scope != ProfileScope::All && plan.is_ok_and(|plan| plan.needs_no_vault())
}

/// Checks the variables of a web identity, if they are set.
pub fn identity(host: &Host, report: &mut Report) {
    let (file, role) = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN");
    let Some(path) = host.env.get_os(file).map(Path::new) else { return };
    if host.env.get_os(role).is_none() {
        report.note("aws.identity", format!("{file} has no effect without {role}"));
        return;
    }
    let shown = path.display();
    match path.metadata() {
        Ok(_) => report.ok(
            "aws.identity",
            format!("a web identity token in {shown}, for profiles that have nothing of their own"),
        ),
        Err(error) => report.problem(
            "aws.identity",
            format!("no web identity token in {shown} ({file}): {}", os_text(&error)),
        ),
    }
    .with(json!({ "token_file": path.to_string_lossy() }));
}

/// Checks the variables of a container's agent, if they are set. Its path is secret.
pub fn container(host: &Host, report: &mut Report) {
    let agent = report.value_of("aws.container", profile::container(&Variables::of(host.env)));
    if let Some(url) = agent.flatten() {
        let at = profile::origin(&url);
        let text = format!("a container's agent at {at}, for credential_source = EcsContainer");
        report.ok("aws.container", text).with(json!({ "endpoint": at }));
    }
}

/// A byte order mark is ignored here and by the SDKs, and refused by the AWS CLI.
fn byte_order_mark(path: &Path, report: &mut Report) {
    let mut start = [0; 3];
    let mut read = || File::open(path)?.read_exact(&mut start);
    if path.is_file() && read().is_ok() && start == *b"\xef\xbb\xbf" {
        report
            .problem(
                "aws.cli",
                format!("{} begins with a byte order mark: the AWS CLI refuses it", path.display()),
            )
            .advise("save it as UTF-8 without one");
    }
}

fn modes(path: &Path, report: &mut Report) {
    let Ok(about) = path.metadata() else { return };
    if !about.is_file() {
        return;
    }
    let (mode, shown) = (about.mode() & 0o7777, path.display());
    let finding = if mode & 0o022 != 0 {
        report
            .problem("aws.mode", format!("others can write {shown}, and what it names is run"))
            .advise(format!("chmod go-w {shown}"))
    } else if path.ends_with("credentials") && mode & 0o044 != 0 {
        report
            .note("aws.mode", format!("others can read {shown}, keys included"))
            .advise(format!("chmod 600 {shown}"))
    } else {
        return;
    };
    finding.with(json!({ "path": path, "mode": format!("{mode:04o}") }));
}
