//! The pages and their assets.

use reqwest::{Method, Response};

use crate::driver::{Server, refused};

async fn browse(server: &Server, path: &str) -> Response {
    server.request(Method::GET, path).header("accept", "text/html,application/xhtml+xml").send().await.unwrap()
}

#[tokio::test]
async fn every_page_is_the_page() {
    let server = Server::start().await;
    for path in ["/", "/live", "/view", "/view/", "/view/d41d8cd98f00b204e9800998ecf8427e", "/index.html"] {
        let answer = browse(&server, path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(answer.headers()["cache-control"], "no-cache");
        assert!(answer.text().await.unwrap().contains("<title>"), "{path}");
    }
}

#[tokio::test]
async fn page_is_safe_to_open() {
    let server = Server::start().await;
    let answer = browse(&server, "/").await;
    let policy = answer.headers()["content-security-policy"].to_str().unwrap().to_owned();
    for rule in [
        "default-src 'none';",
        "script-src 'self';",
        "style-src 'self';",
        "connect-src 'self' ws: wss: https:;",
        "blob:",
    ] {
        assert!(policy.contains(rule), "{rule} is not in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers()["referrer-policy"], "no-referrer");
}

#[tokio::test]
async fn person_at_an_unknown_address_gets_a_page_and_a_program_gets_json() {
    let server = Server::start().await;
    let answer = browse(&server, "/no/such/page").await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"] == "text/html; charset=utf-8"),
        (404, true)
    );
    assert_eq!(refused(server.get("/no/such/page").await).await, (404, "not_found".to_owned()));
    assert_eq!(refused(browse(&server, "/assets/gone-1234.js").await).await, (404, "not_found".to_owned()));
    assert_eq!(browse(&server, "/..%2f..%2fCargo.toml").await.status(), 404);
}

#[tokio::test]
async fn head_is_answered_without_a_body() {
    let server = Server::start().await;
    let answer = server.request(Method::HEAD, "/").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_ne!(answer.headers()["content-length"], "0");
    assert!(answer.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn unchanged_page_is_not_sent_again() {
    let server = Server::start().await;
    let tag = browse(&server, "/").await.headers()["etag"].clone();
    let again = server.request(Method::GET, "/").header("if-none-match", tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert!(again.bytes().await.unwrap().is_empty());
}

#[tokio::test]
async fn page_is_compressed_for_those_who_can_read_it() {
    let server = Server::start().await;
    let answer = server.request(Method::GET, "/").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert_eq!(answer.bytes().await.unwrap()[..2], [0x1f, 0x8b]);
}

#[tokio::test]
async fn assets_of_the_page_have_their_types_and_are_kept_for_good() {
    let server = Server::start().await;
    let page = browse(&server, "/").await.text().await.unwrap();
    // The placeholder of a build without pages has no assets.
    for path in page.split('"').filter(|part| part.starts_with("/assets/")) {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["cache-control"], "public, max-age=31536000, immutable");
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let expected = if path.ends_with(".js") { "text/javascript" } else { "text/css" };
        assert!(kind.starts_with(expected), "{path} is {kind}");
    }
}

#[tokio::test]
async fn page_can_only_be_read() {
    let server = Server::start().await;
    let answer = server.request(Method::POST, "/live").send().await.unwrap();
    assert_eq!(answer.headers()["allow"], "GET,HEAD");
    assert_eq!(refused(answer).await, (405, "method_not_allowed".to_owned()));
    let nowhere = server.request(Method::POST, "/nowhere").send().await.unwrap();
    assert_eq!(refused(nowhere).await, (404, "not_found".to_owned()));
}

#[tokio::test]
async fn who_came_encrypted_is_to_come_so_again_and_nobody_else() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &["--behind-proxy"]).await;
    for path in ["/", "/api/streams", "/no/such/page"] {
        let plain = server.get(path).await;
        assert!(!plain.headers().contains_key("strict-transport-security"), "{path}");
        let request = server.request(Method::GET, path).header("x-forwarded-proto", "https");
        let encrypted = request.send().await.unwrap();
        assert_eq!(encrypted.headers()["strict-transport-security"], "max-age=31536000", "{path}");
        for name in ["content-security-policy", "x-content-type-options", "referrer-policy"] {
            assert!(encrypted.headers().contains_key(name), "{name} of {path}");
        }
    }
    let unannounced = Server::start().await;
    let request = unannounced.request(Method::GET, "/").header("x-forwarded-proto", "https");
    assert!(!request.send().await.unwrap().headers().contains_key("strict-transport-security"));
}
