//! The known_hosts checker against OpenSSH's rules, and learning new keys. No server involved.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::{Algorithm, EcdsaCurve, PrivateKey, PublicKey};
use tempfile::TempDir;

use crate::operator::transport::error::Error;
use crate::operator::transport::known_hosts::{Checked, HostKeys, Seen, Verdict, hmac_sha1};
use crate::operator::transport::target::HostKeyPolicy;

fn ed25519() -> PublicKey {
    new_key(Algorithm::Ed25519)
}

fn ecdsa() -> PublicKey {
    new_key(Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 })
}

fn new_key(algorithm: Algorithm) -> PublicKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap().public_key().clone()
}

fn text(key: &PublicKey) -> String {
    key.to_openssh().unwrap().trim().to_string()
}

/// The verdict of one file's text for node-1 at `port`.
fn check(port: u16, file: &str, key: &PublicKey) -> Verdict {
    let name = if port == 22 { "node-1".to_string() } else { format!("[node-1]:{port}") };
    let mut seen = Seen::default();
    seen.look(Path::new("f"), file, &name, "node-1", key);
    seen.verdict()
}

fn changed(line: usize) -> Verdict {
    Verdict::Changed { file: PathBuf::from("f"), line }
}

#[test]
fn exact_name_is_known_and_another_host_is_not() {
    let key = ed25519();
    assert_eq!(check(22, &format!("node-1 {}\n", text(&key)), &key), Verdict::Known);
    assert_eq!(check(22, &format!("node-1,10.0.0.1 {} c o m\n", text(&key)), &key), Verdict::Known);
    assert_eq!(check(22, &format!("NODE-1 {}\n", text(&key)), &key), Verdict::Known);
    assert_eq!(check(22, &format!("node-11 {}\n", text(&key)), &key), Verdict::Unknown);
    assert_eq!(check(22, "", &key), Verdict::Unknown);
}

#[test]
fn hashed_name_is_known() {
    let key = ed25519();
    for (port, hashed) in [(22, hashed("node-1")), (2222, hashed("[node-1]:2222"))] {
        assert_eq!(check(port, &format!("{hashed} {}\n", text(&key)), &key), Verdict::Known);
        assert_eq!(check(port, &format!("{hashed} {}\n", text(&ed25519())), &key), changed(1));
    }
    assert_eq!(check(22, &format!("{} {}\n", hashed("node-2"), text(&key)), &key), Verdict::Unknown);
}

/// A hashed name as ssh writes it; a real `ssh-keygen -H` is in the tests with a server.
fn hashed(name: &str) -> String {
    let salt = [7u8; 20];
    let hash = hmac_sha1(&salt, name.as_bytes());
    format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(hash))
}

#[test]
fn hmac_is_that_of_rfc_2202() {
    let hex = |bytes: [u8; 20]| crate::operator::transport::binary::hex(&bytes);
    let hmac = hmac_sha1;
    assert_eq!(hex(hmac(&[0x0b; 20], b"Hi There")), "b617318655057264e28bc0b6fb378c8ef146be00");
    assert_eq!(
        hex(hmac(&[0xaa; 80], b"Test Using Larger Than Block-Size Key - Hash Key First")),
        "aa4ae5e15272d00e95705637ce8a3b55ed402112"
    );
}

#[test]
fn revoked_key_is_refused_even_beside_a_normal_line() {
    let key = ed25519();
    let both = format!("node-1 {0}\n@revoked * {0}\n", text(&key));
    assert_eq!(check(22, &both, &key), Verdict::Revoked { file: PathBuf::from("f"), line: 2 });
    let other = format!("node-1 {}\n@revoked * {}\n", text(&key), text(&ed25519()));
    assert_eq!(check(22, &other, &key), Verdict::Known);
    // On its own, another revoked key says nothing about this one.
    assert_eq!(check(22, &format!("@revoked * {}\n", text(&ed25519())), &key), Verdict::Unknown);
    // An entry without a port revokes on every port.
    let plain = format!("@revoked node-1 {}\n", text(&key));
    assert!(matches!(check(2222, &plain, &key), Verdict::Revoked { .. }));
}

#[test]
fn only_a_wrong_key_of_another_type_is_a_change() {
    assert_eq!(check(22, &format!("# c\n\nnode-1 {}\n", text(&ecdsa())), &ed25519()), changed(3));
}

#[test]
fn any_of_several_keys_is_known_so_rotation_works() {
    let (old, new) = (ed25519(), ed25519());
    let file = format!("node-1 {}\nnode-1 {}\n", text(&old), text(&new));
    assert_eq!(check(22, &file, &new), Verdict::Known);
    assert_eq!(check(22, &file, &old), Verdict::Known);
    assert_eq!(check(22, &file, &ed25519()), changed(1));
}

