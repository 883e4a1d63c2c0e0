//! The MFA device and the role that a profile names, for commands that are about them.

use super::read::Profiles;
use super::settings::{Settings, fits};
use crate::error::Result;

/// `mfa_serial` of the profile (with its includes and `[default]`), else of the nearest profile that
/// it sources.
pub fn mfa_serial(profiles: &Profiles, profile: &str) -> Result<Option<String>> {
    let mut seen: Vec<&str> = Vec::new();
    let mut next = Some(profile);
    while let Some(at) = next.take()
        && !seen.contains(&at)
    {
        seen.push(at);
        fits("source_profile", &seen)?;
        let settings = Settings::of(profiles, at)?;
        if let Some(serial) = settings.get("mfa_serial") {
            return Ok(Some(serial.to_owned()));
        }
        next = settings.own("source_profile");
    }
    Ok(None)
}

/// The role of the profile, with its includes: the ARN, or the name of a permission set of IAM Identity
/// Center.
pub fn role(profiles: &Profiles, profile: &str) -> Result<Option<String>> {
    let settings = Settings::of(profiles, profile)?;
    Ok(settings.own("role_arn").or_else(|| settings.own("sso_role_name")).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Files;

    #[test]
    fn a_device_is_named_by_the_profile_or_by_its_source() {
        let config = "[profile a]\nmfa_serial = GAHT12345678\n[profile b]\nsource_profile = a\n\
                      [profile c]\ninclude_profile = a\n[profile d]\nsource_profile = d\n";
        let profiles = Profiles::parse(&Files::default(), config, "");
        for name in ["a", "b", "c"] {
            assert_eq!(mfa_serial(&profiles, name).unwrap().as_deref(), Some("GAHT12345678"));
        }
        assert_eq!(mfa_serial(&profiles, "d").unwrap(), None);
        assert_eq!(mfa_serial(&profiles, "nobody").unwrap(), None);
    }

    #[test]
    fn a_role_is_the_profiles_own_and_not_its_sources() {
        let config = "[profile a]\nrole_arn = arn:a\n[profile b]\nsource_profile = a\n\
                      [profile c]\ninclude_profile = a\n[profile d]\nsso_role_name = ReadOnly\n";
        let profiles = Profiles::parse(&Files::default(), config, "");
        for (name, expected) in [("a", Some("arn:a")), ("b", None), ("c", Some("arn:a"))] {
            assert_eq!(role(&profiles, name).unwrap().as_deref(), expected, "{name}");
        }
        assert_eq!(role(&profiles, "d").unwrap().as_deref(), Some("ReadOnly"));
    }
}
