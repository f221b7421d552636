//! Relays that are to be rid of their streams, and streams that an operator moves.

use std::time::Duration;

use protocol::{
    StreamId,
    http::{CarriedStream, Heartbeat, StreamState},
};

use super::driver::{World, carried, key, key_of, name, names};
use crate::registry::{MoveError, PlaceError, RelayHealth, stream::OLD_PLACE_TIME};

fn told(world: &World, stream: StreamId) -> (u32, Vec<String>) {
    let place = world.registry.orders(stream, &key()).unwrap().place.unwrap();
    (place.epoch, names(&place).into_iter().map(str::to_owned).collect())
}

fn watched(world: &World, stream: StreamId) -> Vec<String> {
    let place = world.watch(stream).unwrap().1;
    names(&place).into_iter().map(str::to_owned).collect()
}

/// A heartbeat of a relay that wants to be rid of its streams.
fn leave(world: &mut World, relay: &str, streams: &[CarriedStream]) -> Vec<StreamId> {
    let said_at_ms = world.say();
    let heartbeat = Heartbeat {
        viewers: 0,
        streams: streams.to_vec(),
        load: Default::default(),
        draining: true,
        webtransport: None,
    };
    world.registry.heartbeat(world.now_us, &name(relay), &key_of(relay), said_at_ms, heartbeat).unwrap()
}

fn health(world: &World, relay: &str) -> RelayHealth {
    let statuses = world.registry.relay_statuses(world.now_us);
    statuses.into_iter().find(|status| status.name == name(relay)).unwrap().health
}

#[test]
fn streams_of_a_relay_that_drains_move_once_and_the_old_place_plays_until_they_have() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    let old = [carried(stream, 1, true, 3)];
    world.report("a", &old).unwrap();
    world.registry.take_news_for_broadcasters();
    assert_eq!(leave(&mut world, "a", &old), []);
    assert!(world.registry.take_news_for_broadcasters());
    assert_eq!(told(&world, stream), (2, vec!["b".to_owned()]));
    assert_eq!(watched(&world, stream), ["a", "b"], "it still plays there");
    for _ in 0..3 {
        world.now_us += 1_000_000;
        assert_eq!(leave(&mut world, "a", &old), []);
        world.report("b", &[]).unwrap();
    }
    assert_eq!(told(&world, stream).0, 2, "once");
    assert_eq!(world.state(stream), Some(StreamState::Live));

    let new = [carried(stream, 2, true, 1)];
    world.report("b", &new).unwrap();
    assert_eq!(watched(&world, stream), ["b"]);
    for _ in 0..OLD_PLACE_TIME.as_secs() {
        assert_eq!(leave(&mut world, "a", &old), [], "the broadcaster sends to both, and viewers follow");
        assert_eq!(world.state(stream), Some(StreamState::Live));
        world.now_us += 1_000_000;
        world.report("b", &new).unwrap();
    }
    assert_eq!(leave(&mut world, "a", &old), [stream]);
    assert_eq!(leave(&mut world, "a", &[]), []);
    assert_eq!(world.state(stream), Some(StreamState::Live));
}

#[test]
fn draining_relay_gets_nothing_and_what_arrives_there_moves_on() {
    let mut world = World::new(&["a", "b"]);
    leave(&mut world, "a", &[]);
    assert_eq!(health(&world, "a"), RelayHealth::Draining);
    let (stream, place) = world.create("demo");
    assert_eq!(names(&place), ["b"]);
    world.report("b", &[carried(stream, 1, true, 0)]).unwrap();
    world.now_us += 1_000_000;
    leave(&mut world, "a", &[carried(stream, 1, true, 0)]);
    assert_eq!(told(&world, stream), (2, vec!["b".to_owned()]), "a broadcaster with an older list");
}

#[test]
fn stream_that_was_only_expected_there_is_sent_elsewhere_too() {
    let mut world = World::new(&["a", "b"]);
    let (stream, place) = world.create("demo");
    assert_eq!(names(&place)[0], "a");
    assert_eq!(world.registry.drain(world.now_us, &name("a"), true), Some(0));
    assert_eq!(told(&world, stream), (2, vec!["b".to_owned()]));
}

#[test]
fn drain_of_the_only_relay_waits_for_another_and_is_taken_back() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    let live = [carried(stream, 1, true, 3)];
    world.report("a", &live).unwrap();
    assert_eq!(world.registry.drain(world.now_us, &name("a"), true), Some(1));
    assert!(world.registry.is_told_to_drain(&name("a")));
    world.pass(Duration::from_secs(3), &[("a", &live)]);
    assert_eq!((told(&world, stream), watched(&world, stream)), ((1, vec!["a".to_owned()]), vec!["a".to_owned()]));
    assert_eq!(world.registry.drain(world.now_us, &name("a"), false), Some(1));
    world.join("b").unwrap();
    world.pass(Duration::from_secs(3), &[("a", &live), ("b", &[])]);
    assert_eq!(told(&world, stream).0, 1, "it may stay");
    world.registry.drain(world.now_us, &name("a"), true);
    assert_eq!(told(&world, stream), (2, vec!["b".to_owned()]));
    assert_eq!(world.registry.drain(world.now_us, &name("c"), true), None);
}

#[test]
fn relay_that_is_started_again_after_its_drain_gets_work() {
    let mut world = World::new(&["a"]);
    world.registry.drain(world.now_us, &name("a"), true);
    leave(&mut world, "a", &[]);
    assert_eq!(world.try_create("demo", Default::default()), Err(PlaceError::NoRelay));
    world.join("a").unwrap();
    world.create("demo");
}

#[test]
fn operator_moves_a_stream_to_a_relay_that_takes_it() {
    let mut world = World::new(&["a", "b", "c"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    let now_us = world.now_us;
    let to = |world: &mut World, relay| world.registry.move_stream(now_us, stream, &name(relay));
    assert_eq!(to(&mut world, "a"), Err(MoveError::There(name("a"))));
    assert_eq!(to(&mut world, "d"), Err(MoveError::Relay(name("d"))));
    to(&mut world, "c").unwrap();
    assert_eq!(told(&world, stream), (2, ["c", "a", "b"].map(str::to_owned).to_vec()));
    assert_eq!(watched(&world, stream)[0], "a");
    world.registry.drain(world.now_us, &name("b"), true);
    assert_eq!(to(&mut world, "b"), Err(MoveError::Relay(name("b"))));
    let unknown = StreamId::of(&"elsewhere".parse().unwrap(), 1);
    assert_eq!(
        world.registry.move_stream(world.now_us, unknown, &name("c")),
        Err(MoveError::Stream(PlaceError::NotFound))
    );
}
