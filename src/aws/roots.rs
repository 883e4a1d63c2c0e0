//! The root certificates of TLS: from the first of the configured bundle, `SSL_CERT_FILE` and `SSL_CERT_DIR`,
//! the system's file, and Mozilla's set in the program, with which the binary works in an image without
//! /etc/ssl.
//!
//! All are parsed and checked here, so that the error for a bad one names its file. The crate
//! rustls-native-certs skips some damaged certificates without an error, has no limit on a file, and does not
//! tell which of the system's files it read.

use std::io::ErrorKind::NotADirectory;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::env::Env;
use crate::error::{Error, Result};
use crate::file::{self, ReadError};

/// The systems' files, as in Go's crypto/x509.
pub const SYSTEM: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",   // Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",             // openSUSE
    "/etc/pki/tls/cacert.pem",            // OpenELEC
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // RHEL 7
    "/etc/ssl/cert.pem",                  // Alpine without ca-certificates
];

/// A system's bundle has some 200 kB.
const LIMIT: u64 = 8 * 1024 * 1024;

pub struct Roots {
    /// Certificates that the TLS library accepts.
    pub certificates: Vec<CertificateDer<'static>>,
    /// The source, for messages.
    pub source: String,
    /// The number of the source's certificates that cannot be used.
    pub skipped: usize,
}

/// The configured sources.
pub struct Sources {
    /// `AWS_CA_BUNDLE` or `ca_bundle`.
    pub bundle: Option<PathBuf>,
    /// `SSL_CERT_FILE`.
    pub file: Option<PathBuf>,
    /// `SSL_CERT_DIR`, a list with colons.
    pub directories: Vec<PathBuf>,
}

/// Checks a configured bundle.
pub fn check_bundle(path: &Path, env: &Env) -> Result<()> {
    Sources::new(Some(path.to_owned()), env).load().map(drop)
}

impl Sources {
    /// In the bundle's path a leading `~` is the home.
    pub fn new(bundle: Option<PathBuf>, env: &Env) -> Self {
        let in_home = |path: PathBuf| match (path.strip_prefix("~"), env.get_os("HOME")) {
            (Ok(below), Some(home)) => Path::new(home).join(below),
            _ => path,
        };
        let directories = env.get_os("SSL_CERT_DIR").map(std::env::split_paths);
        Self {
            bundle: bundle.map(in_home),
            file: env.get_os("SSL_CERT_FILE").map(PathBuf::from),
            directories: directories
                .into_iter()
                .flatten()
                .filter(|d| *d != Path::new(""))
                .collect(),
        }
    }

    /// Reads the first source that exists.
    ///
    /// Certificates that cannot serve as roots are skipped and counted, as in other programs. A configured
    /// file must be undamaged, though: the root that matters could be in the damaged part.
    ///
    /// # Errors
    /// Class 1, naming the file: it cannot be read, is not PEM, or has no usable certificate. Only a missing
    /// system file is skipped.
    pub fn load(&self) -> Result<Roots> {
        self.load_from(&SYSTEM.map(Path::new))
    }

    fn load_from(&self, system: &[&Path]) -> Result<Roots> {
        if let Some(path) = &self.bundle {
            return configured(path);
        }
        if self.file.is_some() || !self.directories.is_empty() {
            return self.of_openssl();
        }
        for path in system {
            match read(path) {
                Ok(text) => return parse(path, &text, Damage::Skip),
                Err(ReadError::NotFound) => {}
                Err(ReadError::Io(e)) if e.kind() == NotADirectory => {}
                Err(e) => return Err(unreadable(path, &e)),
            }
        }
        Ok(built_in())
    }

    /// The file, and every file of the directories that has certificates; c_rehash(1) adds links to them.
    fn of_openssl(&self) -> Result<Roots> {
        let mut all = match &self.file {
            Some(path) => configured(path)?,
            None => Roots { certificates: Vec::new(), source: String::new(), skipped: 0 },
        };
        for directory in &self.directories {
            let entries =
                std::fs::read_dir(directory).map_err(|e| unreadable(directory, &e.into()))?;
            for path in entries.flatten().map(|entry| entry.path()) {
                let Ok(text) = read(&path) else { continue };
                let Ok(roots) = parse(&path, &text, Damage::Skip) else { continue };
                for certificate in roots.certificates {
                    if !all.certificates.contains(&certificate) {
                        all.certificates.push(certificate);
                    }
                }
                all.skipped += roots.skipped;
            }
        }
        let sources = self.file.iter().chain(&self.directories);
        all.source = sources.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ");
        if all.certificates.is_empty() {
            let what = format!("CA bundle {}: no certificate in it that can be used", all.source);
            return Err(
                Error::other(what).hint("SSL_CERT_DIR names directories of PEM certificates")
            );
        }
        Ok(all)
    }
}

