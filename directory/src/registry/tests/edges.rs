//! Where viewers of one stream go when one relay is not enough.

use protocol::{
    RelayName, StreamId, ViewerId,
    http::{CarriedStream, RelayLoad, StreamState},
    limits::{EDGES_PER_RELAY_MAX, RELAYS_NAMED_MAX},
};
use service::Network;

use super::driver::{World, carried, joining, key, name, names};
use crate::registry::{Assign, Joining, Place, PlaceError, Wish, stream::OLD_PLACE_TIME};

fn busy(cpu_percent: u32) -> RelayLoad {
    RelayLoad { cpu_percent, ..RelayLoad::default() }
}

fn edge(stream: StreamId, epoch: u32, depth: u8, viewers: u32) -> CarriedStream {
    CarriedStream { depth, ..carried(stream, epoch, true, viewers) }
}

/// A stream that plays at `a`, of the relays with these names.
fn playing_on_a(relays: &[&str]) -> (World, StreamId) {
    let mut world = World::by(Assign::HeadRoom, 7, relays);
    for relay in relays.iter().filter(|relay| **relay != "a") {
        world.registry.drain(world.now_us, &name(relay), true);
    }
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    for relay in relays {
        world.registry.drain(world.now_us, &name(relay), false);
    }
    // The others are named to its broadcaster then.
    world.now_us += 2_000_000;
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    for relay in relays.iter().filter(|relay| **relay != "a") {
        world.report(relay, &[]).unwrap();
    }
    world.registry.tick(world.now_us);
    (world, stream)
}

fn wish(region: Option<&str>, failed: Option<&str>, held: &[&str]) -> Wish {
    let held = held.iter().map(|held| name(held)).collect();
    Wish { region: region.map(str::to_owned), failed: failed.map(name), held }
}

fn sent(world: &mut World, stream: StreamId, wish: &Wish) -> Place {
    let network = Network::of("203.0.113.5".parse().unwrap());
    world.registry.admit(world.now_us, stream, ViewerId(1), network, wish).unwrap().1
}

fn first(place: &Place) -> (&str, Vec<&str>) {
    let upstream = place.upstream.iter().map(|relay| relay.name.as_str());
    (names(place)[0], upstream.collect())
}

#[test]
fn viewers_stay_at_the_origin_while_it_has_room() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    world.report_busy("a", &[carried(stream, 1, true, 60)], busy(70)).unwrap();
    let place = sent(&mut world, stream, &Wish::default());
    assert_eq!(first(&place).0, "a", "30 % are free");
    assert_eq!(place.relays.len(), 3, "and where its broadcaster goes next");
    assert_eq!(place.upstream[0].name, name("a"), "those pull from it when they lack the stream");
}

#[test]
fn busy_origin_gets_an_edge_and_everybody_goes_there() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    world.report_busy("a", &[carried(stream, 1, true, 60)], busy(71)).unwrap();
    world.report_busy("b", &[], busy(20)).unwrap();
    let place = sent(&mut world, stream, &Wish::default());
    assert_eq!(first(&place).0, "c", "which has most room");
    assert_eq!(place.upstream[0].name, name("a"));
    assert!(!place.upstream.contains(&place.relays[0]), "{place:?}");
    assert_eq!(names(&place)[1], "a", "when the edge fails");
    for _ in 0..20 {
        assert_eq!(first(&sent(&mut world, stream, &Wish::default())).0, "c", "also before it says that it has it");
    }
    world.report("c", &[edge(stream, 1, 1, 21)]).unwrap();
    assert_eq!(first(&sent(&mut world, stream, &Wish::default())).0, "c");
    assert_eq!(world.registry.stream_statuses()[0].relay, Some(name("a")));
    let edges = &world.registry.stream_statuses()[0].edges;
    assert_eq!((edges.len(), &edges[0].relay, edges[0].depth, edges[0].viewers), (1, &name("c"), 1, 21));
}

#[test]
fn edge_is_not_opened_for_little() {
    let (mut world, stream) = playing_on_a(&["a", "b"]);
    for (origin, other, expected) in [(80, 71, "a"), (80, 70, "b")] {
        world.report_busy("a", &[carried(stream, 1, true, 0)], busy(origin)).unwrap();
        world.report_busy("b", &[], busy(other)).unwrap();
        let place = world.watch(stream).unwrap().1;
        assert_eq!(names(&place)[0], expected, "{origin} and {other}");
    }
}

