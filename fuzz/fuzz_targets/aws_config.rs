//! The AWS config and credentials files, which a NUL separates here: parsed, and a plan made and shown
//! for each profile in them.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use vault::profile::{Files, PlanRequest, Profiles, mfa_serial, plan, sts_and_iam};

fuzz_target!(|text: &str| {
    let (config, credentials) = text.split_once('\0').unwrap_or((text, ""));
    let profiles = Profiles::parse(&Files::default(), config, credentials);
    let stored = BTreeSet::from(["base".to_owned()]);
    for remark in profiles.remarks() {
        assert!(!remark.text.contains(char::is_control), "{remark:?}");
    }
    let names = profiles.names();
    // Many profiles that each walk a chain of all are slow, and tell no more than a few.
    for profile in names.iter().map(String::as_str).take(16).chain(["base", "none"]) {
        let _ = mfa_serial(&profiles, profile);
        let _ = sts_and_iam(&profiles, profile);
        let request = PlanRequest { profile: profile.to_owned(), ..PlanRequest::default() };
        if let Ok(plan) = plan(&profiles, &stored, &request) {
            let shown = plan.to_text();
            assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
            let _ = plan.to_json();
            let _ = plan.for_temporary_base();
        }
    }
});
