//! Which relays a stream is given: those with most room among the healthy ones.

use std::collections::{BTreeMap, HashMap};

use clap::ValueEnum;
use protocol::{RelayName, StreamId, limits::RELAYS_NAMED_MAX};

use super::{
    Registry,
    draw::Draw,
    head_room::{HeadRoom, NEAR, Work},
    relay::{Relay, RelayHealth},
    stream::Stream,
};

/// How relays are chosen for streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Assign {
    /// By how much of the relays is free: processor, line, files, streams and viewers. Streams leave a relay that is too busy
    #[default]
    HeadRoom,
    /// By the number of streams alone; nothing moves by itself
    FewestStreams,
}

/// How much a relay has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    /// Streams it told of, and those assigned to it that no relay has told of yet.
    pub(super) streams: u32,
    /// Viewers it told of, and those that were sent to it since.
    pub(super) viewers: u32,
}

/// A relay that could be given a stream. The order of the fields is that of [`Assign::FewestStreams`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<'a> {
    last: bool,
    health: RelayHealth,
    load: Load,
    name: &'a RelayName,
    room: HeadRoom,
}

impl Relay {
    /// Its head-room when it has this to do.
    pub(super) fn room_for(&self, load: Load) -> HeadRoom {
        self.work(load).head_room(&self.joining)
    }

    /// What it does, with streams and viewers as they are known by now.
    pub(super) fn work(&self, load: Load) -> Work {
        Work { streams: load.streams, viewers: load.viewers, load: self.load }
    }

    /// What it told, and what was sent to it since.
    pub(super) fn told(&self) -> Load {
        let (streams, viewers) = (self.streams, self.viewers);
        Load { streams: streams.saturating_add(self.sent.edges), viewers: viewers.saturating_add(self.sent.viewers) }
    }
}

/// The load of every relay, without the stream `except`: what looks for a new place must not stand in its own way.
///
/// Heartbeats alone lag by up to a second: streams created meanwhile would all go to one relay.
pub(super) fn loads<'a>(
    relays: &'a BTreeMap<RelayName, Relay>,
    streams: &HashMap<StreamId, Stream>,
    except: Option<StreamId>,
) -> BTreeMap<&'a RelayName, Load> {
    let told = |relay: &Relay| {
        let own = except.is_some_and(|id| relay.carried.contains(&id));
        let told = relay.told();
        Load { streams: told.streams.saturating_sub(own.into()), ..told }
    };
    let mut loads: BTreeMap<_, _> = relays.iter().map(|(name, relay)| (name, told(relay))).collect();
    for stream in streams.values().filter(|stream| !stream.is_carried() && except != Some(stream.id)) {
        let expected_on = stream.assigned.iter().find(|name| relays.contains_key(*name));
        if let Some(name) = expected_on
            && !stream.reports.contains_key(name)
            && let Some(load) = loads.get_mut(name)
        {
            load.streams = load.streams.saturating_add(1);
        }
    }
    loads
}

impl Registry {
    /// How a relay with this load is doing.
    pub(super) fn health(&self, relay: &Relay, load: Load, now_us: u64) -> RelayHealth {
        if !relay.check.is_good() {
            RelayHealth::Unchecked
        } else if relay.is_draining() {
            RelayHealth::Draining
        } else if load.streams >= relay.joining.streams_max || load.viewers >= relay.joining.viewers_max {
            RelayHealth::Full
        } else if self.rules.assign == Assign::HeadRoom && relay.pressure.is_busy() {
            RelayHealth::Busy
        } else if relay.is_suspect(now_us) {
            RelayHealth::Suspect
        } else {
            RelayHealth::Ready
        }
    }

