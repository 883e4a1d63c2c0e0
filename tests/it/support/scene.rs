//! The usual scene: the demo user's key in a vault, a few profiles, and STS with two roles.

use super::builder::Test;
use super::standin::{Role, StandIn, World};
use super::{ACCESS_KEY_ID, ACCOUNT, AGE_KEY, MFA_SEED, MFA_SERIAL, SECRET_ACCESS_KEY};

/// Profiles around one key: without MFA, with it, through one role and through two.
pub const PROFILES: &str = "\
[profile demo]

[profile mfa]
source_profile = demo
mfa_serial = arn:aws:iam::123456789012:mfa/demo

[profile role]
source_profile = demo
role_arn = arn:aws:iam::123456789012:role/deploy

[profile mfa-role]
source_profile = demo
mfa_serial = arn:aws:iam::123456789012:mfa/demo
role_arn = arn:aws:iam::123456789012:role/deploy

[profile long]
include_profile = mfa-role
duration_seconds = 7200

[profile hops]
source_profile = role
role_arn = arn:aws:iam::123456789012:role/audit

[profile mfa-hops]
source_profile = mfa-role
mfa_serial = arn:aws:iam::123456789012:mfa/demo
role_arn = arn:aws:iam::123456789012:role/audit
duration_seconds = 7200
";

/// STS with the demo user, and the roles `deploy` and `audit` for whoever asks.
pub fn sts() -> StandIn {
    sts_at("127.0.0.1:0")
}

/// The same at this address.
pub fn sts_at(address: &str) -> StandIn {
    let role = |name: &str| Role::new(name).max_duration(43_200);
    StandIn::start_at(address, World::demo().role(role("deploy")).role(role("audit")))
}

/// The key of `demo` in a vault, these profiles, and this STS.
pub fn with(standin: &StandIn, config: &str) -> Test {
    Test::new().vault_with("demo").config(config).standin(standin)
}

/// Joins a fleet whose store is the bucket `fleet` at this endpoint, reached by the example key, below a
/// prefix of this test's own. With the patience for another program: in SeaweedFS who races waits for a lock,
/// so that this takes half a minute.
pub fn join(test: &Test, endpoint: &str) {
    let test = test.clone().stored("store", ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let prefix = test.home().file_name().expect("a name").to_string_lossy();
    let words = ["fleet", "join", &format!("s3://fleet/{prefix}"), "--profile", "store"];
    let join = test.command(words).args(["--region", "eu-central-1", "--endpoint", endpoint]);
    join.under("env", [""; 0]).expect_stderr("").run();
}

/// So many hosts of a fleet with [`PROFILES`], each with a copy of one vault that has the seed of the demo
/// user's device. They share no directory.
pub fn fleet(standin: &StandIn, endpoint: &str, count: usize) -> Vec<Test> {
    let first = with(standin, PROFILES);
    first.command(["totp", "add", MFA_SERIAL, "--stdin"]).stdin(MFA_SEED).run();
    join(&first, endpoint);
    let mut hosts = vec![first];
    while hosts.len() < count {
        let host = another(&hosts[0]).config(PROFILES).standin(standin);
        hosts.push(host);
    }
    hosts
}

/// Another host, which has a copy of this one's vault, and the key that opens it.
pub fn another(host: &Test) -> Test {
    let vault = host.read(host.vault_file());
    Test::new().env("AWS_VAULT_AGE_KEY", AGE_KEY).file(".local/share/vault/vault.age", vault, 0o600)
}

/// [`PROFILES`] and [`sts`].
pub fn usual() -> (StandIn, Test) {
    let standin = sts();
    let test = with(&standin, PROFILES);
    (standin, test)
}

/// A fresh code of the demo user's device.
pub fn code(standin: &StandIn) -> String {
    standin.totp_now(MFA_SEED)
}

/// The log of calls with short names: `key` for the long-term one, ARNs without their account, and
/// no region where it is us-east-1.
pub fn log(standin: &StandIn) -> String {
    standin
        .log()
        .replace(ACCESS_KEY_ID, "key")
        .replace(MFA_SERIAL, "mfa/demo")
        .replace(&format!("arn:aws:iam::{ACCOUNT}:"), "")
        .replace(" in us-east-1", "")
}