/// Reads a configured file.
fn configured(path: &Path) -> Result<Roots> {
    let text = read(path).map_err(|e| unreadable(path, &e))?;
    parse(path, &text, Damage::Refuse)
}

/// What a damaged file means.
#[derive(PartialEq)]
enum Damage {
    Refuse,
    Skip,
}

fn read(path: &Path) -> std::result::Result<Zeroizing<Vec<u8>>, ReadError> {
    file::read_regular(path, LIMIT).map(|(text, _)| text)
}

fn unreadable(path: &Path, error: &ReadError) -> Error {
    Error::other(format!("CA bundle {}: {}", path.display(), error.text(LIMIT)))
}

fn parse(path: &Path, text: &[u8], damage: Damage) -> Result<Roots> {
    let bad = |what: String| {
        Error::other(format!("CA bundle {}: {what}", path.display()))
            .hint("it must be a file of PEM certificates (-----BEGIN CERTIFICATE-----)")
    };
    let (mut certificates, mut skipped) = (Vec::new(), 0usize);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for certificate in CertificateDer::pem_slice_iter(text) {
        match certificate {
            Ok(certificate) if webpki::anchor_from_trusted_cert(&certificate).is_ok() => {
                certificates.push(certificate);
            }
            Ok(_) => skipped += 1,
            // The start of the next section is not known after damage in the armor.
            Err(_) if damage == Damage::Refuse => {
                return Err(bad(format!(
                    "damaged after certificate {}",
                    certificates.len() + skipped
                )));
            }
            Err(_) => {
                skipped += 1;
                break;
            }
        }
    }
    if certificates.is_empty() {
        return Err(bad("no certificate in it that can be used".to_owned()));
    }
    Ok(Roots { certificates, source: path.display().to_string(), skipped })
}

