//! Identities: what the certificates say, and what happens to the files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use codec::text;
use crypto::certificate::CertificateChain;
use net::identity::files::{FileError, IdentityFiles};
use net::identity::{Algorithm, CertificateAuthority, IdentityError};
use openssl::nid::Nid;
use openssl::x509::X509;
use support::{identity, now, random};

fn text_of(der: &[u8]) -> String {
    String::from_utf8(X509::from_der(der).unwrap().to_text().unwrap()).unwrap()
}

#[test]
fn certificates_look_as_those_of_existing_servers_do() {
    for (algorithm, name) in [(Algorithm::Ed25519, "ED25519"), (Algorithm::Ed448, "ED448")] {
        let identity = identity(algorithm, "a");
        let [leaf, authority] = identity.chain_der() else { panic!("a chain of two") };
        let (leaf_text, authority_text) = (text_of(leaf), text_of(authority));
        for text in [&leaf_text, &authority_text] {
            assert!(text.contains("Version: 3 (0x2)"));
            assert!(text.contains(&format!("Signature Algorithm: {name}")));
            assert!(text.contains("Issuer: CN=SMP server CA, O=SimpleX"), "{text}");
            assert!(text.contains("Subject Key Identifier"));
            assert!(text.contains("Authority Key Identifier"));
        }
        assert!(authority_text.contains("Subject: CN=SMP server CA, O=SimpleX"));
        assert!(authority_text.contains("Basic Constraints: critical\n                CA:TRUE"));
        assert!(leaf_text.contains("Subject: CN=127.0.0.1\n"));
        assert!(leaf_text.contains("Basic Constraints: \n                CA:FALSE"));
        assert!(leaf_text.contains("Digital Signature, Non Repudiation, Key Agreement"));
        assert!(leaf_text.contains("TLS Web Server Authentication"));
        let validity = X509::from_der(leaf).unwrap();
        let days = validity.not_before().diff(validity.not_after()).unwrap().days;
        assert_eq!(days, 999_999);
    }
}

#[test]
fn a_reproducible_run_makes_the_same_certificates() {
    let make = || {
        let mut random = random("again");
        let authority = CertificateAuthority::create(Algorithm::Ed25519, 1_800_000_000, &mut random).unwrap();
        authority.identity("smp.example.org", 1_800_000_000, &mut random).unwrap().chain_der().to_vec()
    };
    assert_eq!(make(), make());
}

#[test]
fn the_address_names_the_authority_and_survives_a_new_leaf() {
    let dir = tempfile::tempdir().unwrap();
    let files = IdentityFiles::in_dir(dir.path());
    assert!(!files.exist());
    let created = files.create(Algorithm::Ed25519, "smp.example.org", now(), &mut random("files")).unwrap();
    assert!(files.exist());
    for file in ["ca.key", "ca.crt", "server.key", "server.crt", "fingerprint"] {
        let mode = fs::metadata(dir.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let line = fs::read_to_string(dir.path().join("fingerprint")).unwrap();
    assert_eq!(line, format!("{}\n", text::base64url(created.fingerprint())));

    let loaded = files.load(now()).unwrap();
    assert_eq!(loaded.chain_der(), created.chain_der());
    assert_eq!(CertificateChain::new(loaded.chain_der().to_vec()).identity(), Some(*created.fingerprint()));

    files.renew("other.example.org", now(), &mut random("renewed")).unwrap();
    let renewed = files.load(now()).unwrap();
    assert_eq!(renewed.fingerprint(), created.fingerprint());
    let leaf = X509::from_der(&renewed.chain_der()[0]).unwrap();
    let name = leaf.subject_name().entries_by_nid(Nid::COMMONNAME).next().unwrap().data().to_string().unwrap();
    assert_eq!(name, "other.example.org");
}

#[test]
fn an_identity_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let files = IdentityFiles::in_dir(dir.path());
    files.create(Algorithm::Ed25519, "a", now(), &mut random("1")).unwrap();
    let before = fs::read(&files.ca_key).unwrap();
    let again = files.create(Algorithm::Ed25519, "a", now(), &mut random("2"));
    assert!(matches!(again, Err(FileError::Io { path, .. }) if path == files.ca_key));
    assert_eq!(fs::read(&files.ca_key).unwrap(), before);
}

#[test]
fn a_directory_appears_whole_even_if_a_creation_was_cut_off_before() {
    let place = tempfile::tempdir().unwrap();
    let dir = place.path().join("a").join("identity");
    let draft = place.path().join("a").join("identity.new");
    fs::create_dir_all(&draft).unwrap();
    fs::write(draft.join("ca.key"), "of a creation that was cut off").unwrap();
    let created = IdentityFiles::create_in_dir(&dir, Algorithm::Ed25519, "a", now(), &mut random("1")).unwrap();
    assert_eq!(IdentityFiles::in_dir(&dir).load(now()).unwrap().fingerprint(), created.fingerprint());
    assert_eq!(fs::metadata(&dir).unwrap().permissions().mode() & 0o777, 0o700);
    assert!(!draft.exists());
}

#[test]
fn a_directory_that_is_there_may_hold_other_files() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("password"), "secret").unwrap();
    IdentityFiles::create_in_dir(dir.path(), Algorithm::Ed25519, "a", now(), &mut random("1")).unwrap();
    IdentityFiles::in_dir(dir.path()).load(now()).unwrap();
    let again = IdentityFiles::create_in_dir(dir.path(), Algorithm::Ed25519, "a", now(), &mut random("2"));
    assert!(matches!(again, Err(FileError::Io { .. })));
}

#[test]
fn a_server_runs_without_the_authoritys_key_but_not_with_another_authority() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = IdentityFiles::in_dir(dir.path());
    files.create(Algorithm::Ed448, "a", now(), &mut random("1")).unwrap();
    fs::remove_file(&files.ca_key).unwrap();
    files.load(now()).unwrap();

    let others = IdentityFiles::in_dir(other.path());
    others.create(Algorithm::Ed448, "a", now(), &mut random("2")).unwrap();
    fs::copy(&others.fingerprint, &files.fingerprint).unwrap();
    assert!(matches!(files.load(now()), Err(FileError::Fingerprint { .. })));
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let mut random = random("mixed");
    let authority = CertificateAuthority::create(Algorithm::Ed25519, now(), &mut random).unwrap();
    let stranger = CertificateAuthority::create(Algorithm::Ed25519, now(), &mut random).unwrap();
    let (leaf, other) =
        (authority.issue("a", now(), &mut random).unwrap(), stranger.issue("a", now(), &mut random).unwrap());
    let load = |certificate: &[u8], key: &[u8], authority: &CertificateAuthority| {
        net::identity::ServerIdentity::from_pem(certificate, key, &authority.certificate_pem().unwrap(), now())
    };
    let (certificate, key) = (leaf.certificate_pem().unwrap(), leaf.key_pem().unwrap());
    assert!(load(&certificate, &key, &authority).is_ok());
    let wrong_key = load(&certificate, &other.key_pem().unwrap(), &authority);
    assert!(matches!(wrong_key, Err(IdentityError::KeyMismatch)));
    assert!(matches!(load(&certificate, &key, &stranger), Err(IdentityError::Chain(_))));
    assert!(matches!(load(b"garbage", &key, &authority), Err(IdentityError::Malformed(_))));
    assert!(matches!(load(&certificate, b"garbage", &authority), Err(IdentityError::Malformed(_))));
    assert!(matches!(authority.issue("", now(), &mut random), Err(IdentityError::HostName)));
    assert!(matches!(authority.issue(&"a".repeat(65), now(), &mut random), Err(IdentityError::HostName)));
}
