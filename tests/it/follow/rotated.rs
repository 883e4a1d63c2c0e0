//! A key that one host replaces, and the others that have it.

use super::*;

#[test]
fn a_host_whose_key_was_replaced_elsewhere_pulls_and_goes_on() {
    let scene = Scene::new();
    let other = scene.another();
    scene.first.command(["rotate", "ci"]).expect_stderr("").run();
    let new = payload_of(scene.first.vault_file()).access_key_id("ci").unwrap().to_owned();
    assert_eq!(vault(&scene.first), scene.bucket.read(COPY));
    let given = other.command(["exec", "--json", "ci"]).expect_stderr("").run();
    assert!(given.stdout.contains("SessionToken"), "{}", given.stdout);
    assert_eq!(vault(&other), vault(&scene.first));
    let log = scene.standin.log();
    let last: Vec<_> = log.lines().rev().take(2).collect();
    assert_eq!(last.len(), 2, "{log}");
    assert!(log.contains(ID) && !new.is_empty(), "{log}");
}

#[test]
fn a_server_follows_before_it_serves() {
    let scene = Scene::new();
    let other = scene.another();
    scene.first.command(["rotate", "ci"]).run();
    let config = std::fs::read_to_string(other.home().join(".aws/config")).unwrap_or_default();
    let config = format!("{config}\n[profile ci]\ninclude_profile = gone\n");
    let other = other.file(".aws/config", &config, 0o600);
    // Said once, although the plan is run twice.
    other
        .command(["exec", "--server", "ci", "--", "true"])
        .expect_stderr("vault: warning: no profile \"gone\", the include_profile of \"ci\"\n")
        .run();
    assert_eq!(vault(&other), vault(&scene.first));
}

#[test]
fn with_nothing_later_in_the_store_the_error_is_awss() {
    let scene = Scene::new();
    scene.standin.change(|world| *world = World::empty());
    let unknown = "vault: error: AWS does not know the access key (key AKIAI44QH8DHBEXAMPLE of \
                   profile ci)\n\
                   vault: hint: it was deleted, is inactive, belongs to another partition, or is only \
                   seconds old\n";
    scene.first.command(["exec", "--json", "ci"]).expect_error(9, unknown).run();
    scene.down();
    let failed = scene.first.command(["exec", "--json", "ci"]).expect_status(9).run();
    let warning = "vault: warning: the vault could not follow: the store s3://fleet/vault: ";
    assert!(failed.stderr.starts_with(warning), "{}", failed.stderr);
    assert!(failed.stderr.ends_with(unknown), "{}", failed.stderr);
}

#[test]
fn with_the_store_away_nothing_is_asked_of_aws() {
    let scene = Scene::new();
    scene.down();
    for words in [&["rotate", "ci"][..], &["mfa", "enroll", "ci"]] {
        let failed = scene.first.command(words).expect_status(9).expect_stdout("").run();
        assert!(failed.stderr.starts_with("vault: error: the store s3://fleet/vault: "));
    }
    assert_eq!(scene.standin.log(), "");
}

#[test]
fn the_old_key_stays_until_the_store_has_the_new_one() {
    let scene = Scene::new();
    // Away as soon as AWS was asked for the key.
    let bucket = scene.bucket.clone();
    let standin = &scene.standin;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            while !standin.log().contains("CreateAccessKey") {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            bucket.answer(503, "SlowDown", "");
        });
        let failed = scene.first.command(["rotate", "ci"]).expect_status(9).run();
        let error = "\nvault: error: the store s3://fleet/vault: ";
        assert!(failed.stderr.contains(error), "{}", failed.stderr);
    });
    assert!(scene.standin.deleted_keys().is_empty());
    assert!(scene.standin.keys().iter().all(|key| key.active));
    // The others go on by the old one.
    scene.another().command(["exec", "--json", "-n", "ci"]).run();
    scene.bucket.answer_no_more();
    scene.first.command(["rotate", "ci", "--resume"]).expect_stderr("").run();
    assert_eq!(scene.standin.deleted_keys().len(), 1);
    assert_eq!(vault(&scene.first), scene.bucket.read(COPY));
}

#[test]
fn two_hosts_that_rotate_one_key_make_one() {
    let scene = Scene::new();
    let hosts = [scene.another(), scene.another()];
    let done: Vec<_> = std::thread::scope(|scope| {
        let started = hosts.iter().map(|host| {
            scope.spawn(move || host.command(["rotate", "ci"]).any_status().run().status)
        });
        started.collect::<Vec<_>>().into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert!(done.contains(&0), "{done:?}\n{}", scene.standin.log());
    for host in &hosts {
        host.command(["rotate", "ci", "--resume"]).any_status().run();
    }
    for host in &hosts {
        pull(host).run();
        let id = payload_of(host.vault_file()).access_key_id("ci").unwrap().to_owned();
        assert!(scene.standin.keys().iter().any(|key| key.id == id && key.active));
    }
    assert_eq!(scene.standin.keys().len(), 1);
    assert!(vault(&hosts[0]) == vault(&hosts[1]));
}

#[test]
fn the_stores_own_key_is_deleted_once_the_others_have_the_new_one() {
    let robot = User::new("store").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let scene = Scene::new();
    scene.standin.change(|world| *world = World::empty().user(robot));
    let failed = scene.first.command(["rotate", "store"]).expect_status(8).run();
    assert!(
        failed.stderr.starts_with(&format!(
            "vault: error: {ACCESS_KEY_ID} is not deleted yet: the other hosts need it for the \
             store until they have pulled the vault\n\
             vault: hint: run vault fleet pull on each of them, then vault rotate store --resume\n"
        )),
        "{}",
        failed.stderr
    );
    assert!(scene.standin.deleted_keys().is_empty());
}

/// The store hangs at the write of the vault with the new key, and the other hosts cannot pull that.
#[test]
fn a_new_key_of_the_stores_own_that_is_not_in_the_store_is_reported() {
    let robot = User::new("store").key(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let scene = Scene::new();
    scene.standin.change(|world| *world = World::empty().user(robot));
    scene.bucket.keep(7, Keep::Undone);
    let failed = scene.first.command(["rotate", "store"]).expect_status(9).run();
    scene.bucket.let_go();
    let end = "vault: error: the new key is saved on this host only: the vault was not written to \
        the fleet's store\n\
               vault: hint: run vault fleet pull here, then on the other hosts, then vault rotate \
                   store --resume\n";
    assert!(failed.stderr.ends_with(end), "{}", failed.stderr);
    assert!(scene.standin.deleted_keys().is_empty());
}
