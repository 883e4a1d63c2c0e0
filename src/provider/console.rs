//! The console: credentials exchanged for an address that opens it.

use std::time::Instant;

use super::session::CredentialSession;
use crate::aws::{SigninService, Sts};
use crate::credential::Credentials;
use crate::error::{Error, Result};
use crate::os;
use crate::profile::{Console, Federation, Step};
use crate::secret::Secret;

impl CredentialSession<'_> {
    /// The address that opens the console for 15 minutes. Anybody who knows it can use it.
    ///
    /// # Errors
    /// As [`CredentialSession::run`]; AWS (9) where the sign-in service gives no token.
    pub fn console_address(self, console: Console) -> Result<Secret> {
        os::on_wiped_stack(|| self.address(console))
    }

    fn address(&self, console: Console) -> Result<Secret> {
        let Console { plan, federation, session, signin, destination } = console;
        // An error in its address is reported before a code is spent.
        let service = SigninService::connect(&signin, self.env, self.reporter)?;
        // The console's session ends with the role's: a cached one must have most of its time left.
        let least = plan.steps.last().and_then(Step::duration).map(|whole| whole / 4 * 3);
        let handed_out = plan.steps.is_empty();
        let credentials = self.run_with(&plan, self.options.min_left.max(least))?;
        let deadline = self.deadline();
        let credentials = if credentials.is_temporary() {
            if handed_out && federation.asked {
                self.reporter
                    .warn("--duration has no effect: the credentials are used as they are");
            }
            credentials
        } else {
            self.federated(&credentials, &federation, deadline)?
        };
        let token = service.token(&credentials, session, deadline)?;
        Ok(service.address(&destination, &token))
    }

    /// A session of a user's own, which is the only kind that opens a console.
    fn federated(
        &self,
        key: &Credentials,
        federation: &Federation,
        deadline: Instant,
    ) -> Result<Credentials> {
        if federation.without_mfa {
            self.reporter.warn(
                "GetFederationToken takes no MFA code, so the console session has no MFA: AWS \
                 denies what a policy allows only with MFA",
            );
        }
        let sts = Sts::connect(&federation.sts, self.env, deadline, self.reporter)?;
        let name = session_name(&sts.caller_identity(key)?);
        self.reporter.debug(format!("calling GetFederationToken for {name}"));
        let made = sts.federation_token(key, &name, federation.duration);
        if let Some(warning) = sts.clock_warning() {
            self.reporter.warn(warning);
        }
        let otherwise = "name a profile with a role, or allow sts:GetFederationToken";
        made.map_err(|error| Error::from(error).or_hint(otherwise))
    }
}

/// The user's name as GetFederationToken takes it: 2 to 32 characters.
fn session_name(arn: &str) -> String {
    let name: String = arn.rsplit(['/', ':']).next().unwrap_or_default().chars().take(32).collect();
    if name.len() < 2 { format!("user-{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::session_name;

    #[test]
    fn a_session_has_its_user_s_name() {
        let named = |name| session_name(&format!("arn:aws:iam::123456789012:user/team/{name}"));
        assert_eq!(named("ci"), "ci");
        assert_eq!(named("x"), "user-x");
        assert_eq!(named(&"a".repeat(64)), "a".repeat(32));
        assert_eq!(session_name("arn:aws:iam::123456789012:root"), "root");
    }
}
