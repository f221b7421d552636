//! Pulling a stream as a relay does, without the right to.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::{
    ErrorCode, MediaHeader, MediaKind, RelayName, Secret, TrackNumber, ViewerId,
    limits::RELAY_ASSERTION_TIME,
    relay_proof::{Assertion, Membership, pull_request},
    signing::SigningKey,
    ticket::Grant,
};
use serde_json::json;
use stage::{Created, Got, RelayKey, Socket, System, WAYS, now_ms};
use webtransport::Transport;

/// Somebody at a relay that is none of the system's, `relay-9`, who would like to have a stream.
struct Puller {
    name: RelayName,
    key: RelayKey,
    created: Created,
    by: Transport,
    directory: SigningKey,
    /// When it last said something: each assertion is later than the one before.
    said_at_ms: AtomicU64,
}

/// What is shown at the door.
struct Papers {
    ticket: Secret,
    membership: Secret,
    assertion: Secret,
}

fn header(kind: MediaKind, segment: u32) -> MediaHeader {
    let key = kind == MediaKind::Chunk;
    MediaHeader { kind, key, sealed: false, track: TrackNumber(1), segment, chunk: 0, captured_at_us: 1 }
}

/// A stream that is live, and its broadcaster.
async fn live(system: &System, by: Transport) -> (Created, Socket) {
    let created = system.create(json!({"title": "a"})).await;
    let mut owner = Socket::publishing(created.at(by), created.ticket.expose()).await;
    owner.text("stream_registered").await;
    owner.media(&header(MediaKind::Init, 0), b"init").await;
    owner.media(&header(MediaKind::Chunk, 1), b"picture").await;
    while owner.text("received").await["chunks"] != 1 {}
    (created, owner)
}

impl Puller {
    fn of(system: &System, created: &Created, by: Transport) -> Self {
        Self {
            name: "relay-9".parse().unwrap(),
            key: RelayKey::generate(),
            created: created.clone(),
            by,
            directory: system.directory_key(),
            said_at_ms: AtomicU64::new(now_ms()),
        }
    }

    /// A viewer's ticket that names this relay, and the origin as its upstream.
    fn grant(&self) -> Grant {
        let upstream = vec![self.created.address(self.by)];
        let grant = Grant::watch(self.created.id, 1, vec![self.name.clone()], ViewerId(7), now_ms() / 1000);
        Grant { upstream, ..grant }
    }

    fn membership(&self) -> Membership {
        let public_key = self.key.public_key();
        Membership { relay: self.name.clone(), public_key, issued_at_s: now_ms() / 1000 }
    }

    fn request(&self) -> String {
        pull_request(self.created.id, &self.created.relay)
    }

    fn assertion_about(&self, relay: &str, request: &str) -> Secret {
        let said_at_ms = self.said_at_ms.fetch_add(1, Ordering::Relaxed);
        self.key.signing_key().sign(&Assertion::new(relay.parse().unwrap(), request, b"", said_at_ms)).unwrap()
    }

    fn assertion(&self) -> Secret {
        self.assertion_about(self.name.as_str(), &self.request())
    }

    /// Papers that are in order, as the directory would give them to a relay of its own.
    fn papers(&self) -> Papers {
        Papers {
            ticket: self.directory.sign(&self.grant()).unwrap(),
            membership: self.directory.sign(&self.membership()).unwrap(),
            assertion: self.assertion(),
        }
    }

    async fn pulling(&self, papers: &Papers) -> Socket {
        let mut socket = Socket::connect(self.created.at(self.by)).await;
        let Papers { ticket, membership, assertion } = papers;
        let hello = json!({
            "type": "pull_stream", "protocol": 1,
            "ticket": ticket, "membership": membership, "assertion": assertion,
        });
        socket.say(hello).await;
        socket
    }

    /// Shows papers that are in order: what is refused otherwise is refused for what was changed in them.
    async fn may_pull(&self) -> Socket {
        let mut socket = self.pulling(&self.papers()).await;
        let watching = socket.text("watching").await;
        assert_eq!(watching["path"], json!([self.created.relay]), "{watching}");
        assert!(socket.next_media().await.ends_with(b"init"));
        assert!(socket.next_media().await.ends_with(b"picture"));
        socket
    }

    async fn is_refused(&self, papers: &Papers, code: ErrorCode) {
        self.pulling(papers).await.is_refused(code).await;
    }
}

#[tokio::test]
async fn pull_as_a_relay_of_nobody() {
    let system = System::start().await;
    for by in WAYS {
        let (created, _owner) = live(&system, by).await;
        let puller = Puller::of(&system, &created, by);
        puller.may_pull().await;
        let foreign = RelayKey::generate();
        // A membership that another directory has signed, and one that is none.
        for membership in [foreign.signing_key().sign(&puller.membership()).unwrap(), "".into(), "a.b.c".into()] {
            puller.is_refused(&Papers { membership, ..puller.papers() }, ErrorCode::Unauthorized).await;
        }
        // A ticket that another directory has signed.
        let ticket = foreign.signing_key().sign(&puller.grant()).unwrap();
        puller.is_refused(&Papers { ticket, ..puller.papers() }, ErrorCode::TicketInvalid).await;
    }
}

