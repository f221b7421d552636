//! A registry with a clock in hand, and relays and broadcasters that say little.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use protocol::{
    BroadcastKey, RelayName, StreamId, ViewerId, WebTransportAddress,
    http::{CarriedStream, Heartbeat, ListEvent, RelayAddress, RelayLoad, StreamState, StreamSummary, Visibility},
    signing::PublicKey,
};

use service::Network;

use crate::registry::{
    Assign, HeartbeatError, Joining, NewStream, Place, PlaceError, RegisterError, Registry, Rules, WatchError, Wish,
    micros,
};

pub(in crate::registry) const START_US: u64 = 1_763_000_000_000_000;

pub(in crate::registry) fn name(text: &str) -> RelayName {
    text.parse().unwrap()
}

pub(in crate::registry) fn key() -> BroadcastKey {
    BroadcastKey::new([7; 32])
}

pub(in crate::registry) fn joining(relay: &str) -> Joining {
    Joining {
        address: RelayAddress::new(name(relay), format!("ws://{relay}:5001/ws").parse().unwrap()),
        streams_max: 4,
        viewers_max: 100,
        egress_bytes_per_s_max: None,
        region: None,
        public_key: key_of(relay),
        from_afar: false,
    }
}

/// A key that is this relay's in every test.
pub(in crate::registry) fn key_of(relay: &str) -> PublicKey {
    let relay = relay.as_bytes();
    let bytes: [u8; 32] = std::array::from_fn(|at| relay.get(at).copied().unwrap_or(b'.'));
    URL_SAFE_NO_PAD.encode(bytes).parse().unwrap()
}

pub(in crate::registry) fn carried(stream: StreamId, epoch: u32, live: bool, viewers: u32) -> CarriedStream {
    CarriedStream { stream, epoch, live, viewers, depth: 0 }
}

pub(in crate::registry) fn about(title: &str, visibility: Visibility) -> NewStream {
    NewStream {
        title: title.parse().unwrap(),
        visibility,
        sealed: false,
        key_hash: key().hash(),
        password: None,
        pass: None,
    }
}

pub(in crate::registry) struct World {
    pub(in crate::registry) registry: Registry,
    pub(in crate::registry) now_us: u64,
    said_at_ms: u64,
}

impl World {
    /// One where relays are given out in an order that can be told beforehand.
    pub(in crate::registry) fn new(relays: &[&str]) -> Self {
        Self::by(Assign::FewestStreams, 0, relays)
    }

    pub(in crate::registry) fn by(assign: Assign, seed: u64, relays: &[&str]) -> Self {
        let rules = Rules { streams_max: 100, assign, seed, begun_at_us: 0 };
        let mut world = Self { registry: Registry::new(rules), now_us: START_US, said_at_ms: 0 };
        for relay in relays {
            world.join(relay).unwrap();
        }
        world
    }

    pub(in crate::registry) fn join(&mut self, relay: &str) -> Result<(), RegisterError> {
        self.join_as(joining(relay))
    }

    pub(in crate::registry) fn join_as(&mut self, joining: Joining) -> Result<(), RegisterError> {
        let said_at_ms = self.say();
        self.registry.register(self.now_us, joining, said_at_ms)?;
        self.check_all(&Ok(()));
        Ok(())
    }

    pub(in crate::registry) fn report(
        &mut self,
        relay: &str,
        streams: &[CarriedStream],
    ) -> Result<Vec<StreamId>, HeartbeatError> {
        self.report_busy(relay, streams, RelayLoad::default())
    }

    /// The same of a relay that has so much to do.
    pub(in crate::registry) fn report_busy(
        &mut self,
        relay: &str,
        streams: &[CarriedStream],
        load: RelayLoad,
    ) -> Result<Vec<StreamId>, HeartbeatError> {
        let viewers = streams.iter().map(|stream| stream.viewers).sum();
        let heartbeat = Heartbeat { viewers, streams: streams.to_vec(), load, draining: false, webtransport: None };
        let (relay, said_at_ms) = (name(relay), self.say());
        let key = self.registry.key_of(&relay).unwrap_or_else(|| key_of(relay.as_str()));
        self.registry.heartbeat(self.now_us, &relay, &key, said_at_ms, heartbeat)
    }

