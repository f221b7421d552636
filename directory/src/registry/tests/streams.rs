//! The life of a stream.

use std::time::Duration;

use protocol::{
    BroadcastKey,
    http::{StreamState, Visibility},
    limits::STREAM_START_TIME_MAX,
};

use super::driver::{World, carried, key, name};
use crate::registry::{
    Note, PlaceError,
    stream::{FAILOVER_TIME_MAX, INTERRUPTED_TIME_MAX, OLD_PLACE_TIME},
};

#[test]
fn streams_of_one_title_made_in_the_same_microsecond_differ() {
    let mut world = World::new(&["a", "b"]);
    let ids: std::collections::HashSet<_> = (0..5).map(|_| world.create("demo").0).collect();
    assert_eq!(ids.len(), 5);
}

#[test]
fn ended_id_is_not_given_out_again() {
    let mut world = World::new(&["a"]);
    let (first, _) = world.create("demo");
    world.registry.end(first, &key()).unwrap();
    assert_ne!(world.create("demo").0, first);
}

#[test]
fn created_stream_without_media_is_forgotten() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    let silent = [carried(stream, 1, false, 0)];
    world.pass(STREAM_START_TIME_MAX - Duration::from_millis(1), &[("a", &silent)]);
    assert_eq!(world.state(stream), Some(StreamState::Starting));
    assert_eq!(world.listed(), []);
    world.pass(Duration::from_millis(1), &[("a", &[])]);
    assert_eq!(world.state(stream), None);
}

#[test]
fn stream_whose_broadcaster_is_gone_leaves_after_the_grace() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    world.report("a", &[carried(stream, 1, false, 0)]).unwrap();
    assert_eq!(world.listed(), [(stream, StreamState::Interrupted, 0)]);
    world.pass(INTERRUPTED_TIME_MAX - Duration::from_millis(1), &[("a", &[])]);
    assert_eq!(world.listed().len(), 1);
    world.pass(Duration::from_millis(1), &[("a", &[])]);
    assert_eq!(world.listed(), []);
}

#[test]
fn operators_read_of_each_turn_in_a_streams_life_once() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.pass(Duration::from_secs(3), &[("a", &[carried(stream, 1, true, 0)])]);
    world.pass(INTERRUPTED_TIME_MAX + Duration::from_secs(1), &[("a", &[])]);
    let expected = [
        Note::RelayGood(name("a")),
        Note::StreamIs(stream, StreamState::Live),
        Note::StreamIs(stream, StreamState::Interrupted),
        Note::StreamExpired(stream),
    ];
    assert_eq!(world.registry.take_notes(), expected);
}

#[test]
fn broadcaster_that_comes_back_within_the_grace_is_live_again() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    for _ in 0..3 {
        world.pass(Duration::from_secs(2), &[("a", &[carried(stream, 1, true, 0)])]);
        assert_eq!(world.state(stream), Some(StreamState::Live));
        world.pass(INTERRUPTED_TIME_MAX - Duration::from_secs(1), &[("a", &[])]);
        assert_eq!(world.state(stream), Some(StreamState::Interrupted));
    }
}

#[test]
fn asking_for_another_relay_gives_the_broadcaster_time_to_connect() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    world.pass(INTERRUPTED_TIME_MAX - Duration::from_secs(1), &[("a", &[]), ("b", &[])]);
    world.reassign(stream, Some("a")).unwrap();
    world.pass(FAILOVER_TIME_MAX - Duration::from_secs(1), &[("a", &[]), ("b", &[])]);
    assert_eq!(world.state(stream), Some(StreamState::Interrupted));
}

#[test]
fn ended_stream_is_ended_at_its_relay_too() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    let live = [carried(stream, 1, true, 4)];
    world.report("a", &live).unwrap();
    world.registry.end(stream, &key()).unwrap();
    assert_eq!(world.listed(), []);
    assert_eq!(world.report("a", &live).unwrap(), [stream]);
    assert_eq!(world.report("a", &live).unwrap(), [stream], "as long as it is carried");
}

#[test]
fn expired_stream_that_comes_alive_too_late_is_ended() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.pass(STREAM_START_TIME_MAX, &[("a", &[])]);
    assert_eq!(world.report("a", &[carried(stream, 1, true, 0)]).unwrap(), [stream]);
    assert_eq!(world.listed(), []);
}

#[test]
fn old_place_is_ended_once_the_new_one_plays() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    let old = [carried(stream, 1, true, 4)];
    world.report("a", &old).unwrap();
    world.reassign(stream, Some("a")).unwrap();
    assert_eq!(world.report("a", &old).unwrap(), [], "viewers have nowhere else to go yet");
    assert_eq!(world.report("b", &[carried(stream, 2, true, 0)]).unwrap(), []);
    assert_eq!(world.report("a", &old).unwrap(), [], "they follow, and the broadcaster sends to both meanwhile");
    world.pass(OLD_PLACE_TIME - Duration::from_millis(1), &[("b", &[carried(stream, 2, true, 0)])]);
    assert_eq!(world.report("a", &old).unwrap(), []);
    world.pass(Duration::from_millis(1), &[("b", &[carried(stream, 2, true, 0)])]);
    assert_eq!(world.report("a", &old).unwrap(), [stream]);
    assert_eq!(world.state(stream), Some(StreamState::Live));
}

#[test]
fn wrong_key_neither_moves_nor_ends_a_stream() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    let wrong = BroadcastKey::new([8; 32]);
    let moved = world.registry.reassign(world.now_us, stream, &wrong, None);
    assert_eq!(moved, Err(PlaceError::Unauthorized));
    assert_eq!(world.registry.end(stream, &wrong), Err(PlaceError::Unauthorized));
    assert_eq!(world.watch(stream).unwrap().1.epoch, 1);
}

#[test]
fn clock_that_goes_back_ends_nothing() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    world.now_us -= 3_600_000_000;
    world.pass(Duration::from_secs(4), &[("a", &[carried(stream, 1, true, 0)])]);
    assert_eq!(world.state(stream), Some(StreamState::Live));
    assert_ne!(world.try_create("demo", Visibility::Public).unwrap().0, stream);
}
