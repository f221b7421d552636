//! The link to the directory, which a stub plays.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use protocol::{ErrorCode, http::RegisterServer, relay_proof::Assertion, signing::PublicKey};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::driver::{PICTURE, TestRelay, now_s, relay_name, stream};

/// What the stub gives to a relay that has joined.
const MEMBERSHIP: &str = "membership-of-tests";

/// A directory that says what a test wants. It takes no call that the relay has not signed.
struct Stub {
    calls: mpsc::UnboundedSender<Call>,
    ticket_key: PublicKey,
    /// The relay that has joined, and when it said its newest assertion.
    relay: Mutex<Option<(PublicKey, u64)>>,
    /// What the next answers are, instead of the good ones.
    answers: Mutex<Vec<(StatusCode, Value)>>,
}

#[derive(Debug)]
struct Call {
    what: &'static str,
    bearer: Option<String>,
    body: Value,
}

impl Stub {
    fn note(&self, what: &'static str, headers: &HeaderMap, body: Value) {
        let bearer = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let _ = self.calls.send(Call { what, bearer, body });
    }

    /// Whether the relay with this key says this, and says it for the first time.
    fn check(&self, key: &PublicKey, request: &str, headers: &HeaderMap, body: &[u8]) {
        let token = headers["relay-assertion"].to_str().unwrap();
        let assertion = Assertion::verify(key, token, request, body, now_s() * 1000).unwrap();
        assert_eq!(assertion.relay, relay_name("relay-1"));
        let mut relay = self.relay.lock().unwrap();
        let newest = relay.map_or(0, |(_, said_at_ms)| said_at_ms);
        assert!(assertion.said_at_ms > newest, "{} after {newest}", assertion.said_at_ms);
        *relay = Some((*key, assertion.said_at_ms));
    }

    fn answer(&self, good: Value) -> (StatusCode, Json<Value>) {
        let (status, body) = self.answers.lock().unwrap().pop().unwrap_or((StatusCode::OK, good));
        (status, Json(body))
    }
}

async fn register(stub: State<Arc<Stub>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let joining: RegisterServer = serde_json::from_slice(&body).unwrap();
    stub.check(&joining.public_key, "POST /register_server", &headers, &body);
    stub.note("register", &headers, serde_json::from_slice(&body).unwrap());
    let ticket_key = stub.ticket_key;
    stub.answer(json!({"membership": MEMBERSHIP, "ticket_key": ticket_key, "heartbeat_interval_ms": 200}))
}

async fn heartbeat(stub: State<Arc<Stub>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let key = stub.relay.lock().unwrap().expect("a relay that has joined").0;
    stub.check(&key, "POST /api/relays/relay-1/heartbeat", &headers, &body);
    stub.note("heartbeat", &headers, serde_json::from_slice(&body).unwrap());
    stub.answer(orders(json!({})))
}

/// An answer to a heartbeat.
fn orders(some: Value) -> Value {
    let mut orders = json!({"end": [], "removed": [], "problem": null});
    for (name, value) in some.as_object().unwrap() {
        orders[name] = value.clone();
    }
    orders
}

struct Directory {
    stub: Arc<Stub>,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Directory {
    /// A stub, and a relay without an earlier ticket key that joins it.
    async fn with_relay() -> (Self, TestRelay) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let mut handed = None;
        let relay = TestRelay::start_with(|config| {
            config.directory = url;
            let key = std::fs::read_to_string(config.data_dir.join("ticket-key")).unwrap();
            std::fs::remove_file(config.data_dir.join("ticket-key")).unwrap();
            handed = Some(key);
        })
        .await;
        assert_eq!(relay.get(relay.internal, "/readyz").await.0, 503);
        let (sender, calls) = mpsc::unbounded_channel();
        let ticket_key = handed.unwrap().parse().unwrap();
        let stub = Stub { calls: sender, ticket_key, relay: Mutex::default(), answers: Mutex::default() };
        let stub = Arc::new(stub);
        let router = Router::new()
            .route("/register_server", post(register))
            .route("/api/relays/relay-1/heartbeat", post(heartbeat))
            .with_state(Arc::clone(&stub));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (Self { stub, calls }, relay)
    }

    async fn next(&mut self, what: &str) -> Call {
        loop {
            let call = tokio::time::timeout(std::time::Duration::from_secs(20), self.calls.recv()).await;
            let call = call.expect("no call").unwrap();
            if call.what == what {
                return call;
            }
        }
    }

    /// The next heartbeat whose streams are like this.
    async fn reports(&mut self, streams: Value) {
        while self.next("heartbeat").await.body["streams"] != streams {}
    }

    fn answers_next(&self, status: u16, body: Value) {
        self.stub.answers.lock().unwrap().push((StatusCode::from_u16(status).unwrap(), body));
    }
}

#[tokio::test]
async fn relay_joins_reports_and_ends_what_it_is_told_to_end() {
    let (mut directory, relay) = Directory::with_relay().await;
    let joined = directory.next("register").await;
    assert_eq!(joined.bearer.as_deref(), Some("Bearer secret-of-tests"));
    assert_eq!(joined.body["url"], format!("ws://{}/ws", relay.address));
    assert_eq!((&joined.body["name"], &joined.body["protocol"]), (&json!("relay-1"), &json!(1)));
    assert_eq!(directory.next("heartbeat").await.bearer, None);
    assert_eq!(relay.get(relay.internal, "/readyz").await.0, 200);

    let mut broadcaster = relay.publisher(stream(1), 3).await;
    broadcaster.init(PICTURE).await;
    broadcaster.chunk(PICTURE, 0, 0).await;
    let id = stream(1).to_string();
    directory.reports(json!([{"stream": id, "epoch": 3, "live": true, "viewers": 0}])).await;
    let mut viewer = relay.viewer(stream(1)).await;
    directory.reports(json!([{"stream": id, "epoch": 3, "live": true, "viewers": 1}])).await;
    directory.answers_next(200, orders(json!({"end": [id]})));
    viewer.text("stream_ended").await;
    broadcaster.ends_with(ErrorCode::StreamNotFound).await;
    directory.reports(json!([])).await;
}

#[tokio::test]
async fn relay_joins_again_when_the_directory_does_not_know_it() {
    let (mut directory, _relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    directory.answers_next(404, json!({"code": "relay_unknown", "message": "who?"}));
    directory.next("register").await;
    directory.next("heartbeat").await;
    directory.answers_next(401, json!({"code": "unauthorized", "message": "no"}));
    directory.next("register").await;
}

#[tokio::test]
async fn relay_keeps_trying_while_its_name_is_taken_and_heartbeats_survive_a_broken_directory() {
    let (mut directory, relay) = Directory::with_relay().await;
    directory.next("heartbeat").await;
    // The last pushed is the first answered.
    directory.answers_next(409, json!({"code": "relay_name_taken", "message": "taken"}));
    directory.answers_next(404, json!({"code": "relay_unknown", "message": "who?"}));
    directory.next("register").await;
    directory.next("register").await;
    directory.answers_next(500, json!("not an error of ours"));
    directory.next("heartbeat").await;
    directory.next("heartbeat").await;
    directory.next("heartbeat").await;
    relay.metrics_say("relay_heartbeat_failures_total 3").await;
}
