//! A directory with relays, as real processes.

use std::net::SocketAddr;

use protocol::{RelayName, Secret, StreamId, signing::SigningKey};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    eventually,
    process::{Process, binary},
};

/// What relays join with here.
pub const JOIN_SECRET: &str = "join-secret-of-the-attacks";

/// The tracks of every stream here: one picture.
#[must_use]
pub fn tracks() -> Value {
    json!([{"track": 1, "kind": "video", "codec": "avc1.4D401F", "width": 1280, "height": 720, "frame_rate": 30.0}])
}

/// A directory, and relays that have joined it.
pub struct System {
    directory: Process,
    relays: Vec<(String, Process)>,
    folder: TempDir,
    public: SocketAddr,
    internal: SocketAddr,
    http: Client,
}

/// The answer of the directory to a call.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; null when it is not JSON.
    pub body: Value,
}

impl Answer {
    /// The call was refused with this status and code.
    pub fn is_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
    }
}

/// A stream that was made, as its broadcaster knows it.
#[derive(Debug, Clone)]
pub struct Created {
    /// Its id.
    pub id: StreamId,
    /// The secret that owns it.
    pub broadcast_key: Secret,
    /// Lets publish.
    pub ticket: Secret,
    /// Where.
    pub relay_url: String,
    /// On which relay.
    pub relay: RelayName,
}

impl System {
    /// A directory and two relays, `relay-1` and `relay-2`.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with more flags for the directory.
    pub async fn start_with(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("directory");
        let mut directory = Process::start("directory", |command| {
            command.args(["--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0", "--data-dir"]).arg(&data);
            command.args(flags).env("JOIN_SECRET", JOIN_SECRET);
        });
        let (public, internal) = directory.addresses("the directory is up").await;
        let mut system = Self { directory, relays: vec![], folder, public, internal, http: Client::new() };
        for name in ["relay-1", "relay-2"] {
            system.add_relay(name, &[("JOIN_SECRET", JOIN_SECRET)]).await;
        }
        // A relay gets work once the directory has found it at its address.
        for name in ["relay-1", "relay-2"] {
            system.is_assigned(name).await;
        }
        system
    }

    /// Starts a relay process; gives its public address, ws://.../ws.
    pub async fn add_relay(&mut self, name: &str, environment: &[(&str, &str)]) -> String {
        let data = self.folder.path().join(format!("{name}-{}", self.relays.len()));
        let directory = format!("http://{}", self.public);
        let mut process = Process::start("relay", |command| {
            command.args(["--name", name, "--listen", "127.0.0.1:0", "--internal-listen", "127.0.0.1:0"]);
            command.args(["--directory", &directory, "--data-dir"]).arg(&data).envs(environment.iter().copied());
        });
        let (public, _) = process.addresses("serving").await;
        self.relays.push((name.to_owned(), process));
        format!("ws://{public}/ws")
    }

    /// Waits until the directory gives this relay work.
    pub async fn is_assigned(&self, name: &str) {
        eventually(&format!("work for {name}"), async || {
            let created = self.try_create(json!({"title": "probe"})).await?;
            self.end(&created).await;
            (created.relay.as_str() == name).then_some(())
        })
        .await;
    }

    /// The end of a relay's process by force.
    pub fn kill_relay(&mut self, name: &str) {
        self.relays.retain(|(other, _)| other != name);
    }

    /// The logs of all processes, a line each.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        let relays = self.relays.iter().flat_map(|(_, relay)| relay.log());
        self.directory.log().into_iter().chain(relays).collect()
    }

    /// The directory's private key: what an attacker never has, for tickets that could not be got otherwise.
    #[must_use]
    pub fn directory_key(&self) -> SigningKey {
        let pkcs8 = std::fs::read(self.folder.path().join("directory/ticket-key.der")).unwrap();
        SigningKey::from_pkcs8(&pkcs8).unwrap()
    }

    /// An address of the public listener.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.public)
    }

    /// The public listener.
    #[must_use]
    pub const fn public(&self) -> SocketAddr {
        self.public
    }

    /// The internal listener.
    #[must_use]
    pub const fn internal(&self) -> SocketAddr {
        self.internal
    }

    /// A request to the public listener.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, self.at(path))
    }

    /// Sends a request.
    pub async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let body = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default();
        Answer { status, body }
    }

    /// `POST` without a body, or with one.
    pub async fn post(&self, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(Method::POST, path);
        self.send(if let Some(body) = body { request.json(&body) } else { request }).await
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    /// Makes a stream.
    pub async fn create(&self, body: Value) -> Created {
        self.try_create(body).await.expect("the stream is made")
    }

    async fn try_create(&self, body: Value) -> Option<Created> {
        let Answer { status, body } = self.post("/api/streams", Some(body)).await;
        if status != 201 {
            assert_eq!(status, 503, "{body}");
            return None;
        }
        let assignment = &body["assignment"];
        Some(Created {
            id: body["id"].as_str()?.parse().ok()?,
            broadcast_key: body["broadcast_key"].as_str()?.into(),
            ticket: assignment["ticket"].as_str()?.into(),
            relay_url: assignment["relays"][0]["url"].as_str()?.to_owned(),
            relay: assignment["relays"][0]["name"].as_str()?.parse().ok()?,
        })
    }

    /// Ends a stream by its key.
    pub async fn end(&self, created: &Created) {
        let request = self.request(Method::DELETE, &format!("/api/streams/{}", created.id));
        assert_eq!(self.send(request.bearer_auth(created.broadcast_key.expose())).await.status, 204);
    }

    /// Asks to watch.
    pub async fn watch(&self, id: StreamId, body: Option<Value>) -> Answer {
        self.post(&format!("/api/streams/{id}/watch"), body).await
    }

    /// Runs a subcommand of the directory as its operator would; what it printed.
    pub async fn operator(&self, arguments: &[&str]) -> String {
        let output = tokio::process::Command::new(binary("directory"))
            .args(arguments)
            .arg("--data-dir")
            .arg(self.folder.path().join("directory"))
            .args(["--internal-listen", &self.internal.to_string()])
            .env_clear()
            .output()
            .await
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
