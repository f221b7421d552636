//! A relay as the directory sees it: a key, a name, and what it says.

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::{
    RelayName, Secret, StreamId,
    http::{HeartbeatAnswer, RegisteredServer},
    relay_proof::Assertion,
    signing::{PublicKey, SigningKey},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use crate::driver::{JOIN_SECRET, Server};

/// A relay's key, with a sense of time of its own: no two words of it are said at the same moment.
pub(crate) struct Signer {
    key: SigningKey,
    said_at_ms: AtomicU64,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let key = SigningKey::from_pkcs8(&SigningKey::generate_pkcs8().unwrap()).unwrap();
        Self { key, said_at_ms: AtomicU64::new(0) }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    pub(crate) fn assert(&self, server: &Server, name: &str, request: &str, body: &[u8]) -> Secret {
        let now_ms = server.clock.now_us() / 1000;
        let later = |said_at_ms: u64| Some(now_ms.max(said_at_ms + 1));
        let before = self.said_at_ms.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later).unwrap();
        let assertion = Assertion::new(name.parse().unwrap(), request, body, later(before).unwrap());
        self.key.sign(&assertion).unwrap()
    }

    /// A request with this body, signed.
    pub(crate) fn post(&self, server: &Server, name: &str, path: &str, body: &Value) -> RequestBuilder {
        let body = body.to_string();
        let assertion = self.assert(server, name, &format!("POST {path}"), body.as_bytes());
        let request = server.request(Method::POST, path).header("content-type", "application/json").body(body);
        request.header("relay-assertion", assertion.expose())
    }

    pub(crate) async fn register(&self, server: &Server, name: &str) -> Response {
        let body = registration(name, self.public_key());
        self.post(server, name, "/register_server", &body).bearer_auth(JOIN_SECRET).send().await.unwrap()
    }
}

pub(crate) fn registration(name: &str, public_key: PublicKey) -> Value {
    json!({
        "name": name,
        "url": format!("ws://{name}.example:5001/ws"),
        "streams_max": 4,
        "viewers_max": 100,
        "public_key": public_key,
        "protocol": protocol::PROTOCOL_VERSION,
    })
}

pub(crate) struct Relay<'a> {
    server: &'a Server,
    pub(crate) name: RelayName,
    pub(crate) signer: Signer,
    pub(crate) registered: RegisteredServer,
}

impl<'a> Relay<'a> {
    pub(crate) async fn join(server: &'a Server, name: &str) -> Self {
        let signer = Signer::new();
        let answer = signer.register(server, name).await;
        assert_eq!(answer.status(), StatusCode::OK);
        Relay { server, name: name.parse().unwrap(), signer, registered: answer.json().await.unwrap() }
    }

    pub(crate) fn heartbeat_path(&self) -> String {
        format!("/api/relays/{}/heartbeat", self.name)
    }

    pub(crate) async fn send(&self, heartbeat: &Value) -> Response {
        let path = self.heartbeat_path();
        self.signer.post(self.server, self.name.as_str(), &path, heartbeat).send().await.unwrap()
    }

    /// Reports one stream, and returns what is to end.
    pub(crate) async fn report(&self, stream: StreamId, epoch: u32, live: bool, viewers: u32) -> Vec<StreamId> {
        let carried = json!({ "stream": stream, "epoch": epoch, "live": live, "viewers": viewers });
        let answer = self.send(&json!({ "viewers": viewers, "streams": [carried] })).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json::<HeartbeatAnswer>().await.unwrap().end
    }
}
