//! The endpoints that the calls of a plan go to.

use std::time::Instant;

use super::session::CredentialSession;
use crate::aws::{Oidc, Portal, Sts};
use crate::error::Result;
use crate::profile::{Base, Plan, Target};

/// The endpoint that a plan's calls to one of AWS's services go to.
pub struct ServiceEndpoint {
    /// The service's name in AWS's settings.
    pub service: &'static str,
    /// Host and port.
    pub host_port: String,
    /// True for one that the settings name; false for one of the SDK's rules.
    pub named: bool,
}

impl CredentialSession<'_> {
    /// The endpoints that the calls of a plan go to. They are not asked.
    pub fn endpoints(&self, plan: &Plan) -> Result<Vec<ServiceEndpoint>> {
        let (env, now, reporter) = (self.env, Instant::now(), self.reporter);
        let mut found = Vec::new();
        let mut add = |service, target: &Target, host_port| {
            found.push(ServiceEndpoint { service, host_port, named: target.endpoint.is_some() });
        };
        if let Base::Sso { sign_on, .. } = &plan.base {
            let oidc = Oidc::connect(&sign_on.oidc, env, now, reporter)?;
            add("sso_oidc", &sign_on.oidc, oidc.host_and_port()?);
            let portal = Portal::connect(&sign_on.portal, env, now, reporter)?;
            add("sso", &sign_on.portal, portal.host_and_port()?);
        }
        if let Some(sts) = &plan.sts {
            add("sts", sts, Sts::connect(sts, env, now, reporter)?.host_and_port()?);
        }
        Ok(found)
    }
}
