//! What one directory does, the others do.

use std::time::{Duration, Instant};

use protocol::{http::StreamState, limits::RELAY_SILENCE_TIME_MAX};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    directories::{Directory, becomes, command, data_folder, names},
    relay::Relay,
    server::RedisServer,
};

async fn two() -> (RedisServer, Directory, Directory) {
    let server = RedisServer::start().await;
    let a = Directory::start(&server.url(), None).await;
    let b = Directory::start(&server.url(), Some(&a)).await;
    (server, a, b)
}

#[tokio::test]
async fn stream_made_at_one_is_in_the_open_list_of_the_other() {
    let (_server, a, b) = two().await;
    let relay = Relay::join(&a, "relay-1").await;
    for directory in [&a, &b] {
        directory.relays_are(&[("relay-1", "ready")]).await;
    }
    let mut list = b.events().await;
    let mut live = Vec::new();
    let mut times = Vec::new();
    for number in 0..20 {
        let made = a.create(&format!("stream {number}")).await;
        becomes("the stream", async || (b.orders_status(&made).await == 200).then_some(())).await;
        live.push((made.id, 1));
        let begun = Instant::now();
        relay.beat(&a, &live).await;
        list.stream_is(made.id, Some(StreamState::Live)).await;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    // The bound is 200 ms; a machine that builds something else at the same time takes its share.
    println!(
        "from a heartbeat at one directory to the open list of the other: median {:?}, worst {:?}",
        times[10], times[19]
    );
    assert!(times[10] < Duration::from_secs(2), "{times:?}");
    let (status, watched) = b.watch(live[0].0).await;
    assert_eq!((status, watched["assignment"]["relays"][0]["name"].as_str()), (200, Some("relay-1")), "{watched}");
}

#[tokio::test]
async fn epochs_count_on_wherever_they_are_given_out_and_ends_are_ends() {
    let (_server, a, b) = two().await;
    let one = Relay::join(&a, "relay-1").await;
    let two = Relay::join(&b, "relay-2").await;
    for directory in [&a, &b] {
        directory.relays_are(&[("relay-1", "ready"), ("relay-2", "ready")]).await;
    }
    let made = a.create("demo").await;
    let mut orders = b.orders(made.id, &made.broadcast_key).await;
    let first = orders.assigned(|_| true).await;
    assert_eq!((first.epoch, names(&first)), (1, names(&made.assignment)));
    let (mut epoch, mut directories) = (1, [&a, &b].into_iter().cycle());
    while epoch < 8 {
        let directory = directories.next().unwrap();
        let assignment = directory.reassign(made.id, &made.broadcast_key).await;
        epoch += 1;
        assert_eq!(assignment.epoch, epoch, "nobody gives a number out twice");
    }
    // An old publisher is nobody's, wherever its relay reports it.
    one.beat(&a, &[(made.id, 7)]).await;
    two.beat(&b, &[(made.id, 8)]).await;
    for directory in [&a, &b] {
        let first = becomes("the first relay", async || {
            let (_, watched) = directory.watch(made.id).await;
            (watched["assignment"]["relays"][0]["name"].as_str()? == "relay-2").then_some(watched)
        });
        assert_eq!(first.await["assignment"]["epoch"], json!(8));
    }
    // An operator moves it there; the broadcaster hears of it here.
    let to = json!({ "relay": "relay-1" });
    let (status, _) = a.operator(Method::POST, &format!("/streams/{}/move", made.id), &to).await;
    assert_eq!(status, 204);
    let moved = orders.assigned(|assignment| assignment.epoch == 9).await;
    assert_eq!(names(&moved)[0].as_str(), "relay-1");
    assert_eq!(b.end(made.id, &made.broadcast_key).await, 204);
    assert_eq!(a.end(made.id, &made.broadcast_key).await, 404);
    assert_eq!(one.beat(&a, &[(made.id, 9)]).await.end, [made.id], "and its relays are told everywhere");
}

#[tokio::test]
async fn relay_belongs_to_all_whichever_it_speaks_to() {
    let (_server, a, b) = two().await;
    let relay = Relay::join(&a, "relay-1").await;
    a.relays_are(&[("relay-1", "ready")]).await;
    let made = a.create("demo").await;
    // Longer than a relay may be silent, it speaks to the other one alone.
    let begun = Instant::now();
    while begun.elapsed() < RELAY_SILENCE_TIME_MAX + Duration::from_secs(1) {
        relay.beat(&b, &[(made.id, 1)]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    for directory in [&a, &b] {
        directory.relays_are(&[("relay-1", "ready")]).await;
        directory.lists_live(&[made.id]).await;
    }
    // What it has said to one is old at the other.
    relay.is_repeated(&b, &a).await;
    relay.beat(&a, &[(made.id, 1)]).await;
    // Shut out at one, it is shut out at all; and its name is free for another.
    let (status, _) = a.operator(Method::DELETE, "/relays/relay-1", &Value::Null).await;
    assert_eq!(status, 204);
    becomes("the revocation", async || (relay.send(&b, &[]).await.status() == 403).then_some(())).await;
    assert_eq!(relay.register(&b).await.status(), 403);
    let other = Relay::join(&b, "relay-1").await;
    becomes("the name", async || (other.send(&a, &[]).await.status() == 200).then_some(())).await;
    let stranger = Relay::new("relay-1").await;
    assert_eq!(stranger.register(&a).await.status(), 409, "until it is given away");
}

#[tokio::test]
async fn join_token_for_one_relay_lets_one_in_at_all_directories_together() {
    let (_server, a, b) = two().await;
    let (_, made) = a.operator(Method::POST, "/relay-tokens", &json!({ "uses": 1, "hours": 1 })).await;
    let token = made["token"].as_str().unwrap();
    let mut relays = Vec::new();
    for number in 0..6 {
        relays.push(Relay::new(&format!("relay-{number}")).await);
    }
    let joining = relays.iter().zip([&a, &b].into_iter().cycle());
    let joined =
        futures_util::future::join_all(joining.map(|(relay, directory)| relay.register_with(directory, token)));
    let joined = joined.await.iter().filter(|answer| answer.status() == 200).count();
    assert_eq!(joined, 1);
}

#[tokio::test]
async fn pass_that_was_made_at_one_is_good_at_the_other_until_it_is_revoked() {
    let (_server, a, b) = two().await;
    let (status, made) = a.operator(Method::POST, "/passes", &json!({ "name": "anna" })).await;
    assert_eq!(status, 201);
    let (status, passes) = b.operator(Method::GET, "/passes", &Value::Null).await;
    assert_eq!((status, passes["passes"][0]["name"].as_str()), (200, Some("anna")));
    let pass = made["pass"].as_str().unwrap();
    assert!(!std::fs::read_to_string(b.data.path().join("passes.json")).unwrap().contains(pass));
    let (status, _) = b.operator(Method::DELETE, "/passes/anna", &Value::Null).await;
    assert_eq!(status, 200);
    becomes("the revocation", async || {
        let (_, passes) = a.operator(Method::GET, "/passes", &Value::Null).await;
        passes["passes"].as_array()?.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn relay_that_was_revoked_at_one_is_named_to_relays_that_report_to_the_other() {
    let (_server, a, b) = two().await;
    let (_out, other) = (Relay::join(&a, "relay-1").await, Relay::join(&b, "relay-2").await);
    a.relays_are(&[("relay-1", "ready"), ("relay-2", "ready")]).await;
    assert!(other.beat(&b, &[]).await.revoked.is_empty());
    let (status, _) = a.operator(Method::DELETE, "/relays/relay-1", &Value::Null).await;
    assert_eq!(status, 204);
    becomes("the revocation", async || {
        let revoked = other.beat(&b, &[]).await.revoked;
        (revoked.first()?.relay.as_str() == "relay-1").then_some(())
    })
    .await;
}

#[tokio::test]
async fn drain_that_one_is_told_is_told_to_the_relay_by_the_other() {
    let (_server, a, b) = two().await;
    let relay = Relay::join(&a, "relay-1").await;
    b.relays_are(&[("relay-1", "ready")]).await;
    let (status, _) = a.operator(Method::POST, "/relays/relay-1/drain", &Value::Null).await;
    assert_eq!(status, 200);
    becomes("the drain", async || relay.beat(&b, &[]).await.drain.then_some(())).await;
    b.relays_are(&[("relay-1", "draining")]).await;
    let (status, _) = b.operator(Method::DELETE, "/relays/relay-1/drain", &Value::Null).await;
    assert_eq!(status, 200);
    becomes("the end of it", async || (!relay.beat(&a, &[]).await.drain).then_some(())).await;
}

#[tokio::test]
async fn directory_with_another_ticket_key_does_not_start() {
    let server = RedisServer::start().await;
    let _a = Directory::start(&server.url(), None).await;
    let data = data_folder(None);
    let output = command(data.path(), &server.url()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && text.contains("give this one their ticket-key.der"), "{text}");
    assert!(!text.contains("panicked"), "{text}");
}
