//! What is left in the memory of a process that becomes the command, that answers an SDK, or that
//! waits for another: every byte that can be read is searched for every secret of the vault, and for
//! what was derived on the way.
//!
//! `VAULT_BIN` names another binary to look into: the released one.

mod import;
mod search;
mod secrets;
mod stop;

use std::process::Stdio;

use age::secrecy::ExposeSecret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use search::{Hit, Search};
use secrets::{Secrets, base32};
use stop::{Call, Region, Stopped, traced};

use crate::child;
use crate::support::MFA_SERIAL;
use crate::support::builder::Test;
use crate::support::child::spawn;
use crate::support::pty::Pty;
use crate::support::standin::identity::Provider;
use crate::support::standin::{Fault, Role, StandIn, User, World};
use crate::unlock::own;

const ED25519: &str = include_str!("../../fixtures/ssh/test_ed25519");
const ED25519_PUB: &str = include_str!("../../fixtures/ssh/test_ed25519.pub");
const RSA: &str = include_str!("../../fixtures/ssh/test_rsa");
const RSA_PUB: &str = include_str!("../../fixtures/ssh/test_rsa.pub");

/// A random text of letters and digits.
fn random_text(length: usize) -> String {
    base32(&random(length.div_ceil(8) * 5))[..length].to_owned()
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    getrandom::getrandom(&mut bytes).expect("random bytes");
    bytes
}

/// A key of a user, new in each run.
struct Key {
    id: String,
    secret: String,
}

impl Key {
    fn new() -> Self {
        Self {
            id: format!("AKIA{}", random_text(16)),
            secret: format!("{}+{}/", random_text(20).to_lowercase(), random_text(18)),
        }
    }
}

/// A vault in which everything is new and known: two keys, two seeds; openable by an age key, a
/// passphrase and two ssh keys.
struct Scene {
    test: Test,
    standin: StandIn,
    identity: String,
    passphrase: String,
    /// The key of `demo`, which the command may get.
    demo: Key,
    other: Key,
    other_profile: String,
    seed: Vec<u8>,
    other_seed: Vec<u8>,
    canaries: [Vec<u8>; 3],
}

impl Scene {
    fn new() -> Self {
        Self::for_another(&[])
    }

    /// The same, and one more may open it.
    fn for_another(recipient: &[&str]) -> Self {
        let age = age::x25519::Identity::generate();
        let identity = age.to_string().expose_secret().to_owned();
        let passphrase = format!("{} {}", random_text(9), random_text(14).to_lowercase());
        let (demo, other) = (Key::new(), Key::new());
        let (seed, other_seed) = (random(40), random(40));
        let role = |name: &str| Role::new(name).max_duration(43_200);
        let user = User::new("demo").key(&demo.id, &demo.secret).mfa(MFA_SERIAL, &base32(&seed));
        let world = World::empty().user(user).role(role("deploy")).role(role("audit"));
        let standin = StandIn::start(world);

        let test = Test::new().standin(&standin).config(crate::support::scene::PROFILES);
        let test = test.file("passphrase", &passphrase, 0o600).file("ed25519", ED25519, 0o600);
        let test = test.file("rsa", RSA, 0o600).file("key", &identity, 0o600);
        let plugin = format!("#!/bin/sh\n{}", child::PLUGIN);
        let test = test.on_path("vault").file("bin/age-plugin-vaulttest", plugin, 0o755);
        let test = test.file("plugin", child::plugin_identity(), 0o600);
        test.command(["init", "-r", ED25519_PUB.trim(), "-r", RSA_PUB.trim()])
            .args(recipient)
            .args(["-r", &age.to_public().to_string()])
            .args(["--passphrase", "--passphrase-file", "passphrase"])
            .run();
        let other_profile = format!("p-{}", random_text(16).to_lowercase());
        let by_key = |words: &[&str]| test.command(["-i", "key"]).args(words);
        for (profile, key) in [("demo", &demo), (&other_profile, &other)] {
            let json =
                format!(r#"{{"AccessKeyId": "{}", "SecretAccessKey": "{}"}}"#, key.id, key.secret);
            by_key(&["add", profile, "--stdin", "--no-add-config"]).stdin(json).run();
        }
        let elsewhere = format!("{MFA_SERIAL}-{}", random_text(16));
        for (serial, seed) in [(MFA_SERIAL, &seed), (&elsewhere, &other_seed)] {
            by_key(&["totp", "add", serial, "--stdin"]).stdin(base32(seed)).run();
        }
        let canaries = [random_text(32).into_bytes(), random(33), random(32)];
        let hex: String = canaries[2].iter().map(|byte| format!("{byte:02x}")).collect();
        let test = test
            .env("CANARY", String::from_utf8(canaries[0].clone()).expect("text"))
            .env("CANARY_BASE64", format!("x{}", STANDARD_NO_PAD.encode(&canaries[1])))
            .env("CANARY_HEX", hex);
        Self {
            test,
            standin,
            identity,
            passphrase,
            demo,
            other,
            other_profile,
            seed,
            other_seed,
            canaries,
        }
    }

    /// Everything that nobody needs once the vault has been read.
    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        let identity = secrets.add_identity("identity", &self.identity);
        let file = std::fs::read(self.test.vault_file()).expect("the vault");
        secrets.add_vault(&file, &[("identity", identity)], Some(&self.passphrase));
        secrets.add_ssh_key(ED25519);
        secrets.add_ssh_key(RSA);
        secrets.add("another profile's key", &self.other.secret);
        secrets.add("another profile's key id", &self.other.id);
        secrets.add("another profile's name", &self.other_profile);
        secrets.add_seed("another device's seed", &self.other_seed);
        secrets
    }

