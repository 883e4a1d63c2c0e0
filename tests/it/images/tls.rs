//! TLS in the image: by name, against a server whose authority is named.

use crate::support::builder::Test;
use crate::support::docker::{Engine, PIPELINE, VAULT, docker, until};
use crate::tls::{FORWARD, certificate};

#[test]
#[ignore = "needs docker and the images of docker/images"]
fn a_server_is_believed_by_the_bundle_that_is_named_and_by_no_other() {
    let engine = Engine::new();
    let sts = engine.sts(super::STS);
    let home = Test::new();
    let (key, certificate) = certificate(&home, false, "DNS:sts");
    let read = |path| std::fs::read(path).expect("openssl's");
    let key = engine.file("tls/key.pem", read(&key));
    let certificate = engine.file("tls/certificate.pem", read(&certificate));
    let (key, bundle) = (format!("-v{key}:/key.pem:ro"), format!("-v{certificate}:/bundle.pem:ro"));
    // In the stand-in's own network namespace, so that the name is the same.
    let beside = format!("--network=container:{}", sts.id);
    let words = ["python3", "-c", FORWARD, "/bundle.pem", "/key.pem", "8080", "0.0.0.0:8443"];
    let made = ["run", "-d", "--label", engine.network(), &beside, &key, &bundle, PIPELINE];
    let tls = docker(made.into_iter().chain(words));
    assert_eq!(tls.status, 0, "{}", tls.stderr);
    until("it listens", || docker(["logs", tls.stdout.trim()]).stdout == "8443\n");

    let mut options = super::bare(&engine);
    options.extend([bundle, "-eAWS_ENDPOINT_URL_STS=https://sts:8443".to_owned()]);
    for variable in ["AWS_CA_BUNDLE", "SSL_CERT_FILE"] {
        let mut options = options.clone();
        options.push(format!("-e{variable}=/bundle.pem"));
        let left = engine.run(&options, VAULT, &["exec", "--json", "role"]);
        assert_eq!((left.status, left.stderr.as_str()), (0, ""), "{variable}");
    }
    assert_eq!(sts.calls().len(), 2);
    // The image's own authorities vouch for others.
    let left = engine.run(&options, VAULT, &["exec", "--json", "role"]);
    let error = "vault: error: the certificate of sts:8443 is signed by none of the roots in \
                 /etc/ssl/certs/ca-certificates.crt\n";
    assert!(left.status == 9 && left.stderr.starts_with(error), "{left:?}");
    assert_eq!(sts.calls().len(), 2);
}
