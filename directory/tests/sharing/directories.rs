//! Directories that run as processes.

use std::{
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt as _};
use protocol::{
    BroadcastKey, RelayName, StreamId,
    http::{Assignment, CreatedStream, ListEvent, Order, StreamState, StreamSummary},
};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::PATIENCE;

pub(crate) const JOIN_SECRET: &str = "a-secret-of-the-tests";

/// How often something is asked that becomes true by itself.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// One process. It ends with the test.
pub(crate) struct Directory {
    child: Child,
    address: SocketAddr,
    internal: SocketAddr,
    client: Client,
    pub(crate) data: TempDir,
}

/// A data folder with the ticket key that all directories of a test have.
pub(crate) fn data_folder(key_of: Option<&Directory>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    if let Some(other) = key_of {
        std::fs::copy(other.data.path().join("ticket-key.der"), folder.path().join("ticket-key.der")).unwrap();
    }
    folder
}

pub(crate) fn command(data: &Path, store: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_directory"));
    command.args(["--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--data-dir"]).arg(data);
    command.args(["--calls-per-minute", "1000000", "--registrations-per-minute", "1000000", "--log-format", "json"]);
    command.env_clear().env("JOIN_SECRET", JOIN_SECRET).env("DIRECTORY_STORE", store);
    command
}

impl Directory {
    /// Starts one, with the ticket key of another where there is one, and waits until it shares.
    pub(crate) async fn start(store: &str, key_of: Option<&Self>) -> Self {
        let directory = Self::start_alone(store, key_of).await;
        becomes("the store", async || (directory.metric("directory_store_joined").await == "1").then_some(())).await;
        directory
    }

