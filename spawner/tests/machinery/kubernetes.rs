//! A StatefulSet, against a stand-in for the API server that allows what `deploy/kubernetes/role.yaml` allows.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use k8s_openapi::api::rbac::v1::Role;
use serde_json::{Value, json};
use spawner::{Kubernetes, KubernetesConfig, Phase, SpawnError, Spawner, scale::Removal};

use crate::{join, manifests, name, phase};

struct Server {
    role: Role,
    state: Mutex<Row>,
}

#[derive(Default)]
struct Row {
    wanted: i32,
    present: i32,
    version: u32,
    /// Somebody else changes the StatefulSet after each read.
    is_contended: bool,
    calls: Vec<String>,
}

fn status(code: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason,
        "code": code.as_u16(),
    });
    (code, Json(body)).into_response()
}

impl Server {
    fn allows(&self, group: &str, resource: &str, object: &str, verb: &str) -> bool {
        let has = |list: &Option<Vec<String>>, wanted: &str| list.iter().flatten().any(|text| text == wanted);
        self.role.rules.iter().flatten().any(|rule| {
            has(&rule.api_groups, group)
                && has(&rule.resources, resource)
                && has(&rule.resource_names, object)
                && rule.verbs.iter().any(|allowed| allowed == verb)
        })
    }

    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }
}

async fn answer(
    State(server): State<Arc<Server>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path: Vec<_> = uri.path().trim_matches('/').split('/').collect();
    let verb = match method {
        Method::GET => "get",
        Method::PATCH => "patch",
        _ => "other",
    };
    let (group, resource, object) = match path[..] {
        ["apis", group, "v1", "namespaces", "dead-streaming", resource, object, sub] => {
            (group, format!("{resource}/{sub}"), object)
        }
        ["api", "v1", "namespaces", "dead-streaming", resource, object] => ("", resource.to_owned(), object),
        _ => ("", uri.path().to_owned(), ""),
    };
    if !server.allows(group, &resource, object, verb) {
        return status(StatusCode::FORBIDDEN, "Forbidden", &format!("cannot {verb} {resource} {object}"));
    }
    let patch: Value = serde_json::from_slice(&body).unwrap_or_default();
    if verb == "patch" && headers["content-type"] != "application/merge-patch+json" {
        return status(StatusCode::UNSUPPORTED_MEDIA_TYPE, "UnsupportedMediaType", "not a merge patch");
    }
    let mut row = server.state.lock().unwrap();
    if resource == "secrets" {
        row.calls.push(format!("secret {patch}"));
        return Json(json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": object } })).into_response();
    }
    if verb == "patch" {
        if patch["metadata"]["resourceVersion"].as_str() != Some(row.version.to_string().as_str()) {
            return status(StatusCode::CONFLICT, "Conflict", "the object has been modified");
        }
        row.wanted = i32::try_from(patch["spec"]["replicas"].as_i64().unwrap()).unwrap();
        row.version += 1;
        let wanted = row.wanted;
        row.calls.push(format!("scale {wanted}"));
    }
    let scale = json!({
        "apiVersion": "autoscaling/v1", "kind": "Scale",
        "metadata": { "name": object, "namespace": "dead-streaming", "resourceVersion": row.version.to_string() },
        "spec": { "replicas": row.wanted }, "status": { "replicas": row.present, "selector": "app=relay" },
    });
    if row.is_contended {
        row.version += 1;
    }
    Json(scale).into_response()
}

async fn cluster(wanted: i32) -> (Arc<Server>, Kubernetes) {
    let state = Mutex::new(Row { wanted, present: wanted, version: 7, ..Row::default() });
    let server = Arc::new(Server { role: manifests::object("relay-scaler"), state });
    let calls = Router::new().fallback(answer).with_state(Arc::clone(&server));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, calls).await });
    (server, kubernetes(&format!("http://{address}")))
}

fn kubernetes(address: &str) -> Kubernetes {
    let mut config = kube::Config::new(address.parse().unwrap());
    config.default_namespace = "dead-streaming".into();
    Kubernetes::new(KubernetesConfig {
        client: kube::Client::try_from(config).unwrap(),
        namespace: None,
        stateful_set: "relay".into(),
        secret: "relay-join".into(),
        join: join(),
    })
}

#[tokio::test]
async fn token_is_written_before_the_row_grows_and_taken_after_it_has_shrunk() {
    let (server, kubernetes) = cluster(0).await;
    kubernetes.start(&name("relay-0")).await.unwrap();
    kubernetes.start(&name("relay-1")).await.unwrap();
    kubernetes.start(&name("relay-1")).await.unwrap();
    assert_eq!(
        server.calls(),
        [
            r#"secret {"stringData":{"relay-0":"token-relay-0-0"}}"#,
            "scale 1",
            r#"secret {"stringData":{"relay-1":"token-relay-1-1"}}"#,
            "scale 2"
        ]
    );
    kubernetes.stop(&name("relay-1")).await.unwrap();
    kubernetes.stop(&name("relay-1")).await.unwrap();
    assert_eq!(server.calls(), ["scale 1", r#"secret {"data":{"relay-1":null}}"#]);
}

#[tokio::test]
async fn row_grows_and_shrinks_at_its_end_only() {
    let (server, kubernetes) = cluster(3).await;
    assert_eq!(kubernetes.removal(), Removal::Last("relay".into()));
    for (result, words) in [
        (kubernetes.stop(&name("relay-1")).await, "relay-1 can't be stopped: the row of relays ends at 3"),
        (kubernetes.start(&name("relay-4")).await, "relay-4 can't be started: the row of relays ends at 3"),
        (kubernetes.start(&name("other-3")).await, "other-3 can't be started: the row of relays ends at 3"),
    ] {
        let error = result.unwrap_err();
        assert!(matches!(error, SpawnError::NotLast { .. }));
        assert_eq!(error.to_string(), words);
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn pods_above_what_is_wanted_are_leaving() {
    let (server, kubernetes) = cluster(2).await;
    assert_eq!(kubernetes.list().await.unwrap().len(), 2);
    let welcome = r#"secret {"stringData":{"relay-0":"token-relay-0-0","relay-1":"token-relay-1-1"}}"#;
    assert_eq!(server.calls(), [welcome], "pods that were there before get tokens");
    kubernetes.stop(&name("relay-1")).await.unwrap();
    assert_eq!(phase(&kubernetes, "relay-0").await, Some(Phase::Running));
    assert_eq!(phase(&kubernetes, "relay-1").await, Some(Phase::Stopping));
    server.state.lock().unwrap().present = 1;
    assert_eq!(phase(&kubernetes, "relay-1").await, None);
}

#[tokio::test]
async fn change_by_somebody_else_is_not_overwritten() {
    let (server, kubernetes) = cluster(1).await;
    server.state.lock().unwrap().is_contended = true;
    let error = kubernetes.start(&name("relay-1")).await.unwrap_err().to_string();
    assert!(error.contains("scaling relay to 2") && error.contains("modified"), "{error}");
    assert_eq!(server.state.lock().unwrap().wanted, 1);
}

#[tokio::test]
async fn what_the_role_does_not_allow_is_told_in_words() {
    let (server, kubernetes) = cluster(1).await;
    assert!(!server.allows("", "secrets", "relay-join", "get"));
    assert!(!server.allows("apps", "statefulsets/scale", "directory", "patch"));
    drop(server);
    let error = self::kubernetes("http://127.0.0.1:1").list().await.unwrap_err().to_string();
    assert!(error.starts_with("reading the scale of relay: "), "{error}");
    kubernetes.list().await.unwrap();
}
