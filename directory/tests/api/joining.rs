//! Who may relay: tokens, memberships, names, and the check of the public address.

use std::{sync::Arc, time::Duration};

use protocol::{
    ErrorCode,
    control::ToDirectory,
    http::{HeartbeatAnswer, RegisteredServer, RevokedRelay},
    limits::REVOKED_TOLD_TIME,
    relay_proof::Identity,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    driver::{JOIN_SECRET, Server, refused},
    relay::{Answerer, Signer, registration},
};

const NOWHERE: &str = "ws://relay.invalid:5001/ws";

fn unauthorized() -> (u16, String) {
    (401, "unauthorized".to_owned())
}

#[tokio::test]
async fn token_lets_in_as_many_relays_as_it_says_also_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let token = server.relay_token(2, 1).await;
    let (one, two) = (Signer::new(), Signer::new());
    for _ in 0..2 {
        let answer = one.register_at(&server, "one", NOWHERE, token.expose()).await;
        assert_eq!(answer.status(), StatusCode::OK, "one that lost the answer asks again");
    }
    server.stop().await;
    let server = Server::start_in(data.path(), &[]).await;
    assert_eq!(two.register_at(&server, "two", NOWHERE, token.expose()).await.status(), StatusCode::OK);
    let third = Signer::new().register_at(&server, "three", NOWHERE, token.expose()).await;
    let body: Value = third.json().await.unwrap();
    assert_eq!(body["code"], "unauthorized");
    assert!(body["message"].as_str().unwrap().contains("used as often as it may be"), "{body}");
}

#[tokio::test]
async fn expired_forged_and_foreign_tokens_let_nobody_in() {
    let (server, other) = (Server::start().await, Server::start().await);
    let token = server.relay_token(9, 1).await;
    let foreign = other.relay_token(9, 1).await;
    let (head, rest) = token.expose().split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiam9pbitqd3QifQ.{}.", rest.split_once('.').unwrap().0);
    let cut = format!("{head}.{}", &rest[..rest.len() - 4]);
    for forged in [foreign.expose(), &unsigned, &cut, "x"] {
        let answer = Signer::new().register_at(&server, "relay-1", NOWHERE, forged).await;
        assert_eq!(refused(answer).await, unauthorized(), "{forged}");
    }
    server.clock.advance(Duration::from_secs(3600));
    let late = Signer::new().register_at(&server, "relay-1", NOWHERE, token.expose()).await;
    assert_eq!(refused(late).await, unauthorized());
}

#[tokio::test]
async fn membership_lets_the_same_key_and_name_in_again_and_nobody_else() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let (member, stranger) = (Signer::new(), Signer::new());
    let token = server.relay_token(1, 1).await;
    let registered: RegisteredServer =
        member.register_at(&server, "relay-1", NOWHERE, token.expose()).await.json().await.unwrap();
    let membership = registered.membership.expose();
    assert_eq!(member.register_at(&server, "relay-1", NOWHERE, membership).await.status(), StatusCode::OK);
    assert_eq!(refused(member.register_at(&server, "relay-2", NOWHERE, membership).await).await, unauthorized());
    assert_eq!(refused(stranger.register_at(&server, "relay-1", NOWHERE, membership).await).await, unauthorized());
    // A directory that remembers nothing but its key.
    server.stop().await;
    std::fs::remove_file(data.path().join("relays.json")).unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    assert_eq!(member.register_at(&server, "relay-1", NOWHERE, membership).await.status(), StatusCode::OK);
    server.clock.advance(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(member.register_at(&server, "relay-1", NOWHERE, membership).await.status(), StatusCode::OK, "for good");
}

