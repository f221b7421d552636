//! Several relays of one directory, which is not there: tickets and memberships are minted by the tests.

use protocol::{
    StreamId, ViewerId,
    http::RelayAddress,
    signing::SigningKey,
    ticket::{Action, Grant},
};
use relay::Config;
use webtransport::Transport;

use crate::driver::{Peer, TestRelay, relay_name, stream};

/// The directory's key.
pub(crate) struct Fleet(Vec<u8>);

impl Fleet {
    pub(crate) fn new() -> Self {
        Self(SigningKey::generate_pkcs8().unwrap())
    }

    pub(crate) fn key(&self) -> SigningKey {
        SigningKey::from_pkcs8(&self.0).unwrap()
    }

    /// A relay of this name.
    pub(crate) async fn relay(&self, name: &str) -> TestRelay {
        self.relay_with(name, |_| {}).await
    }

    pub(crate) async fn relay_with(&self, name: &str, change: impl FnOnce(&mut Config)) -> TestRelay {
        TestRelay::start_at(self.key(), name, change).await
    }
}

/// Where a relay is reached by WebSocket.
pub(crate) fn address(name: &str, relay: &TestRelay) -> RelayAddress {
    RelayAddress::new(relay_name(name), format!("ws://{}/ws", relay.address).parse().unwrap())
}

/// Where a relay is reached, with or without what makes others come by WebTransport.
pub(crate) fn address_by(by: Transport, name: &str, relay: &TestRelay) -> RelayAddress {
    let webtransport = relay.webtransport.clone().filter(|_| by == Transport::Webtransport);
    RelayAddress { webtransport, ..address(name, relay) }
}

/// Each of these situations twice: relays pull from each other by WebSocket, and by WebTransport.
macro_rules! by_both {
    ($($situation:ident),* $(,)?) => {
        mod by_websocket {
            $(#[tokio::test] async fn $situation() { super::$situation(webtransport::Transport::Websocket).await; })*
        }
        mod by_webtransport {
            $(#[tokio::test] async fn $situation() { super::$situation(webtransport::Transport::Webtransport).await; })*
        }
    };
}
pub(crate) use by_both;

/// What the directory grants a new viewer of `stream(1)` at the relays `aud`, which pull from `ups`.
pub(crate) fn watch(relay: &TestRelay, epoch: u32, aud: &[&str], ups: &[RelayAddress]) -> Grant {
    let relays = aud.iter().map(|name| relay_name(name)).collect();
    Grant { relays, upstream: ups.to_vec(), ..relay.grant(Action::Watch, stream(1), epoch) }
}

/// What it grants to the broadcaster of the stream at this relay.
pub(crate) fn publish(relay: &TestRelay, name: &str, stream: StreamId, epoch: u32) -> Grant {
    Grant { relays: vec![relay_name(name)], ..relay.grant(Action::Publish, stream, epoch) }
}

/// A broadcaster of `stream(1)` that was let in.
pub(crate) async fn broadcaster(relay: &TestRelay, name: &str, epoch: u32) -> Peer {
    let mut peer = relay.hello_with(&publish(relay, name, stream(1), epoch)).await;
    peer.text("stream_registered").await;
    peer
}

/// A viewer of `stream(1)` at `edge`, which is to pull from `ups`; it was let in, and this is what it was told.
pub(crate) async fn viewer(edge: &TestRelay, name: &str, ups: &[RelayAddress]) -> (Peer, serde_json::Value) {
    let mut peer = edge.hello_with(&watch(edge, 1, &[name], ups)).await;
    let watching = peer.text("watching").await;
    (peer, watching)
}

/// A viewer number that nobody else has.
pub(crate) fn somebody() -> ViewerId {
    ViewerId(rand::random())
}
