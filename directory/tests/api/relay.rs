//! A relay as the directory sees it: a key, a name, an address at which it answers, and what it says.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{SinkExt as _, StreamExt as _};

use protocol::{
    RelayName, Secret, StreamId,
    control::{ClientHello, ToDirectory},
    http::{HeartbeatAnswer, RegisteredServer},
    relay_proof::{Assertion, Identity},
    signing::{Claims, PublicKey, SigningKey},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{self, ServerConfig, pki_types::PrivateKeyDer},
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

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

    pub(crate) fn sign(&self, claims: &impl Claims) -> Secret {
        self.key.sign(claims).unwrap()
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

    /// Registers for an address where nobody answers.
    pub(crate) async fn register(&self, server: &Server, name: &str) -> Response {
        let url = format!("ws://{name}.invalid:5001/ws");
        self.register_at(server, name, &url, JOIN_SECRET).await
    }

    pub(crate) async fn register_at(&self, server: &Server, name: &str, url: &str, bearer: &str) -> Response {
        self.register_as(server, name, json!({ "url": url }), bearer).await
    }

    /// Registers with what is said here instead of what relays say in general.
    pub(crate) async fn register_as(&self, server: &Server, name: &str, says: Value, bearer: &str) -> Response {
        let mut body = registration(name, self.public_key());
        body.as_object_mut().unwrap().extend(says.as_object().unwrap().clone());
        self.post(server, name, "/register_server", &body).bearer_auth(bearer).send().await.unwrap()
    }
}

/// What answers at a relay's public address.
pub(crate) struct Answerer {
    pub(crate) url: String,
    task: tokio::task::JoinHandle<()>,
}

impl Answerer {
    /// Says who it is like this: `says` gets the challenge and this address.
    pub(crate) async fn start(says: impl Fn(String, &str) -> ToDirectory + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1:0", says).await
    }

    /// An honest relay that speaks TLS, with a certificate of its own making, which is written to `ca`.
    pub(crate) async fn encrypted(name: &str, signer: Arc<Signer>, host: &str, ca: &Path) -> Self {
        let made = rcgen::generate_simple_self_signed(vec![host.to_owned()]).unwrap();
        std::fs::write(ca, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::try_from(made.key_pair.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("wss://{}/ws", listener.local_addr().unwrap());
        let (relay, own_url): (RelayName, _) = (name.parse().unwrap(), url.clone());
        let says = Arc::new(move |challenge, url: &str| identity(&signer, &relay, url, challenge));
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, says, own_url) = (acceptor.clone(), Arc::clone(&says), own_url.clone());
                tokio::spawn(async move {
                    if let Ok(socket) = acceptor.accept(socket).await {
                        answer(socket, &own_url, &*says).await;
                    }
                });
            }
        });
        Self { url, task }
    }

    async fn start_on(address: &str, says: impl Fn(String, &str) -> ToDirectory + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let (says, own_url) = (Arc::new(says), url.clone());
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (says, own_url) = (Arc::clone(&says), own_url.clone());
                tokio::spawn(async move { answer(socket, &own_url, &*says).await });
            }
        });
        Self { url, task }
    }

    async fn end(&mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// An honest relay.
    pub(crate) async fn honest(name: &str, signer: Arc<Signer>) -> Self {
        let relay: RelayName = name.parse().unwrap();
        Self::start(move |challenge, url| identity(&signer, &relay, url, challenge)).await
    }

    /// An honest relay at an address that is known before.
    pub(crate) async fn honest_at(url: &str, name: &str, signer: Arc<Signer>) -> Self {
        let (relay, address) = (name.parse().unwrap(), url.trim_start_matches("ws://").trim_end_matches("/ws"));
        Self::start_on(address, move |challenge, url| identity(&signer, &relay, url, challenge)).await
    }

    /// An honest relay that is public at another address.
    pub(crate) async fn honest_as(public: &str, name: &str, signer: Arc<Signer>) -> Self {
        let (relay, public): (RelayName, _) = (name.parse().unwrap(), public.to_owned());
        Self::start(move |challenge, _| identity(&signer, &relay, &public, challenge)).await
    }
}

fn identity(signer: &Signer, relay: &RelayName, url: &str, challenge: String) -> ToDirectory {
    let identity = Identity { relay: relay.clone(), url: url.parse().unwrap(), challenge };
    ToDirectory::Identity { identity: signer.sign(&identity) }
}

