//! Relays that are too busy for what they carry.

use std::time::Duration;

use protocol::{
    StreamId,
    http::{CarriedStream, RelayLoad},
};

use super::driver::{World, carried, key, name, names};
use crate::registry::{Assign, Note};

const SECOND: Duration = Duration::from_secs(1);

fn busy(cpu_percent: u32) -> RelayLoad {
    RelayLoad { cpu_percent, ..RelayLoad::default() }
}

/// Heartbeats for so many seconds: of a relay `a` with these streams and so much to do, and of others with none.
fn heat(world: &mut World, seconds: u64, streams: &[CarriedStream], load: RelayLoad, others: &[(&str, u32)]) {
    for _ in 0..seconds {
        world.report_busy("a", streams, load).unwrap();
        for (relay, cpu_percent) in others {
            world.report_busy(relay, &[], busy(*cpu_percent)).unwrap();
        }
        world.now_us += u64::try_from(SECOND.as_micros()).unwrap();
        world.registry.tick(world.now_us);
    }
}

/// Streams on `a` with so many viewers.
fn streams_on_a<const COUNT: usize>(world: &mut World, viewers: [u32; COUNT]) -> [(StreamId, CarriedStream); COUNT] {
    world.registry.drain(world.now_us, &name("b"), true);
    let streams = viewers.map(|viewers| {
        let (stream, place) = world.create("demo");
        assert_eq!(names(&place)[0], "a");
        (stream, carried(stream, 1, true, viewers))
    });
    world.registry.drain(world.now_us, &name("b"), false);
    world.report("a", &streams.clone().map(|(_, carried)| carried)).unwrap();
    world.registry.take_notes();
    streams
}

fn moved(world: &mut World) -> Vec<(StreamId, String)> {
    let notes = world.registry.take_notes().into_iter();
    let left = notes.filter_map(|note| match note {
        Note::StreamLeavesHot { stream, from, to } => {
            assert_eq!(from, name("a"));
            Some((stream, to.to_string()))
        }
        _ => None,
    });
    left.collect()
}

fn told(world: &World, stream: StreamId) -> (u32, String) {
    let orders = world.registry.orders(stream, &key()).unwrap();
    (orders.moved_in_epoch, names(&orders.place.unwrap())[0].to_owned())
}

#[test]
fn smallest_stream_that_helps_leaves_a_relay_that_is_hot_for_five_seconds() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    let [(small, a), (middle, b), (large, c)] = streams_on_a(&mut world, [1, 10, 50]);
    let streams = [a, b, c];
    heat(&mut world, 4, &streams, busy(97), &[("b", 10)]);
    assert_eq!(moved(&mut world), []);
    heat(&mut world, 1, &streams, busy(97), &[("b", 10)]);
    assert_eq!(moved(&mut world), [(middle, "b".to_owned())], "without the smallest it would be as hot");
    assert_eq!(told(&world, middle), (2, "b".to_owned()));
    assert!(world.registry.take_news_for_broadcasters());
    assert_eq!([told(&world, small).0, told(&world, large).0], [1, 1]);
}

#[test]
fn moment_of_heat_moves_nothing() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    let [(_, stream)] = streams_on_a(&mut world, [10]);
    for _ in 0..5 {
        heat(&mut world, 4, std::slice::from_ref(&stream), busy(100), &[("b", 10)]);
        heat(&mut world, 1, std::slice::from_ref(&stream), busy(90), &[("b", 10)]);
    }
    assert_eq!(moved(&mut world), []);
}

#[test]
fn one_stream_every_ten_seconds_and_none_twice_a_minute() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    let [(first, a), (second, b)] = streams_on_a(&mut world, [30, 31]);
    let streams = [a, b];
    let mut seconds = Vec::new();
    for second in 0..40 {
        // Nobody follows, and it stays as hot.
        heat(&mut world, 1, &streams, busy(100), &[("b", 0)]);
        seconds.extend(moved(&mut world).into_iter().map(|(stream, _)| (second, stream)));
    }
    assert_eq!(seconds, [(4, first), (14, second)], "each once, and the broadcasters were told");
}

