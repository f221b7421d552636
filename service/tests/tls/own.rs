//! Certificates of a server's own making.

use std::{fs, path::Path};

use service::{Door, DoorFlags, tls};

use crate::server::{Server, connect_to, talk};

fn flags(names: &[&str]) -> DoorFlags {
    let mut flags = DoorFlags::default();
    flags.tls.tls = Some(tls::OwnTls::SelfSigned);
    flags.tls.tls_name = names.iter().map(|name| (*name).to_owned()).collect();
    flags
}

fn certificate(data_dir: &Path) -> Vec<u8> {
    fs::read(data_dir.join("tls/cert.pem")).unwrap()
}

#[tokio::test]
async fn it_vouches_for_this_machine_and_the_names_that_were_given() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&flags(&["live.example", "203.0.113.5"]), folder.path()).await;
    let trust = tls::client_config(Some(&folder.path().join("tls/cert.pem"))).unwrap();
    for name in ["localhost", "127.0.0.1", "::1", "live.example", "203.0.113.5"] {
        talk(&mut connect_to(name, server.address, &trust).await.unwrap()).await;
    }
    let refused = connect_to("other.example", server.address, &trust).await.unwrap_err();
    assert!(refused.to_string().contains("not valid for name"), "{refused}");
}

#[cfg(unix)]
#[test]
fn its_key_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let _door = Door::open(&flags(&[]), folder.path(), None).unwrap();
    for (path, mode) in [("tls", 0o700), ("tls/key.pem", 0o600)] {
        assert_eq!(fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777, mode, "{path}");
    }
}

#[test]
fn restart_keeps_it_and_a_new_name_makes_it_anew() {
    let folder = tempfile::tempdir().unwrap();
    let open = |names: &[&str], host| Door::open(&flags(names), folder.path(), host).unwrap();
    open(&[], None);
    let first = certificate(folder.path());
    open(&[], None);
    assert_eq!(certificate(folder.path()), first);
    open(&[], Some("relay.example"));
    let second = certificate(folder.path());
    assert_ne!(second, first);
    open(&[], Some("relay.example"));
    assert_eq!(certificate(folder.path()), second);
    open(&[], Some("[2001:db8::1]"));
    assert_ne!(certificate(folder.path()), second);
}

#[test]
fn certificate_that_is_somebody_elses_or_damaged_or_nearly_over_is_not_taken_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Door::open(&flags(&[]), folder.path(), None).unwrap();
    open();
    let pair = crate::server::Pair::in_folder(&folder.path().join("tls"));
    pair.write();
    let foreign = certificate(folder.path());
    open();
    assert_ne!(certificate(folder.path()), foreign);

    fs::write(&pair.cert, "damaged").unwrap();
    open();
    assert!(certificate(folder.path()).starts_with(b"-----BEGIN CERTIFICATE"));

    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "Dead Streaming, self-signed");
    params.not_after = (std::time::SystemTime::now() + std::time::Duration::from_secs(29 * 24 * 3600)).into();
    let nearly_over = params.self_signed(&key).unwrap().pem();
    fs::write(&pair.cert, &nearly_over).unwrap();
    fs::write(&pair.key, key.serialize_pem()).unwrap();
    open();
    assert_ne!(certificate(folder.path()), nearly_over.as_bytes());
}
