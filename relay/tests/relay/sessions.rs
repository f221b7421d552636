//! What tickets permit while a connection lasts: they expire, are renewed, and are taken away.

use std::time::Duration;

use protocol::{
    ErrorCode, Secret, ViewerId,
    limits::{DIRECTORY_AWAY_TIME_MAX, TICKET_TIME},
    ticket::{Action, Grant},
};
use serde_json::json;

use crate::{
    driver::{PICTURE, Peer, TestRelay, new_key, relay_name, stream},
    stub::{Directory, orders},
};

const SECOND: Duration = Duration::from_secs(1);

/// A broadcaster and a viewer of one stream, who have tickets of the same age.
struct Pair {
    broadcaster: Peer,
    publish: Grant,
    viewer: Peer,
    watch: Grant,
    segment: u32,
}

impl Pair {
    async fn new(relay: &TestRelay) -> Self {
        let publish = relay.grant(Action::Publish, stream(1), 1);
        let mut broadcaster = relay.hello_with(&publish).await;
        broadcaster.text("stream_registered").await;
        let watch = relay.grant(Action::Watch, stream(1), 1);
        let mut viewer = relay.viewer_with(&watch).await;
        broadcaster.init(PICTURE).await;
        broadcaster.chunk(PICTURE, 0, 0).await;
        viewer.payloads(2).await;
        Self { broadcaster, publish, viewer, watch, segment: 0 }
    }

    async fn goes_on(&mut self) {
        self.segment += 1;
        self.broadcaster.chunk(PICTURE, self.segment, 0).await;
        assert_eq!(self.viewer.payloads(1).await, [format!("1/{}/0", self.segment)]);
    }

    /// Renews both tickets, and waits until that is done.
    async fn renew(&mut self, relay: &TestRelay) {
        let renewed_before = renewals(relay).await;
        let issued_at_s = relay.clock.now_s();
        let later = |grant: &Grant| Grant { issued_at_s, expires_at_s: issued_at_s + 600, ..grant.clone() };
        self.broadcaster.renew(&relay.sign(&later(&self.publish))).await;
        self.viewer.renew(&relay.sign(&later(&self.watch))).await;
        relay.metrics_say(&format!("relay_tickets_renewed_total {}", renewed_before + 2)).await;
    }

    async fn end_with(mut self, code: ErrorCode) {
        self.viewer.ends_with(code).await;
        self.broadcaster.ends_with(code).await;
    }
}

async fn renewals(relay: &TestRelay) -> u32 {
    let metrics = relay.get(relay.internal, "/metrics").await.1;
    let line = metrics.lines().find_map(|line| line.strip_prefix("relay_tickets_renewed_total ")).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn connection_is_cut_when_its_ticket_expires() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut pair = Pair::new(&relay).await;
    relay.clock.advance(TICKET_TIME - SECOND);
    directory.heard().await;
    pair.goes_on().await;
    relay.clock.advance(SECOND);
    pair.end_with(ErrorCode::TicketExpired).await;
    relay.metrics_say("relay_viewers_dropped_total{reason=\"ticket_expired\"} 1").await;
    relay.metrics_say("relay_publishers_dropped_total{reason=\"ticket_expired\"} 1").await;
}

#[tokio::test]
async fn renewed_ticket_lets_both_sides_go_on() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut pair = Pair::new(&relay).await;
    for _ in 0..5 {
        relay.clock.advance(TICKET_TIME / 2);
        pair.renew(&relay).await;
        directory.heard().await;
        pair.goes_on().await;
    }
    relay.clock.advance(TICKET_TIME);
    pair.end_with(ErrorCode::TicketExpired).await;
}

#[tokio::test]
async fn renewed_ticket_that_is_older_shortens_nothing() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut pair = Pair::new(&relay).await;
    let (old_publish, old_watch) = (relay.sign(&pair.publish), relay.sign(&pair.watch));
    relay.clock.advance(TICKET_TIME / 2);
    pair.renew(&relay).await;
    pair.broadcaster.renew(&old_publish).await;
    pair.viewer.renew(&old_watch).await;
    relay.metrics_say("relay_tickets_renewed_total 4").await;
    relay.clock.advance(TICKET_TIME / 2 + SECOND);
    pair.goes_on().await;
}

