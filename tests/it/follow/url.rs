//! `--vault s3://…`: a host that has no vault.

use super::*;

/// A runner: the store's key in variables, and nothing on disk.
fn runner(scene: &Scene) -> Test {
    let pin = scene.first.command(["pin"]).run().stdout.trim().to_owned();
    host(&scene.standin)
        .env("AWS_VAULT_FILE", "s3://fleet/vault")
        .env("AWS_VAULT_PIN", pin)
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ENDPOINT_URL_S3", scene.bucket.endpoint())
}

#[test]
fn a_host_without_a_vault_starts_from_the_stores() {
    let scene = Scene::new();
    let runner = runner(&scene);
    let given = runner.command(["exec", "--json", "-n", "ci"]).expect_stderr("").run();
    assert!(given.stdout.contains(ID), "{}", given.stdout);
    scene.down();
    let given = runner.command(["exec", "--json", "-n", "ci"]).run();
    assert!(given.stdout.contains(ID) && given.stderr.contains("its copy on this host is used"));
    let written = runner.command(["remove", "-f", "ci"]).expect_status(9).run();
    assert!(written.stderr.contains("the store s3://fleet/vault: "), "{}", written.stderr);
    scene.bucket.answer_no_more();
    runner.command(["remove", "-f", "ci"]).expect_stderr("").run();
    pull(&scene.first).run();
    assert_eq!(names(&scene.first), ["store"]);
}

#[test]
fn without_a_fingerprint_it_is_refused() {
    let scene = Scene::new();
    let runner = runner(&scene).env_remove("AWS_VAULT_PIN");
    let refused = "vault: error: no fingerprint is known for s3://fleet/vault; without one, the \
        store's operator could put any vault there\n\
                   vault: hint: give its fingerprint with --pin or AWS_VAULT_PIN; on a host that \
                       has the vault, vault pin prints it\n";
    let requests = scene.bucket.log().len();
    runner.command(["exec", "--json", "ci"]).expect_error(6, refused).run();
    assert_eq!(scene.bucket.log().len(), requests);
    // Nor does doctor advise to make a vault where the copy will be.
    let said = runner.command(["doctor"]).any_status().run().stdout;
    let copy = "no copy of s3://fleet/vault is on this host yet: the next command fetches it; run: vault --pin \
                FINGERPRINT list\n";
    assert!(said.contains(copy) && !said.contains("vault init"), "{said}");
}

#[test]
fn a_bad_url_and_a_file_that_is_no_vault_are_errors() {
    let scene = Scene::new();
    let runner = runner(&scene);
    runner
        .command(["--vault", "s3://Fleet", "list"])
        .expect_error(
            2,
            "vault: error: --vault: this is not the URL of a place in S3\n\
             vault: hint: it is s3://BUCKET/PREFIX, with letters, digits, . _ - in the prefix\n",
        )
        .run();
    runner
        .command(["--vault", "s3://fleet/elsewhere", "list"])
        .expect_error(
            3,
            "vault: error: no vault in s3://fleet/elsewhere\n\
             vault: hint: put it there by vault fleet join, on a host that has it\n",
        )
        .run();
    runner
        .command(["init", "-r", AGE_RECIPIENT])
        .expect_error(
            6,
            "vault: error: s3://fleet/vault is no file, so no vault is made there\n\
             vault: hint: make it on a host of yours, with vault init, and share it by vault fleet join\n",
        )
        .run();
}
