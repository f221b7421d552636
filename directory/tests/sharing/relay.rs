//! A relay as directories see it: it answers at its address, and reports to whichever directory it is told to.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use protocol::{
    StreamId,
    control::{ClientHello, ToDirectory},
    http::HeartbeatAnswer,
    relay_proof::{Assertion, Identity},
    signing::SigningKey,
};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
};
use tokio_tungstenite::{accept_async, tungstenite::Message};

use crate::directories::{Directory, JOIN_SECRET, becomes};

/// How often it reports by itself: a busy machine must not make it silent.
const BEAT_INTERVAL: Duration = Duration::from_millis(500);

pub(crate) struct Relay {
    voice: Arc<Voice>,
    url: String,
    answering: JoinHandle<()>,
    beating: JoinHandle<()>,
}

/// What it says, one after the other, each later than the one before.
struct Voice {
    name: String,
    key: SigningKey,
    client: Client,
    said: Mutex<Said>,
}

#[derive(Default)]
struct Said {
    at_ms: u64,
    /// What it reports, and where to.
    heartbeat: Option<(String, Value)>,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.answering.abort();
        self.beating.abort();
    }
}

impl Relay {
    /// One that answers, and has joined by this directory.
    pub(crate) async fn join(directory: &Directory, name: &str) -> Self {
        let relay = Self::new(name).await;
        let answer = relay.register(directory).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        relay.beat(directory, &[]).await;
        relay
    }

    pub(crate) async fn new(name: &str) -> Self {
        let pkcs8 = SigningKey::generate_pkcs8().unwrap();
        let key = || SigningKey::from_pkcs8(&pkcs8).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/ws", listener.local_addr().unwrap());
        let answering = tokio::spawn(answer(listener, name.to_owned(), url.clone(), key()));
        let client = Client::builder().timeout(crate::PATIENCE).build().unwrap();
        let voice = Arc::new(Voice { name: name.to_owned(), key: key(), client, said: Mutex::default() });
        let beating = tokio::spawn(Arc::clone(&voice).go_on_beating());
        Self { voice, url, answering, beating }
    }

    pub(crate) async fn register(&self, directory: &Directory) -> Response {
        self.register_with(directory, JOIN_SECRET).await
    }

    pub(crate) async fn register_with(&self, directory: &Directory, bearer: &str) -> Response {
        let body = json!({
            "name": self.voice.name,
            "url": self.url,
            "streams_max": 100,
            "viewers_max": 100,
            "public_key": self.voice.key.public_key(),
            "protocol": protocol::PROTOCOL_VERSION,
        });
        let mut said = self.voice.said.lock().await;
        let signed = self.voice.sign(&mut said, "/register_server", &body);
        self.voice.post(&directory.url("/register_server"), &signed, Some(bearer)).await.unwrap()
    }

    /// What a heartbeat to this directory is answered, with live streams and their epochs. It goes on reporting them there.
    pub(crate) async fn send(&self, directory: &Directory, streams: &[(StreamId, u32)]) -> Response {
        let carried = streams
            .iter()
            .map(|(stream, epoch)| json!({ "stream": stream, "epoch": epoch, "live": true, "viewers": 1 }));
        let body = json!({ "viewers": streams.len(), "streams": carried.collect::<Vec<_>>() });
        let mut said = self.voice.said.lock().await;
        said.heartbeat = Some((directory.url(&self.voice.path()), body));
        self.voice.beat(said).await.unwrap().unwrap()
    }

    pub(crate) async fn beat(&self, directory: &Directory, streams: &[(StreamId, u32)]) -> HeartbeatAnswer {
        let answer = self.send(directory, streams).await;
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    /// What it says to one is repeated to another, until that one knows that it is old.
    pub(crate) async fn is_repeated(&self, one: &Directory, other: &Directory) {
        let mut said = self.voice.said.lock().await;
        let (path, body) = (self.voice.path(), json!({ "viewers": 0, "streams": [] }));
        let signed = self.voice.sign(&mut said, &path, &body);
        let first = self.voice.post(&one.url(&path), &signed, None).await.unwrap();
        assert_eq!(first.status(), 200, "{}", first.text().await.unwrap());
        becomes("the replay", async || {
            let again = self.voice.post(&other.url(&path), &signed, None).await.unwrap();
            (again.status() == 401).then_some(())
        })
        .await;
    }
}

impl Voice {
    fn path(&self) -> String {
        format!("/api/relays/{}/heartbeat", self.name)
    }

    async fn go_on_beating(self: Arc<Self>) {
        loop {
            tokio::time::sleep(BEAT_INTERVAL).await;
            // A directory that is gone is no reason to be silent to the next.
            let _ = self.beat(self.said.lock().await).await;
        }
    }

    async fn beat(&self, mut said: MutexGuard<'_, Said>) -> Option<reqwest::Result<Response>> {
        let (url, body) = said.heartbeat.clone()?;
        let signed = self.sign(&mut said, &self.path(), &body);
        Some(self.post(&url, &signed, None).await)
    }

    /// A body, and what is signed about it.
    fn sign(&self, said: &mut Said, path: &str, body: &Value) -> (String, String) {
        let body = body.to_string();
        said.at_ms = (service::Clock::system().now_us() / 1000).max(said.at_ms + 1);
        let assertion =
            Assertion::new(self.name.parse().unwrap(), &format!("POST {path}"), body.as_bytes(), said.at_ms);
        (body, self.key.sign(&assertion).unwrap().expose().to_owned())
    }

    async fn post(
        &self,
        url: &str,
        (body, assertion): &(String, String),
        bearer: Option<&str>,
    ) -> reqwest::Result<Response> {
        let request = self.client.post(url).header("content-type", "application/json");
        let request = request.header("relay-assertion", assertion).body(body.clone());
        bearer.iter().fold(request, |request, bearer| request.bearer_auth(bearer)).send().await
    }
}

async fn answer(listener: TcpListener, name: String, url: String, key: SigningKey) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { return };
        let Ok(mut socket) = accept_async(socket).await else { continue };
        let Some(Ok(Message::Text(hello))) = socket.next().await else { continue };
        let Ok(ClientHello::Identify { challenge, .. }) = serde_json::from_str(&hello) else { continue };
        let identity = Identity { relay: name.parse().unwrap(), url: url.parse().unwrap(), challenge };
        let identity = ToDirectory::Identity { identity: key.sign(&identity).unwrap() };
        let _ = socket.send(Message::text(serde_json::to_string(&identity).unwrap())).await;
    }
}
