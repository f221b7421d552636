//! Registries of several directories that tell each other what they know.

use std::time::Duration;

use proptest::prelude::*;
use protocol::{StreamId, ViewerId, http::StreamState, limits::STREAM_START_TIME_MAX};
use service::Network;

use super::driver::{World, carried, key, key_of, name, names};
use crate::registry::{
    EndReason, PlaceError, SharedStream, Touched, WatchError, micros,
    sharing::ALONE_PATIENCE,
    stream::{FAILOVER_TIME_MAX, INTERRUPTED_TIME_MAX},
};

/// One that shares with others that can be heard.
fn sharing(relays: &[&str]) -> World {
    let mut world = World::new(&[]);
    world.registry.share();
    world.registry.set_alone(world.now_us, false);
    for relay in relays {
        world.join(relay).unwrap();
    }
    world
}

/// Tells `to` what has changed at `from`. Whether there was something.
fn tell(from: &mut World, to: &mut World) -> bool {
    let Touched { streams, relays } = from.registry.take_touched();
    // One that was lost meanwhile is told of by nobody.
    for shared in relays.iter().filter_map(|relay| from.registry.shared_relay(relay)) {
        to.registry.absorb_relay(to.now_us, serde_json::from_str(&serde_json::to_string(&shared).unwrap()).unwrap());
    }
    for id in &streams {
        match from.registry.shared_stream(*id) {
            Some(shared) => {
                let text = serde_json::to_string(&shared).unwrap();
                to.registry.absorb_stream(to.now_us, *id, serde_json::from_str(&text).unwrap());
            }
            None => to.registry.absorb_no_stream(*id),
        }
    }
    !streams.is_empty() || !relays.is_empty()
}

/// Until neither has anything to tell any more.
fn talk(one: &mut World, other: &mut World) {
    for _ in 0..10 {
        if !tell(one, other) & !tell(other, one) {
            return;
        }
    }
    panic!("they never end");
}

fn two() -> (World, World) {
    let (mut one, mut other) = (sharing(&["a", "b"]), sharing(&[]));
    talk(&mut one, &mut other);
    (one, other)
}

fn epoch(world: &World, stream: StreamId) -> Option<u32> {
    Some(world.registry.orders(stream, &key()).ok()?.place?.epoch)
}

#[test]
fn what_one_was_told_the_other_lists_and_hands_out() {
    let (mut one, mut other) = two();
    let (stream, place) = one.create("demo");
    tell(&mut one, &mut other);
    assert_eq!(other.state(stream), Some(StreamState::Starting));
    assert_eq!(epoch(&other, stream), Some(1));
    one.report(place.relays[0].name.as_str(), &[carried(stream, 1, true, 7)]).unwrap();
    talk(&mut one, &mut other);
    assert_eq!(other.listed(), [(stream, StreamState::Live, 7)]);
    assert_eq!(names(&other.watch(stream).unwrap().1)[0], place.relays[0].name.as_str());
    assert_eq!(other.changes(), [(stream, Some((StreamState::Live, 7)))]);
}

#[test]
fn relay_that_another_has_found_good_works_here_before_it_is_dialled() {
    let (_, mut other) = two();
    let (_, place) = other.create("demo");
    assert_eq!(place.relays.len(), 2);
    assert_eq!(other.registry.due_checks(other.now_us).len(), 0);
    other.now_us += 1_000_000;
    assert_eq!(other.registry.due_checks(other.now_us).len(), 2, "and is dialled all the same");
}

#[test]
fn higher_epoch_wins_in_whichever_order_it_is_heard() {
    let (mut one, mut other) = two();
    let (stream, _) = one.create("demo");
    talk(&mut one, &mut other);
    let old = one.registry.shared_stream(stream).unwrap();
    one.reassign(stream, None).unwrap();
    other.reassign(stream, None).unwrap();
    other.reassign(stream, None).unwrap();
    other.registry.absorb_stream(other.now_us, stream, one.registry.shared_stream(stream).unwrap());
    assert_eq!(epoch(&other, stream), Some(3), "an older one changes nothing");
    talk(&mut one, &mut other);
    assert_eq!((epoch(&one, stream), epoch(&other, stream)), (Some(3), Some(3)));
    assert!(one.registry.take_news_for_broadcasters(), "and its broadcaster hears of it");
    one.registry.absorb_stream(one.now_us, stream, old);
    assert_eq!(epoch(&one, stream), Some(3));
    assert_eq!(one.reassign(stream, None).unwrap().epoch, 4);
}