#[test]
fn wildcards_and_negation() {
    let key = ed25519();
    let known = |patterns: &str| check(22, &format!("{patterns} {}\n", text(&key)), &key) == Verdict::Known;
    assert!(known("*"));
    assert!(known("node-?"));
    assert!(known("*de*1"));
    assert!(known("!node-2,node-*"));
    assert!(!known("node-*,!node-1"));
    assert!(!known("!node-1,*"));
    assert!(!known("node-??"));
    assert!(!known("!node-2"));
    let on_port = |patterns: &str| check(2222, &format!("{patterns} {}\n", text(&key)), &key);
    assert_eq!(on_port("[node-*]:2222"), Verdict::Known);
    assert_eq!(on_port("*"), Verdict::Known);
    assert_eq!(on_port("[node-1]:2223"), Verdict::Unknown);
}

#[test]
fn tabs_and_several_blanks_separate_fields() {
    let key = ed25519();
    let tabbed = format!("node-1\t{}\n", text(&key).replace(' ', "\t"));
    assert_eq!(check(22, &tabbed, &key), Verdict::Known);
    let wide = format!("  node-1   {}  \r\n", text(&key).replace(' ', "   "));
    assert_eq!(check(22, &wide, &key), Verdict::Known);
}

#[test]
fn entry_without_port_vouches_for_any_port_but_does_not_accuse() {
    let key = ed25519();
    assert_eq!(check(2222, &format!("node-1 {}\n", text(&key)), &key), Verdict::Known);
    assert_eq!(check(2222, &format!("node-1 {}\n", text(&ed25519())), &key), Verdict::Unknown);
    // The other way round nothing holds: a key of port 2222 is not one of port 22.
    assert_eq!(check(22, &format!("[node-1]:2222 {}\n", text(&key)), &key), Verdict::Unknown);
    assert_eq!(check(2222, &format!("[node-1]:2222 {}\n", text(&ed25519())), &key), changed(1));
}

#[test]
fn certificate_authorities_are_passed_over() {
    let key = ed25519();
    assert_eq!(check(22, &format!("@cert-authority * {}\n", text(&key)), &key), Verdict::Unknown);
}

#[test]
fn a_broken_line_for_the_host_counts_as_another_key() {
    let key = ed25519();
    assert_eq!(check(22, "node-1 ssh-ed25519 AAAAgarbage\n", &key), changed(1));
    assert_eq!(check(22, "node-1\n", &key), changed(1));
    // A good line beside it settles the matter; a broken line for others does not concern us.
    let good = format!("node-1 ssh-ed25519 AAAAgarbage\nnode-1 {}\n", text(&key));
    assert_eq!(check(22, &good, &key), Verdict::Known);
    assert_eq!(
        check(22, "node-2 ssh-ed25519 AAAAgarbage\n@what node-1 x\n|1|x node y\n", &key),
        Verdict::Unknown
    );
}

struct Files {
    _dir: TempDir,
    keys: HostKeys,
}

fn files(policy: HostKeyPolicy) -> Files {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let keys = HostKeys {
        host: "node-1 (root@node-1:2222)".into(),
        address: "Node-1".into(),
        port: 2222,
        files: vec![at("home/.ssh/known_hosts"), at("global"), at("inventory")],
        learn: at("home/.ssh/known_hosts"),
        policy,
        hashed: None,
        ssh: "ssh -p 2222 root@node-1".into(),
    };
    Files { _dir: dir, keys }
}

#[test]
fn a_match_in_any_file_counts() {
    let key = ed25519();
    for index in 1..3 {
        let f = files(HostKeyPolicy::Strict);
        assert!(matches!(f.keys.check(&key), Err(Error::HostKeyUnknown { .. })));
        fs::write(&f.keys.files[index], format!("[node-1]:2222 {}\n", text(&key))).unwrap();
        f.keys.check(&key).unwrap();
        let changed = f.keys.check(&ed25519());
        assert!(
            matches!(changed, Err(Error::HostKeyChanged { file, line: 1, .. }) if file == f.keys.files[index])
        );
    }
}

#[test]
fn unknown_key_is_shown_and_not_written() {
    let f = files(HostKeyPolicy::Strict);
    let message = f.keys.check(&ed25519()).unwrap_err().to_string();
    assert!(message.contains("unknown ssh-ed25519 host key SHA256:"), "{message}");
    assert!(message.contains("--accept-new-host-keys"), "{message}");
    assert!(message.contains("`ssh -p 2222 root@node-1` once"), "{message}");
    assert!(!f.keys.learn.exists());
}

