//! Containers, against a stand-in for the Engine that answers on a socket as the Engine does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{delete, get, post},
};
use serde_json::{Value, json};
use spawner::{Docker, DockerConfig, Phase, Spawner};
use tokio::sync::Notify;

use crate::{join, name, phase, until};

#[derive(Default)]
struct Engine {
    containers: Mutex<BTreeMap<String, Container>>,
    calls: Mutex<Vec<String>>,
    made: AtomicU32,
    /// A port that something else holds.
    port_taken: Option<u16>,
    /// Lets a container that was asked to stop end.
    ends: Notify,
}

struct Container {
    name: String,
    body: Value,
    state: &'static str,
}

type Shared = State<Arc<Engine>>;
type Queries = Query<BTreeMap<String, String>>;

impl Engine {
    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn body(&self, container: &str) -> Value {
        self.containers.lock().unwrap().values().find(|kept| kept.name == container).unwrap().body.clone()
    }

    fn set_state(&self, id: &str, state: &'static str) {
        self.containers.lock().unwrap().get_mut(id).unwrap().state = state;
    }
}

fn no(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "message": message }))).into_response()
}

async fn list(State(engine): Shared, Query(query): Queries) -> Response {
    engine.note(format!("list all={} {}", query["all"], query["filters"]));
    let summary = |(id, kept): (&String, &Container)| json!({ "Id": id, "Names": [format!("/{}", kept.name)], "Labels": kept.body["Labels"], "State": kept.state, "Status": "" });
    // Whatever was asked for: what the client is not to touch is in the answer too.
    Json(engine.containers.lock().unwrap().iter().map(summary).collect::<Vec<_>>()).into_response()
}

async fn create(State(engine): Shared, Query(query): Queries, Json(body): Json<Value>) -> Response {
    let mut containers = engine.containers.lock().unwrap();
    if containers.values().any(|kept| kept.name == query["name"]) {
        return no(StatusCode::CONFLICT, "Conflict. The container name is already in use");
    }
    let id = format!("id{}", engine.made.fetch_add(1, Ordering::Relaxed));
    engine.note(format!("create {}", query["name"]));
    containers.insert(id.clone(), Container { name: query["name"].clone(), body, state: "created" });
    (StatusCode::CREATED, Json(json!({ "Id": id, "Warnings": [] }))).into_response()
}

async fn start(State(engine): Shared, Path(id): Path<String>) -> Response {
    let mut containers = engine.containers.lock().unwrap();
    let Some(kept) = containers.get_mut(&id) else {
        return no(StatusCode::NOT_FOUND, "No such container");
    };
    engine.note(format!("start {}", kept.name));
    let port = &kept.body["HostConfig"]["PortBindings"]["5001/tcp"][0]["HostPort"];
    if engine.port_taken.is_some_and(|taken| port.as_str() == Some(taken.to_string().as_str())) {
        return no(
            StatusCode::INTERNAL_SERVER_ERROR,
            "driver failed programming external connectivity on endpoint: Bind for 0.0.0.0:5100 failed: port is already allocated",
        );
    }
    kept.state = "running";
    StatusCode::NO_CONTENT.into_response()
}

async fn stop(State(engine): Shared, Path(id): Path<String>, Query(query): Queries) -> Response {
    engine.note(format!("stop t={}", query["t"]));
    engine.ends.notified().await;
    engine.set_state(&id, "exited");
    StatusCode::NO_CONTENT.into_response()
}

async fn remove(State(engine): Shared, Path(id): Path<String>, Query(query): Queries) -> Response {
    let force = query.get("force").is_some_and(|force| force == "true");
    let mut containers = engine.containers.lock().unwrap();
    match containers.get(&id) {
        None => no(StatusCode::NOT_FOUND, "No such container"),
        Some(kept) if kept.state == "running" && !force => {
            no(StatusCode::CONFLICT, "You cannot remove a running container")
        }
        Some(kept) => {
            engine.note(format!("remove {}", kept.name));
            containers.remove(&id);
            StatusCode::NO_CONTENT.into_response()
        }
    }
}

/// The Engine on a Unix socket, with a container that is not ours.
async fn engine(folder: &std::path::Path, port_taken: Option<u16>) -> (Arc<Engine>, DockerConfig) {
    let engine = Arc::new(Engine { port_taken, ..Engine::default() });
    let foreign = json!({ "Labels": { "dead-streaming.fleet": "another", "dead-streaming.relay": "spawned-0" } });
    let foreign = Container { name: "foreign".into(), body: foreign, state: "running" };
    engine.containers.lock().unwrap().insert("foreign".into(), foreign);
    let calls = Router::new()
        .route("/containers/json", get(list))
        .route("/containers/create", post(create))
        .route("/containers/{id}/start", post(start))
        .route("/containers/{id}/stop", post(stop))
        .route("/containers/{id}", delete(remove))
        .with_state(Arc::clone(&engine));
    let socket = folder.join("docker.sock");
    let listener = tokio::net::UnixListener::bind(&socket).unwrap();
    tokio::spawn(async move {
        // The Engine takes calls with and without a version before them.
        let calls = Router::new().nest("/v1.44", calls.clone()).merge(calls);
        axum::serve(listener, calls).await
    });
    let config = DockerConfig {
        host: format!("unix://{}", socket.display()),
        fleet: "spawned".into(),
        image: "dead-streaming:1".into(),
        network: Some("backstage".into()),
        ports: "5100-5103".parse().unwrap(),
        public_url: "ws://relays.test:{port}/ws".parse().unwrap(),
        environment: vec!["RELAY_STREAMS_MAX=7".into()],
        stop_time_max: Duration::from_secs(40),
        join: join(),
    };
    (engine, config)
}

