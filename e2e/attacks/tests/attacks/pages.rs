//! The pages: paths that lead out of them, and titles that are more than text.

use std::io::{Read as _, Write as _};

use serde_json::json;
use stage::{Socket, System};

/// Sends a request as it is; clients would tidy the path up.
fn raw(system: &System, request: &str) -> String {
    let mut socket = std::net::TcpStream::connect(system.public()).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    socket.set_read_timeout(Some(stage::PATIENCE)).unwrap();
    socket.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn path_traversal() {
    let system = System::start().await;
    for path in [
        "/../../../../etc/passwd",
        "/assets/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/assets/..%5c..%5cetc%5cpasswd",
        "//etc/passwd",
        "/view/../../etc/passwd",
        "/%00/etc/passwd",
        "/ticket-key.der",
        "/operator-token",
    ] {
        let answer = raw(&system, &format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert!(matches!(status, "400" | "404"), "{path}: {answer}");
        assert!(!answer.contains("root:"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn header_injection() {
    let system = System::start().await;
    // Neither the location of a new stream nor any other header takes what a title or path says.
    for title in ["a\r\nSet-Cookie: a=b", "a\nX-Injected: 1", "a\u{2028}b"] {
        let answer = system.post("/api/streams", Some(json!({"title": title}))).await;
        answer.is_refused(422, "invalid_title");
    }
    let request =
        "GET /view/%0d%0aSet-Cookie:%20a=b HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\nConnection: close\r\n\r\n";
    let answer = raw(&system, request);
    let head = answer.split("\r\n\r\n").next().unwrap().to_lowercase();
    assert!(!head.contains("set-cookie"), "{head}");
}

#[tokio::test]
async fn title_that_is_markup_stays_text() {
    let system = System::start().await;
    let title = "<img src=x onerror=alert(1)>";
    let created = system.create(json!({"title": title})).await;
    Socket::publishing(&created.relay_url, created.ticket.expose()).await.text("stream_registered").await;
    let page = system.request(reqwest::Method::GET, &format!("/view/{}", created.id)).header("Accept", "text/html");
    let response = page.send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe-eval"), "{policy}");
    let script_sources = policy.split(';').find(|part| part.trim().starts_with("script-src")).unwrap();
    assert!(!script_sources.contains("unsafe-inline"), "{policy}");
    // The page is the same for every stream: no title is ever put into markup by a server.
    assert!(!response.text().await.unwrap().contains("onerror"));
    let watch = system.watch(created.id, None).await;
    assert_eq!(watch.body["stream"]["title"], title);
}
