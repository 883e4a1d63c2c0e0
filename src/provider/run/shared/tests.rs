//! Hosts with one vault: their session by the store of their fleet, and by themselves.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_smithy_types::date_time::{DateTime, Format};

use super::super::super::options::Options;
use super::super::super::session::{CredentialSession, Parts};
use super::super::super::vault_state::VaultAccess;
use crate::aws::testing::{Answer, Server};
use crate::clock::{Clock, Timestamp};
use crate::credential::Credentials;
use crate::env::Env;
use crate::error::{Class, Error, Result};
use crate::file::testing::Directory;
use crate::name::ProfileName;
use crate::profile::{Files, Profiles};
use crate::prompt::Prompt;
use crate::reporter::Reporter;
use crate::sealed::{self, DerivationQueue};
use crate::secret::Secret;
use crate::store::testing::MemoryStore;
use crate::store::{self, Condition, ETag, Location, Read, Store, StoreError, Written};
use crate::totp::Seed;
use crate::unlock::Named;
use crate::vault::{self, Access, Fleet, NamedBy, Payload, RecipientEntry, SharedStore};

const SERIAL: &str = "arn:aws:iam::111122223333:mfa/ci";
/// 2026-01-31T12:00:00Z.
const NOON: Timestamp = Timestamp(1_769_860_800);

static NO_FLAGS: Named = Named { identities: Vec::new(), passphrase_file: None };

/// What all hosts have in common.
struct Common {
    dir: Directory,
    key: Secret,
    store: Arc<MemoryStore>,
    sts: Server,
    /// How long a run may take.
    within: Option<Duration>,
}

/// How a host reaches the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    Yes,
    Away,
    /// It can be connected to, and refuses each request.
    Refuses,
    Off,
    /// A variable names no store.
    Mistyped,
}

/// A vault with a key, in a fleet; with a seed if `seed`. AWS gives these answers.
fn common(answers: Vec<Answer>, seed: bool, required: bool) -> Common {
    let dir = Directory::new();
    let (identity, recipient) = sealed::generate_identity();
    let mut payload = Payload::new(&[RecipientEntry { recipient, name: None }], &[]).unwrap();
    let secret = Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned());
    let key = Credentials::long_term("AKIAIOSFODNN7EXAMPLE".to_owned(), secret);
    payload.set_credential("prod", &key, NOON);
    if seed {
        let seed = Seed::parse(&Secret::new("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".to_owned()));
        payload.set_totp(SERIAL, &seed.unwrap().0, NOON);
    }
    payload.set_fleet(&Fleet {
        store: Location::parse("s3://bucket/prefix").unwrap(),
        region: "eu-central-1".to_owned(),
        endpoint: None,
        profile: None,
        required,
    });
    let sts = Server::start(answers);
    let common = Common { dir, key: identity, store: Arc::default(), sts, within: None };
    vault::create(&common.access(Reach::Off, &Env::of(&[])), payload, false).unwrap();
    common
}

