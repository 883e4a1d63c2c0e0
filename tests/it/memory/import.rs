//! What `import` leaves: it has another program's passphrase, and the keys under it.

use aes_gcm::aead::generic_array::GenericArray;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::secrets::Secrets;
use super::{Scene, assert_nothing, exit};
use crate::import::aws_vault::{THEIRS, fixture};
use crate::support::SECRET_ACCESS_KEY;

/// What becomes of the passphrase on the way to an item.
fn of_file(name: &str, secrets: &mut Secrets) {
    let file = std::fs::read_to_string(fixture(name)).expect("the fixture");
    let parts: Vec<Vec<u8>> =
        file.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).expect("base64url")).collect();
    let header: serde_json::Value = serde_json::from_slice(&parts[0]).expect("JSON");
    let salt = URL_SAFE_NO_PAD.decode(header["p2s"].as_str().expect("a salt")).expect("base64url");
    let salt = [b"PBES2-HS256+A128KW\0", &salt[..]].concat();
    let mut wrapping = [0; 16];
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(THEIRS.as_bytes(), &salt, 8192, &mut wrapping);
    let mut key = [0; 32];
    let kek = aes_kw::KekAes128::from(GenericArray::from(wrapping));
    kek.unwrap(&parts[1], &mut key).expect("the key");
    secrets.add(format!("{name}: what its key is wrapped by"), wrapping);
    secrets.add(format!("{name}: its key"), key);
}

#[test]
fn nothing_is_left_at_the_end_of_an_import() {
    let scene = Scene::new();
    let keys = fixture("").display().to_string();
    std::fs::write(scene.test.home().join("theirs"), THEIRS).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(scene.test.home().join("theirs"), mode).expect("chmod");
    let words =
        ["import", "--from", "aws-vault", "--dir", &keys, "--source-passphrase-file", "theirs"];
    let secrets = || {
        let mut secrets = scene.secrets();
        secrets.add("the source's passphrase", THEIRS);
        secrets.add_mac_key("the source's passphrase", THEIRS.as_bytes());
        secrets.add("an imported key", SECRET_ACCESS_KEY);
        for name in ["prod", "team%2Fci", "100%25"] {
            of_file(name, &mut secrets);
        }
        secrets
    };
    let finds = ["-i", "--passphrase-file"].map(|by| {
        let with = if by == "-i" { "key" } else { "passphrase" };
        let run = scene.run(&[by, with]).args(words);
        let mut finds = scene.stop_and_search(&run, exit, secrets);
        // Words of the passphrase are words of the program's own messages.
        let own = format!(" in {} at ", crate::support::program().display());
        finds.retain(|find| {
            !find.starts_with("the source's passphrase (raw)") || !find.contains(&own)
        });
        (by.to_owned(), finds)
    });
    assert_nothing(&finds);
}