    /// The seed of the device that was used.
    fn with_seed(&self, mut secrets: Secrets) -> Secrets {
        secrets.add_seed("the device's seed", &self.seed);
        secrets
    }

    /// The long-term key of `demo`, and what signatures are made with: for a command that gets a session.
    fn with_base(&self, mut secrets: Secrets) -> Secrets {
        let now = self.standin.now();
        let days = [now - 86_400, now, now + 86_400]
            .map(|at| crate::support::standin::time::rfc3339(at)[..10].replace('-', ""));
        secrets.add("the profile's key", &self.demo.secret);
        secrets.add_signing_keys("the profile's key", &self.demo.secret, &days);
        self.with_seed(secrets)
    }

    /// A run of the binary that is looked into.
    fn run(&self, words: &[&str]) -> Test {
        self.test.command(words)
    }

    /// The finds of these secrets in the memory; fails if the searcher would not have found them.
    #[track_caller]
    fn search(&self, memory: &[Region], secrets: Secrets, at_end: bool) -> Vec<String> {
        let names = ["canary", "canary in base64", "canary in hex"].map(str::to_owned);
        let canaries = Search::of(names.into_iter().zip(self.canaries.iter().cloned()));
        let found = canaries.hits(memory);
        for (form, what) in
            [("raw", "canary"), ("base64", "canary in base64"), ("hex", "canary in hex")]
        {
            // The environment is where the kernel put it, and until the end where this program
            // keeps it.
            let there = |place: &str| {
                found.iter().any(|hit| hit.what == what && hit.form == form && hit.place == place)
            };
            assert!(there("[stack]"), "no {what} in the stack: {found:#?}");
            assert!(at_end || there("[heap]"), "no {what} in the heap: {found:#?}");
        }
        let hits = Search::of(secrets.0).hits(memory);
        let told = hits.iter().map(|hit| {
            let Hit { what, form, place, address, windows } = hit;
            format!("{what} ({form}) in {place} at {address:#x}, {} bytes", windows + 11)
        });
        told.collect()
    }

    /// Runs it to a call, and searches.
    #[allow(clippy::zombie_processes)] // the tracer waits for it
    #[track_caller]
    fn stop_and_search(
        &self,
        run: &Test,
        at: impl Fn(Call) -> bool,
        secrets: impl FnOnce() -> Secrets,
    ) -> Vec<String> {
        let mut command = run.ready();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        traced(&mut command);
        let child = spawn(&mut command);
        let mut stopped = Stopped::at_start(&child);
        let call = stopped.run_to(at);
        let memory = stopped.memory();
        stopped.kill();
        self.search(&memory, secrets(), exit(call))
    }
}

#[track_caller]
fn assert_nothing(finds: &[(String, Vec<String>)]) {
    let told: Vec<String> = finds
        .iter()
        .flat_map(|(run, finds)| finds.iter().map(move |f| format!("{run}: {f}")))
        .collect();
    assert!(told.is_empty(), "{} finds:\n{}", told.len(), told.join("\n"));
}

fn execve(call: Call) -> bool {
    call.number == libc::SYS_execve
}

/// The one write of a run that finds its session in the cache: the answer.
fn answer(call: Call) -> bool {
    call.number == libc::SYS_write && call.args[0] != 2
}

