//! Streams that come back to a registry that has forgotten them.

use std::time::Duration;

use protocol::{
    StreamId,
    http::{RelayAddress, StreamState},
    stream_record::StreamRecord,
};

use super::driver::{START_US, World, carried, joining, key, name, names};
use crate::registry::{Joining, NewStream, PlaceError, Registry, Rules, stream::FAILOVER_TIME_MAX};

/// A stream as a directory said it that is gone now.
fn record(relays: &[&str], epoch: u32) -> StreamRecord {
    let mut before = World::new(relays);
    let (stream, _) = before.create("demo");
    let record = before.registry.record(stream, START_US / 1_000_000).unwrap();
    StreamRecord { epoch, ..record }
}

fn restore(registry: &mut Registry, now_us: u64, record: &StreamRecord) -> Result<(), PlaceError> {
    registry.restore(now_us, record, NewStream::try_from(record).unwrap())
}

fn epoch(world: &World, stream: StreamId) -> u32 {
    world.registry.orders(stream, &key()).unwrap().place.unwrap().epoch
}

#[test]
fn restored_stream_is_interrupted_and_watched_once_a_relay_tells_of_it() {
    let record = record(&["a", "b"], 3);
    let stream = record.stream;
    let mut world = World::new(&["b"]);
    restore(&mut world.registry, world.now_us, &record).unwrap();
    assert_eq!(world.listed(), [(stream, StreamState::Interrupted, 0)]);
    assert_eq!(world.changes(), [(stream, Some((StreamState::Interrupted, 0)))]);
    assert_eq!(world.watch(stream).unwrap_err(), PlaceError::NoRelay, "nobody leaves a for b");
    let place = world.registry.orders(stream, &key()).unwrap().place.unwrap();
    assert_eq!((names(&place), place.away.as_slice(), place.epoch), (vec!["b", "a"], &[][..], 3));
    world.join("a").unwrap();
    world.report("a", &[carried(stream, 3, true, 5)]).unwrap();
    assert_eq!(world.listed(), [(stream, StreamState::Live, 5)]);
    assert_eq!(names(&world.watch(stream).unwrap().1), ["a", "b"]);
    assert_eq!(world.registry.record(stream, record.issued_at_s), Some(record), "all is as it was");
}

#[test]
fn relays_that_are_still_away_are_named_last_for_some_time_where_they_were() {
    let record = record(&["a", "b"], 3);
    let stream = record.stream;
    let addresses = |relays: &[&str]| relays.iter().map(|relay| joining(relay).address).collect::<Vec<_>>();
    let live = [carried(stream, 3, true, 1)];
    let mut world = World::new(&["b"]);
    restore(&mut world.registry, world.now_us, &record).unwrap();
    world.report("b", &live).unwrap();
    let place = world.watch(stream).unwrap().1;
    assert_eq!((&place.relays, &place.upstream), (&addresses(&["b", "a"]), &addresses(&["b", "a"])));
    assert_eq!(world.registry.orders(stream, &key()).unwrap().place.unwrap().relays, addresses(&["b", "a"]));
    assert_eq!(world.registry.record(stream, 0).unwrap().addresses, addresses(&["a", "b"]), "also if it is gone again");
    let elsewhere = RelayAddress::new(name("a"), "ws://elsewhere:5001/ws".parse().unwrap());
    world.join_as(Joining { address: elsewhere.clone(), ..joining("a") }).unwrap();
    let place = world.watch(stream).unwrap().1;
    assert_eq!(place.relays, [addresses(&["b"]), vec![elsewhere]].concat(), "what it says itself counts more");
    world.pass(Duration::from_secs(29), &[("b", &live)]);
    assert_eq!(names(&world.watch(stream).unwrap().1), ["b", "a"], "it was lost again");
    world.pass(Duration::from_secs(1), &[("b", &live)]);
    assert_eq!(names(&world.watch(stream).unwrap().1), ["b"]);
}

#[test]
fn relay_that_is_shut_out_is_named_to_nobody_who_brings_a_stream_back() {
    let record = record(&["a", "b"], 3);
    let mut world = World::new(&["a", "b"]);
    restore(&mut world.registry, world.now_us, &record).unwrap();
    world.report("b", &[carried(record.stream, 3, true, 1)]).unwrap();
    world.registry.shut_out(world.now_us, &name("a"));
    assert_eq!(names(&world.watch(record.stream).unwrap().1), ["b"]);
    assert_eq!(world.registry.record(record.stream, 0).unwrap().addresses, [joining("b").address]);
}

