//! `vault rekey`: the vault's own keys anew, for the same recipients.

use crate::recipient::{OTHER, new_fingerprint, opens, pin_of, vault};
use crate::support::standin::StandIn;
use crate::vault_file::payload_of;

#[test]
fn the_keys_are_new_and_it_opens_as_before() {
    let test = vault().file("new", "a new passphrase", 0o600);
    test.command(["recipient", "add", OTHER]).run();
    test.command(["passphrase", "set", "--new-passphrase-file", "new"]).run();
    let before = payload_of(test.vault_file());
    let run = test.command(["rekey"]).run();
    assert_eq!(run.stdout, format!("{}\n", pin_of(&test)));
    let new = new_fingerprint(&test);
    assert_eq!(run.stderr, format!("The vault's own keys are new. It opens as before.\n{new}"));

    let now = payload_of(test.vault_file());
    assert_ne!(now.pin(), before.pin());
    assert_ne!(now.cache_seed().1, before.cache_seed().1);
    assert_eq!(now.generation(), before.generation() + 1);
    assert_eq!((now.recipients(), now.passphrases()), (before.recipients(), before.passphrases()));
    for flags in [&[][..], &["-i", "other"], &["--passphrase-file", "new"]] {
        assert!(opens(&test, flags), "{flags:?}");
    }
}

#[test]
fn sessions_are_made_anew() {
    let standin = StandIn::demo();
    let test = vault().standin(&standin);
    let exec = test.command(["exec", "demo", "true"]);
    exec.run();
    exec.run();
    assert_eq!(standin.calls().len(), 1);
    test.command(["rekey"]).run();
    exec.run();
    assert_eq!(standin.calls().len(), 2);
}