/// Waiting, for a limited time, for the thread that stands in the lock's queue. A thread that derives a key
/// is waited for without a limit, and only where the machine is busy.
fn waiting(call: Call) -> bool {
    let [_, operation, _, timeout, ..] = call.args;
    let waits = [libc::FUTEX_WAIT, libc::FUTEX_WAIT_BITSET];
    let operation = operation as i32 & libc::FUTEX_CMD_MASK;
    call.number == libc::SYS_futex && waits.contains(&operation) && timeout != 0
}

fn exit(call: Call) -> bool {
    call.number == libc::SYS_exit_group
}

/// A run whose command gets the profile's own key.
const PLAIN: [&str; 5] = ["exec", "-n", "demo", "--", "/bin/true"];

/// Stops each run before the command starts.
#[track_caller]
fn assert_nothing_at_execve(scene: &Scene, secrets: impl Fn() -> Secrets, runs: &[(&str, Test)]) {
    let finds = runs
        .iter()
        .map(|(name, run)| ((*name).to_owned(), scene.stop_and_search(run, execve, &secrets)));
    assert_nothing(&finds.collect::<Vec<_>>());
}

#[test]
fn no_secret_is_left_when_a_key_opened_the_vault() {
    let scene = Scene::new();
    let by = |name: &str, value: &str| scene.run(&PLAIN).env(name, value);
    let encoded = base64::engine::general_purpose::STANDARD.encode(&scene.identity);
    let runs = [
        ("variable", by("AWS_VAULT_AGE_KEY", &scene.identity)),
        ("base64", by("AWS_VAULT_AGE_KEY", &encoded)),
        ("named file", by("AWS_VAULT_AGE_KEY_FILE", "key")),
        ("sops", by("SOPS_AGE_KEY", &scene.identity)),
        ("-i", scene.run(&["-i", "key"]).args(PLAIN)),
    ];
    assert_nothing_at_execve(&scene, || scene.with_seed(scene.secrets()), &runs);
}

#[test]
fn no_secret_is_left_when_an_ssh_key_opened_the_vault() {
    let scene = Scene::new();
    let runs = ["ed25519", "rsa"].map(|key| (key, scene.run(&["-i", key]).args(PLAIN)));
    assert_nothing_at_execve(&scene, || scene.with_seed(scene.secrets()), &runs);
}

#[test]
fn no_secret_is_left_when_a_plugin_opened_the_vault() {
    let scene = Scene::for_another(&["-r", &child::plugin_recipient()]);
    let runs = [("plugin", scene.run(&["-i", "plugin"]).args(PLAIN))];
    assert_nothing_at_execve(&scene, || scene.with_seed(scene.secrets()), &runs);
}

#[test]
fn no_secret_is_left_when_a_passphrase_opened_the_vault() {
    let scene = Scene::new();
    let runs = [
        ("file", scene.run(&["--passphrase-file", "passphrase"]).args(PLAIN)),
        ("variable", scene.run(&PLAIN).env("AWS_VAULT_PASSPHRASE", &scene.passphrase)),
    ];
    assert_nothing_at_execve(&scene, || scene.with_seed(scene.secrets()), &runs);
}

#[test]
fn no_secret_is_left_when_the_vault_was_unlocked_before() {
    let scene = Scene::new();
    if vault::os::keyring::find("vault-test:probe", 1).is_err() {
        return eprintln!("not tested: no keyring here");
    }
    let unlock = scene.run(&["unlock", "--passphrase-file", "passphrase"]);
    let secrets = || scene.with_seed(scene.secrets());
    let finds = scene.stop_and_search(&unlock, exit, secrets);
    assert_nothing(&[("unlock".to_owned(), finds)]);
    // By then it has been kept.
    assert_nothing_at_execve(&scene, secrets, &[("exec", scene.run(&PLAIN))]);
    let answering = scene.run(&["exec", "--json", "mfa-role"]);
    answering.run();
    let finds = scene.stop_and_search(&answering, exit, || scene.with_base(scene.secrets()));
    assert_nothing(&[("answer".to_owned(), finds)]);
    scene.run(&["lock"]).expect_stdout("Locked\n").run();
}

#[test]
fn no_secret_is_left_when_the_passphrase_was_typed() {
    let scene = Scene::new();
    let mut command = scene.run(&PLAIN).ready();
    traced(&mut command);
    let mut pty = Pty::spawn(command, scene.test.place());
    let mut stopped = Stopped::at_start(pty.child());
    // Once wrong: what was typed is a secret all the same.
    let wrong = random_text(20);
    pty.press(&format!("{wrong}\n{}\n", scene.passphrase));
    stopped.run_to(execve);
    let mut secrets = scene.with_seed(scene.secrets());
    secrets.add("what was typed wrong", wrong);
    assert_nothing(&[("typed".to_owned(), scene.search(&stopped.memory(), secrets, false))]);
    stopped.kill();
}