#[test]
fn crowd_between_two_heartbeats_is_counted() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    let mut sent_to = std::collections::BTreeMap::<RelayName, u32>::new();
    for _ in 0..210 {
        let place = sent(&mut world, stream, &Wish::default());
        *sent_to.entry(place.relays[0].name.clone()).or_default() += 1;
    }
    // Each of them serves a hundred.
    let counts: Vec<_> = sent_to.values().copied().collect();
    assert_eq!(counts, [71, 71, 68], "{sent_to:?}");
}

#[test]
fn relay_that_was_opened_but_never_pulls_is_given_up() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    world.report_busy("a", &[carried(stream, 1, true, 60)], busy(90)).unwrap();
    world.report_busy("c", &[], busy(50)).unwrap();
    assert_eq!(first(&sent(&mut world, stream, &Wish::default())).0, "b");
    for _ in 0..3 {
        world.now_us += 1_000_000;
        world.report_busy("a", &[carried(stream, 1, true, 60)], busy(90)).unwrap();
        world.report("b", &[carried(stream, 1, false, 5)]).unwrap();
        world.report_busy("c", &[], busy(50)).unwrap();
        world.registry.tick(world.now_us);
    }
    assert_eq!(first(&sent(&mut world, stream, &Wish::default())).0, "c");
}

#[test]
fn relay_that_lags_gets_no_viewers_with_all_the_room_of_the_world() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    let lags = RelayLoad { send_lag_median_ms: 100, ..busy(5) };
    world.report_busy("a", &[carried(stream, 1, true, 60)], lags).unwrap();
    assert_ne!(names(&world.watch(stream).unwrap().1)[0], "a", "the origin");
    world.report_busy("a", &[carried(stream, 1, true, 60)], busy(71)).unwrap();
    world.report_busy("b", &[edge(stream, 1, 1, 60)], lags).unwrap();
    assert_eq!(names(&world.watch(stream).unwrap().1)[0], "c", "an edge");
    world.report_busy("c", &[], RelayLoad { accept_failures: 1, ..busy(5) }).unwrap();
    assert_eq!(names(&world.watch(stream).unwrap().1)[0], "a", "nobody is better off elsewhere");
}

#[test]
fn viewers_of_an_edge_that_is_hot_leave_it_as_they_renew_while_others_have_room() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    let mut second = |cpu_percent, others| {
        world.report_busy("a", &[carried(stream, 1, true, 60)], busy(others)).unwrap();
        world.report_busy("b", &[edge(stream, 1, 1, 90)], busy(cpu_percent)).unwrap();
        world.report_busy("c", &[], busy(others)).unwrap();
        world.now_us += 1_000_000;
        world.registry.tick(world.now_us);
        let place = world.registry.watch(world.now_us, stream, &wish(None, None, &["b"])).unwrap().1;
        assert_eq!(place.away, []);
        names(&place).contains(&"b")
    };
    let stays: Vec<_> = [97, 97, 97, 97, 97, 97, 90].map(|cpu_percent| second(cpu_percent, 40)).into();
    assert_eq!(
        stays,
        [true, true, true, true, false, false, true],
        "once it was hot for five seconds, until it is not"
    );
    let stays: Vec<_> = [97; 6].map(|cpu_percent| second(cpu_percent, 97)).into();
    assert_eq!(stays, [true; 6], "nobody is better off elsewhere");
}

#[test]
fn least_watched_of_those_about_as_good_serves_but_the_origin_before() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    let serve = |world: &mut World, origin| {
        world.report_busy("a", &[carried(stream, 1, true, 0)], busy(origin)).unwrap();
        world.report_busy("b", &[edge(stream, 1, 1, 3)], busy(20)).unwrap();
        world.report_busy("c", &[edge(stream, 1, 1, 2)], busy(20)).unwrap();
        names(&world.watch(stream).unwrap().1)[0].to_owned()
    };
    assert_eq!(serve(&mut world, 35), "a", "65 % are as good as 75 %");
    assert_eq!(serve(&mut world, 36), "c");
}

