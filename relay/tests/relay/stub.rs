//! A directory that does what a test wants.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::post,
};
use protocol::{
    Secret,
    http::RegisterServer,
    relay_proof::{Assertion, Membership},
    signing::{PublicKey, SigningKey},
};
use relay::{Config, data_dir::DataDir};
use serde_json::{Value, json};
use service::Clock;
use tokio::sync::mpsc;

use crate::{
    driver::{PATIENCE, TestRelay, new_key, relay_name},
    fleet::Fleet,
};

/// What the stub gives to a relay that has joined.
pub(crate) const MEMBERSHIP: &str = "membership-of-tests";

/// A directory that says what a test wants. It takes no call that the relay has not signed.
struct Stub {
    calls: mpsc::UnboundedSender<Call>,
    ticket_key: PublicKey,
    /// What a relay gets that joins.
    membership: Secret,
    /// What a ticket is renewed with.
    renewed: Mutex<Option<Secret>>,
    clock: Clock,
    /// The relay that has joined, and when it said its newest assertion.
    relay: Mutex<Option<(PublicKey, u64)>>,
    /// What heartbeats are answered with.
    orders: Mutex<Value>,
    /// What the next answers are, instead of the good ones.
    answers: Mutex<Vec<(StatusCode, Value)>>,
    /// Whether every answer is that it is broken.
    away: AtomicBool,
}

/// A call of the relay.
#[derive(Debug)]
pub(crate) struct Call {
    what: &'static str,
    pub(crate) bearer: Option<String>,
    pub(crate) body: Value,
}

impl Stub {
    fn note(&self, what: &'static str, headers: &HeaderMap, body: &[u8]) {
        let bearer = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let _ = self.calls.send(Call { what, bearer, body: serde_json::from_slice(body).unwrap_or_default() });
    }

    /// Whether the relay with this key says this, and says it for the first time.
    fn check(&self, key: &PublicKey, request: &str, headers: &HeaderMap, body: &[u8]) {
        let token = headers["relay-assertion"].to_str().unwrap();
        let assertion = Assertion::verify(key, token, request, body, self.clock.now_us() / 1000).unwrap();
        assert_eq!(assertion.relay, relay_name("relay-1"));
        let mut relay = self.relay.lock().unwrap();
        let newest = relay.map_or(0, |(_, said_at_ms)| said_at_ms);
        assert!(assertion.said_at_ms > newest, "{} after {newest}", assertion.said_at_ms);
        *relay = Some((*key, assertion.said_at_ms));
    }

    fn answer(&self, good: Value) -> (StatusCode, Json<Value>) {
        if self.away.load(Ordering::SeqCst) {
            return (StatusCode::BAD_GATEWAY, Json(json!("the proxy finds no directory")));
        }
        let (status, body) = self.answers.lock().unwrap().pop().unwrap_or((StatusCode::OK, good));
        (status, Json(body))
    }
}

async fn register(stub: State<Arc<Stub>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let joining: RegisterServer = serde_json::from_slice(&body).unwrap();
    stub.check(&joining.public_key, "POST /register_server", &headers, &body);
    stub.note("register", &headers, &body);
    let ticket_key = stub.ticket_key;
    let membership = &stub.membership;
    stub.answer(json!({"membership": membership, "ticket_key": ticket_key, "heartbeat_interval_ms": 100}))
}

async fn watch(stub: State<Arc<Stub>>, Path(stream): Path<String>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let (key, _) = stub.relay.lock().unwrap().expect("a relay that has joined");
    let (token, request) = (headers["relay-assertion"].to_str().unwrap(), format!("POST /api/streams/{stream}/watch"));
    Assertion::verify(&key, token, &request, b"", stub.clock.now_us() / 1000).unwrap();
    stub.note("watch", &headers, b"");
    let Some(ticket) = stub.renewed.lock().unwrap().clone() else {
        return (StatusCode::NOT_FOUND, Json(json!({"code": "stream_not_found", "message": "it has ended"})));
    };
    let stream = json!({
        "id": crate::driver::stream(1), "title": "test", "created_at_ms": 1, "state": "live", "viewers": 1, "sealed": false
    });
    stub.answer(json!({"stream": stream, "assignment": {"relays": [], "ticket": ticket, "epoch": 1}}))
}

async fn heartbeat(stub: State<Arc<Stub>>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<Value>) {
    let key = stub.relay.lock().unwrap().expect("a relay that has joined").0;
    stub.check(&key, "POST /api/relays/relay-1/heartbeat", &headers, &body);
    stub.note("heartbeat", &headers, &body);
    let good = stub.orders.lock().unwrap().clone();
    stub.answer(good)
}

