//! Who may pull a stream, and who may not.

use std::time::Duration;

use protocol::{
    ErrorCode, Secret,
    limits::RELAY_ASSERTION_TIME,
    relay_proof::{Assertion, Membership, pull_request},
    signing::SigningKey,
    ticket::{Action, Grant},
};
use serde_json::json;

use crate::{
    driver::{PICTURE, Peer, TestRelay, new_key, now_s, relay_name, stream},
    fleet::{Fleet, address, broadcaster, somebody, watch},
};

/// A relay that pulls, played by a test, and all it shows.
pub(crate) struct Puller {
    fleet: Fleet,
    pub(crate) key: SigningKey,
    membership: Membership,
    ticket: Grant,
    assertion: Assertion,
}

impl Puller {
    /// One that wants the stream of the relay `origin`, whose name is `name`.
    pub(crate) fn new(fleet: Fleet, name: &str, origin: &TestRelay) -> Self {
        let key = new_key();
        let (relay, public_key) = (relay_name("puller"), key.public_key());
        let membership = Membership { relay: relay.clone(), public_key, issued_at_s: now_s() };
        let ticket = watch(origin, 1, &["puller", "other"], &[address(name, origin)]);
        let request = pull_request(stream(1), &relay_name(name));
        let assertion = Assertion::new(relay, &request, b"", now_s() * 1000);
        Self { fleet, key, membership, ticket, assertion }
    }

    /// It has another key from now on, and the directory knows it.
    pub(crate) fn change_key(&mut self) {
        self.key = new_key();
        self.membership.public_key = self.key.public_key();
    }

    pub(crate) async fn hello(&mut self, origin: &TestRelay) -> Peer {
        self.assertion.said_at_ms += 1;
        let assertion = self.key.sign(&self.assertion).unwrap();
        let membership = self.fleet.key().sign(&self.membership).unwrap();
        self.say(origin, &self.fleet.key().sign(&self.ticket).unwrap(), &membership, &assertion).await
    }

    /// What it says first, as whatever carries it.
    pub(crate) fn hello_message(&mut self) -> serde_json::Value {
        self.assertion.said_at_ms += 1;
        let ticket = self.fleet.key().sign(&self.ticket).unwrap();
        let membership = self.fleet.key().sign(&self.membership).unwrap();
        let assertion = self.key.sign(&self.assertion).unwrap();
        json!({
            "type": "pull_stream", "protocol": 1, "ticket": ticket, "membership": membership, "assertion": assertion
        })
    }

    async fn say(&self, origin: &TestRelay, ticket: &Secret, membership: &Secret, assertion: &Secret) -> Peer {
        let mut peer = origin.connect().await;
        let hello = json!({
            "type": "pull_stream", "protocol": 1, "ticket": ticket, "membership": membership, "assertion": assertion
        });
        peer.say(hello).await;
        peer
    }
}

async fn world() -> (TestRelay, Peer, Puller) {
    let fleet = Fleet::new();
    let origin = fleet.relay("origin").await;
    let mut broadcaster = broadcaster(&origin, "origin", 1).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    let puller = Puller::new(fleet, "origin", &origin);
    (origin, broadcaster, puller)
}

#[tokio::test]
async fn relay_with_a_viewers_ticket_gets_every_track_and_is_no_viewer() {
    let (origin, mut broadcaster, mut puller) = world().await;
    let mut peer = puller.hello(&origin).await;
    let watching = peer.text("watching").await;
    assert_eq!((&watching["path"], &watching["selected"]), (&json!(["origin"]), &json!([1, 2])));
    assert_eq!(peer.payloads(2).await, ["init of 1", "1/0/0"]);
    assert_eq!(broadcaster.text("audience").await["viewers"], json!([]));
    origin.metrics_say("relay_viewers 0").await;
    origin.metrics_say("relay_edges 1").await;
    // It goes on with the ticket of another of its viewers, asks for key frames, and says nothing that viewers say.
    puller.ticket.viewer = Some(somebody());
    peer.renew(&puller.fleet.key().sign(&puller.ticket).unwrap()).await;
    origin.metrics_say("relay_tickets_renewed_total 1").await;
    peer.say(json!({"type": "key_frame_wanted", "track": 1})).await;
    assert_eq!(broadcaster.text("key_frame_wanted").await["track"], 1);
    peer.say(json!({"type": "select_track", "track": 1})).await;
    peer.ends_with(ErrorCode::InvalidRequest).await;
    origin.metrics_say("relay_edges_dropped_total{reason=\"invalid_request\"} 1").await;
    origin.metrics_say("relay_edges 0").await;
}