#[test]
fn number_that_both_have_given_out_is_the_first_ones_and_the_other_counts_on() {
    let (mut one, mut other) = two();
    let (stream, _) = one.create("demo");
    talk(&mut one, &mut other);
    let first = one.reassign(stream, Some("a")).unwrap();
    let second = other.reassign(stream, Some("b")).unwrap();
    assert_eq!((first.epoch, second.epoch), (2, 2));
    let theirs = one.registry.shared_stream(stream).unwrap();
    other.registry.yield_to(other.now_us, stream, theirs.clone());
    other.registry.yield_to(other.now_us, stream, theirs);
    talk(&mut one, &mut other);
    for world in [&one, &other] {
        let place = world.registry.orders(stream, &key()).unwrap().place.unwrap();
        assert_eq!((place.epoch, names(&place)), (3, names(&second)));
    }
}

#[test]
fn heartbeats_are_told_as_the_relays_and_change_no_stream() {
    let (mut one, mut other) = two();
    let (stream, place) = one.create("demo");
    let relay = place.relays[0].name.clone();
    one.report(relay.as_str(), &[carried(stream, 1, true, 1)]).unwrap();
    talk(&mut one, &mut other);
    one.now_us += 1_000_000;
    one.report(relay.as_str(), &[carried(stream, 1, true, 2)]).unwrap();
    assert_eq!(one.registry.take_touched(), Touched { streams: vec![], relays: vec![relay] });
}

#[test]
fn what_a_relay_said_to_one_is_old_at_the_other() {
    let (mut one, mut other) = two();
    let said_at_ms = one.say();
    let heartbeat = || protocol::http::Heartbeat {
        viewers: 0,
        streams: vec![],
        load: Default::default(),
        draining: false,
        webtransport: None,
    };
    one.registry.heartbeat(one.now_us, &name("a"), &key_of("a"), said_at_ms, heartbeat()).unwrap();
    tell(&mut one, &mut other);
    let again = other.registry.heartbeat(other.now_us, &name("a"), &key_of("a"), said_at_ms, heartbeat());
    assert_eq!(again, Err(crate::registry::HeartbeatError::Replayed));
    other.registry.heartbeat(other.now_us, &name("a"), &key_of("a"), said_at_ms + 1, heartbeat()).unwrap();
}

#[test]
fn end_is_final_and_expiry_is_not_where_media_is_seen() {
    let (mut one, mut other) = two();
    let (stream, place) = one.create("demo");
    let relay = place.relays[0].name.as_str().to_owned();
    one.report(&relay, &[carried(stream, 1, true, 1)]).unwrap();
    talk(&mut one, &mut other);
    // One hears no more of the relay, and gives the stream up; the other sees it live.
    for world in [&mut one, &mut other] {
        world.now_us += 60_000_000;
    }
    for _ in 0..10 {
        other.say(); // the same relay's clock
    }
    other.join(&relay).unwrap();
    other.report(&relay, &[carried(stream, 1, true, 1)]).unwrap();
    other.registry.take_touched();
    one.registry.tick(one.now_us);
    one.now_us += 60_000_000;
    one.registry.tick(one.now_us);
    assert_eq!(one.state(stream), None);
    assert_eq!(one.registry.end_reason(&stream), Some(EndReason::Expired));
    talk(&mut one, &mut other);
    assert_eq!((epoch(&other, stream), one.registry.has(&stream)), (Some(1), true), "it is told of anew");
    other.registry.end(stream, &key()).unwrap();
    one.reassign(stream, None).ok();
    talk(&mut one, &mut other);
    assert!(!one.registry.has(&stream) && !other.registry.has(&stream), "whoever did what meanwhile");
    assert_eq!(one.registry.shared_stream(stream), Some(SharedStream::Ended(EndReason::Broadcaster)));
}

