//! Who comes in, from where, and encrypted or not.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::driver::{Server, refused};

/// Far above what an answer takes; only a failure waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn pages_and_calls_are_served_over_tls_alone() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--tls", "self-signed"]).await;
    let certificate = std::fs::read(data.path().join("tls/cert.pem")).unwrap();
    let trust = [reqwest::Certificate::from_pem(&certificate).unwrap()];
    let client = Client::builder().tls_certs_only(trust).timeout(PATIENCE).build().unwrap();
    let answer = client.get(format!("https://{}/api/streams", server.address)).send().await.unwrap();
    assert_eq!((answer.status(), answer.version()), (StatusCode::OK, reqwest::Version::HTTP_11));
    // A promise for the whole host, which its other servers know nothing of.
    assert!(!answer.headers().contains_key("strict-transport-security"));

    let plain = server.get("/api/streams").await;
    assert_eq!(plain.status(), StatusCode::BAD_REQUEST);
    assert!(plain.text().await.unwrap().contains("https"));
    let stranger = Client::builder().timeout(PATIENCE).build().unwrap();
    assert!(stranger.get(format!("https://{}/api/streams", server.address)).send().await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections_and_gets_them_back() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--connections-per-address", "3"]).await;
    let silent = [TcpStream::connect(server.address).await.unwrap(), TcpStream::connect(server.address).await.unwrap()];
    let open = server.follow().await;
    let mut beyond = TcpStream::connect(server.address).await.unwrap();
    let ended = timeout(PATIENCE, beyond.read(&mut [0])).await.expect("let in");
    assert!(matches!(ended, Ok(0) | Err(_)));
    drop((silent, open));
    let works = async { while server.client.get(server.url("/api/streams")).send().await.is_err() {} };
    timeout(PATIENCE, works).await.expect("never got a place back");
}

#[tokio::test]
async fn behind_a_proxy_open_lists_count_by_the_address_that_it_forwards() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--behind-proxy", "--connections-per-address", "2"]).await;
    let list = async |client: &str, path: &str| {
        server.client.get(server.url(path)).header("x-forwarded-for", client).send().await.unwrap()
    };
    let first = list("203.0.113.1", "/api/events").await;
    let second = list("203.0.113.1", "/api/events").await;
    assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));
    assert_eq!(refused(list("9.9.9.9, 203.0.113.1", "/api/streams").await).await, (429, "too_many_requests".into()));
    let other = list("203.0.113.2", "/api/streams").await;
    assert_eq!(other.status(), StatusCode::OK);
    assert!(!other.headers().contains_key("strict-transport-security"));
    drop((first, second));
    let works = async { while list("203.0.113.1", "/api/streams").await.status() != StatusCode::OK {} };
    timeout(PATIENCE, works).await.expect("never got a place back");
}

#[tokio::test]
async fn request_without_an_end_and_one_that_is_too_large_hold_nothing() {
    let server = Server::start().await;
    let mut endless = TcpStream::connect(server.address).await.unwrap();
    let writing = async {
        let line = format!("x-filler: {}\r\n", "a".repeat(1000));
        endless.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await?;
        while endless.write_all(line.as_bytes()).await.is_ok() {}
        let mut answer = Vec::new();
        endless.read_to_end(&mut answer).await.map(|_| answer)
    };
    let answer = timeout(PATIENCE, writing).await.expect("never cut");
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.is_empty() || answer.starts_with(b"HTTP/1.1 431")));
    assert_eq!(server.get("/api/streams").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn browser_that_came_encrypted_is_told_to_come_so_again() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--behind-proxy"]).await;
    let page = server.client.get(server.url("/")).header("x-forwarded-proto", "https").send().await.unwrap();
    assert_eq!(page.headers()["strict-transport-security"], "max-age=31536000");
}
