//! Which relay a stream is given.

use protocol::{StreamId, http::Visibility, limits::RELAYS_NAMED_MAX};

use super::driver::{World, carried, joining, name, names};
use crate::registry::{Joining, Note, PlaceError};

#[test]
fn new_stream_goes_to_the_relay_with_the_fewest_streams() {
    let mut world = World::new(&["a", "b"]);
    let unknown = |number| StreamId::of(&"elsewhere".parse().unwrap(), number);
    world.report("a", &[carried(unknown(1), 1, true, 0), carried(unknown(2), 1, true, 0)]).unwrap();
    world.report("b", &[carried(unknown(3), 1, true, 50)]).unwrap();
    assert_eq!(names(&world.create("demo").1), ["b", "a"]);
}

#[test]
fn streams_made_between_two_heartbeats_are_spread() {
    let mut world = World::new(&["a", "b", "c"]);
    let firsts: Vec<_> = (0..6).map(|_| names(&world.create("demo").1)[0].to_owned()).collect();
    assert_eq!(firsts, ["a", "b", "c", "a", "b", "c"]);
}

#[test]
fn stream_is_not_counted_twice_once_it_is_reported() {
    let mut world = World::new(&["a", "b"]);
    let (first, _) = world.create("first");
    world.report("a", &[carried(first, 1, true, 0)]).unwrap();
    assert_eq!(names(&world.create("second").1)[0], "b");
    assert_eq!(names(&world.create("third").1)[0], "a", "both have one stream");
}

#[test]
fn stream_counts_where_its_broadcaster_went_by_itself() {
    let mut world = World::new(&["a", "b"]);
    let (first, _) = world.create("first");
    world.report("b", &[carried(first, 1, true, 0)]).unwrap();
    assert_eq!(names(&world.create("second").1)[0], "a");
}

#[test]
fn fewer_viewers_decide_between_equals_and_then_the_name() {
    let mut world = World::new(&["a", "b", "c"]);
    let stream = |number| StreamId::of(&"elsewhere".parse().unwrap(), number);
    world.report("a", &[carried(stream(1), 1, true, 9)]).unwrap();
    world.report("b", &[carried(stream(2), 1, true, 3)]).unwrap();
    world.report("c", &[carried(stream(3), 1, true, 3)]).unwrap();
    assert_eq!(names(&world.create("demo").1), ["b", "c", "a"]);
}

#[test]
fn full_relays_are_left_out() {
    let mut world = World::new(&[]);
    world.join_as(Joining { streams_max: 1, ..joining("a") }).unwrap();
    world.join_as(Joining { viewers_max: 5, ..joining("b") }).unwrap();
    let (first, _) = world.create("first");
    world.report("a", &[carried(first, 1, true, 0)]).unwrap();
    assert_eq!(names(&world.create("second").1), ["b"]);
    let elsewhere = StreamId::of(&"elsewhere".parse().unwrap(), 1);
    world.report("b", &[carried(elsewhere, 1, true, 5)]).unwrap();
    assert_eq!(world.try_create("third", Visibility::Public), Err(PlaceError::NoRelay));
}

#[test]
fn without_a_relay_there_is_no_stream() {
    let mut world = World::new(&[]);
    assert_eq!(world.try_create("demo", Visibility::Public), Err(PlaceError::NoRelay));
    assert_eq!(world.registry.counts(world.now_us).starting, 0);
}

#[test]
fn directory_that_is_full_says_so() {
    let mut world = World::new(&[]);
    world.join_as(Joining { streams_max: 1000, ..joining("a") }).unwrap();
    for _ in 0..100 {
        world.create("demo");
    }
    assert_eq!(world.try_create("demo", Visibility::Public), Err(PlaceError::TooManyStreams));
}

#[test]
fn late_relay_is_the_last_resort() {
    let mut world = World::new(&["a", "b"]);
    world.now_us += 4_000_000;
    world.report("b", &[]).unwrap();
    let (first, place) = world.create("first");
    assert_eq!(names(&place), ["b", "a"]);
    world.report("b", &[carried(first, 1, true, 0)]).unwrap();
    assert_eq!(names(&world.create("second").1), ["b", "a"], "though it has more to do");
}

#[test]
fn failed_relay_is_preferred_last_and_the_epoch_rises() {
    let mut world = World::new(&["a", "b", "c"]);
    let (stream, place) = world.create("demo");
    assert_eq!((names(&place)[0], place.epoch), ("a", 1));
    let place = world.reassign(stream, Some("a")).unwrap();
    assert_eq!((names(&place), place.epoch), (vec!["b", "c", "a"], 2));
    let place = world.reassign(stream, Some("b")).unwrap();
    assert_eq!(
        (names(&place), place.epoch),
        (vec!["c", "a", "b"], 3),
        "the next of the list, where its broadcaster may be already"
    );
}

#[test]
fn stream_does_not_stand_in_its_own_way() {
    let mut world = World::new(&[]);
    world.join_as(Joining { streams_max: 1, ..joining("a") }).unwrap();
    let (stream, _) = world.create("demo");
    assert_eq!(names(&world.reassign(stream, None).unwrap()), ["a"]);
    world.report("a", &[carried(stream, 2, true, 0)]).unwrap();
    assert_eq!(names(&world.reassign(stream, Some("a")).unwrap()), ["a"]);
}

#[test]
fn reassignment_that_finds_no_relay_leaves_the_stream_as_it_was() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.join_as(Joining { streams_max: 0, ..joining("a") }).unwrap();
    assert_eq!(world.reassign(stream, None), Err(PlaceError::NoRelay));
    assert_eq!(world.watch(stream).unwrap().1.epoch, 1);
}

#[test]
fn answer_names_no_more_relays_than_it_may() {
    let mut world = World::new(&[]);
    for number in 0..RELAYS_NAMED_MAX + 3 {
        world.join(&format!("relay-{number}")).unwrap();
    }
    assert_eq!(world.create("demo").1.relays.len(), RELAYS_NAMED_MAX);
}

#[test]
fn viewer_is_sent_where_media_arrives() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    let watched = |world: &World| {
        let place = world.watch(stream).unwrap().1;
        names(&place).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(watched(&world), ["a", "b"], "expected there");
    world.report("b", &[carried(stream, 1, true, 0)]).unwrap();
    assert_eq!(watched(&world), ["b", "a"], "and where its broadcaster goes next");
    world.report("b", &[carried(stream, 1, false, 0)]).unwrap();
    assert_eq!(watched(&world), ["b", "a"], "its broadcaster rather comes back to where it was");
    world.reassign(stream, Some("b")).unwrap();
    world.report("b", &[carried(stream, 1, true, 0)]).unwrap();
    assert_eq!(watched(&world), ["b", "a"], "it still plays there, but is about to move");
    world.report("a", &[carried(stream, 2, true, 0)]).unwrap();
    assert_eq!(watched(&world), ["a", "b"], "the newest publisher");
}

#[test]
fn viewer_of_a_stream_whose_relays_are_gone_is_told_so() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.pass(std::time::Duration::from_secs(6), &[]);
    assert_eq!(world.watch(stream).unwrap_err(), PlaceError::NoRelay);
    world.registry.end(stream, &super::driver::key()).unwrap();
    assert_eq!(world.watch(stream).unwrap_err(), PlaceError::NotFound);
    assert_eq!(world.registry.take_notes(), [Note::RelayGood(name("a")), Note::RelayLost(name("a"))]);
}
