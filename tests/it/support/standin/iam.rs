//! What IAM allows, and of virtual MFA devices. The rules are AWS's, with AWS's texts where they are known.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::answer::{self, Refusal};
use super::params::Params;
use super::rules::{random_base32, word};
use super::world::{Principal, PrincipalKind, World};
use super::{time, totp};
use crate::support::ACCOUNT;

/// The version of the IAM API, which tells its requests from those of STS.
pub const VERSION: &str = "2010-05-08";
/// EnableMFADevice takes codes of so many steps before and after the present one (measured).
const ENABLING: i64 = 1000;
/// A user may have so many devices.
const DEVICES: usize = 8;

/// A virtual MFA device.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    pub serial: String,
    /// In base32.
    pub seed: String,
    /// The name of the user that it is enabled for.
    pub user: Option<String>,
    /// When STS knows it, in seconds since 1970.
    pub reaches_sts: i64,
}

impl World {
    /// Performs one action of IAM. The success is the inside of the result element, empty if there is
    /// no such element.
    pub(super) fn perform_iam(
        &mut self,
        action: &str,
        caller: &Principal,
        params: Params,
        now: i64,
    ) -> Result<String, Refusal> {
        let arn = &caller.arn;
        let without_mfa = caller.kind == PrincipalKind::SessionToken && caller.mfa_at.is_none();
        if self.denied.iter().any(|denied| denied == action)
            || without_mfa
            || caller.kind == PrincipalKind::Role
            || caller.mfa_at.is_none() && self.with_mfa.iter().any(|one| one == action)
        {
            return Err(Refusal::denied(format!(
                "User: {arn} is not authorized to perform: iam:{action} on resource: user because \
                 no identity-based policy allows the iam:{action} action"
            )));
        }
        match action {
            "CreateVirtualMFADevice" => self.create_virtual_mfa_device(params),
            "EnableMFADevice" => self.enable_mfa_device(caller, params, now),
            "DeleteVirtualMFADevice" => self.delete_virtual_mfa_device(params),
            "CreateAccessKey" => self.create_access_key(caller, params, now),
            "ListAccessKeys" => self.list_access_keys(caller, params),
            "UpdateAccessKey" => self.update_access_key(caller, params),
            "DeleteAccessKey" => self.delete_access_key(caller, params),
            "GetAccessKeyLastUsed" => self.access_key_last_used(params),
            _ => {
                let message = format!("Could not find operation {action} for version {VERSION}");
                Err(Refusal::new(400, "InvalidAction", message))
            }
        }
    }

    fn create_virtual_mfa_device(&mut self, mut params: Params) -> Result<String, Refusal> {
        let name = params.text("VirtualMFADeviceName", 1..=226, word)?;
        params.finish()?;
        let name = name.ok_or_else(|| Refusal::invalid("no virtualMFADeviceName"))?;
        let serial = format!("arn:aws:iam::{ACCOUNT}:mfa/{name}");
        if self.devices.iter().any(|device| device.serial == serial) || self.in_use(&serial) {
            let message = "MFADevice entity at the same path and name already exists.";
            return Err(Refusal::new(409, "EntityAlreadyExists", message));
        }
        let seed = random_base32(64);
        // The seed is a blob of base32 text, so it is sent in base64.
        let answer = answer::element(
            "VirtualMFADevice",
            &[
                ("SerialNumber", &serial),
                ("Base32StringSeed", &STANDARD.encode(&seed)),
                ("QRCodePNG", &STANDARD.encode(b"\x89PNG")),
            ],
        );
        self.devices.push(Device { serial, seed, user: None, reaches_sts: i64::MAX });
        Ok(answer)
    }