impl Drop for Answerer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    socket: impl AsyncRead + AsyncWrite + Unpin,
    url: &str,
    says: &(impl Fn(String, &str) -> ToDirectory + ?Sized),
) {
    let Ok(mut socket) = accept_async(socket).await else { return };
    let Some(Ok(Message::Text(hello))) = socket.next().await else { return };
    let Ok(ClientHello::Identify { challenge, .. }) = serde_json::from_str(&hello) else { return };
    let answer = serde_json::to_string(&says(challenge, url)).unwrap();
    let _ = socket.send(Message::text(answer)).await;
    while let Some(Ok(_)) = socket.next().await {}
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
    pub(crate) signer: Arc<Signer>,
    pub(crate) answerer: Answerer,
    pub(crate) registered: RegisteredServer,
}

impl<'a> Relay<'a> {
    /// Joins, and is checked then.
    pub(crate) async fn join(server: &'a Server, name: &str) -> Self {
        Self::join_saying(server, name, json!({})).await
    }

    /// The same for one that says more of itself.
    pub(crate) async fn join_saying(server: &'a Server, name: &str, mut says: Value) -> Self {
        let signer = Arc::new(Signer::new());
        let answerer = Answerer::honest(name, Arc::clone(&signer)).await;
        says["url"] = json!(answerer.url);
        let answer = signer.register_as(server, name, says, JOIN_SECRET).await;
        assert_eq!(answer.status(), StatusCode::OK);
        let registered = answer.json().await.unwrap();
        let relay = Relay { server, name: name.parse().unwrap(), signer, answerer, registered };
        relay.problem_is(|problem| problem.is_none()).await;
        relay
    }

    /// What is left of it when its directory is gone.
    pub(crate) fn leave(self) -> (Arc<Signer>, Answerer) {
        (self.signer, self.answerer)
    }

    /// The same relay at another directory, where it has registered.
    pub(crate) fn again(
        server: &'a Server,
        name: &str,
        signer: Arc<Signer>,
        answerer: Answerer,
        registered: RegisteredServer,
    ) -> Self {
        Relay { server, name: name.parse().unwrap(), signer, answerer, registered }
    }

    /// Registers once more.
    pub(crate) async fn register(&self) -> Response {
        self.signer.register_at(self.server, self.name.as_str(), &self.answerer.url, JOIN_SECRET).await
    }

    /// Somebody else answers at its address from now on.
    pub(crate) async fn taken_over(&mut self) {
        let url = self.answerer.url.clone();
        self.answerer.end().await;
        self.answerer = Answerer::honest_at(&url, self.name.as_str(), Arc::new(Signer::new())).await;
    }

    /// Waits for what a heartbeat's answer says of the relay.
    pub(crate) async fn problem_is(&self, wanted: impl Fn(Option<&str>) -> bool) {
        let told = async {
            loop {
                let answer: HeartbeatAnswer =
                    self.send(&json!({ "viewers": 0, "streams": [] })).await.json().await.unwrap();
                if wanted(answer.problem.as_deref()) {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(crate::driver::PATIENCE, told).await.expect("the directory never came to that conclusion");
    }

    /// What a heartbeat with one stream is answered.
    pub(crate) async fn beat(&self, stream: StreamId, epoch: u32) -> HeartbeatAnswer {
        let carried = json!({ "stream": stream, "epoch": epoch, "live": true, "viewers": 0 });
        let answer = self.send(&json!({ "viewers": 0, "streams": [carried] })).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json().await.unwrap()
    }

    pub(crate) fn heartbeat_path(&self) -> String {
        format!("/api/relays/{}/heartbeat", self.name)
    }

    pub(crate) async fn send(&self, heartbeat: &Value) -> Response {
        let path = self.heartbeat_path();
        self.signer.post(self.server, self.name.as_str(), &path, heartbeat).send().await.unwrap()
    }

    /// Reports these streams, and that so much of the processor is in use.
    pub(crate) async fn work(&self, cpu_percent: u32, streams: &[Value]) {
        let load = json!({
            "egress_bytes_per_s": 0, "cpu_percent": cpu_percent, "memory_bytes": 0, "files_open": 0, "files_max": 0,
            "send_lag_ms": 0, "accept_failures": 0,
        });
        let viewers: u64 = streams.iter().map(|stream| stream["viewers"].as_u64().unwrap()).sum();
        let answer = self.send(&json!({ "viewers": viewers, "streams": streams, "load": load })).await;
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// Reports one stream, and returns what is to end.
    pub(crate) async fn report(&self, stream: StreamId, epoch: u32, live: bool, viewers: u32) -> Vec<StreamId> {
        let carried = json!({ "stream": stream, "epoch": epoch, "live": live, "viewers": viewers });
        let answer = self.send(&json!({ "viewers": viewers, "streams": [carried] })).await;
        assert_eq!(answer.status(), StatusCode::OK);
        answer.json::<HeartbeatAnswer>().await.unwrap().end
    }
}
