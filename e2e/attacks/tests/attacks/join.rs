//! Becoming a relay, or speaking for one, without the right to.

use protocol::RelayName;
use reqwest::Method;
use serde_json::{Value, json};
use stage::{Answer, JOIN_SECRET, RelayKey, System, eventually};

/// What a relay at this address would send.
fn introduction(name: &str, url: &str, key: &RelayKey) -> Value {
    json!({"name": name, "url": url, "streams_max": 64, "viewers_max": 64, "public_key": key.public_key(), "protocol": 1})
}

/// Registers by hand.
async fn register(system: &System, body: &Value, key: &RelayKey, bearer: Option<&str>) -> Answer {
    let bytes = serde_json::to_vec(body).unwrap();
    let name: RelayName = body["name"].as_str().unwrap().parse().unwrap();
    let assertion = key.assertion(&name, "POST /register_server", &bytes);
    let mut request = system.request(Method::POST, "/register_server").header("Relay-Assertion", assertion.expose());
    if let Some(bearer) = bearer {
        request = request.bearer_auth(bearer);
    }
    system.send(request.header("Content-Type", "application/json").body(bytes)).await
}

/// Sends a heartbeat of an idle relay by hand.
async fn heartbeat(system: &System, name: &str, key: &RelayKey) -> Answer {
    let bytes = serde_json::to_vec(&json!({"viewers": 0, "streams": []})).unwrap();
    let path = format!("/api/relays/{name}/heartbeat");
    let assertion = key.assertion(&name.parse().unwrap(), &format!("POST {path}"), &bytes);
    let request = system.request(Method::POST, &path).header("Relay-Assertion", assertion.expose());
    system.send(request.header("Content-Type", "application/json").body(bytes)).await
}

#[tokio::test]
async fn register_a_relay_without_a_token() {
    let system = System::start().await;
    let key = RelayKey::generate();
    let body = introduction("relay-9", "ws://127.0.0.1:9/ws", &key);
    for bearer in [None, Some("wrong"), Some("")] {
        register(&system, &body, &key, bearer).await.is_refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn register_a_relay_with_a_used_token() {
    let system = System::start().await;
    let token = system.operator(&["relay-token", "--uses", "1"]).await;
    let (first, second) = (RelayKey::generate(), RelayKey::generate());
    let joined = register(&system, &introduction("relay-8", "ws://127.0.0.1:9/ws", &first), &first, Some(&token)).await;
    assert_eq!(joined.status, 200, "{joined:?}");
    register(&system, &introduction("relay-9", "ws://127.0.0.1:9/ws", &second), &second, Some(&token))
        .await
        .is_refused(401, "unauthorized");
}

#[tokio::test]
async fn register_a_relay_with_a_stolen_membership() {
    let system = System::start().await;
    let (owner, thief) = (RelayKey::generate(), RelayKey::generate());
    let body = introduction("relay-9", "ws://127.0.0.1:9/ws", &owner);
    let joined = register(&system, &body, &owner, Some(JOIN_SECRET)).await;
    let membership = joined.body["membership"].as_str().unwrap().to_owned();
    assert_eq!(register(&system, &body, &owner, Some(&membership)).await.status, 200, "its owner may");
    // The thief has the membership, but not the key that it names.
    let body = introduction("relay-9", "ws://127.0.0.1:9/ws", &thief);
    assert!(matches!(register(&system, &body, &thief, Some(&membership)).await.status, 401 | 409));
    let body = introduction("relay-9", "ws://127.0.0.1:9/ws", &owner);
    register(&system, &body, &thief, Some(&membership)).await.is_refused(401, "unauthorized");
}

#[tokio::test]
async fn register_a_relay_with_a_taken_name() {
    let system = System::start().await;
    let key = RelayKey::generate();
    let body = introduction("relay-1", "ws://127.0.0.1:9/ws", &key);
    register(&system, &body, &key, Some(JOIN_SECRET)).await.is_refused(409, "relay_name_taken");
}

#[tokio::test]
async fn register_a_relay_with_somebody_elses_address() {
    let system = System::start().await;
    let honest = system.create(json!({"title": "a"})).await;
    let key = RelayKey::generate();
    let body = introduction("relay-9", &honest.relay_url, &key);
    assert_eq!(register(&system, &body, &key, Some(JOIN_SECRET)).await.status, 200);
    let problem = eventually("a reason in the answer to a heartbeat", async || {
        let answer = heartbeat(&system, "relay-9", &key).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["problem"].as_str().map(str::to_owned)
    })
    .await;
    assert!(problem.len() > 20, "{problem}");
    // It has the fewest streams of all, and gets none.
    for number in 0..6 {
        let created = system.create(json!({"title": format!("stream {number}")})).await;
        assert_ne!(created.relay.as_str(), "relay-9");
        heartbeat(&system, "relay-9", &key).await;
    }
}

#[tokio::test]
async fn heartbeat_signed_by_another_key() {
    let system = System::start().await;
    heartbeat(&system, "relay-1", &RelayKey::generate()).await.is_refused(401, "unauthorized");
}

#[tokio::test]
async fn heartbeat_that_was_recorded_and_sent_again() {
    let system = System::start().await;
    let key = RelayKey::generate();
    let body = introduction("relay-9", "ws://127.0.0.1:9/ws", &key);
    assert_eq!(register(&system, &body, &key, Some(JOIN_SECRET)).await.status, 200);
    let bytes = serde_json::to_vec(&json!({"viewers": 0, "streams": []})).unwrap();
    let path = "/api/relays/relay-9/heartbeat";
    let assertion = key.assertion(&"relay-9".parse().unwrap(), &format!("POST {path}"), &bytes);
    let request = || {
        let request = system.request(Method::POST, path).header("Relay-Assertion", assertion.expose());
        request.header("Content-Type", "application/json").body(bytes.clone())
    };
    assert_eq!(system.send(request()).await.status, 200);
    system.send(request()).await.is_refused(401, "unauthorized");
}

#[tokio::test]
async fn relay_that_was_revoked_gets_no_work_within_5_s() {
    let system = System::start().await;
    system.operator(&["relay-revoke", "relay-1"]).await;
    let revoked = std::time::Instant::now();
    for number in 0..6 {
        let created = system.create(json!({"title": format!("stream {number}")})).await;
        assert_eq!(created.relay.as_str(), "relay-2");
    }
    assert!(revoked.elapsed().as_secs() < 5);
}

#[tokio::test]
async fn operators_calls_without_the_operators_token() {
    let system = System::start().await;
    let internal = format!("http://{}", system.internal());
    let http = reqwest::Client::new();
    for (method, path) in [
        (Method::POST, "/operator/relay-tokens"),
        (Method::GET, "/operator/relays"),
        (Method::GET, "/operator/passes"),
        (Method::GET, "/operator/streams"),
    ] {
        for bearer in [None, Some("wrong"), Some(JOIN_SECRET)] {
            let mut request = http.request(method.clone(), format!("{internal}{path}"));
            if let Some(bearer) = bearer {
                request = request.bearer_auth(bearer);
            }
            assert_eq!(request.send().await.unwrap().status().as_u16(), 401, "{method} {path}");
            // They are not on the public listener at all.
            let answer = system.send(system.request(method.clone(), path).header("Accept", "application/json")).await;
            assert!(matches!(answer.status, 404 | 405), "{answer:?}");
        }
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(system.get(path).await.status, 404, "{path}");
    }
}