#[tokio::test]
async fn name_belongs_to_its_key_also_after_a_restart_and_while_its_relay_is_away() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let (holder, stranger) = (Signer::new(), Signer::new());
    assert_eq!(holder.register(&server, "relay-1").await.status(), StatusCode::OK);
    server.clock.advance(Duration::from_secs(20)); // it lost its place, but not its name
    let taken = (409, "relay_name_taken".to_owned());
    assert_eq!(refused(stranger.register(&server, "relay-1").await).await, taken);
    server.stop().await;
    let server = Server::start_in(data.path(), &[]).await;
    assert_eq!(refused(stranger.register(&server, "relay-1").await).await, taken);
    assert_eq!(holder.register(&server, "relay-1").await.status(), StatusCode::OK);
    server.clock.advance(Duration::from_secs(30 * 24 * 3600));
    assert_eq!(stranger.register(&server, "relay-1").await.status(), StatusCode::OK, "not seen for a month");
}

#[tokio::test]
async fn registration_must_be_signed_by_the_key_in_it() {
    let server = Server::start().await;
    let (signer, other) = (Signer::new(), Signer::new());
    let body = registration("relay-1", signer.public_key());
    let post = |by: &Signer, name: &str| by.post(&server, name, "/register_server", &body).bearer_auth(JOIN_SECRET);
    assert_eq!(refused(post(&other, "relay-1").send().await.unwrap()).await, unauthorized(), "by another key");
    assert_eq!(refused(post(&signer, "relay-2").send().await.unwrap()).await, unauthorized(), "in another name");
    let bare = server.post("/register_server", &body).bearer_auth(JOIN_SECRET).send().await.unwrap();
    assert_eq!(refused(bare).await, unauthorized(), "by nobody");
    let request = post(&signer, "relay-1").build().unwrap();
    let again = request.try_clone().unwrap();
    assert_eq!(server.client.execute(request).await.unwrap().status(), StatusCode::OK);
    assert_eq!(refused(server.client.execute(again).await.unwrap()).await, unauthorized(), "a second time");
}

