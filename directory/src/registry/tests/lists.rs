//! What people see in the list, and what open lists are told.

use std::time::Duration;

use protocol::http::{StreamState, Visibility};

use super::driver::{World, carried, key};

#[test]
fn list_holds_what_is_live_oldest_first() {
    let mut world = World::new(&["a"]);
    let (first, _) = world.create("first");
    let (second, _) = world.create("second");
    let (third, _) = world.create("third");
    world.report("a", &[carried(third, 1, true, 1), carried(first, 1, true, 0)]).unwrap();
    assert_eq!(world.listed(), [(first, StreamState::Live, 0), (third, StreamState::Live, 1)]);
    assert_eq!(world.state(second), Some(StreamState::Starting));
}

#[test]
fn unlisted_stream_is_watched_but_never_told() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.try_create("secret", Visibility::Unlisted).unwrap();
    world.pass(Duration::from_secs(3), &[("a", &[carried(stream, 1, true, 5)])]);
    assert_eq!(world.state(stream), Some(StreamState::Live));
    assert_eq!(world.listed(), []);
    world.registry.end(stream, &key()).unwrap();
    assert_eq!(world.changes(), []);
}

#[test]
fn open_lists_are_told_each_new_state_at_once() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    assert_eq!(world.changes(), [], "nobody sees a stream that has not begun");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    assert_eq!(world.changes(), [(stream, Some((StreamState::Live, 0)))]);
    world.report("a", &[carried(stream, 1, false, 0)]).unwrap();
    assert_eq!(world.changes(), [(stream, Some((StreamState::Interrupted, 0)))]);
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    assert_eq!(world.changes(), [(stream, Some((StreamState::Live, 0)))]);
    world.registry.end(stream, &key()).unwrap();
    assert_eq!(world.changes(), [(stream, None)]);
}

#[test]
fn same_report_is_no_news() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    let live = [carried(stream, 1, true, 3)];
    world.report("a", &live).unwrap();
    world.changes();
    world.pass(Duration::from_secs(10), &[("a", &live)]);
    assert_eq!(world.changes(), []);
}

#[test]
fn counts_of_viewers_are_told_once_a_second() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    world.changes();
    for viewers in 1..=9 {
        world.now_us += 100_000;
        world.report("a", &[carried(stream, 1, true, viewers)]).unwrap();
        world.registry.tick(world.now_us);
    }
    assert_eq!(world.changes(), []);
    world.now_us += 100_000;
    world.registry.tick(world.now_us);
    assert_eq!(world.changes(), [(stream, Some((StreamState::Live, 9)))]);
}

#[test]
fn stream_that_never_began_leaves_without_a_word() {
    let mut world = World::new(&["a"]);
    world.create("demo");
    world.pass(Duration::from_secs(70), &[("a", &[])]);
    assert_eq!(world.changes(), []);
    assert_eq!(world.registry.counts(world.now_us).starting, 0);
}