/// An answer to a heartbeat.
pub(crate) fn orders(some: Value) -> Value {
    let mut orders = json!({"end": [], "removed": [], "problem": null});
    for (name, value) in some.as_object().unwrap() {
        orders[name] = value.clone();
    }
    orders
}

/// The stub, and what a test sees of it.
pub(crate) struct Directory {
    stub: Arc<Stub>,
    calls: mpsc::UnboundedReceiver<Call>,
}

impl Directory {
    /// A stub, and a relay without an earlier ticket key that joins it. Both go by a clock that stands still until it is moved.
    pub(crate) async fn with_relay() -> (Self, TestRelay) {
        Self::with_relay_and(|_| {}).await
    }

    pub(crate) async fn with_relay_and(change: impl FnOnce(&mut Config)) -> (Self, TestRelay) {
        Self::begin(new_key(), None, change).await
    }

    /// A stub that gives tickets with this key, and to `relay-1` a membership that other relays take.
    pub(crate) async fn with_relay_of(fleet: &Fleet) -> (Self, TestRelay) {
        Self::begin(fleet.key(), Some(fleet.key()), |_| {}).await
    }

    async fn begin(
        signer: SigningKey,
        member_of: Option<SigningKey>,
        change: impl FnOnce(&mut Config),
    ) -> (Self, TestRelay) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let clock = Clock::by_hand(Clock::system().now_us());
        let mut handed = None;
        let relay = TestRelay::start_at(signer, "relay-1", |config| {
            config.directory = url;
            config.clock = clock.clone();
            let key = std::fs::read_to_string(config.data_dir.join("ticket-key")).unwrap();
            std::fs::remove_file(config.data_dir.join("ticket-key")).unwrap();
            std::fs::remove_file(config.data_dir.join("membership")).unwrap();
            handed = Some(key);
            change(config);
        })
        .await;
        assert_eq!(relay.get(relay.internal, "/readyz").await.0, 503);
        let (sender, calls) = mpsc::unbounded_channel();
        let public_key = DataDir::open(relay.folder.path().into()).unwrap().key().unwrap().public_key();
        let membership = Membership { relay: relay_name("relay-1"), public_key, issued_at_s: clock.now_s() };
        let stub = Arc::new(Stub {
            calls: sender,
            membership: member_of.map_or(MEMBERSHIP.into(), |directory| directory.sign(&membership).unwrap()),
            renewed: Mutex::default(),
            ticket_key: handed.unwrap().parse().unwrap(),
            clock,
            relay: Mutex::default(),
            orders: Mutex::new(orders(json!({}))),
            answers: Mutex::default(),
            away: AtomicBool::default(),
        });
        let router = Router::new()
            .route("/register_server", post(register))
            .route("/api/relays/relay-1/heartbeat", post(heartbeat))
            .route("/api/streams/{stream}/watch", post(watch))
            .with_state(Arc::clone(&stub));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (Self { stub, calls }, relay)
    }

    /// The next call of this kind.
    pub(crate) async fn next(&mut self, what: &str) -> Call {
        loop {
            let call = tokio::time::timeout(PATIENCE, self.calls.recv()).await;
            let call = call.expect("no call").unwrap();
            if call.what == what {
                return call;
            }
        }
    }

    /// Returns when the relay has worked on an answer to a heartbeat that was sent after this was called.
    pub(crate) async fn heard(&mut self) {
        while self.calls.try_recv().is_ok() {}
        // The call after an answer is made when the answer was worked on; the first one may have been under way.
        for _ in 0..3 {
            self.next("heartbeat").await;
        }
    }

    /// The next heartbeat whose streams are like this.
    pub(crate) async fn reports(&mut self, streams: Value) {
        while self.next("heartbeat").await.body["streams"] != streams {}
    }

    /// The next answer, whatever is asked. The last given is the first used.
    pub(crate) fn answers_next(&self, status: u16, body: Value) {
        self.stub.answers.lock().unwrap().push((StatusCode::from_u16(status).unwrap(), body));
    }

    /// What heartbeats are answered with from now on.
    pub(crate) fn orders_from_now_on(&self, orders: Value) {
        *self.stub.orders.lock().unwrap() = orders;
    }

    /// What whoever renews a ticket gets from now on.
    pub(crate) fn renews_with(&self, ticket: Secret) {
        *self.stub.renewed.lock().unwrap() = Some(ticket);
    }

    /// Answers are the good ones from now on.
    pub(crate) fn forget_answers(&self) {
        self.stub.answers.lock().unwrap().clear();
    }

    /// Goes away, or comes back; the relay has noticed it.
    pub(crate) async fn is_away(&mut self, away: bool) {
        self.stub.away.store(away, Ordering::SeqCst);
        self.heard().await;
    }
}