impl Common {
    fn access<'e>(&self, reach: Reach, env: &'e Env) -> Access<'e> {
        let store = Arc::clone(&self.store);
        Access {
            path: self.dir.path.join("vault.age"),
            by_flag: false,
            by_default: false,
            remote: None,
            env,
            named: &NO_FLAGS,
            identity_file: None,
            pins: Vec::new(),
            accepts: None,
            min_generation: None,
            state: None,
            slot_memory: None,
            max_passphrase_memory: sealed::DEFAULT_MAX_MEMORY,
            derivation_queue: DerivationQueue::none(),
            prompt: Prompt::new(true, None),
            reporter: Reporter { quiet: true, debug: false },
            connect: Arc::new(move |by| match (reach, by) {
                (Reach::Away, _) => Err(Error::aws("cannot connect to S3").hint("see to it")),
                (Reach::Mistyped, _) => Err(Error::usage("neither off nor a store")),
                (Reach::Yes | Reach::Refuses, NamedBy::Vault(payload)) => {
                    Ok(payload.fleet().map(|fleet| {
                        let store = match reach {
                            Reach::Refuses => Arc::new(RefusingStore) as Arc<dyn Store + Send>,
                            _ => Arc::clone(&store) as Arc<dyn Store + Send>,
                        };
                        SharedStore { location: fleet.store, store, silent: false }
                    }))
                }
                _ => Ok(None),
            }),
        }
    }

    /// The credentials of a profile on a host with this cache; `mfa_token`: a code that is given.
    fn on(&self, host: &str, reach: Reach, profile: &str, options: Options) -> Result<String> {
        self.with(host, reach, profile, options, |mut session| {
            let plan = session.plan(profile)?;
            session.keep_only([&plan]);
            session.run(&plan).map(|made| made.session_token.unwrap().expose().to_owned())
        })
    }

    /// The step of a code that this host prints.
    fn printed(&self, host: &str, reach: Reach) -> Result<(u64, bool)> {
        self.with(host, reach, "prod", Options::default(), |session| {
            let seed = session.vault()?.payload().totp(SERIAL).unwrap();
            let deadline = Instant::now() + Duration::from_secs(50);
            let claim = session.claim_code(SERIAL, &seed, NOON, deadline)?;
            Ok((claim.step, claim.recorded))
        })
    }

    fn with<T>(
        &self,
        host: &str,
        reach: Reach,
        profile: &str,
        options: Options,
        act: impl FnOnce(CredentialSession<'_>) -> Result<T>,
    ) -> Result<T> {
        let config = format!(
            "[profile prod]\nregion = eu-central-1\nmfa_serial = {SERIAL}\n\
             endpoint_url = http://{}\n\
             [profile program]\nsource_profile = prod\nmfa_serial = {SERIAL}\nmfa_process = exit 1\n\
             [profile role]\nsource_profile = prod\nrole_arn = arn:aws:iam::111122223333:role/r\n",
            self.sts.address
        );
        let config = config + &format!("endpoint_url = http://{}\n", self.sts.address);
        let env = Env::of(&[("AWS_VAULT_AGE_KEY", self.key.expose())]);
        let name = ProfileName::new(profile).unwrap();
        let parts = Parts {
            profiles: Profiles::parse(&Files::default(), &config, ""),
            vault: VaultAccess::Optional(self.access(reach, &env), &[name]),
            cache_dir: Some(self.dir.path.join(host)),
            env: &env,
            options,
            prompt: Prompt::new(true, self.within.map(|within| Instant::now() + within)),
            clock: Clock::fixed(NOON),
            reporter: Reporter { quiet: true, debug: false },
        };
        act(CredentialSession::open(parts).unwrap())
    }

    fn get(&self, host: &str, reach: Reach) -> Result<String> {
        self.on(host, reach, "prod", Options::default())
    }

    /// The requests to the store since this was last asked, by their first letters.
    fn asked(&self) -> String {
        let mut log = self.store.log.lock().unwrap();
        log.drain(..).map(|line| format!("{} ", &line[..5].replace(' ', ""))).collect()
    }
}

/// A store that refuses each request.
struct RefusingStore;

impl Store for RefusingStore {
    fn read_within(
        &self,
        _: &str,
        _: Option<&ETag>,
        _: Duration,
    ) -> Result<store::Answer<Read>, StoreError> {
        Err(StoreError::Failed { what: "access denied".to_owned(), hint: None })
    }

    fn write_within(
        &self,
        _: &str,
        _: &[u8],
        _: Condition<'_>,
        _: Duration,
    ) -> Result<store::Answer<Written>, StoreError> {
        Err(StoreError::Failed { what: "access denied".to_owned(), hint: None })
    }
}

/// AWS's answer to a call: a session of 12 hours with this token.
fn session(token: &str) -> Answer {
    let credentials = format!(
        "<Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId><SecretAccessKey>\
         wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY</SecretAccessKey><SessionToken>{token}\
         </SessionToken><Expiration>2026-02-01T00:00:00Z</Expiration></Credentials>"
    );
    Answer::Reply(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml",
        format!(
            "<GetSessionTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <GetSessionTokenResult>{credentials}</GetSessionTokenResult></GetSessionTokenResponse>"
        ),
    )
}

/// AWS's answer to a wrong code, by a clock that agrees with this host's.
fn refused() -> Answer {
    let now = DateTime::from_secs(Clock::system().now().0).fmt(Format::HttpDate).unwrap();
    Answer::Reply(
        Box::leak(format!("HTTP/1.1 403 Forbidden\r\nDate: {now}\r\nContent-Type: text/xml").into()),
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender\
         </Type><Code>AccessDenied</Code><Message>MultiFactorAuthentication failed with invalid MFA \
         one time pass code.</Message></Error></ErrorResponse>"
            .to_owned(),
    )
}

fn code(text: &str) -> Options {
    Options { mfa_token: Some(Secret::new(text.to_owned())), ..Options::default() }
}

fn cache_of(common: &Common, host: &str) -> PathBuf {
    common.dir.path.join(host)
}