#[tokio::test]
async fn container_is_made_as_configured_and_started() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, config) = engine(folder.path(), None).await;
    let docker = Docker::new(config).unwrap();
    docker.start(&name("spawned-0")).await.unwrap();
    assert_eq!(
        engine.calls(),
        [
            r#"list all=true {"label":["dead-streaming.fleet=spawned"]}"#,
            "create dead-streaming-spawned-spawned-0",
            "start dead-streaming-spawned-spawned-0"
        ]
    );
    let body = engine.body("dead-streaming-spawned-spawned-0");
    assert_eq!(body["Image"], "dead-streaming:1");
    assert_eq!(body["Cmd"], json!(["relay"]));
    assert_eq!(
        body["Env"],
        json!([
            "RELAY_STREAMS_MAX=7",
            "RELAY_NAME=spawned-0",
            "DIRECTORY_URL=http://directory.test:5000/",
            "JOIN_TOKEN=token-spawned-0-0",
            "RELAY_LISTEN=0.0.0.0:5001",
            "RELAY_PUBLIC_URL=ws://relays.test:5100/ws",
            "RELAY_DATA_DIR=/data",
            "LOG_FORMAT=json"
        ])
    );
    assert_eq!(
        body["Labels"],
        json!({ "dead-streaming.fleet": "spawned", "dead-streaming.relay": "spawned-0", "dead-streaming.port": "5100" })
    );
    let host = &body["HostConfig"];
    assert_eq!(host["NetworkMode"], "backstage");
    assert_eq!(host["PortBindings"]["5001/tcp"][0]["HostPort"], "5100");
    assert_eq!(host["PortBindings"]["5001/udp"][0]["HostPort"], "5100", "for WebTransport");
    assert_eq!(host["RestartPolicy"], json!({ "Name": "on-failure", "MaximumRetryCount": 5 }));
    assert_eq!(
        host["Mounts"],
        json!([{ "Target": "/data", "Source": "dead-streaming-spawned-spawned-0", "Type": "volume" }])
    );
    assert_eq!((&host["CapDrop"], &host["ReadonlyRootfs"]), (&json!(["ALL"]), &json!(true)));
    assert_eq!(body["StopTimeout"], 40);

    docker.start(&name("spawned-0")).await.unwrap();
    assert_eq!(engine.calls().len(), 1, "it runs already: only looked");
    docker.start(&name("spawned-1")).await.unwrap();
    assert_eq!(engine.body("dead-streaming-spawned-spawned-1")["Labels"]["dead-streaming.port"], "5101");
    let all: Vec<_> = docker.list().await.unwrap().into_iter().map(|spawned| spawned.name.to_string()).collect();
    assert_eq!(all, ["spawned-0", "spawned-1"], "the foreign one is not ours");
}

#[tokio::test]
async fn stop_is_answered_at_once_and_done_when_the_container_has_drained() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, config) = engine(folder.path(), None).await;
    let docker = Docker::new(config).unwrap();
    docker.start(&name("spawned-0")).await.unwrap();
    engine.calls();
    docker.stop(&name("spawned-0")).await.unwrap();
    docker.stop(&name("spawned-0")).await.unwrap();
    assert_eq!(phase(&docker, "spawned-0").await, Some(Phase::Stopping));
    engine.ends.notify_one();
    until("it is gone", async || phase(&docker, "spawned-0").await.is_none().then_some(())).await;
    let calls: Vec<_> = engine.calls().into_iter().filter(|call| !call.starts_with("list")).collect();
    assert_eq!(calls, ["stop t=40", "remove dead-streaming-spawned-spawned-0"]);
    docker.stop(&name("spawned-0")).await.unwrap();
    assert!(engine.containers.lock().unwrap().contains_key("foreign"));
    assert!(engine.calls().iter().all(|call| call.starts_with("list")), "what is not ours is not touched");
}

#[tokio::test]
async fn port_that_something_else_holds_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, config) = engine(folder.path(), Some(5100)).await;
    let docker = Docker::new(config).unwrap();
    docker.start(&name("spawned-0")).await.unwrap();
    assert_eq!(engine.body("dead-streaming-spawned-spawned-0")["Labels"]["dead-streaming.port"], "5101");
    assert_eq!(engine.containers.lock().unwrap().len(), 2, "what could not be started is cleared away");
}

#[tokio::test]
async fn container_that_ended_is_told_and_gives_way_to_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, config) = engine(folder.path(), None).await;
    let docker = Docker::new(config).unwrap();
    docker.start(&name("spawned-0")).await.unwrap();
    let id = engine.containers.lock().unwrap().keys().find(|id| *id != "foreign").unwrap().clone();
    engine.set_state(&id, "exited");
    assert_eq!(phase(&docker, "spawned-0").await, Some(Phase::Ended));
    docker.start(&name("spawned-0")).await.unwrap();
    assert_eq!(phase(&docker, "spawned-0").await, Some(Phase::Running));
    let id = engine.containers.lock().unwrap().keys().find(|id| *id != "foreign").unwrap().clone();
    engine.set_state(&id, "exited");
    docker.stop(&name("spawned-0")).await.unwrap();
    assert_eq!(phase(&docker, "spawned-0").await, None);
}

#[tokio::test]
async fn engine_that_is_away_is_told_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let (_engine, mut config) = engine(folder.path(), None).await;
    config.host = "http://127.0.0.1:1".into();
    let error = Docker::new(config).unwrap().list().await.unwrap_err().to_string();
    assert!(error.starts_with("listing own containers: "), "{error}");
}