#[test]
fn viewer_that_names_a_region_is_sent_there_when_it_has_room() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a"]);
    let (stream, _) = world.create("demo");
    for (relay, region) in [("b", "eu"), ("c", "eu"), ("d", "us")] {
        world.join_as(Joining { region: Some(region.to_owned()), ..joining(relay) }).unwrap();
    }
    let serve = |world: &mut World, loads: [u32; 3]| {
        world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
        for (relay, cpu_percent) in ["b", "c", "d"].iter().zip(loads) {
            world.report_busy(relay, &[], busy(cpu_percent)).unwrap();
        }
    };
    let watched = |world: &World, region: &str| {
        let place = world.registry.watch(world.now_us, stream, &wish(Some(region), None, &[])).unwrap().1;
        names(&place)[0].to_owned()
    };
    serve(&mut world, [60, 50, 0]);
    assert_eq!(watched(&world, "eu"), "c", "though the origin has more room");
    assert_eq!(watched(&world, "us"), "d");
    assert_eq!(watched(&world, "mars"), "a", "nobody is there");
    assert_eq!(names(&world.watch(stream).unwrap().1)[0], "a");
    serve(&mut world, [71, 80, 0]);
    assert_eq!(watched(&world, "eu"), "a", "nearness is not worth a busy relay");
    world.report_busy("b", &[edge(stream, 1, 1, 3)], busy(60)).unwrap();
    world.report_busy("c", &[], busy(0)).unwrap();
    assert_eq!(watched(&world, "eu"), "b", "one there carries it already");
    world.report_busy("b", &[edge(stream, 1, 1, 3)], busy(75)).unwrap();
    assert_eq!(watched(&world, "eu"), "c", "and is busy now");
}

#[test]
fn failed_relay_is_avoided_and_the_next_pulls_from_the_origin_nevertheless() {
    let (mut world, stream) = playing_on_a(&["a", "b"]);
    let place = world.registry.watch(world.now_us, stream, &wish(None, Some("a"), &[])).unwrap().1;
    assert_eq!(names(&place), ["b", "a"]);
    assert_eq!(place.upstream[0].name, name("a"), "only that viewer may be cut off from it");
    world.report_busy("a", &[carried(stream, 1, true, 0)], busy(80)).unwrap();
    assert_eq!(first(&sent(&mut world, stream, &Wish::default())).0, "b");
    let place = world.registry.watch(world.now_us, stream, &wish(None, Some("b"), &["b", "a"])).unwrap().1;
    assert_eq!(names(&place)[0], "a");
}

#[test]
fn renewal_names_the_relay_that_the_viewer_is_at() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c", "d", "e", "f"]);
    for relay in ["b", "c", "d", "e", "f"] {
        world.report(relay, &[edge(stream, 1, 1, 1)]).unwrap();
    }
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    let renewed = |world: &World, held: &[&str]| {
        let place = world.registry.watch(world.now_us, stream, &wish(None, None, held)).unwrap().1;
        names(&place).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let relays = renewed(&world, &["f", "x", "e", "d", "c"]);
    assert_eq!(relays.len(), RELAYS_NAMED_MAX);
    assert_eq!(relays, ["a", "f", "e", "d"], "it is at one of them");
    let place = world.registry.watch(world.now_us, stream, &wish(None, None, &["f", "x", "e", "d", "c"])).unwrap().1;
    assert_eq!(place.away, [name("c")], "its ticket is good there too");
    world.registry.drain(world.now_us, &name("f"), true);
    assert!(!renewed(&world, &["f"]).contains(&"f".to_owned()), "nobody stays where the end is near");
    let before = world.registry.relay_statuses(world.now_us).into_iter().map(|relay| relay.head_room);
    let before: Vec<_> = before.collect();
    let network = Network::of("203.0.113.5".parse().unwrap());
    world.registry.renew(world.now_us, stream, ViewerId(1), Some(network), &wish(None, None, &["a", "b"])).unwrap();
    let after = world.registry.relay_statuses(world.now_us).into_iter().map(|relay| relay.head_room);
    assert_eq!(after.collect::<Vec<_>>(), before, "and is no new viewer there");
}