#[tokio::test]
async fn relay_that_does_not_answer_with_its_key_gets_no_work_and_reads_why() {
    let server = Server::start().await;
    let signer = Arc::new(Signer::new());
    let rogue = {
        let signer = Arc::new(Signer::new());
        Answerer::honest("relay-1", signer).await
    };
    let misnamed = Answerer::honest("relay-9", Arc::clone(&signer)).await;
    let replaying = {
        let signer = Arc::clone(&signer);
        Answerer::start(move |_, url| {
            let (relay, url) = ("relay-1".parse().unwrap(), url.parse().unwrap());
            ToDirectory::Identity { identity: signer.sign(&Identity { relay, url, challenge: "old".to_owned() }) }
        })
        .await
    };
    let refusing = Answerer::start(|_, _| ToDirectory::Error {
        code: ErrorCode::UnsupportedProtocol,
        message: "<script>".to_owned(),
    })
    .await;
    let no_web_socket = server.url("/ws").replace("http", "ws");
    for (url, why) in [
        (&rogue.url, "is not signed with this relay's key"),
        (&misnamed.url, "believes to be relay-9"),
        (&replaying.url, "is not signed with this relay's key"),
        (&refusing.url, "does not want to say who it is (unsupported_protocol)"),
        (&no_web_socket, "is no relay of this protocol"),
        (&"ws://127.0.0.1:1/ws".to_owned(), "the connection is refused"),
        (&NOWHERE.to_owned(), "the host is not known"),
    ] {
        assert_eq!(signer.register_at(&server, "relay-1", url, JOIN_SECRET).await.status(), StatusCode::OK);
        let told = async {
            loop {
                let body = json!({ "viewers": 0, "streams": [] });
                let answer =
                    signer.post(&server, "relay-1", "/api/relays/relay-1/heartbeat", &body).send().await.unwrap();
                let answer: HeartbeatAnswer = answer.json().await.unwrap();
                let problem = answer.problem.expect("an unchecked relay has a problem");
                if problem.contains(why) {
                    return;
                }
                assert!(problem.contains("has not dialled") || problem.contains(url.as_str()), "{problem}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(crate::driver::PATIENCE, told).await.unwrap_or_else(|_| panic!("never told: {why}"));
        let made = server.post("/api/streams", &json!({ "title": "demo" })).send().await.unwrap();
        assert_eq!(refused(made).await, (503, "no_relay".to_owned()), "{why}");
    }
}

#[tokio::test]
async fn relay_that_is_mended_gets_work_without_registering_again() {
    let server = Server::start().await;
    let signer = Arc::new(Signer::new());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(signer.register_at(&server, "relay-1", &url, JOIN_SECRET).await.status(), StatusCode::OK);
    let _answerer = Answerer::honest_at(&url, "relay-1", Arc::clone(&signer)).await;
    let works = async {
        loop {
            server.clock.advance(Duration::from_millis(500));
            let body = json!({ "viewers": 0, "streams": [] });
            let answer = signer.post(&server, "relay-1", "/api/relays/relay-1/heartbeat", &body).send().await.unwrap();
            if answer.json::<HeartbeatAnswer>().await.unwrap().problem.is_none() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::driver::PATIENCE, works).await.expect("it never got work");
    server.create("demo", "public").await;
}

/// What the directory says of a relay at this address, once it has dialled it.
async fn verdict(server: &Server, signer: &Signer, url: &str) -> Option<String> {
    assert_eq!(signer.register_at(server, "relay-1", url, JOIN_SECRET).await.status(), StatusCode::OK);
    let told = async {
        loop {
            let body = json!({ "viewers": 0, "streams": [] });
            let answer = signer.post(server, "relay-1", "/api/relays/relay-1/heartbeat", &body).send().await.unwrap();
            let problem = answer.json::<HeartbeatAnswer>().await.unwrap().problem;
            if problem.as_deref().is_none_or(|problem| !problem.contains("has not dialled")) {
                return problem;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::driver::PATIENCE, told).await.expect("it was never dialled")
}

#[tokio::test]
async fn certificate_of_a_relay_must_be_trusted_and_name_its_host() {
    let data = tempfile::tempdir().unwrap();
    let (good, misnamed) = (data.path().join("good.pem"), data.path().join("misnamed.pem"));
    let signer = Arc::new(Signer::new());
    let relay = Answerer::encrypted("relay-1", Arc::clone(&signer), "127.0.0.1", &good).await;
    let elsewhere = Answerer::encrypted("relay-1", Arc::clone(&signer), "relay.example", &misnamed).await;
    for (ca, url, trusted) in
        [(None, &relay.url, false), (Some(&misnamed), &elsewhere.url, false), (Some(&good), &relay.url, true)]
    {
        let flags = ca.map(|ca| vec!["--ca", ca.to_str().unwrap()]).unwrap_or_default();
        let folder = tempfile::tempdir().unwrap();
        let server = Server::start_in(folder.path(), &flags).await;
        let problem = verdict(&server, &signer, url).await;
        let expected = (!trusted).then(|| format!("who answers at its public address {url} has no certificate"));
        assert_eq!(problem.is_none(), trusted, "{problem:?}");
        assert!(expected.is_none_or(|expected| problem.unwrap().starts_with(&expected)));
    }
}

#[tokio::test]
async fn public_address_is_dialled_where_the_operator_says() {
    let signer = Arc::new(Signer::new());
    let relay = "relay-1.example:5001";
    let public = format!("ws://{relay}/ws");
    let real = Answerer::honest_as(&public, "relay-1", Arc::clone(&signer)).await;
    let data = tempfile::tempdir().unwrap();
    let rule = format!("{relay}:{}", real.url.trim_start_matches("ws://").trim_end_matches("/ws"));
    let server = Server::start_in(data.path(), &["--connect-to", &rule]).await;
    assert_eq!(signer.register_at(&server, "relay-1", &public, JOIN_SECRET).await.status(), StatusCode::OK);
    let made = async {
        while server.post("/api/streams", &json!({ "title": "demo" })).send().await.unwrap().status() != 201 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::driver::PATIENCE, made).await.expect("the relay never got work");
}

#[tokio::test]
async fn revoked_relay_is_shut_out_at_once_and_for_good() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let relay = server.relay("relay-1").await;
    let made = server.create("demo", "public").await;
    relay.report(made.id, 1, true, 1).await;
    assert_eq!(server.operator(Method::DELETE, "/relays/relay-9").await.0, 404);
    assert_eq!(server.operator(Method::DELETE, "/relays/relay-1").await.0, 204);
    let revoked = (403, "relay_revoked".to_owned());
    let body = json!({ "viewers": 0, "streams": [] });
    assert_eq!(refused(relay.send(&body).await).await, revoked);
    assert_eq!(refused(relay.register().await).await, revoked);
    let membership = relay.registered.membership.expose();
    let other_name = relay.signer.register_at(&server, "relay-2", NOWHERE, JOIN_SECRET).await;
    assert_eq!(refused(other_name).await, revoked);
    let watch = server.post(&format!("/api/streams/{}/watch", made.id), &json!({})).send().await.unwrap();
    assert_eq!(refused(watch).await, (503, "no_relay".to_owned()), "it is never named again");
    let forged = Signer::new().post(&server, "relay-1", "/api/relays/relay-1/heartbeat", &body).send().await.unwrap();
    assert_eq!(refused(forged).await, (404, "relay_unknown".to_owned()), "strangers learn nothing");

    let (signer, url) = (Arc::clone(&relay.signer), relay.answerer.url.clone());
    let membership = membership.to_owned();
    drop(relay);
    server.stop().await;
    let server = Server::start_in(data.path(), &[]).await;
    assert_eq!(refused(signer.register_at(&server, "relay-1", &url, &membership).await).await, revoked);
    assert_eq!(Signer::new().register(&server, "relay-1").await.status(), StatusCode::OK, "its name is free");
}

#[tokio::test]
async fn other_relays_are_told_of_a_revoked_one_by_its_key() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let (out, other) = (server.relay("relay-1").await, server.relay("relay-2").await);
    let body = json!({ "viewers": 0, "streams": [] });
    let told = async || other.send(&body).await.json::<HeartbeatAnswer>().await.unwrap().revoked;
    assert!(told().await.is_empty());
    assert_eq!(server.operator(Method::DELETE, "/relays/relay-1").await.0, 204);
    let public_key = out.signer.public_key();
    let revoked = RevokedRelay { relay: out.name.clone(), public_key, at_s: server.clock.now_s() };
    for _ in 0..2 {
        assert_eq!(told().await, std::slice::from_ref(&revoked));
    }
    server.clock.advance(REVOKED_TOLD_TIME);
    other.register().await;
    assert!(told().await.is_empty(), "its tickets have ended");
    assert_eq!(Signer::new().register(&server, "relay-1").await.status(), StatusCode::OK);
    assert_eq!(told().await, [revoked], "tickets name its name again");
}

#[tokio::test]
async fn files_of_what_is_kept_are_for_their_owner_alone_and_hold_no_secret() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start_in(data.path(), &[]).await;
    let token = server.relay_token(1, 1).await;
    assert_eq!(Signer::new().register_at(&server, "relay-1", NOWHERE, token.expose()).await.status(), StatusCode::OK);
    let (_, pass) = server.operator_with(Method::POST, "/passes", &json!({ "name": "anna" })).await;
    for name in ["relays.json", "passes.json", "operator-token", "ticket-key.der"] {
        let path = data.path().join(name);
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains(token.expose()) && !text.contains(pass["pass"].as_str().unwrap()), "{name}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
        }
    }
    let drafts = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!drafts.into_iter().any(|name| name.to_string_lossy().contains("draft")));
}
