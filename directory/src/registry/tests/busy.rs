//! Which relay a stream is given by how much of the relays is free.

use std::collections::BTreeMap;

use protocol::{StreamId, http::RelayLoad};

use super::driver::{World, carried, joining, name, names};
use crate::registry::{Assign, Joining, PlaceError, RelayHealth};

fn busy(cpu_percent: u32) -> RelayLoad {
    RelayLoad { cpu_percent, ..RelayLoad::default() }
}

fn health(world: &World, relay: &str) -> RelayHealth {
    let statuses = world.registry.relay_statuses(world.now_us);
    statuses.into_iter().find(|status| status.name == name(relay)).unwrap().health
}

fn elsewhere(number: u64) -> StreamId {
    StreamId::of(&"elsewhere".parse().unwrap(), number)
}

#[test]
fn new_stream_goes_where_most_is_free_and_by_the_other_policy_where_fewest_streams_are() {
    for (assign, expected) in [(Assign::HeadRoom, ["b", "a"]), (Assign::FewestStreams, ["a", "b"])] {
        let mut world = World::by(assign, 7, &["a", "b"]);
        world.report_busy("a", &[], busy(60)).unwrap();
        world.report_busy("b", &[carried(elsewhere(1), 1, true, 0)], busy(0)).unwrap();
        assert_eq!(names(&world.create("demo").1), expected, "{assign:?}");
    }
}

#[test]
fn streams_between_two_heartbeats_are_spread_and_so_are_the_relays_that_they_go_to_next() {
    let relays = ["a", "b", "c", "d", "e", "f"];
    let mut world = World::by(Assign::HeadRoom, 7, &[]);
    for relay in relays {
        world.join_as(Joining { streams_max: 1000, ..joining(relay) }).unwrap();
    }
    let (mut first, mut second) = (BTreeMap::<_, u32>::new(), BTreeMap::<_, u32>::new());
    for _ in 0..60 {
        let (_, place) = world.create("demo");
        *first.entry(place.relays[0].name.clone()).or_default() += 1;
        *second.entry(place.relays[1].name.clone()).or_default() += 1;
    }
    assert!(first.len() == 6 && first.values().all(|streams| (7..=13).contains(streams)), "{first:?}");
    assert!(second.len() == 6 && second.values().all(|streams| *streams <= 20), "{second:?}");
}

#[test]
fn same_seed_gives_out_the_same_relays() {
    let given = |seed| {
        let mut world = World::by(Assign::HeadRoom, seed, &["a", "b", "c", "d"]);
        (0..8).map(|_| names(&world.create("demo").1).join(" ")).collect::<Vec<_>>()
    };
    assert_eq!(given(1), given(1));
    assert_ne!(given(1), given(2));
}

#[test]
fn busy_relay_gets_nothing_new_before_it_has_twice_the_room() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a"]);
    let created = |world: &mut World, cpu_percent| {
        world.report_busy("a", &[], busy(cpu_percent)).unwrap();
        world.try_create("demo", Default::default()).map(|_| ())
    };
    assert_eq!(created(&mut world, 91), Err(PlaceError::NoRelay));
    assert_eq!(health(&world, "a"), RelayHealth::Busy);
    assert_eq!(world.registry.counts(world.now_us).busy, 1);
    assert_eq!(created(&mut world, 80), Err(PlaceError::NoRelay), "20 % are free, and not more");
    assert_eq!(created(&mut world, 79), Ok(()));
    assert_eq!(health(&world, "a"), RelayHealth::Ready);
}

#[test]
fn stream_that_lost_its_relay_rather_goes_to_a_busy_one_than_nowhere() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    world.report_busy("b", &[], busy(95)).unwrap();
    let (stream, place) = world.create("demo");
    assert_eq!(names(&place), ["a", "b"], "and knows of it beforehand");
    assert_eq!(names(&world.reassign(stream, Some("a")).unwrap()), ["b", "a"]);
}

#[test]
fn relay_that_turns_people_away_or_lags_gets_nothing_new() {
    for load in [
        RelayLoad { accept_failures: 3, ..RelayLoad::default() },
        RelayLoad { send_lag_ms: 400, send_lag_median_ms: 150, ..RelayLoad::default() },
    ] {
        let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
        world.report_busy("a", &[carried(elsewhere(1), 1, true, 20)], load).unwrap();
        assert_eq!(health(&world, "a"), RelayHealth::Busy, "{load:?}");
        assert_eq!(names(&world.create("demo").1), ["b", "a"]);
        world.report("a", &[]).unwrap();
        assert_eq!(health(&world, "a"), RelayHealth::Ready);
    }
}

#[test]
fn busy_is_nobody_where_streams_alone_count() {
    let mut world = World::new(&["a"]);
    world.report_busy("a", &[], busy(100)).unwrap();
    assert_eq!(health(&world, "a"), RelayHealth::Ready);
    world.create("demo");
}

#[test]
fn operators_read_how_much_is_free_and_where_relays_stand() {
    let mut world = World::by(Assign::HeadRoom, 7, &[]);
    let region = Some("eu".to_owned());
    world.join_as(Joining { egress_bytes_per_s_max: Some(1000), region, ..joining("a") }).unwrap();
    world.report_busy("a", &[], RelayLoad { egress_bytes_per_s: 600, ..busy(20) }).unwrap();
    let status = &world.registry.relay_statuses(world.now_us)[0];
    assert_eq!((status.head_room.percent(), status.region.as_deref()), (40, Some("eu")));
    world.create("demo");
    world.create("demo");
    world.create("demo");
    assert_eq!(
        world.registry.relay_statuses(world.now_us)[0].head_room.percent(),
        25,
        "streams that are to come count"
    );
}