#[test]
fn accepted_key_is_appended_privately_and_known_afterwards() {
    let key = ed25519();
    let f = files(HostKeyPolicy::AcceptNew);
    f.keys.check(&key).unwrap();
    f.keys.check(&key).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&f.keys.learn), 0o600);
    assert_eq!(mode(f.keys.learn.parent().unwrap()), 0o700);
    assert_eq!(fs::read_to_string(&f.keys.learn).unwrap(), format!("[node-1]:2222 {}\n", text(&key)));
    assert!(matches!(f.keys.check(&ed25519()), Err(Error::HostKeyChanged { .. })));
}

#[test]
fn appending_completes_an_unfinished_last_line() {
    let (other, key) = (ed25519(), ed25519());
    let f = files(HostKeyPolicy::AcceptNew);
    fs::create_dir_all(f.keys.learn.parent().unwrap()).unwrap();
    fs::write(&f.keys.learn, format!("other {}", text(&other))).unwrap();
    f.keys.check(&key).unwrap();
    let expected = format!("other {}\n[node-1]:2222 {}\n", text(&other), text(&key));
    assert_eq!(fs::read_to_string(&f.keys.learn).unwrap(), expected);
}

#[test]
fn accepting_new_keys_never_accepts_a_changed_or_revoked_one() {
    let key = ed25519();
    let f = files(HostKeyPolicy::AcceptNew);
    fs::write(&f.keys.files[1], format!("[node-1]:2222 {}\n", text(&ecdsa()))).unwrap();
    assert!(matches!(f.keys.check(&key), Err(Error::HostKeyChanged { .. })));
    fs::write(&f.keys.files[1], format!("@revoked * {}\n", text(&key))).unwrap();
    assert!(matches!(f.keys.check(&key), Err(Error::HostKeyRevoked { .. })));
    assert!(!f.keys.learn.exists());
}

#[test]
fn many_operators_learning_at_once_write_whole_lines() {
    let f = files(HostKeyPolicy::AcceptNew);
    let keys: Vec<(u16, PublicKey)> = (0..8).map(|port| (port + 1, ed25519())).collect();
    std::thread::scope(|scope| {
        for (port, key) in &keys {
            let host = HostKeys { port: *port, ..f.keys.clone() };
            scope.spawn(move || host.check(key).unwrap());
        }
    });
    for (port, key) in &keys {
        let host = HostKeys { port: *port, policy: HostKeyPolicy::Strict, ..f.keys.clone() };
        host.check(key).unwrap();
    }
    assert_eq!(fs::read_to_string(&f.keys.learn).unwrap().lines().count(), 8);
}

#[test]
fn unreadable_file_is_an_error_not_an_empty_file() {
    let f = files(HostKeyPolicy::AcceptNew);
    fs::create_dir(&f.keys.files[1]).unwrap();
    let error = f.keys.check(&ed25519()).unwrap_err();
    assert!(matches!(&error, Error::KnownHosts { file, .. } if *file == f.keys.files[1]), "{error}");
}

#[test]
fn known_types_are_found_so_that_the_server_is_asked_for_them() {
    let f = files(HostKeyPolicy::Strict);
    let lines =
        format!("[node-1]:2222 {}\nnode-1 {}\nother {}\n", text(&ecdsa()), text(&ecdsa()), text(&ed25519()));
    fs::write(&f.keys.files[1], lines).unwrap();
    let nistp256 = Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 };
    assert_eq!(f.keys.known_algorithms().unwrap(), [nistp256]);
}

#[test]
fn a_name_is_hidden_where_the_others_are() {
    let (old, key) = (ed25519(), ed25519());
    let hashing = |known: String, hashed: Option<bool>| {
        let mut f = files(HostKeyPolicy::AcceptNew);
        f.keys.hashed = hashed;
        fs::create_dir_all(f.keys.learn.parent().unwrap()).unwrap();
        fs::write(&f.keys.learn, known).unwrap();
        f.keys.check(&key).unwrap();
        assert_eq!(f.keys.check(&key).unwrap(), Checked::Good, "it is found again");
        !fs::read_to_string(&f.keys.learn).unwrap().contains("[node-1]:2222")
    };
    let salt = [7u8; 20];
    let name = |data: &[u8]| STANDARD.encode(data);
    let hidden = format!("|1|{}|{} {}\n", name(&salt), name(&hmac_sha1(&salt, b"else")), text(&old));
    assert!(hashing(hidden.clone(), None));
    assert!(!hashing(hidden, Some(false)));
    assert!(!hashing(format!("else {}\n", text(&old)), None));
    assert!(hashing(String::new(), Some(true)));
}
