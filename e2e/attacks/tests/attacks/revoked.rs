//! Going on as a relay that an operator has shut out, and that does not hear of it or does not care: relays whose way to the directory
//! is cut.

use std::time::Duration;

use protocol::{MediaHeader, MediaKind, RelayName, Secret, TrackNumber, ViewerId, ticket::Grant};
use reqwest::Method;
use serde_json::json;
use stage::{Created, Entry, Got, Plan, Socket, System, WAYS, eventually, now_ms};
use tokio::time::timeout;
use webtransport::Transport;

/// What is promised.
const REVOKED_WITHIN: Duration = Duration::from_secs(5);

/// Two relays, a stream on one of them, and what is said of the other.
struct Scene {
    system: System,
    created: Created,
    owner: Socket,
    other: RelayName,
    /// How relays pull from each other.
    by: Transport,
}

fn header(kind: MediaKind, segment: u32) -> MediaHeader {
    let key = kind == MediaKind::Chunk;
    MediaHeader { kind, key, sealed: false, track: TrackNumber(1), segment, chunk: 0, captured_at_us: 1 }
}

async fn publishing(at: impl Into<Entry>, ticket: &Secret, segment: u32) -> Socket {
    let mut owner = Socket::publishing(at, ticket.expose()).await;
    owner.text("stream_registered").await;
    owner.media(&header(MediaKind::Init, 0), b"init").await;
    owner.media(&header(MediaKind::Chunk, segment), format!("picture {segment}").as_bytes()).await;
    while owner.text("received").await["chunks"] != 1 {}
    owner
}

impl Scene {
    async fn of(plan: &Plan, by: Transport) -> Self {
        let system = System::start_plan(plan).await;
        for relay in &plan.relays {
            system.is_assigned(&relay.name).await;
        }
        let created = system.create(json!({"title": "a"})).await;
        let owner = publishing(created.at(by), &created.ticket, 1).await;
        let other = plan.relays.iter().find(|relay| relay.name != created.relay.as_str()).unwrap();
        let other = other.name.parse().unwrap();
        Self { system, created, owner, other, by }
    }

    /// A viewer at the other relay, which pulls the stream for it; and its ticket.
    async fn viewer_of_edge(&self, viewer: u64) -> (Socket, Secret) {
        let grant = Grant::watch(self.created.id, 1, vec![self.other.clone()], ViewerId(viewer), now_ms() / 1000);
        let upstream = vec![self.created.address(self.by)];
        let ticket = self.system.directory_key().sign(&Grant { upstream, ..grant }).unwrap();
        let mut socket = Socket::watching(&self.system.relay_url(self.other.as_str()), ticket.expose()).await;
        assert!(socket.next_media().await.ends_with(b"init"));
        assert!(socket.next_media().await.ends_with(b"picture 1"));
        let sessions = self.system.metric(self.other.as_str(), "relay_webtransport_upstreams").await;
        assert_eq!(sessions == Some(1.0), self.by == Transport::Webtransport, "{sessions:?}");
        (socket, ticket)
    }

    /// An operator shuts a relay out, which does not hear of it.
    async fn revoke(&self, relay: &RelayName) {
        self.system.cable(relay.as_str()).to_directory.black_hole(true);
        self.system.operator(&["relay-revoke", relay.as_str()]).await;
    }
}

/// Relays whose way to the directory can be cut, and that are reached by this way.
fn two_relays(by: Transport) -> Plan {
    let mut plan = Plan::of_relays(2, true);
    for relay in &mut plan.relays {
        relay.webtransport_beside = by == Transport::Webtransport;
    }
    plan
}

/// How often a relay has left another one, or sent it away, because it was shut out.
async fn shunned(system: &System, relay: &RelayName, metric: &str) -> bool {
    system.metric_where(relay.as_str(), metric, Some("reason=\"relay_revoked\"")).await >= Some(1.0)
}