/// Tickets that continue nothing, and why; the last is refused for being expired.
fn foreign_tickets(relay: &TestRelay, grant: &Grant) -> Vec<(&'static str, Secret, ErrorCode)> {
    let invalid = ErrorCode::TicketInvalid;
    let viewer = grant.viewer.map(|viewer| ViewerId(viewer.0 ^ 1));
    let (other_action, its_viewer) = match grant.action {
        Action::Publish => (Action::Watch, Some(ViewerId(5))),
        Action::Watch => (Action::Publish, None),
    };
    let expired = Grant { issued_at_s: grant.issued_at_s - 600, expires_at_s: grant.issued_at_s, ..grant.clone() };
    let mut tickets = vec![
        ("another stream", Grant { stream: stream(2), ..grant.clone() }, invalid),
        ("another relay", Grant { relays: vec![relay_name("relay-2")], ..grant.clone() }, invalid),
        ("another action", Grant { action: other_action, viewer: its_viewer, ..grant.clone() }, invalid),
        ("an older epoch", Grant { epoch: grant.epoch - 1, ..grant.clone() }, invalid),
        ("already expired", expired, ErrorCode::TicketExpired),
    ];
    match grant.action {
        Action::Publish => tickets.push(("a newer epoch", Grant { epoch: grant.epoch + 1, ..grant.clone() }, invalid)),
        Action::Watch => tickets.push(("another viewer", Grant { viewer, ..grant.clone() }, invalid)),
    }
    let mut tickets: Vec<_> = tickets.into_iter().map(|(what, grant, code)| (what, relay.sign(&grant), code)).collect();
    tickets.push(("a forged one", new_key().sign(grant).unwrap(), invalid));
    tickets.push(("not a ticket", "x".into(), invalid));
    tickets
}

#[tokio::test]
async fn renewed_ticket_for_anything_else_ends_the_viewer() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut pair = Pair::new(&relay).await;
    for (what, ticket, code) in foreign_tickets(&relay, &pair.watch) {
        println!("{what} -> {code}");
        let grant = Grant { viewer: pair.watch.viewer, ..relay.grant(Action::Watch, stream(1), 1) };
        let mut viewer = relay.viewer_with(&grant).await;
        viewer.renew(&ticket).await;
        viewer.ends_with(code).await;
        pair.goes_on().await;
    }
    // The stream has moved and come back meanwhile: the same viewer, a newer epoch.
    pair.viewer.renew(&relay.sign(&Grant { epoch: 2, ..pair.watch.clone() })).await;
    relay.metrics_say("relay_tickets_renewed_total 1").await;
    pair.goes_on().await;
}

#[tokio::test]
async fn renewed_ticket_for_anything_else_ends_the_broadcaster() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut bystanders = Pair::new(&relay).await;
    let grant = relay.grant(Action::Publish, stream(7), 3);
    for (what, ticket, code) in foreign_tickets(&relay, &grant) {
        println!("{what} -> {code}");
        let mut broadcaster = relay.hello_with(&grant).await;
        broadcaster.text("stream_registered").await;
        broadcaster.renew(&ticket).await;
        broadcaster.ends_with(code).await;
        bystanders.goes_on().await;
    }
}

#[tokio::test]
async fn expired_tickets_count_while_the_directory_is_away() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut pair = Pair::new(&relay).await;
    let mut late = relay.grant(Action::Watch, stream(1), 1);
    let expired_before = Grant {
        issued_at_s: late.issued_at_s - 601,
        expires_at_s: late.issued_at_s - 1,
        ..relay.grant(Action::Watch, stream(1), 1)
    };
    directory.is_away(true).await;
    relay.clock.advance(TICKET_TIME + 10 * SECOND);
    directory.heard().await;
    pair.goes_on().await;
    // At the door too, but only for tickets that the directory could not renew.
    let mut latecomer = relay.viewer_with(&late).await;
    relay.hello_with(&expired_before).await.ends_with(ErrorCode::TicketExpired).await;
    // Back again: there is time to renew, and no more.
    directory.is_away(false).await;
    pair.renew(&relay).await;
    relay.clock.advance(200 * SECOND);
    latecomer.ends_with(ErrorCode::TicketExpired).await;
    pair.goes_on().await;
    late.viewer = Some(ViewerId(1));
    relay.hello_with(&late).await.ends_with(ErrorCode::TicketExpired).await;
}