    /// An idle relay's heartbeat, with where it is reached by WebTransport.
    pub(in crate::registry) fn report_webtransport(&mut self, relay: &str, webtransport: Option<WebTransportAddress>) {
        let heartbeat =
            Heartbeat { viewers: 0, streams: vec![], load: RelayLoad::default(), draining: false, webtransport };
        let (relay, said_at_ms) = (name(relay), self.say());
        self.registry.heartbeat(self.now_us, &relay, &key_of(relay.as_str()), said_at_ms, heartbeat).unwrap();
    }

    /// The relays that are to be dialled now answer like this.
    pub(in crate::registry) fn check_all(&mut self, result: &Result<(), String>) {
        for due in self.registry.due_checks(self.now_us) {
            self.registry.checked(self.now_us, &due, result.clone());
        }
    }

    /// A time that was never said before.
    pub(in crate::registry) fn say(&mut self) -> u64 {
        self.said_at_ms += 1;
        self.said_at_ms
    }

    /// Time passes while these relays go on reporting the same.
    pub(in crate::registry) fn pass(&mut self, time: Duration, reporting: &[(&str, &[CarriedStream])]) {
        let end_us = self.now_us + micros(time);
        while self.now_us < end_us {
            self.now_us = (self.now_us + 500_000).min(end_us);
            for (relay, streams) in reporting {
                self.report(relay, streams).unwrap();
            }
            self.registry.tick(self.now_us);
        }
    }

    pub(in crate::registry) fn create(&mut self, title: &str) -> (StreamId, Place) {
        self.try_create(title, Visibility::Public).unwrap()
    }

    pub(in crate::registry) fn try_create(
        &mut self,
        title: &str,
        visibility: Visibility,
    ) -> Result<(StreamId, Place), PlaceError> {
        self.registry.create(self.now_us, about(title, visibility))
    }

    pub(in crate::registry) fn reassign(
        &mut self,
        stream: StreamId,
        failed: Option<&str>,
    ) -> Result<Place, PlaceError> {
        self.registry.reassign(self.now_us, stream, &key(), failed.map(name).as_ref())
    }

    pub(in crate::registry) fn watch(&self, stream: StreamId) -> Result<(StreamSummary, Place), PlaceError> {
        self.registry.watch(self.now_us, stream, &Wish::default())
    }

    pub(in crate::registry) fn admit(
        &mut self,
        stream: StreamId,
        viewer: ViewerId,
        network: Network,
    ) -> Result<(StreamSummary, Place), WatchError> {
        self.registry.admit(self.now_us, stream, viewer, network, &Wish::default())
    }

    pub(in crate::registry) fn renew(
        &mut self,
        stream: StreamId,
        viewer: ViewerId,
        network: Network,
    ) -> Result<(StreamSummary, Place), WatchError> {
        self.registry.renew(self.now_us, stream, viewer, Some(network), &Wish::default())
    }

    pub(in crate::registry) fn state(&self, stream: StreamId) -> Option<StreamState> {
        self.watch(stream).ok().map(|(summary, _)| summary.state)
    }

    pub(in crate::registry) fn listed(&self) -> Vec<(StreamId, StreamState, u32)> {
        let summary = |stream: StreamSummary| (stream.id, stream.state, stream.viewers);
        self.registry.list().into_iter().map(summary).collect()
    }

    /// The changes since the last call, each as the stream's state and viewers; none for one that left.
    pub(in crate::registry) fn changes(&mut self) -> Vec<(StreamId, Option<(StreamState, u32)>)> {
        let changes = self.registry.take_changes().into_iter();
        changes
            .map(|change| match change {
                ListEvent::StreamChanged { stream } => (stream.id, Some((stream.state, stream.viewers))),
                ListEvent::StreamRemoved { id } => (id, None),
                ListEvent::Streams { .. } => panic!("the registry never tells the whole list as a change"),
            })
            .collect()
    }
}

pub(in crate::registry) fn names(place: &Place) -> Vec<&str> {
    place.relays.iter().map(|relay| relay.name.as_str()).collect()
}
