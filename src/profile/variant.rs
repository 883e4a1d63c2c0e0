//! FIPS endpoints, whose cryptography is validated by FIPS 140, and dual-stack ones, which have IPv6 addresses
//! too (AWS SDKs and Tools reference, "Dual-stack and FIPS endpoints").

use super::settings::Settings;
use super::value::wrong_value;
use super::variables::{Variable, Variables};
use crate::error::Result;

/// The variants of AWS's endpoints that are asked for. `None`: no setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointVariant {
    /// `AWS_USE_FIPS_ENDPOINT` or `use_fips_endpoint`.
    pub fips: Option<bool>,
    /// `AWS_USE_DUALSTACK_ENDPOINT` or `use_dualstack_endpoint`.
    pub dual_stack: Option<bool>,
}

/// Variable and key of each.
const FIPS: (&str, &str) = ("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint");
const DUAL_STACK: (&str, &str) = ("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint");

impl EndpointVariant {
    /// What the environment, else the profile, asks for.
    pub(super) fn of<'a>(settings: &Settings<'a>) -> Result<Self> {
        let read = |variable: &'a Variable, key| -> Result<Option<bool>> {
            let Some((value, by)) = settings.variable_or(variable, key)? else { return Ok(None) };
            match value.to_ascii_lowercase().as_str() {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                // Taking it for false could break a rule that the user must follow.
                _ => Err(wrong_value(&by, "neither true nor false", value)),
            }
        };
        let Variables { use_fips, use_dual_stack, .. } = settings.variables;
        Ok(Self { fips: read(use_fips, FIPS.1)?, dual_stack: read(use_dual_stack, DUAL_STACK.1)? })
    }

    /// These, or those of `other` where they are not set.
    #[must_use]
    pub(super) fn or(self, other: Self) -> Self {
        Self { fips: self.fips.or(other.fips), dual_stack: self.dual_stack.or(other.dual_stack) }
    }

    /// True if endpoints with FIPS 140 validated cryptography are asked for.
    pub fn is_fips(self) -> bool {
        self.fips == Some(true)
    }

    /// True if endpoints with IPv6 addresses are asked for.
    pub fn is_dual_stack(self) -> bool {
        self.dual_stack == Some(true)
    }

    /// The common name of the endpoints; none for the usual ones.
    pub fn name(self) -> Option<&'static str> {
        match (self.is_fips(), self.is_dual_stack()) {
            (true, true) => Some("FIPS dual-stack"),
            (true, false) => Some("FIPS"),
            (false, true) => Some("dual-stack"),
            (false, false) => None,
        }
    }

    /// The keys that ask for it, for an error.
    pub fn keys(self) -> &'static str {
        match (self.is_fips(), self.is_dual_stack()) {
            (true, true) => "use_fips_endpoint and use_dualstack_endpoint",
            (false, true) => "use_dualstack_endpoint",
            _ => "use_fips_endpoint",
        }
    }

    /// The variables that ask for the same, for a program that does not read the profile.
    pub fn variables(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let text = |on| if on { "true" } else { "false" };
        [(FIPS.0, self.fips), (DUAL_STACK.0, self.dual_stack)]
            .into_iter()
            .filter_map(move |(name, on)| Some((name, text(on?))))
    }

    /// The keys that ask for the same, in a section of an AWS file.
    pub fn settings(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let of = |name| if name == FIPS.0 { FIPS.1 } else { DUAL_STACK.1 };
        self.variables().map(move |(name, value)| (of(name), value))
    }
}
