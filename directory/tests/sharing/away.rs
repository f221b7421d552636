//! A server or a directory that dies, and what goes on.

use std::time::{Duration, Instant};

use protocol::limits::RELAY_SILENCE_TIME_MAX;

use crate::{
    directories::{Directory, becomes},
    relay::Relay,
    server::RedisServer,
};

#[tokio::test]
async fn streams_go_on_without_the_store_and_all_is_as_it_was_when_it_is_back_and_empty() {
    let mut server = RedisServer::start().await;
    let a = Directory::start(&server.url(), None).await;
    let b = Directory::start(&server.url(), Some(&a)).await;
    let relay = Relay::join(&a, "relay-1").await;
    for directory in [&a, &b] {
        directory.relays_are(&[("relay-1", "ready")]).await;
    }
    let made = a.create("before").await;
    relay.beat(&a, &[(made.id, 1)]).await;
    for directory in [&a, &b] {
        directory.lists_live(&[made.id]).await;
        directory.remark_says("2 directories share").await;
    }
    assert_eq!(a.metric("directory_store_joined").await, "1");

    server.kill().await;
    for directory in [&a, &b] {
        directory.remark_says("goes on from memory").await;
        assert_eq!(directory.metric("directory_store_joined").await, "0");
    }
    // The relay reports to one alone, and longer than it may be silent; the other goes on nevertheless.
    let meanwhile = a.create("meanwhile").await;
    let (streams, begun) = ([(made.id, 1), (meanwhile.id, 1)], Instant::now());
    while begun.elapsed() < RELAY_SILENCE_TIME_MAX + Duration::from_secs(2) {
        relay.beat(&a, &streams).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(b.watch(made.id).await.0, 200);
        assert_eq!(b.list().await.len(), 1);
    }
    assert_eq!(a.reassign(made.id, &made.broadcast_key).await.epoch, 2);
    b.create("there").await;

    server.start_again().await;
    relay.beat(&a, &[(made.id, 2), (meanwhile.id, 1)]).await;
    for directory in [&a, &b] {
        directory.remark_says("2 directories share").await;
        directory.lists_live(&[made.id, meanwhile.id]).await;
    }
    let assignment = b.reassign(made.id, &made.broadcast_key).await;
    assert_eq!(assignment.epoch, 3, "the higher epoch has won");
    assert_eq!(a.metric("directory_store_lost_total").await, "1");
}

#[tokio::test]
async fn directory_that_was_never_there_knows_all_and_one_that_dies_is_missed_by_nobody() {
    let server = RedisServer::start().await;
    let mut a = Directory::start(&server.url(), None).await;
    let relay = Relay::join(&a, "relay-1").await;
    a.relays_are(&[("relay-1", "ready")]).await;
    let made = a.create("demo").await;
    relay.beat(&a, &[(made.id, 1)]).await;
    a.lists_live(&[made.id]).await;
    let b = Directory::start(&server.url(), Some(&a)).await;
    b.lists_live(&[made.id]).await;
    b.relays_are(&[("relay-1", "ready")]).await;

    a.kill();
    // Its clients go on with the other: the relay without registering, the broadcaster with its key, a viewer as anywhere.
    relay.beat(&b, &[(made.id, 1)]).await;
    let mut orders = b.orders(made.id, &made.broadcast_key).await;
    orders.assigned(|assignment| assignment.epoch == 1).await;
    assert_eq!(b.watch(made.id).await.0, 200);
    b.remark_says("1 directory shares").await;
    assert_eq!(b.reassign(made.id, &made.broadcast_key).await.epoch, 2);

    let c = Directory::start(&server.url(), Some(&b)).await;
    relay.beat(&c, &[(made.id, 2)]).await;
    c.lists_live(&[made.id]).await;
    assert_eq!(c.end(made.id, &made.broadcast_key).await, 204);
    becomes("the end", async || (b.watch(made.id).await.0 == 404).then_some(())).await;
}

#[tokio::test]
async fn directory_starts_without_its_store_and_joins_once_there_is_one() {
    let mut server = RedisServer::start().await;
    server.kill().await;
    let a = Directory::start_alone(&server.url(), None).await;
    a.remark_says("goes on from memory").await;
    let relay = Relay::join(&a, "relay-1").await;
    a.relays_are(&[("relay-1", "ready")]).await;
    let made = a.create("demo").await;
    server.start_again().await;
    a.remark_says("1 directory shares").await;
    relay.beat(&a, &[(made.id, 1)]).await;
    let b = Directory::start(&server.url(), Some(&a)).await;
    b.lists_live(&[made.id]).await;
}
