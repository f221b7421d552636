//! Relays that join, are silent, come back, or say strange things.

use std::time::Duration;

use protocol::{CertificateHash, StreamId, WebTransportAddress, http::StreamState, limits::RELAY_SILENCE_TIME_MAX};

use super::driver::{World, carried, joining, key_of, name};
use crate::registry::{HeartbeatError, Joining, RegisterError, lease::RELAYS_MAX};

fn stranger(relay: &str) -> Joining {
    Joining { public_key: key_of("another"), ..joining(relay) }
}

#[test]
fn later_relay_of_the_same_name_is_refused() {
    let mut world = World::new(&["a"]);
    assert_eq!(world.join_as(stranger("a")), Err(RegisterError::NameTaken(name("a"))));
    world.report("a", &[]).unwrap();
}

#[test]
fn restarted_relay_registers_again() {
    let mut world = World::new(&["a"]);
    world.join("a").unwrap();
    world.report("a", &[]).unwrap();
}

#[test]
fn what_a_relay_said_counts_once() {
    let mut world = World::new(&["a"]);
    let heartbeat = || protocol::http::Heartbeat {
        viewers: 7,
        streams: Vec::new(),
        load: Default::default(),
        draining: false,
        webtransport: None,
    };
    let said_at_ms = world.say();
    let mut send =
        |said_at_ms| world.registry.heartbeat(world.now_us, &name("a"), &key_of("a"), said_at_ms, heartbeat());
    send(said_at_ms).unwrap();
    assert_eq!(send(said_at_ms), Err(HeartbeatError::Replayed));
    assert_eq!(send(said_at_ms - 1), Err(HeartbeatError::Replayed));
    let again = world.registry.register(world.now_us, joining("a"), said_at_ms);
    assert_eq!(again, Err(RegisterError::Replayed));
    world.now_us += RELAY_SILENCE_TIME_MAX.as_micros() as u64;
    let lost = world.registry.register(world.now_us, joining("a"), said_at_ms);
    assert_eq!(lost, Err(RegisterError::Replayed), "also when it lost its name meanwhile");
}

#[test]
fn name_is_free_again_after_the_silence() {
    let mut world = World::new(&["a"]);
    world.now_us += RELAY_SILENCE_TIME_MAX.as_micros() as u64 - 1;
    assert!(world.join_as(stranger("a")).is_err());
    world.now_us += 1;
    assert_eq!(world.report("a", &[]), Err(HeartbeatError::Unknown), "it must register again");
    world.join_as(stranger("a")).unwrap();
}

#[test]
fn heartbeat_of_a_stranger_counts_for_nothing() {
    let mut world = World::new(&["a"]);
    assert_eq!(world.report("b", &[]), Err(HeartbeatError::Unknown));
    let heartbeat = protocol::http::Heartbeat {
        viewers: 0,
        streams: Vec::new(),
        load: Default::default(),
        draining: false,
        webtransport: None,
    };
    let said_at_ms = world.say();
    let answer = world.registry.heartbeat(world.now_us, &name("a"), &key_of("another"), said_at_ms, heartbeat);
    assert_eq!(answer, Err(HeartbeatError::Unknown));
}

#[test]
fn web_transport_address_is_handed_out_as_the_last_heartbeat_said_and_only_at_the_relays_own_host() {
    let mut world = World::new(&["a"]);
    let (stream, place) = world.create("demo");
    assert_eq!(place.relays[0].webtransport, None, "it has said none");
    let at = |url: &str| WebTransportAddress {
        url: url.parse().unwrap(),
        certificate_hashes: vec![CertificateHash([7; 32])],
    };
    let own = at("https://a:5001/wt");
    for (said, handed_out) in [(Some(own.clone()), Some(own.clone())), (Some(at("https://victim:5001/wt")), None)] {
        world.report_webtransport("a", said);
        let place = world.reassign(stream, None).unwrap();
        assert_eq!(place.relays[0].webtransport, handed_out);
    }
    world.report_webtransport("a", Some(own));
    world.report("a", &[]).unwrap();
    assert_eq!(world.reassign(stream, None).unwrap().relays[0].webtransport, None, "it offers it no more");
}

#[test]
fn as_many_relays_as_the_directory_takes_and_no_more() {
    let mut world = World::new(&[]);
    for number in 0..RELAYS_MAX {
        world.join(&format!("relay-{number}")).unwrap();
    }
    assert_eq!(world.join("one-more"), Err(RegisterError::Full));
    world.join("relay-7").unwrap();
}

#[test]
fn stream_of_a_lost_relay_waits_for_its_broadcaster() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 2)]).unwrap();
    world.pass(Duration::from_secs(5), &[("b", &[])]);
    assert_eq!(world.listed(), [(stream, StreamState::Interrupted, 0)]);
    world.pass(Duration::from_secs(29), &[("b", &[])]);
    assert_eq!(world.state(stream), Some(StreamState::Interrupted));
    let place = world.reassign(stream, Some("a")).unwrap();
    assert_eq!(place.relays[0].name, name("b"));
    world.pass(Duration::from_secs(2), &[("b", &[carried(stream, 2, true, 1)])]);
    assert_eq!(world.listed(), [(stream, StreamState::Live, 1)]);
}

#[test]
fn stream_of_a_lost_relay_ends_when_nobody_asks() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 0)]).unwrap();
    world.pass(Duration::from_secs(36), &[("b", &[])]);
    assert_eq!(world.state(stream), None);
}

#[test]
fn stream_that_the_directory_never_heard_of_goes_on() {
    let mut world = World::new(&["a"]);
    let unknown = StreamId::of(&"from before the restart".parse().unwrap(), 1);
    assert_eq!(world.report("a", &[carried(unknown, 3, true, 5)]).unwrap(), []);
    assert_eq!(world.listed(), []);
}

#[test]
fn stream_told_twice_in_one_heartbeat_counts_once_with_its_newest_publisher() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    world.reassign(stream, None).unwrap();
    let reports = [carried(stream, 2, true, 3), carried(stream, 1, false, 9), carried(stream, 2, true, 3)];
    assert_eq!(world.report("a", &reports).unwrap(), []);
    assert_eq!(world.listed(), [(stream, StreamState::Live, 3)]);
    assert_eq!(world.create("second").1.relays[0].name, name("b"));
    assert_eq!(world.create("third").1.relays[0].name, name("b"), "a has one stream and 21 viewers");
}

#[test]
fn epoch_that_was_never_given_out_counts_for_nothing() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    assert_eq!(world.report("a", &[carried(stream, 9, true, 5)]).unwrap(), []);
    assert_eq!(world.state(stream), Some(StreamState::Starting));
}

#[test]
fn counts_of_viewers_never_overflow() {
    let mut world = World::new(&["a", "b"]);
    let (stream, _) = world.create("demo");
    for relay in ["a", "b"] {
        world.report(relay, &[carried(stream, 1, true, u32::MAX)]).unwrap();
    }
    assert_eq!(world.listed(), [(stream, StreamState::Live, u32::MAX)]);
    assert_eq!(world.registry.counts(world.now_us).viewers, 2 * u64::from(u32::MAX));
}