#[test]
fn no_secret_is_left_when_a_keys_own_passphrase_was_typed() {
    const ED25519: &str = include_str!("../../fixtures/ssh/locked_ed25519");
    const RSA: &str = include_str!("../../fixtures/ssh/locked_rsa");
    const WORD: &str = "seven-wooden-ladders-2931";
    let scene = Scene::new();
    let file = own::identity_file(&scene.identity, WORD, 4, false);
    let test = scene.test.clone().file("file", file, 0o600);
    let test = test.file("locked-ed25519", ED25519, 0o600).file("locked-rsa", RSA, 0o600);
    for key in ["locked-ed25519", "locked-rsa", "file"] {
        let mut command = test.command(["-i", key]).args(PLAIN).ready();
        traced(&mut command);
        let mut pty = Pty::spawn(command, scene.test.place());
        let mut stopped = Stopped::at_start(pty.child());
        let wrong = random_text(20);
        pty.press(&format!("{wrong}\n{WORD}\n"));
        stopped.run_to(execve);
        let mut secrets = scene.with_seed(scene.secrets());
        secrets.add("what was typed wrong", wrong);
        secrets.add("what was typed", WORD);
        assert_nothing(&[(key.to_owned(), scene.search(&stopped.memory(), secrets, false))]);
        stopped.kill();
    }
}

#[test]
fn no_long_lived_key_is_left_when_the_command_gets_a_session() {
    let scene = Scene::new();
    let by_key = |words: &[&str]| scene.run(&["-i", "key"]).args(words);
    let run = |profile| by_key(&["exec", profile, "--", "/bin/true"]);
    // Made now, with a code of the seed; through two roles; and out of the cache.
    let runs = [("made", run("mfa")), ("two roles", run("mfa-hops")), ("cached", run("mfa"))];
    assert_nothing_at_execve(&scene, || scene.with_base(scene.secrets()), &runs);
    assert_eq!(scene.standin.calls().len(), 3, "{}", scene.standin.log());
}

#[test]
fn no_token_is_left_when_the_command_gets_a_session_for_it() {
    let scene = Scene::new();
    let subject = format!("job:{}", random_text(24));
    scene.standin.change(|world| {
        world.providers.push(Provider::github());
        world.roles.push(Role::new("ci").subject(&subject));
    });
    let token = Provider::github().token(&subject, scene.standin.now() + 300);
    let test = scene.test.clone().file("token", &token, 0o600);
    test.config(
        "[profile ci]\nweb_identity_token_file = token\n\
         role_arn = arn:aws:iam::123456789012:role/ci\n",
    );
    let secrets = || {
        let mut secrets = scene.secrets();
        let parts: Vec<_> = token.split('.').collect();
        secrets.add("the token's claims", parts[1]);
        secrets.add("the token's signature", parts[2]);
        secrets.add("whom it is for", &subject);
        secrets
    };
    // With the vault's key for the cache, and with the token's.
    let runs = [&["-i", "key"][..], &[]].map(|way| {
        let run = |name| (name, scene.run(way).args(["exec", "ci", "--", "/bin/true"]));
        [run("made"), run("cached")]
    });
    for runs in runs {
        assert_nothing_at_execve(&scene, secrets, &runs);
    }
    assert_eq!(scene.standin.calls().len(), 2, "{}", scene.standin.log());
}

#[test]
fn no_token_of_a_login_is_left_when_the_command_gets_credentials_by_it() {
    let scene = Scene::new();
    // So that it is refreshed before each use.
    scene.standin.change(|world| world.sso.token_lasts = 60);
    let test = scene.test.clone();
    test.config(&format!(
        "[profile dev]\nsso_start_url = https://example.awsapps.com/start\nsso_region = us-east-1\n\
         sso_account_id = 123456789012\nsso_role_name = ReadOnly\nendpoint_url = {}\n",
        scene.standin.endpoint()
    ));
    scene.run(&["-i", "key"]).args(["sso", "login", "dev"]).run();
    let secrets = || {
        let mut secrets = scene.secrets();
        scene.standin.change(|world| {
            for secret in &world.sso.secrets {
                let (name, random) = secret.rsplit_once('-').expect("a name");
                secrets.add(name, random);
            }
        });
        secrets
    };
    let run = |name| (name, scene.run(&["-i", "key"]).args(["exec", "dev", "--", "/bin/true"]));
    assert_nothing_at_execve(&scene, secrets, &[run("made"), run("cached")]);
    let calls: Vec<_> = scene.standin.calls().iter().map(|call| call.action.clone()).collect();
    assert_eq!(calls[2..], ["CreateToken", "CreateToken", "GetRoleCredentials"]);
}