#[test]
fn stream_that_nobody_sees_expires_once_for_all() {
    let (mut one, mut other) = two();
    let (stream, _) = one.create("demo");
    talk(&mut one, &mut other);
    one.now_us += 61_000_000;
    one.registry.tick(one.now_us);
    talk(&mut one, &mut other);
    assert!(!other.registry.has(&stream) && !one.registry.has(&stream));
    let (stream, _) = other.try_create("late", protocol::http::Visibility::Public).unwrap();
    other.registry.take_touched();
    other.reassign(stream, None).unwrap();
    other.registry.absorb_no_stream(stream);
    assert!(other.registry.has(&stream), "its broadcaster was heard of a moment ago");
}

#[test]
fn viewer_that_one_let_in_and_the_other_removes_stays_out_with_its_network_everywhere() {
    let (mut one, mut other) = two();
    let (stream, place) = one.create("demo");
    let relay = place.relays[0].name.as_str().to_owned();
    one.report(&relay, &[carried(stream, 1, true, 1)]).unwrap();
    talk(&mut one, &mut other);
    let (viewer, network) = (ViewerId(7), Network::of("203.0.113.5".parse().unwrap()));
    let admit = |world: &mut World, viewer| world.admit(stream, viewer, network).map(drop);
    one.admit(stream, viewer, network).unwrap();
    other.registry.remove_viewer(other.now_us, stream, &key(), viewer).unwrap();
    admit(&mut other, ViewerId(8)).unwrap();
    talk(&mut one, &mut other);
    for world in [&mut one, &mut other] {
        assert_eq!(admit(world, ViewerId(9)), Err(WatchError::Removed));
        assert_eq!(world.renew(stream, viewer, network).map(drop), Err(WatchError::Removed));
        assert_eq!(world.registry.removed_at(world.now_us, &name(&relay)).len(), 1, "and relays are told");
    }
}

#[test]
fn silence_of_a_relay_proves_nothing_while_nobody_else_can_be_heard() {
    let (mut one, _) = two();
    let (stream, place) = one.create("demo");
    let relay = place.relays[0].name.as_str().to_owned();
    one.report(&relay, &[carried(stream, 1, true, 1)]).unwrap();
    one.registry.set_alone(one.now_us, true);
    one.pass(Duration::from_secs(30), &[]);
    assert_eq!(one.state(stream), Some(StreamState::Live));
    assert_eq!(one.registry.due_checks(one.now_us).len(), 2, "but it is dialled");
    let (_, place) = one.create("another");
    assert_eq!(place.relays.len(), 2, "and works, for want of better ones");
    one.registry.set_alone(one.now_us, false);
    one.pass(Duration::from_secs(6), &[]);
    assert_eq!(one.watch(stream).unwrap_err(), PlaceError::NoRelay, "now it does");
}

#[test]
fn relay_that_does_not_answer_either_is_lost_though_nobody_else_can_be_heard() {
    let (mut one, _) = two();
    one.registry.set_alone(one.now_us, true);
    for _ in 0..20 {
        one.pass(Duration::from_secs(1), &[("b", &[])]);
        for due in one.registry.due_checks(one.now_us) {
            let answers = if due.address.name == name("a") { Err("nobody".to_owned()) } else { Ok(()) };
            one.registry.checked(one.now_us, &due, answers);
        }
    }
    let relays = one.registry.relay_statuses(one.now_us).into_iter().map(|status| status.name);
    assert_eq!(relays.collect::<Vec<_>>(), [name("b")]);
}

#[test]
fn stream_without_media_has_more_time_while_nobody_else_can_be_heard() {
    let (mut one, _) = two();
    let (stream, _) = one.create("demo");
    one.registry.set_alone(one.now_us, true);
    one.pass(Duration::from_secs(120), &[]);
    assert_eq!(one.state(stream), Some(StreamState::Starting));
    one.registry.set_alone(one.now_us, false);
    one.registry.tick(one.now_us);
    assert!(one.registry.has(&stream), "and some when they are back");
    one.now_us += micros(FAILOVER_TIME_MAX + INTERRUPTED_TIME_MAX);
    one.registry.tick(one.now_us);
    assert!(!one.registry.has(&stream));
}

#[test]
fn stream_without_media_is_not_kept_for_ever_either() {
    let mut one = sharing(&["a"]);
    one.registry.set_alone(one.now_us, true);
    let (stream, _) = one.create("demo");
    one.now_us += micros(ALONE_PATIENCE + STREAM_START_TIME_MAX);
    one.registry.tick(one.now_us);
    assert!(!one.registry.has(&stream));
}