#[test]
fn stream_that_relays_have_told_of_before_is_live_at_once() {
    let record = record(&["a"], 3);
    let mut world = World::new(&["a"]);
    world.report("a", &[carried(record.stream, 3, true, 5)]).unwrap();
    restore(&mut world.registry, world.now_us, &record).unwrap();
    assert_eq!(world.listed(), [(record.stream, StreamState::Live, 5)]);
    world.report("a", &[]).unwrap();
    assert_eq!(world.state(record.stream), Some(StreamState::Interrupted), "and it counts as a report");
}

#[test]
fn epoch_is_the_highest_that_is_known_and_never_falls() {
    let record = record(&["a", "b"], 3);
    let stream = record.stream;
    let older = StreamRecord { epoch: 2, ..record.clone() };
    let mut world = World::new(&["a", "b", "c"]);
    world.report("b", &[carried(stream, 5, true, 0)]).unwrap();
    restore(&mut world.registry, world.now_us, &record).unwrap();
    assert_eq!(epoch(&world, stream), 5, "as its own relay says");
    restore(&mut world.registry, world.now_us, &older).unwrap();
    assert_eq!(epoch(&world, stream), 5);
    world.report("c", &[carried(stream, 6, true, 0)]).unwrap();
    world.report("a", &[carried(stream, u32::MAX, true, 0)]).unwrap();
    assert_eq!(epoch(&world, stream), 5, "not as others say, nor as nobody can have said");
    assert_eq!(world.reassign(stream, Some("b")).unwrap().epoch, 6);
    world.report("a", &[carried(stream, 7, true, 0)]).unwrap();
    assert_eq!(epoch(&world, stream), 6, "from now on the registry knows better");
}

#[test]
fn newer_record_counts_also_after_an_older_one() {
    let record = record(&["a"], 3);
    let mut world = World::new(&["a"]);
    restore(&mut world.registry, world.now_us, &StreamRecord { epoch: 2, ..record.clone() }).unwrap();
    restore(&mut world.registry, world.now_us, &record).unwrap();
    restore(&mut world.registry, world.now_us, &record).unwrap();
    assert_eq!(epoch(&world, record.stream), 3);
    assert_eq!(world.listed().len(), 1);
}

#[test]
fn stream_that_ended_here_stays_ended() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    let record = world.registry.record(stream, START_US / 1_000_000).unwrap();
    world.registry.end(stream, &key()).unwrap();
    assert_eq!(restore(&mut world.registry, world.now_us, &record), Err(PlaceError::NotFound));
    assert_eq!(world.registry.record(stream, 0), None);
}

#[test]
fn stream_that_expired_while_its_broadcaster_slept_comes_back_and_is_live_again() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    let record = world.registry.record(stream, START_US / 1_000_000).unwrap();
    world.report("a", &[]).unwrap();
    world.pass(FAILOVER_TIME_MAX, &[("a", &[])]);
    assert_eq!(world.listed(), []);
    restore(&mut world.registry, world.now_us, &record).unwrap();
    assert_eq!(world.listed(), [(stream, StreamState::Interrupted, 0)]);
    world.report("a", &[carried(stream, record.epoch, true, 0)]).unwrap();
    assert_eq!(world.listed(), [(stream, StreamState::Live, 0)], "and no relay is told to end it");
}

#[test]
fn restored_stream_whose_relays_never_come_gets_others_and_without_a_broadcaster_ends() {
    let record = record(&["a"], 3);
    let mut world = World::new(&["b"]);
    restore(&mut world.registry, world.now_us, &record).unwrap();
    assert_eq!(world.registry.orders(record.stream, &key()).unwrap().place, None, "they have some time");
    world.pass(Duration::from_secs(8), &[("b", &[])]);
    let place = world.registry.orders(record.stream, &key()).unwrap().place.unwrap();
    assert_eq!(names(&place), ["b", "a"], "and where it may still come back");
    world.pass(FAILOVER_TIME_MAX, &[("b", &[])]);
    assert_eq!(world.listed(), []);
}

#[test]
fn full_directory_restores_nothing() {
    let record = record(&["a"], 3);
    let mut registry = Registry::new(Rules::default());
    assert_eq!(restore(&mut registry, START_US, &record), Err(PlaceError::TooManyStreams));
    let other_title = StreamRecord { title: "other".parse().unwrap(), ..record };
    assert_eq!(
        restore(&mut Registry::new(Rules { streams_max: 9, ..Rules::default() }), START_US, &other_title),
        Err(PlaceError::NotFound)
    );
}