#[test]
fn one_code_serves_all_hosts_and_a_local_session_needs_no_prompt() {
    let common = common(vec![session("first")], true, false);
    assert_eq!(common.get("a", Reach::Yes).unwrap(), "first");
    assert_eq!(common.asked(), "GETs PUTs GETl PUTl PUTs ");
    for host in ["b", "c"] {
        assert_eq!(common.get(host, Reach::Yes).unwrap(), "first");
        assert_eq!(common.asked(), "GETs ");
        assert_eq!(common.get(host, Reach::Yes).unwrap(), "first");
        assert_eq!(common.get(host, Reach::Away).unwrap(), "first");
        assert_eq!(common.asked(), "");
    }
    assert_eq!(common.sts.requests().len(), 1);
    assert!(cache_of(&common, "b").join("sessions").is_dir());
}

#[test]
fn a_host_outside_the_fleet_or_without_the_store_sends_its_own_code() {
    for reach in [Reach::Off, Reach::Away] {
        let common = common(vec![session("own")], true, false);
        assert_eq!(common.get("a", reach).unwrap(), "own");
        assert_eq!(common.asked(), "");
        assert_eq!(common.sts.requests().len(), 1);
    }
}

#[test]
fn a_mistyped_store_is_no_store_that_is_away() {
    let common = common(vec![session("never")], true, false);
    let error = common.get("a", Reach::Mistyped).unwrap_err();
    assert_eq!(error, Error::usage("neither off nor a store"));
    assert_eq!(common.sts.requests().len(), 0);
}

#[test]
fn with_the_store_away_one_code_is_sent() {
    let common = common(vec![refused(), session("never")], true, false);
    let error = common.get("a", Reach::Away).unwrap_err();
    let hint = "another host may have used it while the fleet's store was away: try again in three minutes";
    let expected = Error::aws("AWS refused the MFA code of the device's seed").hint(hint);
    assert_eq!(error, expected);
    assert_eq!(common.sts.requests().len(), 1);
}

#[test]
fn where_the_store_is_required_no_code_is_sent_without_it() {
    let common = common(vec![session("first")], true, true);
    let error = common.get("a", Reach::Away).unwrap_err();
    let what =
        "no MFA code is sent without the fleet's store s3://bucket/prefix: cannot connect to S3";
    assert_eq!(error, Error::aws(what).hint("see to it"));
    assert_eq!(error.class, Class::Aws);
    assert_eq!(common.sts.requests().len(), 0);
    // A valid session does not notice.
    assert_eq!(common.get("a", Reach::Yes).unwrap(), "first");
    assert_eq!(common.get("a", Reach::Away).unwrap(), "first");
}

#[test]
fn a_code_that_is_printed_is_noted_for_all_hosts() {
    let common = common(vec![], true, false);
    let (first, recorded) = common.printed("a", Reach::Yes).unwrap();
    assert!(recorded);
    assert_eq!(common.asked(), "GETl PUTl ");
    let mut steps: Vec<_> =
        ["b", "c", "a", "b"].map(|host| common.printed(host, Reach::Yes).unwrap().0).into();
    steps.push(first);
    steps.sort_unstable();
    steps.dedup();
    assert_eq!(steps.len(), 5, "{steps:?}");
}

#[test]
fn codes_that_enable_a_device_are_noted_for_all_hosts() {
    let common = common(vec![], true, false);
    let spend = |host: &str, reach: Reach, steps: &[u64]| {
        common.with(host, reach, "prod", Options::default(), |session| {
            let deadline = Instant::now() + Duration::from_secs(50);
            session.spend_codes(SERIAL, steps, NOON, deadline)
        })
    };
    let now = NOON.0.unsigned_abs() / 30;
    spend("a", Reach::Yes, &[now - 1, now]).unwrap();
    assert_eq!(common.asked(), "GETl PUTl ");
    let others = ["b", "c", "d"].map(|host| common.printed(host, Reach::Yes).unwrap().0);
    assert!(!others.contains(&now) && !others.contains(&(now - 1)), "{others:?} {now}");
    // The host itself knows of them with the store away, too.
    spend("e", Reach::Away, &[now]).unwrap();
    assert_ne!(common.printed("e", Reach::Away).unwrap().0, now);
}

#[test]
fn with_the_store_away_a_code_is_printed_unless_it_is_required() {
    let common = common(vec![], true, false);
    for reach in [Reach::Away, Reach::Off] {
        let host = format!("{reach:?}");
        let recorded = common.printed(&host, reach).unwrap().1;
        assert_eq!(recorded, reach == Reach::Off, "{reach:?}");
    }
    let required = super::tests::common(vec![], true, true);
    let error = required.printed("a", Reach::Away).unwrap_err();
    let what =
        "no MFA code is sent without the fleet's store s3://bucket/prefix: cannot connect to S3";
    assert_eq!(error, Error::aws(what).hint("see to it"));
    assert!(!cache_of(&required, "a").join("sessions").exists(), "nothing is claimed");
}

