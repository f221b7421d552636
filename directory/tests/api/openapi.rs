//! The API describes itself.

use crate::driver::Server;

#[tokio::test]
async fn document_names_every_call_with_its_schemas() {
    let server = Server::start().await;
    let document = server.get_json("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut calls = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path} is described");
            calls.push(format!("{method} {path}"));
        }
    }
    calls.sort();
    let expected = [
        "delete /api/streams/{id}",
        "delete /api/streams/{id}/viewers/{viewer}",
        "get /api/directory",
        "get /api/events",
        "get /api/streams",
        "get /api/streams/{id}/orders",
        "get /api/time",
        "post /api/relays/{name}/heartbeat",
        "post /api/streams",
        "post /api/streams/restore",
        "post /api/streams/{id}/assignment",
        "post /api/streams/{id}/watch",
        "post /register_server",
    ];
    assert_eq!(calls, expected);

    let text = document.to_string();
    let references = text.split(r##""$ref":"#/components/schemas/"##).skip(1).filter_map(|rest| rest.split('"').next());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in references {
        assert!(schemas.contains_key(name), "{name} is referred to but not described");
    }
    let secrets = document["components"]["securitySchemes"].as_object().unwrap();
    let expected =
        ["broadcast_key", "join_secret", "join_token", "membership", "pass", "relay_assertion", "watch_ticket"];
    assert_eq!(secrets.keys().collect::<Vec<_>>(), expected);
}
