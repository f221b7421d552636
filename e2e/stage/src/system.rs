//! A directory with relays, as real processes.

use std::{net::SocketAddr, path::PathBuf, process::ExitStatus, time::Duration};

use protocol::{RelayName, Secret, StreamId, signing::SigningKey};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    Proxy, Store, eventually,
    plan::{Plan, RelayPlan},
    process::binary,
    server::{Cable, Server, fixed_port},
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
    directory: Server,
    shared: Option<Shared>,
    relays: Vec<Server>,
    folder: TempDir,
    http: Client,
    log: &'static str,
}

/// What a system has with which two directories are one.
struct Shared {
    store: Store,
    second: Server,
    /// The address before both.
    front: Proxy,
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
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut system = Self::open(flags.iter().map(|&flag| flag.to_owned()).collect(), &[], "debug", any).await;
        for name in ["relay-1", "relay-2"] {
            system.add_relay(name, &[("JOIN_SECRET", JOIN_SECRET)]).await;
        }
        // A relay gets work once the directory has found it at its address.
        for name in ["relay-1", "relay-2"] {
            system.is_assigned(name).await;
        }
        system
    }

    /// A directory and relays as planned, all of which are ready. Their ports stay theirs while they are down.
    pub async fn start_plan(plan: &Plan) -> Self {
        let mut system = if plan.shared {
            Self::open_shared(plan).await
        } else {
            Self::open(plan.directory_flags.clone(), &plan.environment, plan.log, fixed_port()).await
        };
        for relay in &plan.relays {
            system.add_planned(relay, &plan.environment).await;
        }
        for relay in &plan.relays {
            system.is_ready(&relay.name).await;
        }
        system
    }

    async fn open(flags: Vec<String>, environment: &[(String, String)], log: &'static str, listen: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut environment = environment.to_vec();
        environment.push(("JOIN_SECRET".into(), JOIN_SECRET.into()));
        environment.push(("RUST_LOG".into(), log.into()));
        let mut directory = Server {
            name: "directory".into(),
            binary: "directory",
            up: "the directory is up",
            arguments: flags.into_iter().map(Into::into).collect(),
            environment,
            data: folder.path().join("directory"),
            listen,
            internal: if listen.port() == 0 { listen } else { fixed_port() },
            cable: None,
            process: None,
            past_log: vec![],
        };
        directory.start().await;
        Self { directory, shared: None, relays: vec![], folder, http: Client::new(), log }
    }

    async fn open_shared(plan: &Plan) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::start(folder.path()).await;
        let mut flags = plan.directory_flags.clone();
        flags.extend(["--store".into(), store.url()]);
        let mut system = Self::open(flags, &plan.environment, plan.log, fixed_port()).await;
        // Both sign with one key, and know the same operator.
        let data = system.folder.path().join("directory-2");
        std::fs::create_dir(&data).unwrap();
        for file in ["ticket-key.der", "operator-token"] {
            std::fs::copy(system.directory.data.join(file), data.join(file)).unwrap();
        }
        let first = &system.directory;
        let (arguments, environment) = (first.arguments.clone(), first.environment.clone());
        let (listen, internal) = (fixed_port(), fixed_port());
        let mut second = Server {
            name: "directory-2".into(),
            binary: "directory",
            up: first.up,
            arguments,
            environment,
            data,
            listen,
            internal,
            cable: None,
            process: None,
            past_log: vec![],
        };
        second.start().await;
        let front = Proxy::before_all(vec![first.listen, listen]).await;
        system.shared = Some(Shared { store, second, front });
        system
    }

    /// The store that two directories share.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.shared.as_ref().expect("a plan with two directories").store
    }

    /// Ends the store by force, or starts it again, empty.
    pub async fn store_dies(&mut self, dies: bool) {
        let folder = self.folder.path().to_owned();
        let store = &mut self.shared.as_mut().expect("a plan with two directories").store;
        if dies { store.kill().await } else { store.restart(&folder).await }
    }

    /// The own address of a directory, whatever is before it.
    #[must_use]
    pub fn directory_at(&self, name: &str) -> String {
        format!("http://{}", self.server(name).listen)
    }

    /// What a server says about its readiness: the HTTP status and the words.
    pub async fn readiness(&self, name: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("http://{}/readyz", self.server(name).internal)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Starts a relay process; gives its public address, ws://.../ws.
    pub async fn add_relay(&mut self, name: &str, environment: &[(&str, &str)]) -> String {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let environment = environment.iter().map(owned).collect();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut relay = self.relay(name, environment, any, self.public());
        relay.start().await;
        let url = format!("ws://{}/ws", relay.listen);
        self.relays.push(relay);
        url
    }

    /// Starts one more relay as planned, whose ports stay its own while it is down.
    pub async fn add(&mut self, plan: &RelayPlan) {
        self.add_planned(plan, &[]).await;
    }

    async fn add_planned(&mut self, plan: &RelayPlan, environment: &[(String, String)]) {
        let listen = fixed_port();
        let mut environment = environment.to_vec();
        environment.push(("JOIN_SECRET".into(), JOIN_SECRET.into()));
        environment.extend(plan.environment.iter().cloned());
        let mut relay = if plan.cable {
            let cable = Cable { public: Proxy::before(listen).await, to_directory: Proxy::before(self.public()).await };
            let url = format!("ws://{}/ws", cable.public.address());
            let mut relay = self.relay(&plan.name, environment, listen, cable.to_directory.address());
            relay.arguments.extend(["--public-url".into(), url.into()]);
            relay.cable = Some(cable);
            relay
        } else {
            self.relay(&plan.name, environment, listen, self.public())
        };
        relay.internal = fixed_port();
        relay.start().await;
        self.relays.push(relay);
    }

    fn relay(
        &self,
        name: &str,
        mut environment: Vec<(String, String)>,
        listen: SocketAddr,
        directory: SocketAddr,
    ) -> Server {
        environment.push(("RUST_LOG".into(), self.log.into()));
        let directory = format!("http://{directory}");
        Server {
            name: name.to_owned(),
            binary: "relay",
            up: "serving",
            arguments: ["--name", name, "--directory", &directory].map(Into::into).to_vec(),
            environment,
            data: self.folder.path().join(format!("{name}-{}", self.relays.len())),
            listen,
            internal: listen,
            cable: None,
            process: None,
            past_log: vec![],
        }
    }

    /// Waits until a server wants work, as it says itself.
    pub async fn is_ready(&self, name: &str) {
        let url = format!("http://{}/readyz", self.server(name).internal);
        eventually(&format!("readiness of {name}"), async || {
            let answer = self.http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// The names of all relays, those that are down included.
    #[must_use]
    pub fn relays(&self) -> Vec<String> {
        self.relays.iter().map(|relay| relay.name.clone()).collect()
    }

    /// The address people reach a relay at.
    #[must_use]
    pub fn relay_url(&self, name: &str) -> String {
        let relay = self.server(name);
        let address = relay.cable.as_ref().map_or(relay.listen, |cable| cable.public.address());
        format!("ws://{address}/ws")
    }

    /// Its own address, whatever weather there is before it.
    #[must_use]
    pub fn direct_url(&self, name: &str) -> String {
        format!("ws://{}/ws", self.server(name).listen)
    }

    /// The number of a server's process; none while it is down.
    #[must_use]
    pub fn process_id(&self, name: &str) -> Option<u32> {
        self.server(name).process.as_ref()?.id()
    }

    /// Ends a server (`directory`, or a relay) by force. It can be started again.
    pub async fn kill(&mut self, name: &str) {
        self.server_mut(name).kill().await;
    }

    /// Asks a server to end; its exit status, or none when it took longer than `patience` and was killed.
    pub async fn terminate(&mut self, name: &str, patience: Duration) -> Option<ExitStatus> {
        self.server_mut(name).ask_to_end();
        self.ended(name, patience).await
    }

    /// Waits for a server that ends by itself; its exit status, or none when it took longer than `patience` and was killed.
    pub async fn ended(&mut self, name: &str, patience: Duration) -> Option<ExitStatus> {
        self.server_mut(name).ended(patience).await
    }

    /// Starts a server that is down, at the same addresses and with the same folder.
    pub async fn restart(&mut self, name: &str) {
        self.server_mut(name).start().await;
    }

    /// Takes everything off the disk of the directory, which is down, but the key it signs with.
    pub fn empty_directory_disk(&self) {
        let key = self.directory_key_file();
        let kept = std::fs::read(&key).unwrap();
        std::fs::remove_dir_all(&self.directory.data).unwrap();
        std::fs::create_dir(&self.directory.data).unwrap();
        std::fs::write(key, kept).unwrap();
    }

    /// A relay's cable, where it was planned with one.
    #[must_use]
    pub fn cable(&self, name: &str) -> &Cable {
        self.server(name).cable.as_ref().unwrap_or_else(|| panic!("{name} has no cable"))
    }

    /// The value of one of a server's metrics, summed over its labels; none while it does not answer.
    pub async fn metric(&self, name: &str, metric: &str) -> Option<f64> {
        self.metric_where(name, metric, None).await
    }

    /// The same of those alone that have this label, as `name="value"`.
    pub async fn metric_where(&self, name: &str, metric: &str, label: Option<&str>) -> Option<f64> {
        let url = format!("http://{}/metrics", self.server(name).internal);
        let text = self.http.get(url).send().await.ok()?.text().await.ok()?;
        let values = text.lines().filter_map(|line| {
            let (key, value) = line.split_once(' ')?;
            let wanted = key.split('{').next() == Some(metric) && label.is_none_or(|label| key.contains(label));
            wanted.then(|| value.parse::<f64>().ok())?
        });
        values.reduce(|sum, value| sum + value)
    }

    fn server(&self, name: &str) -> &Server {
        let second = self.shared.iter().map(|shared| &shared.second);
        let mut all = self.relays.iter().chain([&self.directory]).chain(second);
        all.find(|server| server.name == name).unwrap_or_else(|| panic!("no server is called {name}"))
    }

    fn server_mut(&mut self, name: &str) -> &mut Server {
        let second = self.shared.iter_mut().map(|shared| &mut shared.second);
        let mut all = self.relays.iter_mut().chain([&mut self.directory]).chain(second);
        all.find(|server| server.name == name).unwrap_or_else(|| panic!("no server is called {name}"))
    }

    fn directory_key_file(&self) -> PathBuf {
        self.directory.data.join("ticket-key.der")
    }

    /// Waits until the directory gives this relay work: it has found the relay's key at its address.
    pub async fn is_assigned(&self, name: &str) {
        eventually(&format!("work for {name}"), async || {
            let token = std::fs::read_to_string(self.directory.data.join("operator-token")).ok()?;
            let url = format!("http://{}/operator/relays", self.internal());
            let list: Value = self.http.get(url).bearer_auth(token.trim()).send().await.ok()?.json().await.ok()?;
            let relay = list["relays"].as_array()?.iter().find(|relay| relay["name"] == name)?.clone();
            (relay["state"] == "ready").then_some(())
        })
        .await;
    }

    /// The end of a relay's process by force.
    pub fn kill_relay(&mut self, name: &str) {
        self.relays.retain(|relay| relay.name != name);
    }

    /// The logs of all processes, a line each.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        let second = self.shared.iter().map(|shared| &shared.second);
        self.relays.iter().chain([&self.directory]).chain(second).flat_map(Server::log).collect()
    }

    /// The directory's private key: what an attacker never has, for tickets that could not be got otherwise.
    #[must_use]
    pub fn directory_key(&self) -> SigningKey {
        let pkcs8 = std::fs::read(self.directory_key_file()).unwrap();
        SigningKey::from_pkcs8(&pkcs8).unwrap()
    }

    /// An address of the public listener.
    #[must_use]
    pub fn at(&self, path: &str) -> String {
        format!("http://{}{path}", self.public())
    }

    /// The public listener, or what is before two.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.shared.as_ref().map_or(self.directory.listen, |shared| shared.front.address())
    }

    /// The internal listener.
    #[must_use]
    pub const fn internal(&self) -> SocketAddr {
        self.directory.internal
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
        self.try_operator(arguments).await.unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
    }

    /// The same; what it complained about when it failed.
    pub async fn try_operator(&self, arguments: &[&str]) -> Result<String, String> {
        let output = tokio::process::Command::new(binary("directory"))
            .args(arguments)
            .arg("--data-dir")
            .arg(&self.directory.data)
            .args(["--internal-listen", &self.directory.internal.to_string()])
            .env_clear()
            .output()
            .await
            .unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