    /// The same, also without a store.
    pub(crate) async fn start_alone(store: &str, key_of: Option<&Self>) -> Self {
        let data = data_folder(key_of);
        let mut child = command(data.path(), store).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let up = log.by_ref().map(Result::unwrap).find(|line| line.contains("the directory is up"));
        let up: Value = serde_json::from_str(&up.expect("the directory does not start")).unwrap();
        let address = |name: &str| up[name].as_str().unwrap().parse().unwrap();
        let (address, internal) = (address("listen"), address("internal_listen"));
        // A log that nobody reads would stop its writer one day.
        std::thread::spawn(move || log.for_each(drop));
        let client = Client::builder().timeout(PATIENCE).build().unwrap();
        Self { child, address, internal, client, data }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn operator(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let token = std::fs::read_to_string(self.data.path().join("operator-token")).unwrap();
        let request = self.client.request(method, format!("http://{}/operator{path}", self.internal));
        let request = request.bearer_auth(token.trim());
        let answer = if body.is_null() { request } else { request.json(body) }.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// What `/readyz` says beside that it is ready, which it is.
    pub(crate) async fn remark(&self) -> String {
        let answer = self.client.get(format!("http://{}/readyz", self.internal)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json::<Value>().await.unwrap()["remark"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn remark_says(&self, wanted: &str) {
        becomes(wanted, async || self.remark().await.contains(wanted).then_some(())).await;
    }

    pub(crate) async fn metric(&self, name: &str) -> String {
        let answer = self.client.get(format!("http://{}/metrics", self.internal)).send().await.unwrap();
        let text = answer.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_default().to_owned()
    }

    pub(crate) async fn create(&self, title: &str) -> CreatedStream {
        let body = json!({ "title": title, "visibility": "public" });
        let answer = self.request(Method::POST, "/api/streams").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    pub(crate) async fn reassign(&self, stream: StreamId, key: &BroadcastKey) -> Assignment {
        let path = format!("/api/streams/{stream}/assignment");
        let answer = self.request(Method::POST, &path).bearer_auth(key.expose());
        let answer = answer.json(&json!({})).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
        answer.json().await.unwrap()
    }

    pub(crate) async fn end(&self, stream: StreamId, key: &BroadcastKey) -> u16 {
        let request = self.request(Method::DELETE, &format!("/api/streams/{stream}"));
        request.bearer_auth(key.expose()).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn watch(&self, stream: StreamId) -> (u16, Value) {
        let request = self.request(Method::POST, &format!("/api/streams/{stream}/watch")).json(&json!({}));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub(crate) async fn list(&self) -> Vec<StreamSummary> {
        let answer = self.request(Method::GET, "/api/streams").send().await.unwrap();
        serde_json::from_value(answer.json::<Value>().await.unwrap()["streams"].take()).unwrap()
    }

    /// Waits until the public list has just these streams, all of them live.
    pub(crate) async fn lists_live(&self, streams: &[StreamId]) {
        becomes("the list", async || {
            let list = self.list().await;
            let live = list.iter().filter(|stream| stream.state == StreamState::Live).map(|stream| stream.id);
            (list.len() == streams.len() && live.eq(streams.iter().copied())).then_some(())
        })
        .await;
    }

    /// Waits until relays are as good as this for the operator: names and states.
    pub(crate) async fn relays_are(&self, wanted: &[(&str, &str)]) {
        becomes("the relays", async || {
            let (_, relays) = self.operator(Method::GET, "/relays", &Value::Null).await;
            let relays = relays["relays"].as_array()?.iter();
            let told = relays.map(|relay| Some((relay["name"].as_str()?, relay["state"].as_str()?)));
            (told.collect::<Option<Vec<_>>>()? == wanted).then_some(())
        })
        .await;
    }

    pub(crate) async fn events(&self) -> Events {
        Events::of(self.request(Method::GET, "/api/events").timeout(PATIENCE * 4).send().await.unwrap())
    }

    /// Whether the broadcaster of a stream is known here.
    pub(crate) async fn orders_status(&self, made: &CreatedStream) -> u16 {
        let request = self.request(Method::GET, &format!("/api/streams/{}/orders", made.id));
        request.bearer_auth(made.broadcast_key.expose()).send().await.unwrap().status().as_u16()
    }

    pub(crate) async fn orders(&self, stream: StreamId, key: &BroadcastKey) -> Events {
        let request = self.request(Method::GET, &format!("/api/streams/{stream}/orders")).timeout(PATIENCE * 4);
        Events::of(request.bearer_auth(key.expose()).send().await.unwrap())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is so.
pub(crate) async fn becomes<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} never became as it should");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

type Bytes = Box<dyn Stream<Item = reqwest::Result<bytes::Bytes>> + Send>;

/// An open list, or open orders.
pub(crate) struct Events {
    bytes: std::pin::Pin<Bytes>,
    read: Vec<u8>,
}

impl Events {
    fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), 200);
        Self { bytes: Box::pin(answer.bytes_stream()), read: Vec::new() }
    }

    async fn next<T: DeserializeOwned>(&mut self) -> T {
        timeout(PATIENCE, async {
            loop {
                while let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
                    let event: Vec<u8> = self.read.drain(..end + 2).collect();
                    let text = String::from_utf8(event).unwrap();
                    if let Some(data) = text.lines().find_map(|line| line.strip_prefix("data: ")) {
                        return serde_json::from_str(data).unwrap();
                    }
                }
                self.read.extend_from_slice(&self.bytes.next().await.expect("the events ended").unwrap());
            }
        })
        .await
        .expect("no event came")
    }

    /// Waits until the list says that a stream is in this state, or is gone.
    pub(crate) async fn stream_is(&mut self, stream: StreamId, state: Option<StreamState>) {
        loop {
            match self.next::<ListEvent>().await {
                ListEvent::StreamChanged { stream: told } if told.id == stream && Some(told.state) == state => return,
                ListEvent::StreamRemoved { id } if id == stream && state.is_none() => return,
                _ => {}
            }
        }
    }

    /// Waits until the broadcaster is told of such an assignment.
    pub(crate) async fn assigned(&mut self, wanted: impl Fn(&Assignment) -> bool) -> Assignment {
        loop {
            if let Order::Assignment { assignment } = self.next::<Order>().await
                && wanted(&assignment)
            {
                return assignment;
            }
        }
    }
}

pub(crate) fn names(assignment: &Assignment) -> Vec<&RelayName> {
    assignment.relays.iter().map(|relay| &relay.name).collect()
}
