//! The control stream, and how sessions begin and end.

use std::time::Duration;

use protocol::{CertificateHash, framing::InvalidFrame, limits::CONTROL_BYTES_MAX};
use webtransport::{Client, ControlError, Trust};

use crate::pair::{Pair, listener};

#[tokio::test]
async fn messages_go_both_ways() {
    let pair = Pair::new().await;
    let mut ours = pair.client.open_control().await.unwrap();
    ours.send(r#"{"type":"hello"}"#).await.unwrap();
    let mut theirs = pair.server.accept_control().await.unwrap();
    assert_eq!(theirs.receive().await.unwrap(), r#"{"type":"hello"}"#);
    let long = "x".repeat(CONTROL_BYTES_MAX);
    for text in ["a", &long, "b"] {
        theirs.send(text).await.unwrap();
        assert_eq!(ours.receive().await.unwrap(), text);
    }
}

#[tokio::test]
async fn last_words_are_heard_before_the_session_ends_with_its_code() {
    let pair = Pair::new().await;
    let mut ours = pair.client.open_control().await.unwrap();
    ours.send("hello").await.unwrap();
    let mut theirs = pair.server.accept_control().await.unwrap();
    theirs.receive().await.unwrap();
    let farewell = async {
        theirs.say_last(&["bye".to_owned()], Duration::from_secs(5)).await;
        pair.server.close(1008, "ticket_invalid");
    };
    let hearing = async { (ours.receive().await, ours.receive().await) };
    let (heard, ()) = tokio::join!(hearing, farewell);
    assert_eq!(heard, (Ok("bye".to_owned()), Err(ControlError::Closed)));
    pair.client.closed().await;
    assert_eq!(pair.client.close_code(), Some(1008));
}

#[tokio::test]
async fn message_over_the_limit_is_refused_before_it_has_come() {
    let pair = Pair::new().await;
    let (mut sender, _receiver) = pair.client.quic().open_bi().await.unwrap();
    // The head of a bidirectional stream of this session, which has stream 0 of HTTP/3.
    sender.write_all(&[0x40, 0x41, 0x00]).await.unwrap();
    let len = CONTROL_BYTES_MAX as u32 + 1;
    sender.write_all(&len.to_be_bytes()).await.unwrap();
    let mut theirs = pair.server.accept_control().await.unwrap();
    let error = InvalidFrame::TooLarge { len: len as usize, max: CONTROL_BYTES_MAX };
    assert_eq!(theirs.receive().await, Err(ControlError::Frame(error)));
}

#[tokio::test]
async fn relay_with_another_certificate_gets_no_session() {
    let (listener, _) = listener();
    let url = format!("https://127.0.0.1:{}/wt", listener.local_addr().unwrap().port()).parse().unwrap();
    let client = Client::new(&Trust::Hashes(vec![CertificateHash([7; 32])])).unwrap();
    let accepting = async { listener.accept().await.unwrap().enter().await };
    let (connected, entered) = tokio::join!(client.connect(&url), accepting);
    assert!(connected.is_err() && entered.is_err());
}

#[tokio::test]
async fn name_is_looked_up_and_the_relay_is_found_at_ipv4() {
    let (listener, hash) = listener();
    let port = listener.local_addr().unwrap().port();
    let url = format!("https://localhost:{port}/wt").parse().unwrap();
    let client = Client::new(&Trust::Hashes(vec![hash])).unwrap();
    let accepting = async { listener.accept().await.unwrap().enter().await.unwrap().accept().await.unwrap() };
    let (connected, _server) = tokio::join!(client.connect(&url), accepting);
    assert!(connected.unwrap().peer().ip().to_canonical().is_ipv4());
}
