//! Handshakes that are none, that take too long, and that are short.

use std::time::Duration;

use service::tls::HANDSHAKE_TIME_MAX;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_rustls::rustls::HandshakeKind;

use crate::server::{PATIENCE, Pair, Server, connect, talk};

async fn server() -> (Server, std::sync::Arc<tokio_rustls::rustls::ClientConfig>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let pair = Pair::in_folder(folder.path());
    let trust = pair.write();
    (Server::start(&pair.flags(), folder.path()).await, trust, folder)
}

#[tokio::test]
async fn plain_http_is_told_to_use_https_in_fixed_words() {
    let (server, ..) = server().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(b"GET /<script>alert(1)</script> HTTP/1.1\r\nHost: evil.example\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.expect("no end").unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
    assert!(answer.ends_with("This port speaks HTTPS: the address begins with https:"), "{answer}");
    assert!(!answer.contains("evil") && !answer.contains("script"), "{answer}");
}

#[tokio::test]
async fn bytes_that_only_look_like_tls_are_refused() {
    let (server, trust, _folder) = server().await;
    let mut socket = TcpStream::connect(server.address).await.unwrap();
    socket.write_all(&[22, 3, 1, 0, 4, 1, 0, 0, 0]).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("no end");
    // At most an alert (RFC 8446 6): seven bytes.
    assert!(answer.len() <= 7, "{answer:?}");
    talk(&mut connect(server.address, &trust).await.unwrap()).await;
}

#[tokio::test]
async fn slow_handshakes_are_cut_and_keep_nobody_out() {
    let (server, trust, _folder) = server().await;
    let begun = Instant::now();
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut dripping = TcpStream::connect(server.address).await.unwrap();
    // A record that says it has 512 bytes, and one byte every half second.
    dripping.write_all(&[22, 3, 1, 2, 0]).await.unwrap();
    for _ in 0..3 {
        talk(&mut connect(server.address, &trust).await.unwrap()).await;
    }
    assert!(begun.elapsed() < HANDSHAKE_TIME_MAX, "others had to wait");
    let drip = async {
        while dripping.write_all(&[1]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let cut = async {
        let mut end = [0];
        assert!(matches!(silent.read(&mut end).await, Ok(0) | Err(_)));
    };
    timeout(PATIENCE, async { tokio::join!(drip, cut) }).await.expect("never cut");
    let took = begun.elapsed();
    assert!(took >= HANDSHAKE_TIME_MAX && took < HANDSHAKE_TIME_MAX * 2, "{took:?}");
}

#[tokio::test]
async fn client_that_comes_back_resumes() {
    let (server, trust, _folder) = server().await;
    let mut first = connect(server.address, &trust).await.unwrap();
    talk(&mut first).await;
    assert_ne!(first.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    let mut second = connect(server.address, &trust).await.unwrap();
    talk(&mut second).await;
    assert_eq!(second.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
}