#[test]
fn relay_that_is_shut_out_at_one_is_out_at_the_other() {
    let (mut one, mut other) = two();
    let (stream, _) = one.create("demo");
    talk(&mut one, &mut other);
    one.registry.shut_out(one.now_us, &name("a"));
    other.registry.keep_those_that_belong(other.now_us, |relay, _| *relay != name("a"));
    for world in [&one, &other] {
        assert_eq!(world.registry.key_of(&name("a")), None);
        let place = world.registry.orders(stream, &key()).unwrap().place.unwrap();
        assert_eq!((names(&place), place.away.len()), (vec!["b"], 0));
    }
}

#[test]
fn registry_that_shares_nothing_notes_nothing() {
    let mut world = World::new(&["a"]);
    let (stream, _) = world.create("demo");
    world.report("a", &[carried(stream, 1, true, 1)]).unwrap();
    world.registry.end(stream, &key()).unwrap();
    assert!(!world.registry.is_touched());
}

/// What happens at one of two directories.
#[derive(Debug, Clone)]
enum Event {
    Create(u8),
    Reassign(u8),
    Move(u8, bool),
    Report(u8, u32, bool),
    RemoveViewer(u8, u64),
    End(u8),
    Wait(u8),
    /// They tell each other, one more or less than the other.
    Tell(bool),
}

fn event() -> impl Strategy<Value = (bool, Event)> {
    let event = prop_oneof![
        any::<u8>().prop_map(Event::Create),
        any::<u8>().prop_map(Event::Reassign),
        any::<(u8, bool)>().prop_map(|(stream, relay)| Event::Move(stream, relay)),
        (any::<u8>(), 1..6_u32, any::<bool>()).prop_map(|(stream, epoch, relay)| Event::Report(stream, epoch, relay)),
        (any::<u8>(), 0..4_u64).prop_map(|(stream, viewer)| Event::RemoveViewer(stream, viewer)),
        any::<u8>().prop_map(Event::End),
        (0..20_u8).prop_map(Event::Wait),
        any::<bool>().prop_map(Event::Tell),
    ];
    (any::<bool>(), event)
}

fn apply(world: &mut World, streams: &mut Vec<StreamId>, event: &Event) {
    let of = |streams: &[StreamId], number: u8| streams.get(usize::from(number) % streams.len().max(1)).copied();
    let relay = |second: bool| name(if second { "b" } else { "a" });
    match *event {
        Event::Create(number) => {
            let made = world.try_create(&format!("stream {number}"), protocol::http::Visibility::Public);
            streams.extend(made.map(|(stream, _)| stream));
        }
        Event::Reassign(number) => drop(of(streams, number).map(|stream| world.reassign(stream, None))),
        Event::Move(number, second) => {
            drop(of(streams, number).map(|id| world.registry.move_stream(world.now_us, id, &relay(second))));
        }
        Event::Report(number, epoch, second) => {
            if let Some(stream) = of(streams, number) {
                // A relay that was lost meanwhile is unknown.
                let _ = world.report(relay(second).as_str(), &[carried(stream, epoch, true, 1)]);
            }
        }
        Event::RemoveViewer(number, viewer) => {
            let id = of(streams, number);
            let _ = id.map(|id| world.registry.remove_viewer(world.now_us, id, &key(), ViewerId(viewer)));
        }
        Event::End(number) => {
            let _ = of(streams, number).map(|id| world.registry.end(id, &key()));
        }
        Event::Wait(seconds) => {
            world.now_us += u64::from(seconds) * 1_000_000;
            world.registry.tick(world.now_us);
        }
        Event::Tell(_) => {}
    }
}

proptest! {
    #[test]
    fn whatever_two_directories_did_apart_they_agree_once_they_have_told_each_other(
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let (mut one, mut other) = two();
        let mut streams = Vec::new();
        for (first, event) in &events {
            if let Event::Tell(both) = event {
                tell(&mut one, &mut other);
                if *both {
                    tell(&mut other, &mut one);
                }
            } else {
                apply(if *first { &mut one } else { &mut other }, &mut streams, event);
            }
        }
        talk(&mut one, &mut other);
        for stream in streams {
            prop_assert_eq!(one.registry.shared_stream(stream), other.registry.shared_stream(stream));
        }
    }
}
