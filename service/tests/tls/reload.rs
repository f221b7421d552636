//! Certificates in files that change.

use std::fs;

use crate::server::{Pair, Server, connect, connected, talk};

#[tokio::test]
async fn renewed_certificate_is_shown_while_open_connections_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(folder.path());
    let old = pair.write();
    // Resumes nothing, and so has to be shown a certificate.
    let old_anew = service::tls::client_config(Some(&pair.cert)).unwrap();
    let server = Server::start(&pair.flags(), folder.path()).await;
    let mut open = connect(server.address, &old).await.unwrap();
    talk(&mut open).await;

    let new = pair.write();
    talk(&mut connected(server.address, &new).await).await;
    assert!(connect(server.address, &old_anew).await.is_err());
    talk(&mut open).await;
}

#[tokio::test]
async fn broken_new_file_leaves_the_old_certificate_and_a_good_one_after_it_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(folder.path());
    let old = pair.write();
    let server = Server::start(&pair.flags(), folder.path()).await;

    // A key that is not the certificate's, as between the two writes of a careless script; then no PEM at all; then nothing.
    let (cert, key) = (fs::read(&pair.cert).unwrap(), fs::read(&pair.key).unwrap());
    pair.write();
    fs::write(&pair.cert, &cert).unwrap();
    looked_twice().await;
    talk(&mut connect(server.address, &old).await.unwrap()).await;
    fs::write(&pair.key, "no key").unwrap();
    looked_twice().await;
    talk(&mut connect(server.address, &old).await.unwrap()).await;
    fs::remove_file(&pair.cert).unwrap();
    looked_twice().await;
    talk(&mut connect(server.address, &old).await.unwrap()).await;
    assert_eq!(server.door.ready(), Ok(()));
    fs::write(&pair.cert, &cert).unwrap();
    fs::write(&pair.key, &key).unwrap();

    let new = pair.write();
    talk(&mut connected(server.address, &new).await).await;
}

/// The files are looked at every two seconds; nothing else tells that a look had no effect.
async fn looked_twice() {
    tokio::time::sleep(std::time::Duration::from_millis(4100)).await;
}

#[tokio::test]
async fn certificate_that_is_not_there_yet_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(folder.path());
    let server = Server::start(&pair.flags(), folder.path()).await;
    assert!(server.door.ready().unwrap_err().contains("cert.pem"));
    let trust = pair.write();
    talk(&mut connected(server.address, &trust).await).await;
    assert_eq!(server.door.ready(), Ok(()));
}

#[test]
fn files_that_can_not_be_used_are_one_sentence_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(folder.path());
    pair.write();
    let first_key = fs::read(&pair.key).unwrap();
    pair.write();
    fs::write(&pair.key, first_key).unwrap();
    let refused = |pair: &Pair| format!("{:#}", service::Door::open(&pair.flags(), folder.path(), None).unwrap_err());
    assert!(refused(&pair).ends_with("the private key does not belong to the certificate"), "{}", refused(&pair));
    fs::write(&pair.key, "").unwrap();
    assert!(refused(&pair).contains("there is no private key in the key's file"), "{}", refused(&pair));
    fs::write(&pair.cert, "").unwrap();
    assert!(refused(&pair).contains("there is no certificate in the certificate's file"), "{}", refused(&pair));
}