    fn enable_mfa_device(
        &mut self,
        caller: &Principal,
        mut params: Params,
        now: i64,
    ) -> Result<String, Refusal> {
        let user = params.text("UserName", 1..=128, word)?.unwrap_or_default();
        let serial = params.text("SerialNumber", 9..=256, |c| word(c) || "/:".contains(c))?;
        let serial = serial.unwrap_or_default();
        let digits = |c: char| c.is_ascii_digit();
        let first = params.text("AuthenticationCode1", 6..=6, digits)?.unwrap_or_default();
        let second = params.text("AuthenticationCode2", 6..=6, digits)?.unwrap_or_default();
        params.finish()?;
        let none = |what: &str| Refusal::new(404, "NoSuchEntity", what);
        let owner = self.users.iter_mut().find(|u| u.name == user);
        let owner = owner.ok_or_else(|| none("The user with that name cannot be found."))?;
        if owner.arn() != caller.arn {
            return Err(Refusal::denied("not authorized to perform: iam:EnableMFADevice"));
        }
        let device = self.devices.iter_mut().find(|device| device.serial == serial);
        let device = device.ok_or_else(|| none("VirtualMFADevice with that serial not found."))?;
        if device.user.is_some() {
            let message = "MFA Device is already in use.";
            return Err(Refusal::new(409, "EntityAlreadyExists", message));
        }
        if owner.devices.len() >= DEVICES {
            let message = "Cannot exceed quota for MFADevicesPerUser: 8";
            return Err(Refusal::new(409, "LimitExceeded", message));
        }
        if enabling_step(&device.seed, &first, &second, now).is_none() {
            let message = "Authentication code for device is not valid.";
            return Err(Refusal::new(403, "InvalidAuthenticationCode", message));
        }
        device.user = Some(user);
        device.reaches_sts = now + self.reach;
        owner.devices.push((device.serial.clone(), device.seed.clone()));
        Ok(String::new())
    }

    fn delete_virtual_mfa_device(&mut self, mut params: Params) -> Result<String, Refusal> {
        let serial = params.text("SerialNumber", 9..=256, |c| word(c) || "/:".contains(c))?;
        params.finish()?;
        let serial = serial.unwrap_or_default();
        let found = self.devices.iter().position(|device| device.serial == serial);
        match found {
            _ if self.in_use(&serial) => {
                let message = "Cannot delete entity, must deactivate MFA device first.";
                Err(Refusal::new(409, "DeleteConflict", message))
            }
            Some(at) => {
                self.devices.remove(at);
                Ok(String::new())
            }
            None => {
                let message = format!("VirtualMFADevice with serial number {serial} not found.");
                Err(Refusal::new(404, "NoSuchEntity", message))
            }
        }
    }

    fn in_use(&self, serial: &str) -> bool {
        self.users.iter().any(|user| user.devices.iter().any(|(s, _)| s == serial))
    }

    /// The first of the two steps whose codes EnableMFADevice was given.
    pub(super) fn enabling_step_of(&self, params: &Params, now: i64) -> Option<i64> {
        let serial = params.get("SerialNumber")?;
        let device = self.devices.iter().find(|device| device.serial == serial)?;
        let codes = (params.get("AuthenticationCode1")?, params.get("AuthenticationCode2")?);
        enabling_step(&device.seed, codes.0, codes.1, now)
    }

    /// False for a device that is so new that STS does not know it yet.
    pub(super) fn has_reached_sts(&self, serial: &str, now: i64) -> bool {
        self.devices.iter().all(|device| device.serial != serial || device.reaches_sts <= now)
    }
}

fn enabling_step(seed: &str, first: &str, second: &str, now: i64) -> Option<i64> {
    let step = totp::step(now);
    let mut near: Vec<i64> = (step - ENABLING..step + ENABLING).collect();
    near.sort_by_key(|s| (s - step).abs());
    near.into_iter().find(|s| totp::code(seed, *s) == first && totp::code(seed, s + 1) == second)
}

/// A device's line for what a test compares: who uses it since when.
impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = self.user.as_deref().unwrap_or("nobody");
        let since = match self.reaches_sts {
            i64::MAX => "never".to_owned(),
            at => time::rfc3339(at),
        };
        write!(f, "{} of {user}, in STS {since}", self.serial)
    }
}
