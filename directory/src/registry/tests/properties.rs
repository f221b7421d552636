//! What holds after any events in any order.

use std::{
    collections::{HashMap, HashSet},
    net::Ipv4Addr,
};

use proptest::prelude::*;
use protocol::{
    BroadcastKey, StreamId, ViewerId,
    http::{CarriedStream, ListEvent, RelayLoad, StreamSummary, Visibility},
    limits::RELAYS_NAMED_MAX,
};

use service::Network;

use super::driver::{World, about, carried, joining, key, key_of, name};
use crate::registry::{Assign, Joining, NewStream};

#[derive(Debug, Clone)]
enum Event {
    Join { relay: usize, key: u8, streams_max: u32 },
    Report { relay: usize, streams: Vec<(usize, u32, bool, u32, u8)>, cpu_percent: u32 },
    Create { title: u8, unlisted: bool },
    Reassign { stream: usize, failed: Option<usize> },
    End { stream: usize, right_key: bool },
    Pass { ms: u64 },
    Check { relay: usize, good: bool },
    ShutOut { relay: usize },
    Watch { stream: usize, viewer: u64 },
    Remove { stream: usize, viewer: u64 },
    EndOfPass { title: u8 },
}

const RELAYS: [&str; 4] = ["a", "b", "c", "d"];

fn event() -> impl Strategy<Value = Event> {
    let relay = 0..RELAYS.len();
    let report = (0..8usize, 0..4u32, any::<bool>(), 0..300u32, 0..4u8);
    prop_oneof![
        2 => (relay.clone(), 0..2u8, 0..5u32)
            .prop_map(|(relay, key, streams_max)| Event::Join { relay, key, streams_max }),
        6 => (relay.clone(), prop::collection::vec(report, 0..5), 0..110u32)
            .prop_map(|(relay, streams, cpu_percent)| Event::Report { relay, streams, cpu_percent }),
        3 => (0..2u8, any::<bool>()).prop_map(|(title, unlisted)| Event::Create { title, unlisted }),
        1 => (0..8usize, prop::option::of(relay)).prop_map(|(stream, failed)| Event::Reassign { stream, failed }),
        1 => (0..8usize, any::<bool>()).prop_map(|(stream, right_key)| Event::End { stream, right_key }),
        3 => (0..20_000u64).prop_map(|ms| Event::Pass { ms }),
        3 => (0..RELAYS.len(), any::<bool>()).prop_map(|(relay, good)| Event::Check { relay, good }),
        1 => (0..RELAYS.len()).prop_map(|relay| Event::ShutOut { relay }),
        2 => (0..8usize, 0..4u64).prop_map(|(stream, viewer)| Event::Watch { stream, viewer }),
        1 => (0..8usize, 0..4u64).prop_map(|(stream, viewer)| Event::Remove { stream, viewer }),
        1 => (0..2u8).prop_map(|title| Event::EndOfPass { title }),
    ]
}

fn assign() -> impl Strategy<Value = Assign> {
    prop_oneof![Just(Assign::HeadRoom), Just(Assign::FewestStreams)]
}

/// Applies events and checks what each answer promises.
struct Trial {
    world: World,
    made: Vec<StreamId>,
    unlisted: HashSet<StreamId>,
    removed: HashSet<(StreamId, ViewerId)>,
    epochs: HashMap<StreamId, u32>,
    /// The list as a page holds it that started empty and applies the changes.
    page: HashMap<StreamId, StreamSummary>,
}

impl Trial {
    fn new(assign: Assign, seed: u64) -> Self {
        Self {
            world: World::by(assign, seed, &[]),
            made: Vec::new(),
            unlisted: HashSet::new(),
            removed: HashSet::new(),
            epochs: HashMap::new(),
            page: HashMap::new(),
        }
    }