#[test]
fn stream_is_not_moved_back_within_a_minute() {
    let mut world = World::by(Assign::HeadRoom, 7, &["b", "a"]);
    let [(stream, before), (_, stays)] = streams_on_a(&mut world, [10, 30]);
    heat(&mut world, 5, &[before, stays.clone()], busy(97), &[("b", 0)]);
    assert_eq!(moved(&mut world), [(stream, "b".to_owned())]);
    let elsewhere = StreamId::of(&"elsewhere".parse().unwrap(), 1);
    let after = [carried(stream, 2, true, 10), carried(elsewhere, 1, true, 30)];
    let mut back = None;
    for second in 0..70 {
        world.report("a", std::slice::from_ref(&stays)).unwrap();
        world.report_busy("b", &after, busy(97)).unwrap();
        world.now_us += 1_000_000;
        world.registry.tick(world.now_us);
        let left = world.registry.take_notes().into_iter().any(|note| matches!(note, Note::StreamLeavesHot { .. }));
        back = back.or(left.then_some(second));
    }
    assert_eq!(back, Some(59), "a minute after it had moved");
}

#[test]
fn nothing_moves_to_a_relay_that_has_no_room_to_spare() {
    for (cpu_percent, others) in [(97, 70), (97, 60)] {
        let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
        let [(_, stream)] = streams_on_a(&mut world, [30]);
        heat(&mut world, 10, &[stream], busy(cpu_percent), &[("b", others)]);
        assert_eq!(moved(&mut world), [], "the only stream of a relay would make the other one as hot: {others}");
    }
}

#[test]
fn when_no_stream_is_enough_the_one_that_helps_most_goes() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    let [(_, a), (_, b), (large, c)] = streams_on_a(&mut world, [1, 1, 2]);
    let full = RelayLoad { files_open: 999, files_max: 1000, ..RelayLoad::default() };
    heat(&mut world, 6, &[a, b, c], full, &[("b", 0)]);
    assert_eq!(moved(&mut world), [(large, "b".to_owned())]);
}

#[test]
fn relay_that_lags_with_room_left_is_hot_too() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    let [(_, a), (middle, b), (_, c)] = streams_on_a(&mut world, [1, 10, 20]);
    let lags = RelayLoad { send_lag_ms: 900, send_lag_median_ms: 200, ..busy(30) };
    heat(&mut world, 6, &[a, b, c], lags, &[("b", 0)]);
    assert_eq!(moved(&mut world), [(middle, "b".to_owned())], "a tenth of its work at least");
}

#[test]
fn edge_is_no_stream_that_could_move() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b", "c"]);
    let (stream, _) = world.create("demo");
    let origin = carried(stream, 1, true, 0);
    let edge = CarriedStream { depth: 1, ..carried(stream, 1, true, 50) };
    for _ in 0..10 {
        world.report("b", std::slice::from_ref(&origin)).unwrap();
        world.report_busy("a", std::slice::from_ref(&edge), busy(99)).unwrap();
        world.report("c", &[]).unwrap();
        world.now_us += 1_000_000;
        world.registry.tick(world.now_us);
    }
    assert_eq!(moved(&mut world), []);
    assert_eq!(told(&world, stream).0, 1);
}

#[test]
fn nothing_moves_by_itself_where_streams_alone_count() {
    let mut world = World::new(&["a", "b"]);
    let [(_, a), (_, b)] = streams_on_a(&mut world, [10, 20]);
    heat(&mut world, 20, &[a, b], busy(100), &[("b", 0)]);
    assert_eq!(moved(&mut world), []);
}

#[test]
fn draining_relay_is_emptied_anyhow() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    let [(_, a), (_, b)] = streams_on_a(&mut world, [10, 20]);
    world.registry.drain(world.now_us, &name("a"), true);
    heat(&mut world, 10, &[a, b], busy(100), &[("b", 0)]);
    assert_eq!(moved(&mut world), []);
}
