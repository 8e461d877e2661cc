//! Looks at files that change.

use std::fs;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tempfile::TempDir;

use super::*;

struct Ground {
    dir: TempDir,
    files: CertificateFiles,
}

impl Ground {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let files = CertificateFiles {
            cert: dir.path().join("cert"),
            key: dir.path().join("key"),
            ca: None,
        };
        let ground = Self { dir, files };
        ground.write(|_| {});
        ground
    }

    /// A new pair.
    fn write(&self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        fs::write(&self.files.cert, cert.pem()).unwrap();
        fs::write(&self.files.key, key.serialize_pem()).unwrap();
    }

    fn begin(&self) -> Result<Certificates, CertificateError> {
        Certificates::begin(self.files.clone())
    }
}

#[test]
fn a_change_is_taken_once_two_looks_found_the_same() {
    let ground = Ground::new();
    let certificates = ground.begin().unwrap();
    let look = |look| certificates.look(look).map(|()| certificates.replaced());
    assert_eq!(look(Look::Settled).unwrap(), 0);
    ground.write(|_| {});
    assert_eq!(look(Look::Settled).unwrap(), 0);
    ground.write(|_| {});
    assert_eq!(look(Look::Settled).unwrap(), 0);
    assert_eq!(look(Look::Settled).unwrap(), 1);
    assert_eq!(look(Look::Settled).unwrap(), 1);
    ground.write(|params| params.not_after = date_time_ymd(2200, 1, 1));
    assert_eq!(look(Look::AtOnce).unwrap(), 2);
    let until = i64::try_from(certificates.expires_in().as_secs()).unwrap() + wall_secs();
    assert!((until - 7_258_118_400).abs() < 10, "{until}");
}

#[test]
fn what_is_refused_is_told_once_and_to_whoever_asks() {
    let ground = Ground::new();
    let certificates = ground.begin().unwrap();
    ground.write(|params| params.not_before = date_time_ymd(2200, 1, 1));
    let told = |look| certificates.look(look).err().map(|error| error.to_string());
    assert_eq!(told(Look::Settled), None);
    assert!(told(Look::Settled).unwrap().contains("clock"));
    assert_eq!(told(Look::Settled), None);
    assert!(told(Look::AtOnce).unwrap().contains("clock"));
    assert_eq!((certificates.replaced(), certificates.refused()), (0, 3));
    fs::remove_file(&ground.files.key).unwrap();
    assert!(told(Look::AtOnce).unwrap().contains("key"));
    assert_eq!(told(Look::Settled), None);
    // What was right before is right again.
    ground.write(|_| {});
    assert_eq!(told(Look::AtOnce), None);
    assert_eq!(certificates.replaced(), 1);
}

#[test]
fn what_is_no_file_of_its_kind_is_refused() {
    let ground = Ground::new();
    let refused = |change: &dyn Fn(&mut CertificateFiles), reason: &str| {
        let mut files = ground.files.clone();
        change(&mut files);
        let error = Certificates::begin(files).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    };
    let large = ground.dir.path().join("large");
    let bytes = usize::try_from(CERTIFICATE_FILE_BYTES_MAX).unwrap() + 1;
    fs::write(&large, vec![b'x'; bytes]).unwrap();
    refused(
        &|files| files.cert.clone_from(&large),
        "more than 1048576 bytes",
    );
    refused(
        &|files| files.key = ground.dir.path().into(),
        "it is no file",
    );
    refused(
        &|files| files.ca = Some(files.key.clone()),
        "holds no certificate",
    );
    refused(&|files| files.key = files.cert.clone(), "private key");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let other = ground.dir.path().join("broken");
    fs::write(&other, broken).unwrap();
    refused(
        &|files| files.cert.clone_from(&other),
        "holds no certificate",
    );
    refused(
        &|files| files.ca = Some(other.clone()),
        "authority's certificate",
    );
}