#[tokio::test]
async fn pull_with_the_membership_of_another_relay() {
    let system = System::start().await;
    for by in WAYS {
        let (created, _owner) = live(&system, by).await;
        let (honest, thief) = (Puller::of(&system, &created, by), Puller::of(&system, &created, by));
        honest.may_pull().await;
        // The thief has the membership and the ticket, and not the key that the membership names.
        let papers = Papers { assertion: thief.assertion(), ..honest.papers() };
        honest.is_refused(&papers, ErrorCode::Unauthorized).await;
        // Its own membership is of another relay than the ticket's.
        let membership = Membership { relay: "relay-8".parse().unwrap(), ..thief.membership() };
        let membership = thief.directory.sign(&membership).unwrap();
        let assertion = thief.assertion_about("relay-8", &thief.request());
        let papers = Papers { membership, assertion, ..honest.papers() };
        honest.is_refused(&papers, ErrorCode::TicketInvalid).await;
    }
}

#[tokio::test]
async fn pull_with_an_assertion_that_was_said_before_or_of_something_else() {
    let system = System::start().await;
    for by in WAYS {
        let (created, _owner) = live(&system, by).await;
        let puller = Puller::of(&system, &created, by);
        let papers = puller.papers();
        puller.pulling(&papers).await.text("watching").await;
        puller.is_refused(&papers, ErrorCode::Unauthorized).await;
        let old = now_ms() - RELAY_ASSERTION_TIME.as_millis() as u64 - 1000;
        let old = Assertion::new(puller.name.clone(), &puller.request(), b"", old);
        // What it has said to another relay, of another stream, or to the directory.
        let elsewhere = pull_request(created.id, &"relay-8".parse().unwrap());
        let other = pull_request("0".repeat(32).parse().unwrap(), &created.relay);
        for assertion in [
            puller.key.signing_key().sign(&old).unwrap(),
            puller.assertion_about("relay-9", &elsewhere),
            puller.assertion_about("relay-9", &other),
            puller.assertion_about("relay-9", "POST /register_server"),
            puller.assertion_about("relay-8", &puller.request()),
        ] {
            puller.is_refused(&Papers { assertion, ..puller.papers() }, ErrorCode::Unauthorized).await;
        }
    }
}

#[tokio::test]
async fn pull_with_a_ticket_that_is_not_for_it() {
    let system = System::start().await;
    for by in WAYS {
        let (created, _owner) = live(&system, by).await;
        let puller = Puller::of(&system, &created, by);
        puller.may_pull().await;
        // What a viewer of the origin holds, which names no relay that may pull; what names another upstream; and the broadcaster's own.
        let answer = system.watch(created.id, None).await;
        let viewers = Secret::from(answer.body["assignment"]["ticket"].as_str().unwrap());
        let nowhere = Grant { upstream: vec![], ..puller.grant() };
        let mut elsewhere = puller.grant();
        elsewhere.upstream[0].name = "relay-8".parse().unwrap();
        let sign = |grant: &Grant| puller.directory.sign(grant).unwrap();
        for ticket in [viewers, sign(&nowhere), sign(&elsewhere), created.ticket.clone()] {
            puller.is_refused(&Papers { ticket, ..puller.papers() }, ErrorCode::TicketInvalid).await;
        }
        let issued_at_s = now_ms() / 1000 - 1200;
        let late = Grant { issued_at_s, expires_at_s: issued_at_s + 600, ..puller.grant() };
        puller.is_refused(&Papers { ticket: sign(&late), ..puller.papers() }, ErrorCode::TicketExpired).await;
    }
}

/// What a relay that was revoked still holds ends with its ticket, and no other names it.
#[tokio::test]
async fn pull_on_after_the_ticket_or_the_relay_is_out() {
    let system = System::start().await;
    for by in WAYS {
        let (created, _owner) = live(&system, by).await;
        let puller = Puller::of(&system, &created, by);
        let soon = Grant { expires_at_s: now_ms() / 1000 + 2, ..puller.grant() };
        let papers = Papers { ticket: puller.directory.sign(&soon).unwrap(), ..puller.papers() };
        let mut socket = puller.pulling(&papers).await;
        socket.text("watching").await;
        let code = loop {
            match socket.next().await {
                Got::Text(message) if message["type"] == "error" => break message["code"].clone(),
                Got::Closed(code) => panic!("closed ({code:?}) without a word"),
                _ => {}
            }
        };
        assert_eq!(code, "ticket_expired");
    }

    let (created, _owner) = live(&system, WAYS[0]).await;
    let directory = system.directory_key();
    let other = ["relay-1", "relay-2"].into_iter().find(|name| *name != created.relay.as_str()).unwrap();
    system.operator(&["relay-revoke", other]).await;
    for _ in 0..6 {
        let answer = system.watch(created.id, None).await;
        let ticket = answer.body["assignment"]["ticket"].as_str().unwrap();
        let grant: Grant = directory.public_key().verify(ticket).unwrap();
        let upstream = grant.upstream.iter().map(|relay| &relay.name);
        assert!(grant.relays.iter().chain(upstream).all(|name| name.as_str() != other), "{grant:?}");
    }
}

/// A relay that pulls is nobody's viewer.
#[tokio::test]
async fn puller_is_not_seen_as_a_viewer() {
    let system = System::start().await;
    for by in WAYS {
        let (created, mut owner) = live(&system, by).await;
        let puller = Puller::of(&system, &created, by);
        let _pulling = puller.may_pull().await;
        let answer = system.watch(created.id, None).await;
        let mut viewer = Socket::watching(created.at(by), answer.body["assignment"]["ticket"].as_str().unwrap()).await;
        viewer.text("watching").await;
        let audience = loop {
            let audience = owner.text("audience").await;
            if audience["viewers"].as_array().is_some_and(|viewers| !viewers.is_empty()) {
                break audience;
            }
        };
        assert_eq!(audience["viewers"].as_array().unwrap().len(), 1, "{audience}");
    }
}