#[tokio::test]
async fn directory_that_never_comes_back_ends_streams_in_the_end() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut pair = Pair::new(&relay).await;
    directory.is_away(true).await;
    relay.clock.advance(TICKET_TIME + DIRECTORY_AWAY_TIME_MAX - SECOND);
    pair.goes_on().await;
    relay.clock.advance(SECOND);
    pair.end_with(ErrorCode::TicketExpired).await;
}

#[tokio::test]
async fn removed_viewer_is_cut_within_a_heartbeat_and_does_not_come_back() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut pair = Pair::new(&relay).await;
    let grant = relay.grant(Action::Watch, stream(1), 1);
    let mut viewer = relay.viewer_with(&grant).await;
    let mut second_connection = relay.viewer_with(&grant).await;
    let removed = json!([{"stream": stream(1), "viewer": grant.viewer}]);
    directory.answers_next(200, orders(json!({"removed": removed})));
    viewer.ends_with(ErrorCode::ViewerRemoved).await;
    second_connection.ends_with(ErrorCode::ViewerRemoved).await;
    relay.hello_with(&grant).await.ends_with(ErrorCode::ViewerRemoved).await;
    // Not with a renewed ticket either, nor when the directory has stopped naming it.
    relay.clock.advance(TICKET_TIME / 2);
    directory.heard().await;
    let renewed = Grant { viewer: grant.viewer, ..relay.grant(Action::Watch, stream(1), 1) };
    relay.hello_with(&renewed).await.ends_with(ErrorCode::ViewerRemoved).await;
    // Others watch on, and the same number in another stream is somebody else.
    pair.goes_on().await;
    let _other_stream = relay.publisher(stream(2), 1).await;
    relay.viewer_with(&Grant { stream: stream(2), ..renewed }).await;
}

#[tokio::test]
async fn broadcaster_learns_who_watches() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    let mut broadcaster = relay.publisher(stream(1), 1).await;
    assert_eq!(broadcaster.text("audience").await["viewers"], json!([]));
    let grant = relay.grant(Action::Watch, stream(1), 1);
    let first = relay.viewer_with(&grant).await;
    let first_again = relay.viewer_with(&grant).await;
    let since_ms = relay.clock.now_us() / 1000;
    let one = json!([{"viewer": grant.viewer, "since_ms": since_ms}]);
    assert_eq!(broadcaster.text("audience").await["viewers"], one);
    relay.clock.advance(SECOND);
    let second = relay.grant(Action::Watch, stream(1), 1);
    let _second = relay.viewer_with(&second).await;
    let both = json!([{"viewer": second.viewer, "since_ms": since_ms + 1000}, one[0]]);
    assert_eq!(broadcaster.text("audience").await["viewers"], both);
    drop(first);
    relay.metrics_say("relay_viewers 2").await;
    drop(first_again);
    assert_eq!(broadcaster.text("audience").await["viewers"], json!([both[0]]));
}

#[tokio::test]
async fn viewer_may_reconnect_beside_its_dead_connections_but_not_share_its_ticket_with_many() {
    let relay = TestRelay::start().await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let grant = relay.grant(Action::Watch, stream(1), 1);
    let mut connections = vec![];
    for _ in 0..4 {
        connections.push(relay.viewer_with(&grant).await);
    }
    relay.hello_with(&grant).await.ends_with(ErrorCode::TooManyRequests).await;
    relay.viewer(stream(1)).await;
    connections.pop();
    relay.metrics_say("relay_viewers 3").await;
    relay.viewer_with(&grant).await;
}

#[tokio::test]
async fn ticket_to_watch_publishes_nothing_and_the_other_way_round() {
    let relay = TestRelay::start().await;
    let watch = relay.ticket(Action::Watch, stream(1), 1);
    let mut peer = relay.connect().await;
    let tracks = crate::driver::tracks();
    peer.say(json!({"type": "register_new_stream", "protocol": 1, "ticket": watch, "tracks": tracks})).await;
    peer.ends_with(ErrorCode::TicketInvalid).await;
    let _broadcaster = relay.publisher(stream(1), 1).await;
    let publish = relay.ticket(Action::Publish, stream(1), 1);
    let mut peer = relay.connect().await;
    peer.say(json!({"type": "watch_stream", "protocol": 1, "ticket": publish})).await;
    peer.ends_with(ErrorCode::TicketInvalid).await;
}
