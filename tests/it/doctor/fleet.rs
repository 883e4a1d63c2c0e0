//! The store that the hosts of a vault share, of which nothing is asked here.

use super::{doctor, usual};
use crate::fleet::joined;

#[test]
fn the_store_is_named_and_not_asked() {
    let (bucket, test) = joined();
    let asked = bucket.log().len();
    let by = "s3://fleet/vault, by the vault's key for profile \"store\"";
    doctor(&test).is("fleet.store", "ok", by);
    let elsewhere = test.clone().env("AWS_VAULT_SHARED", "s3://fleet/other");
    let by = "s3://fleet/other, by the vault's key for profile \"store\"";
    doctor(&elsewhere).is("fleet.store", "ok", by);
    let out = test.clone().env("AWS_VAULT_SHARED", "off");
    let text = "this host does not use the shared store s3://fleet/vault: AWS_VAULT_SHARED is off";
    doctor(&out).is("fleet.variable", "note", text);
    assert_eq!(doctor(&out).of("fleet.store"), []);
    assert_eq!(bucket.log().len(), asked, "{:?}", bucket.log());
}

#[test]
fn a_meaningless_variable_is_reported() {
    for test in [joined().1, usual().1] {
        for value in ["", "on", "https://fleet"] {
            let test = test.clone().env("AWS_VAULT_SHARED", value);
            let text = "AWS_VAULT_SHARED is neither off nor s3://BUCKET/PREFIX; unset it to share the \
                        store that the vault names, or say off";
            doctor(&test).is("fleet.variable", "problem", text);
        }
    }
}

#[test]
fn a_missing_key_is_reported() {
    let (_bucket, test) = joined();
    test.command(["remove", "-f", "store"]).any_status().run();
    let text = "no key for profile \"store\", the store's, in the vault; vault add store";
    doctor(&test).is("fleet.key", "problem", text);
}

#[test]
fn a_copy_that_a_fork_left_is_reported() {
    let (_bucket, test) = joined();
    assert_eq!(doctor(&test).of("fleet.fork"), []);
    std::fs::copy(test.vault_file(), test.vault_file().with_extension("age.theirs"))
        .expect("a copy");
    let vault = "[HOME]/.local/share/vault/vault.age";
    let text = format!(
        "{vault}.theirs: the vault and its copy in the store were both changed; rename it to \
         {vault} with mv, and repeat the changes of this host; if you have done so already, \
         remove it"
    );
    doctor(&test).is("fleet.fork", "problem", &text);
    // Also where nothing opens the vault.
    doctor(&test.clone().env("AWS_VAULT_AGE_KEY", "")).is("fleet.fork", "problem", &text);
}