/// The edge goes on pulling as if nothing had happened; its viewers watch on elsewhere.
async fn pull_on(plan: &Plan, by: Transport) {
    let mut scene = Scene::of(plan, by).await;
    let (mut viewer, ticket) = scene.viewer_of_edge(7).await;
    let origin = scene.created.relay.clone();
    scene.revoke(&scene.other).await;
    let cut = eventually("the end of the pull", async || {
        shunned(&scene.system, &origin, "relay_edges_dropped_total").await.then_some(())
    });
    timeout(REVOKED_WITHIN, cut).await.expect("the pull goes on for longer than is promised");

    scene.owner.media(&header(MediaKind::Chunk, 2), b"picture 2").await;
    while scene.owner.text("received").await["chunks"] != 2 {}
    // The edge says so itself, as soon as it has asked everywhere.
    assert_eq!(viewer.text("broadcaster").await["present"], false);
    let path = format!("/api/streams/{}/watch", scene.created.id);
    let renewed = scene.system.request(Method::POST, &path).bearer_auth(ticket.expose());
    let renewed = scene.system.send(renewed).await;
    assert_eq!(renewed.body["assignment"]["relays"][0]["name"], json!(origin), "{renewed:?}");
    let ticket = renewed.body["assignment"]["ticket"].as_str().unwrap();
    let mut elsewhere = Socket::watching(&scene.created.relay_url, ticket).await;
    assert!(elsewhere.next_media().await.ends_with(b"init"));
    assert!(elsewhere.next_media().await.ends_with(b"picture 2"));
    // With what it still holds the edge asks again and again, and is refused.
    eventually("refusals", async || {
        let refused = Some("reason=\"relay_revoked\"");
        let refusals = scene.system.metric_where(origin.as_str(), "relay_connections_refused_total", refused).await;
        (refusals >= Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(scene.system.metric(origin.as_str(), "relay_edges").await, Some(0.0));
}

#[tokio::test]
async fn pull_on_after_having_been_revoked() {
    for by in WAYS {
        pull_on(&two_relays(by), by).await;
    }
}

#[tokio::test]
async fn pull_on_after_another_directory_has_revoked_the_relay() {
    for by in WAYS {
        pull_on(&Plan { shared: true, ..two_relays(by) }, by).await;
    }
}

/// The origin goes on sending, to an edge that pulls from it: what it sends reaches nobody there, and the broadcaster's own stream does.
#[tokio::test]
async fn feed_others_after_having_been_revoked() {
    for by in WAYS {
        feed_others(by).await;
    }
}

async fn feed_others(by: Transport) {
    let mut scene = Scene::of(&two_relays(by), by).await;
    let (mut viewer, _) = scene.viewer_of_edge(7).await;
    let origin = scene.created.relay.clone();
    scene.revoke(&origin).await;
    let left = eventually("another upstream being looked for", async || {
        shunned(&scene.system, &scene.other, "relay_upstream_failures_total").await.then_some(())
    });
    timeout(REVOKED_WITHIN, left).await.expect("the edge pulls for longer than is promised");

    scene.owner.media(&header(MediaKind::Chunk, 2), b"what nobody wants").await;
    while scene.owner.text("received").await["chunks"] != 2 {}
    let assignment = eventually("another relay for the broadcaster", async || {
        let path = format!("/api/streams/{}/assignment", scene.created.id);
        let request = scene.system.request(Method::POST, &path).bearer_auth(scene.created.broadcast_key.expose());
        let answer = scene.system.send(request.json(&json!({}))).await;
        (answer.body["relays"][0]["name"] == json!(scene.other)).then_some(answer.body)
    })
    .await;
    let ticket = assignment["ticket"].as_str().unwrap().into();
    let _owner = publishing(&scene.system.relay_url(scene.other.as_str()), &ticket, 3).await;
    loop {
        match viewer.next().await {
            Got::Media(message) if message.ends_with(b"picture 3") => break,
            Got::Media(message) => assert!(!message.ends_with(b"what nobody wants"), "of the one that is out"),
            Got::Text(message) => assert_ne!(message["type"], "error", "{message}"),
            Got::Closed(code) => panic!("closed ({code:?})"),
        }
    }
}