#[test]
fn an_answer_holds_the_credentials_and_the_memory_nothing_else() {
    let scene = Scene::new();
    let run = scene.run(&["-i", "key", "exec", "--json", "mfa-role"]);
    run.run();
    let finds = [("answer", answer as fn(Call) -> bool), ("exit", exit)].map(|(name, at)| {
        let secrets = scene.with_base(scene.secrets());
        (name.to_owned(), scene.stop_and_search(&run, at, || secrets))
    });
    assert_nothing(&finds);
}

#[test]
fn a_process_that_waits_for_a_lock_holds_only_what_it_may_yet_need() {
    let scene = Scene::new();
    let runs = [
        ("key", scene.run(&["-i", "key"])),
        ("variable", scene.run(&[]).env("AWS_VAULT_AGE_KEY", &scene.identity)),
        ("passphrase", scene.run(&[]).env("AWS_VAULT_PASSPHRASE", &scene.passphrase)),
    ];
    scene.standin.fail_always(Some(Fault::HangForever));
    let words = ["exec", "--json", "mfa"];
    let mut holder = runs[0].1.clone().args(words).start();
    while scene.standin.calls().is_empty() {
        std::thread::yield_now();
    }
    // The profile's own key and its device's seed, should the holder die; and the cache's keys.
    let secrets = || {
        let mut secrets = scene.secrets();
        secrets
            .0
            .retain(|(name, _)| !name.starts_with("vault-cache-") || name.contains("extracted"));
        secrets
    };
    let finds = runs.map(|(name, run)| {
        (name.to_owned(), scene.stop_and_search(&run.args(words), waiting, secrets))
    });
    holder.kill().and_then(|()| holder.wait()).expect("its end");
    assert_nothing(&finds);
}

#[test]
fn a_process_that_waits_to_write_holds_what_opens_the_vault_and_nothing_derived() {
    let scene = Scene::new();
    let mut path = scene.test.vault_file().into_os_string();
    path.push(".lock");
    let lock = std::fs::File::options().write(true).open(path).expect("the lock");
    lock.lock().expect("the lock");
    // The file may have been changed when its turn comes, and has to be opened again. What is in it
    // is about to be written. Of the seeds and of the vault's own keys there is the text.
    let needed = [
        "identity, BECH32",
        "passphrase",
        "auth_key",
        "cache_key",
        "another device's seed, BASE32",
    ];
    let secrets = || {
        let mut secrets = scene.secrets();
        secrets.0.retain(|(name, _)| {
            !needed.contains(&name.as_str()) && !name.starts_with("another profile's")
        });
        secrets
    };
    let finds = [["-i", "key"], ["--passphrase-file", "passphrase"]].map(|by| {
        let run = scene.run(&by).args(["remove", "-f", "demo"]);
        (by[0].to_owned(), scene.stop_and_search(&run, waiting, secrets))
    });
    assert_nothing(&finds);
}

#[test]
fn nothing_is_left_at_the_end_of_a_write() {
    let scene = Scene::new();
    let runs =
        [(["-i", "key"], "demo"), (["--passphrase-file", "passphrase"], &scene.other_profile)];
    let finds = runs.map(|(by, profile)| {
        let run = scene.run(&by).args(["remove", "-f", profile]);
        // The keys of the file that is there by then. The profile was named.
        let secrets = || {
            let mut secrets = scene.secrets();
            secrets.0.retain(|(name, _)| name != "another profile's name");
            secrets
        };
        (by[0].to_owned(), scene.stop_and_search(&run, exit, secrets))
    });
    assert_nothing(&finds);
    let words = ["--vault", "new.age", "init", "--passphrase", "--passphrase-file", "passphrase"];
    let secrets = || {
        let mut secrets = Secrets::default();
        secrets.add_vault(&scene.test.read("new.age"), &[], Some(&scene.passphrase));
        secrets
    };
    let finds = scene.stop_and_search(&scene.run(&words), exit, secrets);
    assert_nothing(&[("init".to_owned(), finds)]);
}