fn built_in() -> Roots {
    let all = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let usable = all.filter(|it| webpki::anchor_from_trusted_cert(it).is_ok());
    let certificates = usable.cloned().collect();
    Roots { certificates, source: "this program (built in)".to_owned(), skipped: 0 }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::error::Class;

    /// A directory that goes away with its test.
    struct Dir(PathBuf);

    impl Dir {
        fn new(name: &str) -> Self {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("target")
                .join(format!("roots-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn file(&self, name: &str, content: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Dir {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn append(pem: &mut Vec<u8>, certificate: &CertificateDer<'_>) {
        pem.extend_from_slice(b"-----BEGIN CERTIFICATE-----\n");
        for line in STANDARD.encode(certificate).as_bytes().chunks(64) {
            pem.extend_from_slice(line);
            pem.push(b'\n');
        }
        pem.extend_from_slice(b"-----END CERTIFICATE-----\n");
    }

    /// The first `n` of the built-in roots as PEM.
    fn pem(n: usize) -> Vec<u8> {
        let mut pem = Vec::new();
        for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().take(n) {
            append(&mut pem, certificate);
        }
        pem
    }

    fn count(roots: &Roots) -> usize {
        roots.certificates.len()
    }

    fn load(bundle: Option<&Path>, file: Option<&Path>, system: &[&Path]) -> Result<Roots> {
        let owned = |p: Option<&Path>| p.map(Path::to_owned);
        Sources { bundle: owned(bundle), file: owned(file), directories: Vec::new() }
            .load_from(system)
    }

    #[test]
    fn the_first_source_that_is_there_counts_and_the_last_is_built_in() {
        let dir = Dir::new("order");
        let [one, two, three] = [1, 2, 3].map(|n| dir.file(&n.to_string(), &pem(n)));
        let missing = dir.0.join("missing");
        let all = load(Some(&one), Some(&two), &[&three]).unwrap();
        assert_eq!((count(&all), all.source.as_str()), (1, one.to_str().unwrap()));
        assert_eq!(count(&load(None, Some(&two), &[&three]).unwrap()), 2);
        assert_eq!(count(&load(None, None, &[&missing, &three]).unwrap()), 3);
        let built_in = load(None, None, &[&missing]).unwrap();
        assert_eq!(count(&built_in), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        assert_eq!(built_in.source, "this program (built in)");
    }

    #[test]
    fn a_named_file_that_is_missing_empty_or_no_file_is_an_error_that_names_it() {
        let dir = Dir::new("bad");
        let empty = dir.file("empty", b"");
        let garbage = dir.file("garbage", b"\x7fELF not a certificate at all");
        let missing = dir.0.join("missing");
        for path in [&empty, &garbage, &missing, &dir.0, &PathBuf::from("/dev/null")] {
            for (bundle, file) in [(Some(path), None), (None, Some(path))] {
                let error = load(bundle.map(|p| p.as_path()), file.map(|p| p.as_path()), &[])
                    .err()
                    .unwrap();
                assert_eq!(error.class, Class::Other);
                assert!(error.what.contains(path.to_str().unwrap()), "{}", error.what);
            }
        }
        // An empty store of the system is no licence to trust something else.
        assert!(load(None, None, &[&empty]).is_err());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_bundle() {
        let dir = Dir::new("mark");
        let marked = [b"\xef\xbb\xbf".to_vec(), pem(2)].concat();
        let roots = load(Some(&dir.file("marked", &marked)), None, &[]).unwrap();
        assert_eq!((count(&roots), roots.skipped), (2, 0));
    }

    #[test]
    fn a_cut_or_misspelt_bundle_is_an_error_and_a_cut_system_file_gives_what_it_has() {
        let dir = Dir::new("cut");
        let mut cut = pem(2);
        cut.truncate(cut.len() - 30);
        let cut = dir.file("cut", &cut);
        let error = load(Some(&cut), None, &[]).err().unwrap();
        assert!(error.what.ends_with("damaged after certificate 1"), "{}", error.what);
        assert_eq!(count(&load(None, None, &[&cut]).unwrap()), 1);

        let mut odd = String::from_utf8(pem(2)).unwrap();
        let at = odd.rfind("MII").unwrap();
        odd.replace_range(at..at + 3, "?!?");
        let odd = dir.file("odd", odd.as_bytes());
        assert!(load(Some(&odd), None, &[]).is_err());
    }

    #[test]
    fn a_certificate_that_cannot_be_a_root_is_left_out_and_counted() {
        let dir = Dir::new("skip");
        let mut mixed = b"a comment\n".to_vec();
        append(&mut mixed, &CertificateDer::from(b"no DER".to_vec()));
        mixed.extend(pem(1));
        let roots = load(Some(&dir.file("mixed", &mixed)), None, &[]).unwrap();
        assert_eq!((count(&roots), roots.skipped), (1, 1));

        let mut alone = Vec::new();
        append(&mut alone, &CertificateDer::from(b"no DER".to_vec()));
        assert!(load(Some(&dir.file("alone", &alone)), None, &[]).is_err());
    }

    #[test]
    fn a_directory_of_certificates_counts_beside_the_file() {
        let dir = Dir::new("directory");
        let three = dir.file("three.pem", &pem(3));
        std::fs::create_dir(dir.0.join("certs")).unwrap();
        let of = |vars: &[(&str, &str)]| Sources::new(None, &Env::of(vars)).load_from(&[&three]);
        let certs = dir.0.join("certs");
        let list = format!(":{}:", certs.display());
        let empty = of(&[("SSL_CERT_DIR", &list)]).err().unwrap();
        assert!(empty.what.ends_with("certs: no certificate in it that can be used"));
        dir.file("certs/one.pem", &pem(1));
        dir.file("certs/README", b"not a certificate");
        std::os::unix::fs::symlink("one.pem", certs.join("4a6481c9.0")).unwrap();
        let roots = of(&[("SSL_CERT_DIR", &list)]).unwrap();
        assert_eq!((count(&roots), roots.source.as_str()), (1, certs.to_str().unwrap()));
        let file = dir.file("two.pem", &pem(2)).display().to_string();
        assert_eq!(count(&of(&[("SSL_CERT_DIR", &list), ("SSL_CERT_FILE", &file)]).unwrap()), 2);
        let error = of(&[("SSL_CERT_DIR", "/nonexistent")]).err().unwrap();
        assert_eq!(error.what, "CA bundle /nonexistent: no such file or directory");
    }

    #[test]
    fn a_bundle_below_a_tilde_is_in_the_home() {
        let at =
            |vars: &[(&str, &str)]| Sources::new(Some("~/ca.pem".into()), &Env::of(vars)).bundle;
        assert_eq!(at(&[("HOME", "/h")]), Some("/h/ca.pem".into()));
        assert_eq!(at(&[]), Some("~/ca.pem".into()));
    }

    #[test]
    fn all_built_in_roots_can_be_used() {
        assert_eq!(count(&built_in()), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
    }
}