#[test]
fn a_host_without_codes_has_the_session_of_another() {
    let common = common(vec![session("by a person")], false, false);
    let error = common.get("b", Reach::Yes).unwrap_err();
    assert_eq!(error.what, format!("no MFA code is available for {SERIAL}"));
    assert_eq!(common.asked(), "GETs ", "nothing is claimed before somebody was asked");
    let made = common.on("a", Reach::Yes, "prod", code("123456")).unwrap();
    assert_eq!(made, "by a person");
    assert_eq!(common.asked(), "GETs PUTs GETl PUTl PUTs ");
    assert_eq!(common.get("b", Reach::Yes).unwrap(), "by a person");
    assert_eq!(common.sts.requests().len(), 1);
}

#[test]
fn a_host_whose_code_was_refused_is_not_waited_for() {
    let common = common(vec![refused(), session("second")], false, false);
    let error = common.on("a", Reach::Yes, "prod", code("111111")).unwrap_err();
    assert_eq!(error.class, Class::Aws);
    assert_eq!(common.asked(), "GETs PUTs GETl PUTl PUTs ");
    common.store.now.store(1, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(common.on("b", Reach::Yes, "prod", code("222222")).unwrap(), "second");
}

/// `s/NAME` is written anew each time, or by a host that never ends.
#[test]
fn a_host_that_times_out_makes_its_own_session_with_a_code_of_the_fleets() {
    let common = common(vec![refused(), session("own")], false, false);
    common.on("a", Reach::Yes, "prod", code("111111")).unwrap_err();
    let log = common.store.log.lock().unwrap().clone();
    let name = log[0].trim_start_matches("GET ").to_owned();
    common.asked();
    common.store.remove(&name);
    common.store.write(&name, b"?", Condition::Absent).unwrap();
    let common = Common { within: Some(Duration::from_secs(6)), ..common };
    common.asked();
    assert_eq!(common.on("b", Reach::Yes, "prod", code("222222")).unwrap(), "own");
    let asked = common.asked();
    assert!(asked.starts_with("GETs ") && asked.ends_with(" GETl PUTl "), "{asked}");
    assert!(!asked.contains("PUTs"), "{asked}");
}

#[test]
fn a_host_whose_code_fails_after_the_wait_looks_once_more_for_the_others_session() {
    let common = common(vec![refused(), refused()], false, false);
    common.on("a", Reach::Yes, "prod", code("111111")).unwrap_err();
    let log = common.store.log.lock().unwrap().clone();
    let name = log[0].trim_start_matches("GET ").to_owned();
    common.store.remove(&name);
    common.store.write(&name, b"?", Condition::Absent).unwrap();
    let common = Common { within: Some(Duration::from_secs(6)), ..common };
    common.asked();
    common.on("b", Reach::Yes, "prod", code("222222")).unwrap_err();
    assert!(common.asked().ends_with(" GETl PUTl GETs "));
}

#[test]
fn a_program_that_gives_no_code_is_an_error_where_the_store_refuses_too() {
    let common = common(Vec::new(), false, false);
    let error = common.on("a", Reach::Refuses, "program", Options::default()).unwrap_err();
    assert_eq!(error.what, "the mfa_process failed with exit status 1");
    assert_eq!(error.class, Class::Aws);
}

#[test]
fn refresh_makes_a_new_session_for_all() {
    let common = common(vec![session("first"), session("second")], true, false);
    let refresh = || Options { refresh: true, ..Options::default() };
    assert_eq!(common.get("a", Reach::Yes).unwrap(), "first");
    assert_eq!(common.on("b", Reach::Yes, "prod", refresh()).unwrap(), "second");
    assert_eq!(common.get("c", Reach::Yes).unwrap(), "second");
    assert_eq!(common.get("a", Reach::Yes).unwrap(), "first", "it is valid");
    assert_eq!(common.sts.requests().len(), 2);
}

#[test]
fn what_costs_no_code_is_not_shared() {
    let role = |token: &str| {
        let Answer::Reply(head, body) = session(token) else { unreachable!() };
        Answer::Reply(head, body.replace("GetSessionToken", "AssumeRole"))
    };
    let common = common(vec![session("first"), role("a's"), role("b's")], true, false);
    for (host, token) in [("a", "a's"), ("b", "b's")] {
        assert_eq!(common.on(host, Reach::Yes, "role", Options::default()).unwrap(), token);
    }
    assert_eq!(common.asked(), "GETs PUTs GETl PUTl PUTs GETs ");
}
