//! Every bad request gets JSON with a stable code, and costs nobody else anything.

use protocol::limits::HTTP_BODY_BYTES_MAX;
use reqwest::{Method, Response};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::driver::{Server, refused};

const JSON: &str = "application/json";

async fn create(server: &Server, kind: &str, body: impl Into<reqwest::Body>) -> Response {
    server.request(Method::POST, "/api/streams").header("content-type", kind).body(body).send().await.unwrap()
}

#[tokio::test]
async fn malformed_bodies_are_refused() {
    let server = Server::start().await;
    server.relay("relay-1").await;
    let deep = "[".repeat(10_000);
    for body in
        ["", "{", "null", "[]", "{}", "\"demo\"", r#"{"title":1}"#, r#"{"title":"a","visibility":"all"}"#, "\0", &deep]
    {
        let answer = create(&server, JSON, body.to_owned()).await;
        assert_eq!(refused(answer).await, (400, "invalid_request".to_owned()), "{body:.40}");
    }
    let not_text = create(&server, JSON, vec![b'{', b'"', 0xff, b'"', b':', b'1', b'}']).await;
    assert_eq!(refused(not_text).await, (400, "invalid_request".to_owned()));
}

#[tokio::test]
async fn titles_that_cannot_be_are_refused() {
    let server = Server::start().await;
    server.relay("relay-1").await;
    let long = "x".repeat(121);
    for title in ["", "   ", &long, "a\nb", "a\u{0}b", "a\u{7f}", "\u{202e}a", "a\u{2028}b", "a\u{85}b"] {
        let answer = server.post("/api/streams", &json!({ "title": title })).send().await.unwrap();
        assert_eq!(refused(answer).await, (422, "invalid_title".to_owned()), "{title:?}");
    }
    for title in ["x", &"é".repeat(120), "<script>alert(1)</script>", "日本語 🎥"] {
        let answer = server.post("/api/streams", &json!({ "title": title })).send().await.unwrap();
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((body["code"].as_str(), body["title"].as_str()), (None, Some(title)));
        let key = body["broadcast_key"].as_str().unwrap();
        let path = format!("/api/streams/{}", body["id"].as_str().unwrap());
        assert_eq!(server.request(Method::DELETE, &path).bearer_auth(key).send().await.unwrap().status(), 204);
    }
}

#[tokio::test]
async fn body_that_does_not_say_it_is_json_is_refused() {
    let server = Server::start().await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let answer = create(&server, kind, r#"{"title":"demo"}"#).await;
        assert_eq!(refused(answer).await, (415, "unsupported_media_type".to_owned()), "{kind}");
    }
}

#[tokio::test]
async fn oversized_body_is_refused() {
    let server = Server::start().await;
    let title = "x".repeat(16 * 1024);
    let answer = create(&server, JSON, json!({ "title": title }).to_string()).await;
    assert_eq!(refused(answer).await, (413, "too_large".to_owned()));
    let chunks = futures_util::stream::iter((0..17).map(|_| Ok::<_, std::io::Error>(vec![b' '; 65536])));
    let answer = create(&server, JSON, reqwest::Body::wrap_stream(chunks)).await;
    assert_eq!(refused(answer).await, (413, "too_large".to_owned()), "also when its length is not told");
    let signer = crate::relay::Signer::new();
    let heartbeat = |bytes: usize| {
        let body = json!({ "viewers": 0, "streams": [], "padding": "x".repeat(bytes) });
        signer.post(&server, "relay-1", "/api/relays/relay-1/heartbeat", &body).send()
    };
    let large = heartbeat(HTTP_BODY_BYTES_MAX - 100).await.unwrap();
    assert_eq!(refused(large).await, (404, "relay_unknown".to_owned()), "heartbeats may be larger");
    assert_eq!(refused(heartbeat(HTTP_BODY_BYTES_MAX).await.unwrap()).await, (413, "too_large".to_owned()));
}

#[tokio::test]
async fn unknown_calls_and_wrong_methods_are_refused() {
    let server = Server::start().await;
    for path in ["/api", "/api/", "/api/nope", "/api/streams/", "/api/streams/x/y/z", "/api/%00"] {
        let request = server.request(Method::GET, path).header("accept", "text/html");
        assert_eq!(refused(request.send().await.unwrap()).await, (404, "not_found".to_owned()), "{path}");
    }
    let patch = Method::from_bytes(b"MADEUP").unwrap();
    for (method, path, allowed) in [
        (Method::PUT, "/api/streams", "POST,GET,HEAD"),
        (patch, "/api/streams", "POST,GET,HEAD"),
        (Method::POST, "/api/time", "GET,HEAD"),
        (Method::POST, "/openapi.json", "GET,HEAD"),
        (Method::GET, "/register_server", "POST"),
        (Method::GET, "/api/streams/d41d8cd98f00b204e9800998ecf8427e", "DELETE"),
        (Method::GET, "/api/streams/d41d8cd98f00b204e9800998ecf8427e/watch", "POST"),
    ] {
        let answer = server.request(method.clone(), path).send().await.unwrap();
        assert_eq!(answer.headers()["allow"], allowed, "{method} {path}");
        assert_eq!(refused(answer).await, (405, "method_not_allowed".to_owned()), "{method} {path}");
    }
}

#[tokio::test]
async fn malformed_and_unknown_ids_are_refused() {
    let server = Server::start().await;
    let watch = async |id: &str| {
        refused(server.post(&format!("/api/streams/{id}/watch"), &json!({})).send().await.unwrap()).await
    };
    for id in ["x", "D41D8CD98F00B204E9800998ECF8427E", "%ff", "d41d8cd98f00b204e9800998ecf8427e0"] {
        assert_eq!(watch(id).await, (400, "invalid_request".to_owned()), "{id}");
    }
    assert_eq!(watch("d41d8cd98f00b204e9800998ecf8427e").await, (404, "stream_not_found".to_owned()));
}

#[tokio::test]
async fn app_may_call_the_api_and_no_other_origin() {
    let server = Server::start().await;
    for origin in ["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost"] {
        let preflight = server.request(Method::OPTIONS, "/api/streams/d41d8cd98f00b204e9800998ecf8427e");
        let preflight = preflight.header("origin", origin).header("access-control-request-method", "DELETE");
        let preflight = preflight.header("access-control-request-headers", "authorization,content-type");
        let answer = preflight.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["access-control-allow-origin"], origin);
        assert!(answer.headers()["access-control-allow-methods"].to_str().unwrap().contains("DELETE"));
        assert!(answer.headers()["access-control-allow-headers"].to_str().unwrap().contains("authorization"));
        for path in ["/api/streams", "/api/nope"] {
            let answer = server.request(Method::GET, path).header("origin", origin).send().await.unwrap();
            assert_eq!(answer.headers()["access-control-allow-origin"], origin, "{path}");
        }
    }
    for origin in ["http://elsewhere", "null", "tauri://localhost.elsewhere", "http://localhost"] {
        let answer = server.request(Method::GET, "/api/streams").header("origin", origin).send().await.unwrap();
        assert!(!answer.headers().contains_key("access-control-allow-origin"), "{origin}");
    }
}

#[tokio::test]
async fn what_is_no_http_costs_its_own_connection() {
    let server = Server::start().await;
    let many = format!("GET / HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(1000));
    let long = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(200_000));
    for bytes in ["\0\0\0\0\r\n\r\n", "HELLO\r\n\r\n", &many, &long, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
        // The server may close before it has read everything: neither side's failure matters here.
        let _ = socket.write_all(bytes.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let status = String::from_utf8_lossy(&answer);
        assert!(answer.is_empty() || status.starts_with("HTTP/1.1 4"), "{bytes:.20}: {status}");
    }
    assert_eq!(server.get("/api/time").await.status(), 200);
}
