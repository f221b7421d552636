//! Relays that are checked, go wrong, or are shut out, and what becomes of their streams.

use std::time::Duration;

use protocol::{StreamId, ViewerId, http::StreamState};
use service::Network;

use super::driver::{World, carried, joining, key, name, names};
use crate::registry::{
    HeartbeatError, Joining, Note, Orders, PlaceError, WatchError, Wish, check::CHECK_INTERVAL, stream::OLD_PLACE_TIME,
};

fn orders(world: &World, stream: StreamId) -> Orders {
    world.registry.orders(stream, &key()).unwrap()
}

fn told(orders: &Orders) -> (u32, Option<(&str, u32)>) {
    (orders.moved_in_epoch, orders.place.as_ref().map(|place| (names(place)[0], place.epoch)))
}

fn network(text: &str) -> Network {
    Network::of(text.parse().unwrap())
}

/// A relay registers, and nobody has dialled it yet.
fn unchecked(world: &mut World, relay: &str) {
    let said_at_ms = world.say();
    world.registry.register(world.now_us, joining(relay), said_at_ms).unwrap();
}

#[test]
fn relay_gets_nothing_before_it_was_checked() {
    let mut world = World::new(&[]);
    unchecked(&mut world, "a");
    assert_eq!(world.registry.counts(world.now_us).unchecked, 1);
    assert!(world.registry.problem(&name("a")).is_some_and(|problem| problem.contains("has not dialled")));
    assert_eq!(
        world.registry.create(world.now_us, super::driver::about("demo", Default::default())),
        Err(PlaceError::NoRelay)
    );
    world.check_all(&Err("nobody answers".to_owned()));
    assert_eq!(world.registry.problem(&name("a")), Some("nobody answers"));
    assert_eq!(world.report("a", &[]), Ok(Vec::new()), "its heartbeats are answered, or it would never read that");
    world.now_us += 1_000_000;
    world.check_all(&Ok(()));
    assert_eq!(world.registry.problem(&name("a")), None);
    world.create("demo");
}

#[test]
fn operators_read_a_problem_when_it_is_another_one() {
    let mut world = World::new(&[]);
    unchecked(&mut world, "a");
    for problem in ["late", "late", "refused", "late"] {
        world.check_all(&Err(problem.to_owned()));
        for _ in 0..31 {
            world.now_us += 1_000_000;
            world.report("a", &[]).unwrap();
        }
    }
    let problem = |text: &str| Note::RelayProblem(name("a"), text.to_owned());
    assert_eq!(world.registry.take_notes(), ["late", "refused", "late"].map(problem));
}

#[test]
fn relay_that_moves_to_another_address_is_checked_anew() {
    let mut world = World::new(&["a"]);
    world.create("demo");
    let mut elsewhere: Joining = joining("a");
    elsewhere.address.url = "ws://elsewhere:5001/ws".parse().unwrap();
    let said_at_ms = world.say();
    world.registry.register(world.now_us, elsewhere, said_at_ms).unwrap();
    assert!(world.registry.problem(&name("a")).is_some());
    let said_at_ms = world.say();
    let due = world.registry.due_checks(world.now_us).remove(0);
    world.registry.register(world.now_us, joining("a"), said_at_ms).unwrap();
    world.registry.checked(world.now_us, &due, Ok(()));
    assert!(world.registry.problem(&name("a")).is_some(), "a check of the old address says nothing about the new one");
}

#[test]
fn streams_of_a_relay_that_somebody_else_answers_for_move() {
    let mut world = World::new(&["a", "b"]);
    let (stream, place) = world.create("demo");
    assert_eq!(names(&place)[0], "a");
    let live = [carried(stream, 1, true, 3)];
    world.pass(CHECK_INTERVAL, &[("a", &live), ("b", &[])]);
    let other_key = Err("another key".to_owned());
    let check = |world: &mut World| {
        for due in world.registry.due_checks(world.now_us) {
            let result = if due.address.name == name("a") { other_key.clone() } else { Ok(()) };
            world.registry.checked(world.now_us, &due, result);
        }
    };
    check(&mut world);
    assert_eq!(told(&orders(&world, stream)), (1, Some(("a", 1))), "one failure is an accident");
    world.pass(Duration::from_secs(1), &[("a", &live), ("b", &[])]);
    check(&mut world);
    assert_eq!(told(&orders(&world, stream)), (2, Some(("b", 2))));
    assert!(world.registry.take_news_for_broadcasters());
    assert_eq!(names(&world.watch(stream).unwrap().1), ["b"], "nobody is sent to it any more");
    world.pass(OLD_PLACE_TIME + Duration::from_secs(1), &[("a", &[]), ("b", &[carried(stream, 2, true, 0)])]);
    assert_eq!(world.report("a", &live).unwrap(), [stream], "and what it carries ends once the new place plays");
}

