use std::{sync::Arc, task::Waker};

use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, rustls};

use super::*;

/// A connection within TLS: the relay's end, and the peer's.
async fn within_tls() -> (Stream, client::TlsStream<TcpStream>) {
    let rcgen::CertifiedKey { cert, key_pair } = rcgen::generate_simple_self_signed(["relay".to_owned()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let ours = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key_pair.serialize_der().try_into().unwrap())
        .unwrap();
    let theirs = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (acceptor, connector) = (TlsAcceptor::from(Arc::new(ours)), TlsConnector::from(Arc::new(theirs)));
    let address = listener.local_addr().unwrap();
    let (ours, theirs) =
        tokio::join!(async { acceptor.accept(listener.accept().await.unwrap().0).await.unwrap() }, async {
            connector.connect("relay".try_into().unwrap(), TcpStream::connect(address).await.unwrap()).await.unwrap()
        },);
    (ours.into(), theirs)
}

#[tokio::test]
async fn what_waits_within_tls_is_unsent_and_goes_out_when_there_is_room() {
    let (ours, mut theirs) = within_tls().await;
    let mut socket = Socket::new(ours, vec![]).await;
    let mut due = 0;
    // Until the kernel takes no more: TLS has taken all of the last frame then, and holds some of it.
    loop {
        let message = MediaFrame::of(&[7; 1000]);
        due += message.clone().into_frame().len();
        socket.queue_media(message);
        if socket.poll_flush(&mut Context::from_waker(Waker::noop())).is_pending() {
            break;
        }
        assert!(socket.is_flushed());
    }
    assert_eq!((socket.queued(), socket.is_flushed()), (0, false));
    let mut got = vec![0; due];
    let (flushed, read) = tokio::join!(socket.flush(), theirs.read_exact(&mut got));
    flushed.unwrap();
    assert_eq!((read.unwrap(), socket.is_flushed()), (due, true));
}
