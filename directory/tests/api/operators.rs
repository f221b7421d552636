//! What operators see.

use serde_json::json;

use crate::driver::Server;

async fn internal(server: &Server, path: &str) -> (u16, String) {
    let answer = server.client.get(format!("http://{}{path}", server.internal)).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn health_and_metrics_are_told_inside_only() {
    let server = Server::start().await;
    assert_eq!(internal(&server, "/healthz").await.0, 200);
    assert_eq!(internal(&server, "/readyz").await.0, 200);
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.get(path).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn metrics_count_what_happens() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    relay.report(made.id, 1, true, 7).await;
    let wrong = server.post("/register_server", &json!({})).bearer_auth("wrong").send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    let _events = server.follow().await;
    let expected = [
        r#"directory_streams{state="live"} 1"#,
        r#"directory_relays{health="ready"} 1"#,
        "directory_viewers 7",
        "directory_event_readers 1",
        "directory_streams_created_total 1",
        r#"directory_requests_total{route="/api/streams",method="POST",code="201"} 1"#,
        r#"directory_refused_registrations_total{reason="unauthorized"} 1"#,
    ];
    let told = async {
        loop {
            let (_, text) = internal(&server, "/metrics").await;
            if expected.iter().all(|line| text.contains(line)) {
                return;
            }
        }
    };
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), told).await;
    assert!(told.is_ok(), "{}", internal(&server, "/metrics").await.1);
}