    /// The relays for a `stream` (none yet: a new one) in order of preference. Full, lost, draining and unchecked relays are left out;
    /// suspect ones come after the others, then those that are to get nothing new, and the one that `failed` last.
    pub(super) fn preferred(
        &mut self,
        stream: Option<StreamId>,
        failed: Option<&RelayName>,
        now_us: u64,
    ) -> Vec<RelayName> {
        let mut draw = std::mem::take(&mut self.draw);
        let loads = loads(&self.relays, &self.streams, stream);
        let candidates = self.relays.iter().filter(|(_, relay)| !relay.is_lost(now_us)).filter_map(|(name, relay)| {
            let load = *loads.get(name)?;
            let health = self.health(relay, load, now_us);
            let candidate = Candidate { last: failed == Some(name), health, load, name, room: relay.room_for(load) };
            (health < RelayHealth::Full).then_some(candidate)
        });
        let mut candidates: Vec<_> = candidates.collect();
        candidates.sort_unstable();
        if self.rules.assign == Assign::HeadRoom {
            let groups = candidates.chunk_by(|one, other| (one.last, one.health) == (other.last, other.health));
            candidates = groups.flat_map(|group| by_head_room(group.to_vec(), &mut draw)).collect();
        }
        let names = candidates.into_iter().take(RELAYS_NAMED_MAX).map(|candidate| candidate.name.clone()).collect();
        self.draw = draw;
        names
    }

    /// The relays for a new stream. One that is to get nothing new may be named as a further one, not as the first.
    pub(super) fn preferred_for_new(&mut self, now_us: u64) -> Vec<RelayName> {
        let preferred = self.preferred(None, None, now_us);
        let busy = |name: &RelayName| {
            self.rules.assign == Assign::HeadRoom && self.relays.get(name).is_some_and(|relay| relay.pressure.is_busy())
        };
        if preferred.first().is_some_and(busy) { Vec::new() } else { preferred }
    }
}

/// The power of two choices (Mitzenmacher 2001), place for place: of the relays about as good as the best two are drawn, and the one
/// with fewer streams wins. Who knows only what heartbeats told a moment ago would otherwise send everything to one relay; and the
/// streams of a relay that dies would all go to one other.
fn by_head_room<'a>(mut group: Vec<Candidate<'a>>, draw: &mut Draw) -> Vec<Candidate<'a>> {
    let mut order = Vec::new();
    while order.len() < RELAYS_NAMED_MAX {
        let Some(best) = group.iter().map(|candidate| candidate.room).max() else { break };
        let near = |candidate: &Candidate<'_>| candidate.room.plus(NEAR) >= best;
        let near: Vec<_> = (0..group.len()).filter(|at| near(&group[*at])).collect();
        let (one, other) = draw.two_of(near.len());
        let (one, other) = (near[one], near[other]);
        let chosen = if group[one] <= group[other] { one } else { other };
        order.push(group.remove(chosen));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: u8) -> Vec<RelayName> {
        (0..count).map(|number| format!("relay-{number}").parse().unwrap()).collect()
    }

    fn candidate(name: &RelayName, streams: u32, percent: u16) -> Candidate<'_> {
        let load = Load { streams, viewers: 0 };
        Candidate { last: false, health: RelayHealth::Ready, load, name, room: HeadRoom::of_percent(percent) }
    }

    fn order<'a>(group: &[Candidate<'a>], seed: u64) -> Vec<&'a str> {
        let order = by_head_room(group.to_vec(), &mut Draw::new(seed));
        order.into_iter().map(|candidate| candidate.name.as_str()).collect()
    }

    #[test]
    fn relay_that_is_clearly_worse_comes_later_however_few_streams_it_has() {
        let names = names(3);
        let group = [candidate(&names[0], 0, 79), candidate(&names[1], 9, 90), candidate(&names[2], 8, 80)];
        for seed in 0..50 {
            assert_eq!(
                order(&group, seed),
                ["relay-2", "relay-1", "relay-0"],
                "80 % is as good as 90 %, and 79 % is not"
            );
        }
    }

    #[test]
    fn fewest_streams_of_two_that_are_drawn_and_never_the_most_of_all() {
        let names = names(5);
        let group: Vec<_> = (0u32..).zip(&names).map(|(streams, name)| candidate(name, streams, 90)).collect();
        let mut first = [0; 5];
        for seed in 0..1000 {
            let name = order(&group, seed)[0];
            first[names.iter().position(|known| known.as_str() == name).unwrap()] += 1;
        }
        assert!(first.is_sorted_by(|more, fewer| more > fewer), "{first:?}");
        assert_eq!(first[4], 0);
        assert!((300..500).contains(&first[0]), "two draws in five meet the emptiest: {first:?}");
    }
}
