//! The lists of relays that broadcasters and viewers hold.

use std::time::Duration;

use protocol::limits::{RELAYS_NAMED_MAX, TICKET_RELAYS_MAX};

use super::driver::{World, carried, key, names};
use crate::registry::Place;

fn ordered(world: &World, stream: protocol::StreamId) -> (u32, Place) {
    let orders = world.registry.orders(stream, &key()).unwrap();
    (orders.list, orders.place.unwrap())
}

#[test]
fn relay_that_joins_later_is_named_to_those_whose_lists_are_short() {
    let mut world = World::new(&["a"]);
    let (stream, place) = world.create("demo");
    assert_eq!(names(&place), ["a"]);
    let live = [carried(stream, 1, true, 0)];
    world.pass(Duration::from_secs(3), &[("a", &live)]);
    let (list, _) = ordered(&world, stream);
    world.registry.take_news_for_broadcasters();
    world.join("b").unwrap();
    world.pass(Duration::from_secs(3), &[("a", &live), ("b", &[])]);
    let (longer, place) = ordered(&world, stream);
    assert!(longer != list && world.registry.take_news_for_broadcasters());
    assert_eq!((names(&place), place.epoch), (vec!["a", "b"], 1));
    assert_eq!(names(&world.watch(stream).unwrap().1), ["a", "b"]);
    world.pass(Duration::from_secs(10), &[("a", &live), ("b", &[])]);
    assert_eq!(ordered(&world, stream).0, longer, "once");
}

#[test]
fn tickets_stay_good_on_a_relay_that_is_not_heard_of() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    world.pass(Duration::from_secs(6), &[("b", &[])]);
    let (_, place) = ordered(&world, stream);
    assert_eq!((names(&place), place.away.len()), (vec!["b"], 1), "it may send the stream on nevertheless");
    world.join("a").unwrap();
    let (_, place) = ordered(&world, stream);
    assert_eq!((names(&place), place.away.len()), (vec!["a", "b"], 0));
}

#[test]
fn list_stays_bounded_however_many_relays_come_and_go() {
    let mut world = World::new(&["relay-0"]);
    let (stream, _) = world.create("demo");
    for number in 1..30 {
        world.join(&format!("relay-{number}")).unwrap();
        let next = format!("relay-{number}");
        world.pass(Duration::from_secs(6), &[(&next, &[carried(stream, 1, true, 0)])]);
        let (_, place) = ordered(&world, stream);
        assert!(place.relays.len() <= RELAYS_NAMED_MAX && place.relays.len() + place.away.len() <= TICKET_RELAYS_MAX);
        assert!(names(&place).contains(&next.as_str()));
    }
}

#[test]
fn broadcaster_is_where_it_arrived_last_with_the_same_epoch() {
    for (first, second) in [("a", "b"), ("b", "a")] {
        let mut world = World::new(&["a", "b"]);
        let (stream, _) = world.create("demo");
        world.report(first, &[carried(stream, 1, true, 0)]).unwrap();
        world.now_us += 1_000_000;
        world.report(second, &[carried(stream, 1, true, 0)]).unwrap();
        assert_eq!(names(&world.watch(stream).unwrap().1)[0], second, "though {first} is not known to be dead");
        world.now_us += 1_000_000;
        world.report(first, &[carried(stream, 1, true, 0)]).unwrap();
        assert_eq!(names(&world.watch(stream).unwrap().1)[0], second, "which had it before");
    }
}

#[test]
fn edge_is_not_taken_for_the_origin() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    world.now_us += 1_000_000;
    let edge = protocol::http::CarriedStream { depth: 1, ..carried(stream, 1, true, 0) };
    world.report("b", &[edge]).unwrap();
    assert_eq!(names(&world.watch(stream).unwrap().1), ["a", "b"]);
}