    fn stream(&self, index: usize) -> Option<StreamId> {
        self.made.get(index % self.made.len().max(1)).copied()
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Join { relay, key, streams_max } => {
                let joining = Joining { public_key: key_of(&key.to_string()), streams_max, ..joining(RELAYS[relay]) };
                let _ = self.world.join_as(joining);
            }
            Event::Report { relay, streams, cpu_percent } => {
                let known = |(index, epoch, live, viewers, depth): (usize, u32, bool, u32, u8)| {
                    Some(CarriedStream { depth, ..carried(self.stream(index)?, epoch, live, viewers) })
                };
                let streams: Vec<_> = streams.into_iter().filter_map(known).collect();
                let load = RelayLoad { cpu_percent, ..RelayLoad::default() };
                let _ = self.world.report_busy(RELAYS[relay], &streams, load);
            }
            Event::Create { title, unlisted } => {
                let visibility = if unlisted { Visibility::Unlisted } else { Visibility::Public };
                let about = NewStream { pass: Some(title.to_string()), ..about(&format!("title {title}"), visibility) };
                if let Ok((id, place)) = self.world.registry.create(self.world.now_us, about) {
                    assert!(!self.made.contains(&id), "ids are unique");
                    self.check_relays(&place);
                    self.made.push(id);
                    self.unlisted.extend(unlisted.then_some(id));
                }
            }
            Event::Reassign { stream, failed } => {
                let Some(id) = self.stream(stream) else { return };
                let before = self.world.watch(id).map(|(_, place)| place.epoch);
                if let Ok(place) = self.world.reassign(id, failed.map(|relay| RELAYS[relay])) {
                    assert!(before.is_ok_and(|before| place.epoch == before + 1) || before.is_err());
                    self.check_relays(&place);
                }
            }
            Event::End { stream, right_key } => {
                let Some(id) = self.stream(stream) else { return };
                let key = if right_key { key() } else { BroadcastKey::new([1; 32]) };
                let ended = self.world.registry.end(id, &key);
                assert!(right_key || ended.is_err());
            }
            Event::Check { relay, good } => {
                let result = if good { Ok(()) } else { Err("late".to_owned()) };
                let due = self.world.registry.due_checks(self.world.now_us);
                for due in due {
                    let result = if due.address.name == name(RELAYS[relay]) { result.clone() } else { Ok(()) };
                    self.world.registry.checked(self.world.now_us, &due, result);
                }
            }
            Event::ShutOut { relay } => {
                let relay = name(RELAYS[relay]);
                self.world.registry.shut_out(self.world.now_us, &relay);
                for id in &self.made {
                    let named = self.world.watch(*id).map(|(_, place)| place.relays).unwrap_or_default();
                    assert!(named.iter().all(|address| address.name != relay), "nobody is sent there");
                }
            }
            Event::Watch { stream, viewer } => {
                let Some(id) = self.stream(stream) else { return };
                let (viewer, network) = (ViewerId(viewer), Network::of(Ipv4Addr::from_bits(viewer as u32).into()));
                let out = self.removed.contains(&(id, viewer));
                if let Ok((_, place)) = self.world.admit(id, viewer, network) {
                    assert!(!out, "a removed viewer comes in");
                    self.check_good(&place);
                    self.check_upstream(id, &place);
                }
                assert!(!(out && self.world.renew(id, viewer, network).is_ok()));
            }
            Event::Remove { stream, viewer } => {
                let Some(id) = self.stream(stream) else { return };
                if self.world.registry.remove_viewer(self.world.now_us, id, &key(), ViewerId(viewer)).is_ok() {
                    self.removed.insert((id, ViewerId(viewer)));
                }
            }
            Event::EndOfPass { title } => {
                self.world.registry.end_of_pass(&title.to_string());
                let left = self.world.registry.stream_statuses();
                assert!(left.iter().all(|stream| stream.pass != Some(title.to_string())));
            }
            Event::Pass { ms } => {
                self.world.now_us += ms * 1000;
                self.world.registry.tick(self.world.now_us);
            }
        }
    }

    /// Nobody is sent to a relay that was not checked.
    fn check_good(&self, place: &crate::registry::Place) {
        for address in &place.relays {
            assert!(self.world.registry.relays[&address.name].check.is_good());
        }
    }

    /// Whoever is to pull a stream is told where from, and never from itself alone.
    fn check_upstream(&self, id: StreamId, place: &crate::registry::Place) {
        let registry = &self.world.registry;
        assert!(place.upstream.len() <= RELAYS_NAMED_MAX);
        assert!(place.upstream.iter().all(|address| registry.relays[&address.name].check.is_good()));
        let first = &place.relays[0];
        let carried = registry.streams[&id].reports.contains_key(&first.name);
        let live = registry.streams[&id].live_on().is_some();
        assert!(carried || !live || place.upstream.iter().any(|upstream| upstream != first), "{place:?}");
    }

    /// Whoever is assigned holds its name, was heard of in time, and has room.
    fn check_relays(&self, place: &crate::registry::Place) {
        for address in &place.relays {
            let relay = &self.world.registry.relays[&address.name];
            assert!(!relay.is_lost(self.world.now_us));
            assert!(relay.joining.streams_max > 0 && relay.viewers < relay.joining.viewers_max);
        }
        self.check_good(place);
        let unique: HashSet<_> = place.relays.iter().map(|relay| &relay.name).collect();
        assert_eq!(unique.len(), place.relays.len());
    }

    fn check(&mut self) {
        for change in self.world.registry.take_changes() {
            match change {
                ListEvent::StreamChanged { stream } => drop(self.page.insert(stream.id, stream)),
                ListEvent::StreamRemoved { id } => {
                    assert!(self.page.remove(&id).is_some(), "only what was told leaves")
                }
                ListEvent::Streams { .. } => panic!("not a change"),
            }
        }
        let list = self.world.registry.list();
        assert!(list.iter().all(|stream| !self.unlisted.contains(&stream.id)), "unlisted streams stay unlisted");
        assert!(list.is_sorted_by_key(|stream| stream.created_at_ms), "oldest first");
        let states = |streams: &mut dyn Iterator<Item = &StreamSummary>| -> HashMap<_, _> {
            streams.map(|stream| (stream.id, format!("{:?}", stream.state))).collect()
        };
        assert_eq!(states(&mut self.page.values()), states(&mut list.iter()), "a page that follows has the same list");
        for id in self.made.clone() {
            let Ok(orders) = self.world.registry.orders(id, &key()) else { continue };
            if let Some(place) = &orders.place {
                self.check_good(place);
                assert!(orders.moved_in_epoch <= place.epoch);
                let before = self.epochs.insert(id, place.epoch);
                assert!(before.is_none_or(|before| before <= place.epoch), "epochs only grow");
            }
        }
        let registry = &self.world.registry;
        for stream in registry.streams.values() {
            let origin = stream.live_on().map(|(_, report)| report);
            assert!(origin.is_none_or(|report| report.depth == 0), "no edge is taken for the origin");
        }
        assert_eq!(registry.by_age.len(), registry.streams.len());
        for (relay, stream) in registry.streams.values().flat_map(|s| s.reports.keys().map(move |r| (r, s.id))) {
            assert!(registry.relays[relay].carried.contains(&stream), "every report has a relay that made it");
        }
    }
}

proptest! {
    #[test]
    fn registry_keeps_its_promises(assign in assign(), seed: u64, events in prop::collection::vec(event(), 1..120)) {
        let mut trial = Trial::new(assign, seed);
        trial.world.join("a").unwrap();
        for event in events {
            trial.apply(event);
            trial.check();
        }
    }

    #[test]
    fn streams_are_spread_evenly(assign in assign(), seed: u64, relays in 1..5usize, streams in 1..12usize) {
        let mut world = World::by(assign, seed, &RELAYS[..relays]);
        let mut counts: HashMap<_, usize> = RELAYS[..relays].iter().map(|relay| (name(relay), 0)).collect();
        for _ in 0..streams.min(relays * 4) {
            *counts.get_mut(&world.create("demo").1.relays[0].name).unwrap() += 1;
        }
        let (most, fewest) = (counts.values().max().unwrap(), counts.values().min().unwrap());
        prop_assert!(most - fewest <= 1);
    }
}
