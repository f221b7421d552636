//! Who comes in, from where, and encrypted or not.

use std::path::PathBuf;

use protocol::{ErrorCode, ticket::Action};
use relay::Config;
use serde_json::json;
use service::tls;
use tokio::{io::AsyncReadExt as _, net::TcpStream};
use tokio_tungstenite::{
    Connector, connect_async,
    tungstenite::{self, client::IntoClientRequest as _, handshake::client::Response},
};

use crate::driver::{PICTURE, Peer, SOUND, TestRelay, stream, tracks};

/// A relay with a certificate of its own making, and what trusts it.
async fn encrypted() -> (TestRelay, Connector) {
    let mut file = PathBuf::new();
    let relay = TestRelay::start_with(|config| {
        config.door.tls.tls = Some(tls::OwnTls::SelfSigned);
        file = config.data_dir.join("tls/cert.pem");
    })
    .await;
    let connector = Connector::Rustls(tls::client_config(Some(&file)).unwrap());
    (relay, connector)
}

#[tokio::test]
async fn publisher_and_viewer_meet_over_tls() {
    let (relay, connector) = encrypted().await;
    let mut broadcaster = Peer::connect_tls(relay.address, connector.clone()).await;
    let ticket = relay.ticket(Action::Publish, stream(1), 1);
    broadcaster.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": ticket, "tracks": tracks()})).await;
    broadcaster.text("stream_registered").await;
    let viewer = Peer::connect_tls(relay.address, connector).await;
    let mut viewer = relay.say_watch(viewer, stream(1)).await;
    viewer.text("watching").await;
    for track in [PICTURE, SOUND] {
        broadcaster.init(track).await;
        broadcaster.chunk(track, 0, 0).await;
    }
    let mut payloads = viewer.payloads(4).await;
    payloads.sort();
    assert_eq!(payloads, ["1/0/0", "2/0/0", "init of 1", "init of 2"]);
    relay.stop();
    broadcaster.ends_with(ErrorCode::ShuttingDown).await;
    viewer.ends_with(ErrorCode::ShuttingDown).await;
}

#[tokio::test]
async fn stranger_who_does_not_trust_the_certificate_says_nothing_to_the_relay() {
    let (relay, _) = encrypted().await;
    let refused = connect_async(format!("wss://{}/ws", relay.address)).await.unwrap_err();
    assert!(matches!(refused, tungstenite::Error::Io(_) | tungstenite::Error::Tls(_)), "{refused}");
    let plain = connect_async(format!("ws://{}/ws", relay.address)).await.unwrap_err();
    assert!(matches!(plain, tungstenite::Error::Http(answer) if answer.status() == 400));
    relay.metrics_say("relay_tls_handshakes_failed_total 2").await;
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_connections_and_gets_them_back() {
    let relay = TestRelay::start_with(|config| config.door.connections_per_address = 2).await;
    let first = relay.connect().await;
    let second = relay.connect().await;
    let mut third = TcpStream::connect(relay.address).await.unwrap();
    assert!(matches!(third.read(&mut [0]).await, Ok(0) | Err(_)), "let in");
    relay.metrics_say("relay_connections_crowded_total 1").await;
    drop((first, second));
    while connect_async(format!("ws://{}/ws", relay.address)).await.is_err() {}
}

/// Opens a WebSocket as a proxy does for this client.
async fn forwarded(relay: &TestRelay, client: &str) -> Result<Response, tungstenite::Error> {
    let mut request = format!("ws://{}/ws", relay.address).into_client_request().unwrap();
    request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
    let (socket, response) = connect_async(request).await?;
    // Stays open until the test ends.
    std::mem::forget(socket);
    Ok(response)
}

#[tokio::test]
async fn behind_a_proxy_each_client_is_counted_by_its_own_address() {
    let relay = TestRelay::start_with(|config| {
        config.door.behind_proxy = true;
        config.door.connections_per_address = 2;
    })
    .await;
    for client in ["203.0.113.1", "203.0.113.1", "198.51.100.7, 203.0.113.2", "203.0.113.2"] {
        forwarded(&relay, client).await.unwrap();
    }
    for client in ["203.0.113.1", "1.2.3.4, 203.0.113.2"] {
        let refused = forwarded(&relay, client).await.unwrap_err();
        assert!(matches!(refused, tungstenite::Error::Http(answer) if answer.status() == 429), "{client}");
    }
    forwarded(&relay, "203.0.113.3").await.unwrap();
}

#[tokio::test]
async fn without_a_proxy_nobody_gets_more_by_forwarding_headers() {
    let relay = TestRelay::start_with(|config| config.door.connections_per_address = 1).await;
    forwarded(&relay, "203.0.113.1").await.unwrap();
    assert!(forwarded(&relay, "203.0.113.2").await.is_err());
}

#[tokio::test]
async fn relay_waits_for_a_certificate_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let relay = TestRelay::start_with(|config| {
        (config.door.tls.tls_cert, config.door.tls.tls_key) = (Some(cert), Some(key));
    })
    .await;
    let (status, body) = relay.get(relay.internal, "/readyz").await;
    assert_eq!(status, 503);
    assert!(body.contains("are waited for"), "{body}");
}

#[test]
fn public_url_that_is_not_encrypted_is_refused_when_the_relay_is() {
    let flags = ["relay", "--name", "r", "--join-secret", "a-long-secret", "--tls", "self-signed"];
    let checked = |url: &str| {
        let flags = flags.into_iter().chain(["--public-url", url]);
        Config::try_from(<relay::Flags as clap::Parser>::try_parse_from(flags).unwrap())
    };
    checked("wss://relay.example:5001/ws").unwrap();
    let refused = checked("ws://relay.example:5001/ws").unwrap_err().to_string();
    assert!(refused.ends_with("give an address that begins with wss://"), "{refused}");
}