#[test]
fn origin_with_sixteen_edges_has_them_feed_the_others() {
    let edges: Vec<_> = (0..=EDGES_PER_RELAY_MAX).map(|number| format!("e{number:02}")).collect();
    let mut relays = vec!["a"];
    relays.extend(edges.iter().map(String::as_str));
    let (mut world, stream) = playing_on_a(&relays);
    world.report_busy("a", &[carried(stream, 1, true, 0)], busy(80)).unwrap();
    for relay in &edges[..EDGES_PER_RELAY_MAX] {
        world.report_busy(relay, &[edge(stream, 1, 1, 10)], busy(80)).unwrap();
    }
    let place = sent(&mut world, stream, &Wish::default());
    assert_eq!(names(&place)[0], edges[EDGES_PER_RELAY_MAX]);
    let upstream = first(&place).1;
    assert_eq!(upstream[..2], ["e00", "e01"]);
    assert!(upstream.contains(&"a"), "the origin at last: {upstream:?}");
}

#[test]
fn edge_is_never_where_a_publisher_belongs() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    world.report("b", &[edge(stream, 1, 1, 9)]).unwrap();
    assert_eq!(world.registry.drain(world.now_us, &name("b"), true), Some(1));
    let moved = world.registry.orders(stream, &key()).unwrap().moved_in_epoch;
    assert_eq!(moved, 1, "a drain of an edge moves no stream");
    world.registry.drain(world.now_us, &name("b"), false);
    world.registry.move_stream(world.now_us, stream, &name("b")).unwrap();
    assert_eq!(world.report("b", &[edge(stream, 1, 1, 9)]).unwrap(), []);
    assert_eq!(world.registry.stream_statuses()[0].relay, Some(name("a")), "until its publisher is there");
    world.report("b", &[carried(stream, 2, true, 9)]).unwrap();
    assert_eq!(world.registry.stream_statuses()[0].relay, Some(name("b")));
}

#[test]
fn edge_with_an_older_epoch_is_not_told_to_end() {
    let (mut world, stream) = playing_on_a(&["a", "b", "c"]);
    world.registry.move_stream(world.now_us, stream, &name("b")).unwrap();
    let reports = |world: &mut World| {
        world.report("b", &[carried(stream, 2, true, 1)]).unwrap();
        let edge = world.report("c", &[edge(stream, 1, 1, 9)]).unwrap();
        (world.report("a", &[carried(stream, 1, true, 1)]).unwrap(), edge)
    };
    reports(&mut world);
    for _ in 0..OLD_PLACE_TIME.as_secs() {
        assert_eq!(reports(&mut world), (vec![], vec![]));
        world.now_us += 1_000_000;
    }
    assert_eq!(reports(&mut world), (vec![stream], vec![]), "the old origin is");
}

#[test]
fn edges_alone_are_no_stream_that_plays() {
    let (mut world, stream) = playing_on_a(&["a", "b"]);
    world.report("b", &[edge(stream, 1, 1, 9)]).unwrap();
    world.report("a", &[carried(stream, 1, false, 0)]).unwrap();
    let (summary, place) = world.watch(stream).unwrap();
    assert_eq!((summary.state, summary.viewers), (StreamState::Interrupted, 9));
    assert_eq!(names(&place)[0], "a", "where its broadcaster comes back to");
    assert!(place.upstream.contains(&place.relays[0]), "from where others have it again: {place:?}");
}

#[test]
fn nobody_pulls_a_stream_that_has_not_begun() {
    let mut world = World::by(Assign::HeadRoom, 7, &["a", "b"]);
    let (stream, _) = world.create("demo");
    assert_eq!(world.watch(stream).unwrap().1.upstream, []);
}

#[test]
fn edges_go_when_they_let_go_and_with_their_relay() {
    let (mut world, stream) = playing_on_a(&["a", "b"]);
    world.report_busy("a", &[carried(stream, 1, true, 0)], busy(90)).unwrap();
    world.report("b", &[edge(stream, 1, 1, 9)]).unwrap();
    assert_eq!(names(&world.watch(stream).unwrap().1)[0], "b");
    world.report_busy("b", &[], busy(85)).unwrap();
    assert_eq!(names(&world.watch(stream).unwrap().1)[0], "a");
    world.report("b", &[edge(stream, 1, 1, 9)]).unwrap();
    world.registry.shut_out(world.now_us, &name("b"));
    assert_eq!(names(&world.watch(stream).unwrap().1), ["a"]);
    world.registry.shut_out(world.now_us, &name("a"));
    assert_eq!(world.watch(stream).unwrap_err(), PlaceError::NoRelay);
}
