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
        due += message.frame().len();
        socket.queue_media(&message);
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

/// A connection without TLS: the relay's end, and the peer's.
async fn plain() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (ours, theirs) = tokio::join!(listener.accept(), TcpStream::connect(address));
    (Socket::new(ours.unwrap().0.into(), vec![]).await, theirs.unwrap())
}

#[tokio::test]
async fn media_that_the_kernel_takes_in_part_goes_out_whole_and_in_order() {
    let (mut socket, mut theirs) = plain().await;
    // Nothing is known of a socket that was never polled: it is asked first whether it can be written to.
    socket.send_text("first".to_owned()).await.unwrap();
    let message = MediaFrame::of(&[7; 100_000]);
    let mut whole = 0;
    while socket.write_media(&message) {
        whole += 1;
    }
    assert!(whole > 0);
    assert!((1..=message.frame().len()).contains(&socket.queued()), "{} bytes wait", socket.queued());
    assert!(!socket.write_media(&message), "it comes behind what waits");
    let mut got = vec![0; 7 + (whole + 2) * message.frame().len()];
    let (flushed, read) = tokio::join!(socket.flush(), theirs.read_exact(&mut got));
    flushed.unwrap();
    read.unwrap();
    assert_eq!(&got[..7], b"\x81\x05first");
    assert!(got[7..].chunks(message.frame().len()).all(|frame| frame == message.frame()));
    assert!(socket.write_media(&message), "there is room again");
}

#[tokio::test]
async fn media_waits_for_the_rest_of_a_reply() {
    let (mut socket, mut theirs) = plain().await;
    socket.send_text("first".to_owned()).await.unwrap();
    // What the library answers to a ping, when the kernel has not taken it yet.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Pin::new(socket.reader.get_mut()).poll_write(&mut cx, b"\x8A\x01p").is_ready());
    assert!(!socket.write_media(&MediaFrame::of(b"media")));
    socket.flush().await.unwrap();
    let mut got = vec![0; 7 + 3 + 7];
    theirs.read_exact(&mut got).await.unwrap();
    assert_eq!(&got[..], b"\x81\x05first\x8A\x01p\x82\x05media");
}

#[tokio::test]
async fn media_for_a_peer_that_has_gone_is_found_lost_by_the_flush() {
    let (mut socket, theirs) = plain().await;
    socket.send_text("first".to_owned()).await.unwrap();
    // With what it has not read: the kernel resets the connection.
    drop(theirs);
    let message = MediaFrame::of(&[7; 100_000]);
    while socket.write_media(&message) {}
    assert!(socket.flush().await.is_err());
}