#[test]
fn streams_of_a_relay_that_is_shut_out_move_at_once() {
    let mut world = World::new(&["a", "b"]);
    let (live, _) = world.create("live");
    world.report("a", &[carried(live, 1, true, 3)]).unwrap();
    let (elsewhere, _) = world.create("elsewhere");
    world.report("b", &[carried(elsewhere, 1, true, 3)]).unwrap();
    let (starting, _) = world.create("starting");
    assert_eq!(told(&orders(&world, starting)), (1, Some(("a", 1))));
    world.registry.take_news_for_broadcasters();
    world.registry.shut_out(world.now_us, &name("a"));
    assert_eq!(told(&orders(&world, live)), (2, Some(("b", 2))));
    assert_eq!(told(&orders(&world, starting)), (2, Some(("b", 2))));
    assert_eq!(told(&orders(&world, elsewhere)), (1, Some(("b", 1))), "others stay where they are");
    assert!(world.registry.take_news_for_broadcasters());
    assert_eq!(world.report("a", &[]), Err(HeartbeatError::Unknown));
    assert_eq!(world.state(live), Some(StreamState::Interrupted));
}

#[test]
fn stream_without_another_relay_waits_for_one_and_moves_then() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 3)]).unwrap();
    world.registry.shut_out(world.now_us, &name("a"));
    assert_eq!(told(&orders(&world, stream)), (1, None));
    world.pass(Duration::from_secs(5), &[]);
    world.join("b").unwrap();
    world.registry.tick(world.now_us);
    assert_eq!(told(&orders(&world, stream)), (2, Some(("b", 2))));
    world.pass(Duration::from_secs(5), &[("b", &[carried(stream, 2, true, 0)])]);
    assert_eq!(told(&orders(&world, stream)), (2, Some(("b", 2))), "once");
}

#[test]
fn broadcaster_that_has_moved_by_itself_is_not_moved_again() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 3)]).unwrap();
    world.registry.shut_out(world.now_us, &name("a"));
    world.join("b").unwrap();
    let place = world.reassign(stream, Some("a")).unwrap();
    assert_eq!((names(&place), place.epoch), (vec!["b"], 2));
    world.report("b", &[carried(stream, 2, true, 0)]).unwrap();
    world.registry.tick(world.now_us);
    assert_eq!(told(&orders(&world, stream)), (1, Some(("b", 2))));
}

#[test]
fn relay_that_renews_a_ticket_does_not_change_where_its_viewer_comes_from() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 1)]).unwrap();
    let (here, there, relay) = (network("203.0.113.5"), network("203.0.113.6"), network("198.51.100.1"));
    world.admit(stream, ViewerId(1), here).unwrap();
    world.admit(stream, ViewerId(2), there).unwrap();
    // The one is asked for by its relay, the other by a relay that does as if it were the viewer.
    world.registry.renew(world.now_us, stream, ViewerId(1), None, &Wish::default()).unwrap();
    world.renew(stream, ViewerId(2), relay).unwrap();
    world.registry.remove_viewer(world.now_us, stream, &key(), ViewerId(1)).unwrap();
    assert_eq!(world.admit(stream, ViewerId(3), here).unwrap_err(), WatchError::Removed);
    world.admit(stream, ViewerId(4), relay).unwrap();
    world.registry.remove_viewer(world.now_us, stream, &key(), ViewerId(2)).unwrap();
    assert_eq!(world.admit(stream, ViewerId(5), there).unwrap_err(), WatchError::Removed);
}

#[test]
fn removed_viewer_is_refused_and_told_to_the_relays_that_carry_its_stream() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 1)]).unwrap();
    let (here, there) = (network("203.0.113.5"), network("203.0.113.6"));
    world.admit(stream, ViewerId(1), here).unwrap();
    world.registry.remove_viewer(world.now_us, stream, &key(), ViewerId(1)).unwrap();
    assert_eq!(world.renew(stream, ViewerId(1), there).unwrap_err(), WatchError::Removed);
    assert_eq!(world.admit(stream, ViewerId(2), here).unwrap_err(), WatchError::Removed);
    world.admit(stream, ViewerId(3), there).unwrap();
    let removed = |world: &World, relay| -> Vec<_> {
        let removed = world.registry.removed_at(world.now_us, &name(relay));
        removed.into_iter().map(|removed| (removed.stream, removed.viewer)).collect()
    };
    assert_eq!(removed(&world, "a"), [(stream, ViewerId(1))]);
    assert_eq!(removed(&world, "b"), []);
    world.registry.end(stream, &key()).unwrap();
    assert_eq!(removed(&world, "a"), [], "with the stream all is forgotten");
}