#[tokio::test]
async fn foreign_and_borrowed_memberships_are_refused() {
    let (origin, _broadcaster, mut puller) = world().await;
    let (ticket, assertion) =
        (puller.fleet.key().sign(&puller.ticket).unwrap(), puller.key.sign(&puller.assertion).unwrap());
    for membership in [new_key().sign(&puller.membership).unwrap(), ticket.clone(), "x".into(), "".into()] {
        let mut peer = puller.say(&origin, &ticket, &membership, &assertion).await;
        peer.ends_with(ErrorCode::Unauthorized).await;
    }
    // Somebody else's membership: the assertion is not of its key.
    puller.membership.public_key = new_key().public_key();
    puller.hello(&origin).await.ends_with(ErrorCode::Unauthorized).await;
    // A member that does not say who it is.
    puller.membership.public_key = puller.key.public_key();
    puller.assertion.relay = relay_name("other");
    puller.hello(&origin).await.ends_with(ErrorCode::Unauthorized).await;
    puller.assertion.relay = relay_name("puller");
    puller.hello(&origin).await.text("watching").await;
}

#[tokio::test]
async fn tickets_that_do_not_name_both_relays_are_refused() {
    let (origin, _broadcaster, mut puller) = world().await;
    let good = puller.ticket.clone();
    let elsewhere = vec![protocol::http::RelayAddress { name: relay_name("other"), ..good.upstream[0].clone() }];
    for (what, ticket, code) in [
        ("no upstream", Grant { upstream: vec![], ..good.clone() }, ErrorCode::TicketInvalid),
        ("another upstream", Grant { upstream: elsewhere, ..good.clone() }, ErrorCode::TicketInvalid),
        ("another edge", Grant { relays: vec![relay_name("other")], ..good.clone() }, ErrorCode::TicketInvalid),
        ("to publish", Grant { action: Action::Publish, viewer: None, ..good.clone() }, ErrorCode::TicketInvalid),
        ("another stream", Grant { stream: stream(2), ..good.clone() }, ErrorCode::Unauthorized),
    ] {
        println!("{what} -> {code}");
        puller.ticket = ticket;
        puller.hello(&origin).await.ends_with(code).await;
    }
    puller.ticket = good;
    let forged = new_key().sign(&puller.ticket).unwrap();
    let membership = puller.fleet.key().sign(&puller.membership).unwrap();
    let assertion = puller.key.sign(&puller.assertion).unwrap();
    puller.say(&origin, &forged, &membership, &assertion).await.ends_with(ErrorCode::TicketInvalid).await;
    // A viewer's ticket is none to watch with where it names only upstreams.
    let mut peer = origin.hello_with(&puller.ticket).await;
    peer.ends_with(ErrorCode::TicketInvalid).await;
}

#[tokio::test]
async fn assertion_counts_once_here_and_now() {
    let (origin, _broadcaster, mut puller) = world().await;
    let ticket = puller.fleet.key().sign(&puller.ticket).unwrap();
    let membership = puller.fleet.key().sign(&puller.membership).unwrap();
    let now_ms = now_s() * 1000;
    let long_ms = (RELAY_ASSERTION_TIME + Duration::from_secs(5)).as_millis() as u64;
    let said = |request: &str, body: &[u8], at_ms| {
        puller.key.sign(&Assertion::new(relay_name("puller"), request, body, at_ms)).unwrap()
    };
    let request = pull_request(stream(1), &relay_name("origin"));
    for assertion in [
        said(&pull_request(stream(2), &relay_name("origin")), b"", now_ms),
        said(&pull_request(stream(1), &relay_name("other")), b"", now_ms),
        said(&request, b"body", now_ms),
        said(&request, b"", now_ms - long_ms),
        said(&request, b"", now_ms + long_ms),
        new_key().sign(&puller.assertion).unwrap(),
        "".into(),
    ] {
        puller.say(&origin, &ticket, &membership, &assertion).await.ends_with(ErrorCode::Unauthorized).await;
    }
    let assertion = said(&request, b"", now_ms);
    puller.say(&origin, &ticket, &membership, &assertion).await.text("watching").await;
    puller.say(&origin, &ticket, &membership, &assertion).await.ends_with(ErrorCode::Unauthorized).await;
    puller
        .say(&origin, &ticket, &membership, &said(&request, b"", now_ms - 1))
        .await
        .ends_with(ErrorCode::Unauthorized)
        .await;
    puller.assertion.said_at_ms = now_ms;
    puller.hello(&origin).await.text("watching").await;
}

#[tokio::test]
async fn stream_that_is_only_waited_for_and_one_that_has_ended_are_not_sent_on() {
    let (origin, mut broadcaster, mut puller) = world().await;
    let good = puller.ticket.clone();
    puller.ticket.stream = stream(2);
    puller.assertion.request = pull_request(stream(2), &relay_name("origin"));
    let waits = Grant { relays: vec![relay_name("origin")], ..origin.grant(Action::Watch, stream(2), 1) };
    let _waits = origin.hello_with(&waits).await;
    puller.hello(&origin).await.ends_with(ErrorCode::StreamNotLive).await;
    puller.ticket = good;
    puller.assertion.request = pull_request(stream(1), &relay_name("origin"));
    let mut peer = puller.hello(&origin).await;
    peer.text("watching").await;
    broadcaster.say(json!({"type": "end_stream"})).await;
    peer.text("stream_ended").await;
    puller.hello(&origin).await.ends_with(ErrorCode::StreamNotFound).await;
}
