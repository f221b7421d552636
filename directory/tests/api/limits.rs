//! What is too much is refused, and says when to come back.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::{
    driver::{JOIN_SECRET, Server, refused},
    relay::Signer,
};

fn too_many() -> (u16, String) {
    (429, "too_many_requests".to_owned())
}

#[tokio::test]
async fn one_address_makes_so_many_streams_a_minute() {
    let server = Server::start().await;
    server.relay("relay-1").await;
    let create = || server.post("/api/streams", &json!({ "title": "" })).send();
    for _ in 0..20 {
        assert_eq!(create().await.unwrap().status(), 422);
    }
    let answer = create().await.unwrap();
    let wait_s: u64 = answer.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=4).contains(&wait_s), "{wait_s}");
    assert_eq!(refused(answer).await, too_many());
    assert_eq!(server.get("/api/streams").await.status(), StatusCode::OK, "other calls go on");
}

#[tokio::test]
async fn flags_say_how_much_is_too_much() {
    let data = tempfile::tempdir().unwrap();
    let flags = [
        "--watches-per-minute",
        "2",
        "--registrations-per-minute",
        "1",
        "--calls-per-minute",
        "50",
        "--events-per-address",
        "1",
    ];
    let server = Server::start_with(data.path(), &flags).await;
    let watch = || server.post("/api/streams/d41d8cd98f00b204e9800998ecf8427e/watch", &json!({})).send();
    for _ in 0..2 {
        assert_eq!(watch().await.unwrap().status(), 404);
    }
    assert_eq!(refused(watch().await.unwrap()).await, too_many());
    let guess = async || Signer::new().register_at(&server, "relay-1", "ws://relay.invalid/ws", "guess").await;
    assert_eq!(guess().await.status(), 401);
    assert_eq!(refused(guess().await).await, too_many());
    let right = Signer::new().register_at(&server, "relay-1", "ws://relay.invalid/ws", JOIN_SECRET).await;
    assert_eq!(refused(right).await, too_many(), "a guess that is right is refused like the others");
    let _events = server.follow().await;
    assert_eq!(refused(server.get("/api/events").await).await, too_many());
    let mut answered = 0;
    while server.get("/api/time").await.status() == StatusCode::OK {
        answered += 1;
        assert!(answered < 100, "never too many");
    }
    assert_eq!(server.get("/").await.status(), StatusCode::OK, "pages are for everybody");
}

#[tokio::test]
async fn operators_calls_need_the_operators_token_and_are_not_for_the_public() {
    let server = Server::start().await;
    let internal = format!("http://{}", server.internal);
    for (method, path) in [
        (Method::GET, "/operator/relays"),
        (Method::GET, "/operator/streams"),
        (Method::POST, "/operator/passes"),
        (Method::DELETE, "/operator/relays/relay-1"),
    ] {
        let public = server.request(method.clone(), path).bearer_auth(server.operator_token()).send().await.unwrap();
        assert!(public.status() == 404 || public.status() == 405, "{path}");
        for token in ["guess", "", JOIN_SECRET] {
            let call = server.client.request(method.clone(), format!("{internal}{path}")).bearer_auth(token);
            assert_eq!(refused(call.send().await.unwrap()).await, (401, "unauthorized".to_owned()), "{path}");
        }
    }
    let mut guesses = 0;
    loop {
        let call = server.client.get(format!("{internal}/operator/relays")).bearer_auth("guess");
        match call.send().await.unwrap().status().as_u16() {
            401 => guesses += 1,
            status => break assert_eq!(status, 429),
        }
        assert!(guesses < 1000, "guessing is never too much");
    }
}

#[tokio::test]
async fn behind_a_proxy_each_client_has_its_own_allowance_and_without_one_nobody_makes_addresses_up() {
    let missing = "/api/streams/d41d8cd98f00b204e9800998ecf8427e/watch";
    for (flags, second_client) in [(&["--behind-proxy"][..], 404), (&[], 429)] {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start_in(data.path(), &[flags, &["--watches-per-minute", "1"]].concat()).await;
        let mut answers = Vec::new();
        for client in ["203.0.113.5", "203.0.113.5", "203.0.113.6", "2001:db8::1", "2001:db8::2"] {
            let request = server.post(missing, &json!({})).header("x-forwarded-for", format!("10.0.0.1, {client}"));
            answers.push(request.send().await.unwrap().status().as_u16());
        }
        assert_eq!(answers, [404, 429, second_client, second_client, 429], "{flags:?}");
    }
}

#[tokio::test]
async fn one_ticket_and_one_key_are_used_so_often_and_strangers_use_up_nothing() {
    let server = Server::start().await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    relay.report(made.id, 1, true, 0).await;
    let path = format!("/api/streams/{}/watch", made.id);
    let ticket = async || {
        let answer = server.post(&path, &json!({})).send().await.unwrap();
        answer.json::<protocol::http::WatchAnswer>().await.unwrap().assignment.ticket
    };
    let renew = async |ticket: &protocol::Secret| {
        server.request(Method::POST, &path).bearer_auth(ticket.expose()).send().await.unwrap()
    };
    let (mine, yours) = (ticket().await, ticket().await);
    let mut renewed = 0;
    let refusal = loop {
        let answer = renew(&mine).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        renewed += 1;
        assert!(renewed < 100, "it is never too much");
    };
    assert_eq!(refused(refusal).await, too_many());
    assert!(renewed >= 12, "{renewed}");
    assert_eq!(renew(&yours).await.status(), StatusCode::OK);

    let path = format!("/api/streams/{}/assignment", made.id);
    let ask = async |key: String| server.request(Method::POST, &path).bearer_auth(key).send().await.unwrap();
    for _ in 0..300 {
        assert_eq!(ask(protocol::BroadcastKey::new([0; 32]).expose()).await.status(), 401);
    }
    let mut answered = 0;
    let refusal = loop {
        let answer = ask(made.broadcast_key.expose()).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        answered += 1;
        assert!(answered < 2000, "it is never too much");
    };
    assert_eq!(refused(refusal).await, too_many());
    assert!(answered >= 240, "{answered}");
}
