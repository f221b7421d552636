//! A directory on ports of its own, and a reader of events.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Parser as _;
use directory::{Config, Directory, store::Store};
use futures_util::{Stream, StreamExt as _};
use protocol::{
    Secret,
    http::{CreatedStream, ListEvent},
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use service::{Clock, Lifecycle};
use tempfile::TempDir;

use crate::relay::Relay;

pub(crate) const JOIN_SECRET: &str = "a-secret-of-the-tests";

/// Far above what an answer takes on a busy machine; only a failure waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const START_US: u64 = 1_763_000_000_000_000;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) internal: SocketAddr,
    pub(crate) clock: Clock,
    pub(crate) life: Lifecycle,
    pub(crate) client: Client,
    pub(crate) running: tokio::task::JoinHandle<()>,
    data: PathBuf,
    _data: Option<TempDir>,
}

impl Server {
    /// A directory with an empty data folder, whose clock stands still.
    pub(crate) async fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Self::start_in(data.path(), &[]).await;
        Self { _data: Some(data), ..server }
    }

    /// A directory that is asked faster than by people, all from one address.
    pub(crate) async fn start_in(data: &Path, flags: &[&str]) -> Self {
        let fast = ["--calls-per-minute", "1000000", "--registrations-per-minute", "1000000"];
        Self::start_with(data, &[&fast[..], flags].concat()).await
    }

    pub(crate) async fn start_with(data: &Path, flags: &[&str]) -> Self {
        Self::start_sharing(data, flags, None).await
    }

    /// A directory that shares what is in this store with others.
    pub(crate) async fn start_sharing(data: &Path, flags: &[&str], store: Option<Arc<dyn Store>>) -> Self {
        let folder = data.to_str().unwrap();
        let fixed = ["directory", "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--data-dir", folder];
        let secret = ["--join-secret", JOIN_SECRET];
        let config = Config::try_parse_from([&fixed[..], &secret, flags].concat()).unwrap();
        let clock = Clock::by_hand(START_US);
        let directory = Directory::bind(config).await.unwrap().with_clock(clock.clone());
        let directory = match store {
            Some(store) => directory.with_store(store),
            None => directory,
        };
        let (address, internal) = (directory.local_addr().unwrap(), directory.internal_addr().unwrap());
        let life = Lifecycle::new();
        let own_life = life.clone();
        let running = tokio::spawn(async move { directory.run(own_life).await.unwrap() });
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { address, internal, clock, life, client, running, data: data.to_owned(), _data: None }
    }

    pub(crate) fn operator_token(&self) -> String {
        std::fs::read_to_string(self.data.join("operator-token")).unwrap().trim().to_owned()
    }

    /// A call of the operator, and what it is answered.
    pub(crate) async fn operator(&self, method: Method, path: &str) -> (u16, Value) {
        self.operator_with(method, path, &Value::Null).await
    }

    pub(crate) async fn operator_with(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.request(method, format!("http://{}/operator{path}", self.internal));
        let request = request.bearer_auth(self.operator_token());
        let request = if body.is_null() { request } else { request.json(body) };
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn relay_token(&self, uses: u32, hours: u32) -> Secret {
        let body = json!({ "uses": uses, "hours": hours });
        let (status, made) = self.operator_with(Method::POST, "/relay-tokens", &body).await;
        assert_eq!(status, 200);
        made["token"].as_str().unwrap().into()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        self.get(path).await.json().await.unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.request(Method::POST, path).json(body)
    }

    pub(crate) async fn relay(&self, name: &str) -> Relay<'_> {
        Relay::join(self, name).await
    }

    pub(crate) async fn create(&self, title: &str, visibility: &str) -> CreatedStream {
        let answer = self.post("/api/streams", &json!({ "title": title, "visibility": visibility }));
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json().await.unwrap()
    }

    /// Follows the list.
    pub(crate) async fn follow(&self) -> Events {
        let answer = self.get("/api/events").await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Events::of(answer)
    }

    /// Waits until the public list has this many streams: what a moved clock brings is noticed by the next tick.
    pub(crate) async fn list_has(&self, count: usize) {
        let listed = async {
            while self.get_json("/api/streams").await["streams"].as_array().unwrap().len() != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, listed).await.expect("the list never got there");
    }

    pub(crate) async fn stop(self) {
        self.life.stop();
        tokio::time::timeout(PATIENCE, self.running).await.expect("the directory never ended").unwrap();
    }
}

/// The code of a refusal, after a look at its form.
pub(crate) async fn refused(answer: Response) -> (u16, String) {
    let status = answer.status().as_u16();
    assert_eq!(answer.headers()["content-type"], "application/json", "{}", answer.url());
    let body: Value = answer.json().await.unwrap();
    assert!(!body["message"].as_str().unwrap().is_empty());
    (status, body["code"].as_str().unwrap().to_owned())
}

type Bytes = Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>;

pub(crate) struct Events {
    bytes: std::pin::Pin<Bytes>,
    read: Vec<u8>,
}

impl Events {
    pub(crate) fn of(answer: Response) -> Self {
        Self { bytes: Box::pin(answer.bytes_stream()), read: Vec::new() }
    }

    /// The next event of the list; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<ListEvent> {
        self.next_as().await
    }

    /// The next event of any kind.
    pub(crate) async fn next_as<T: DeserializeOwned>(&mut self) -> Option<T> {
        tokio::time::timeout(PATIENCE, self.read_event()).await.expect("no event came")
    }

    async fn read_event<T: DeserializeOwned>(&mut self) -> Option<T> {
        loop {
            while let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
                let event: Vec<u8> = self.read.drain(..end + 2).collect();
                let text = String::from_utf8(event).unwrap();
                if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
                    return Some(serde_json::from_str(data).unwrap());
                }
            }
            self.read.extend_from_slice(&self.bytes.next().await?.unwrap());
        }
    }
}
