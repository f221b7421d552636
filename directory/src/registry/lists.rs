//! The lists of relays that broadcasters and viewers hold: where they go by themselves when a relay fails, also while there is no
//! directory to ask.

use std::{collections::HashSet, time::Duration};

use protocol::{
    RelayName, StreamId,
    limits::{RELAY_SILENCE_TIME_MAX, RELAYS_NAMED_MAX, TICKET_RELAYS_MAX},
};

use super::{Place, Registry, micros, stream::Stream};

/// How long relays that live may take to be back at a directory that was gone: as long as they keep a name in silence.
const SETTLING_TIME: Duration = RELAY_SILENCE_TIME_MAX;

/// How long the check of a relay that has just joined takes at most, as a rule.
const CHECKING_TIME: Duration = Duration::from_secs(2);

/// How often one stream's list grows: relays that come one after the other cost one order.
const FILLED_INTERVAL: Duration = Duration::from_secs(2);

/// Streams whose lists grow at a time: each looks at all relays and streams.
const FILLED_MAX: usize = 64;

/// Where the stream is, or will be: where it arrives first, then where the newest publisher was or is expected, then where its
/// broadcaster goes next. Edges are none of these.
pub(super) fn of_broadcaster(stream: &Stream) -> Vec<RelayName> {
    let live = stream.live_on().map(|(name, _)| name);
    let carry = stream.reports.iter().filter(|(_, report)| stream.is_newest_origin(report)).map(|(name, _)| name);
    let mut carry: Vec<_> = carry.collect();
    carry.sort_by_key(|name| stream.assigned.iter().position(|assigned| assigned == *name).unwrap_or(usize::MAX));
    let mut names: Vec<RelayName> = Vec::new();
    for name in live.into_iter().chain(carry).chain(&stream.assigned) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// Which of `preferred` the broadcaster is at already, as it goes on to the next of its list before it asks.
pub(super) fn next_after(stream: &Stream, failed: &RelayName, preferred: &[RelayName]) -> Option<usize> {
    let at = stream.assigned.iter().position(|assigned| assigned == failed)?;
    let (before, after) = stream.assigned.split_at(at);
    let next = after.iter().skip(1).chain(before).find(|name| preferred.contains(name))?;
    preferred.iter().position(|name| name == next)
}

impl Registry {
    /// When a viewer who has this list is to ask for a longer one; none when there is no reason to expect one. Broadcasters are told
    /// by themselves; a viewer would keep a short list for as long as its ticket, with nowhere to go if all of it died.
    #[must_use]
    pub fn longer_list_after(&self, now_us: u64, place: &Place) -> Option<Duration> {
        if place.relays.len() >= RELAYS_NAMED_MAX {
            return None;
        }
        let settles_us = self.rules.begun_at_us.saturating_add(micros(SETTLING_TIME));
        let settles = Duration::from_micros(settles_us.saturating_sub(now_us));
        let joins = self.relays.values().any(|relay| relay.check.is_awaited());
        let after = settles.max(if joins { CHECKING_TIME } else { Duration::ZERO });
        (!after.is_zero()).then_some(after)
    }

    /// Relays that have joined meanwhile are named to those whose lists are short: a broadcaster with one relay has nowhere to go.
    pub(super) fn fill_lists(&mut self, now_us: u64) {
        let good = self.relays.iter().filter(|(_, relay)| relay.check.is_good());
        let good: HashSet<&RelayName> = good.map(|(name, _)| name).collect();
        let wanted = good.len().min(RELAYS_NAMED_MAX);
        let is_short = |stream: &&Stream| {
            let long_ago = now_us.saturating_sub(stream.list_at_us) >= micros(FILLED_INTERVAL);
            long_ago && stream.assigned.iter().filter(|name| good.contains(name)).count() < wanted
        };
        let short = self.streams.values().filter(is_short).map(|stream| stream.id).take(FILLED_MAX);
        for id in short.collect::<Vec<_>>() {
            self.fill_list(now_us, id);
        }
    }

    fn fill_list(&mut self, now_us: u64, id: StreamId) {
        let preferred = self.preferred(Some(id), None, now_us);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.list_at_us = now_us;
        stream.restored = None; // whoever carries it had the time to say so
        let named = |name: &&RelayName| self.relays.get(*name).is_some_and(|relay| relay.check.is_good());
        let missing = RELAYS_NAMED_MAX.saturating_sub(stream.assigned.iter().filter(named).count());
        let more = preferred.into_iter().filter(|name| !stream.assigned.contains(name)).take(missing);
        let more: Vec<_> = more.collect();
        if more.is_empty() {
            return;
        }
        stream.assigned.extend(more);
        while stream.assigned.len() > TICKET_RELAYS_MAX
            && let Some(gone) = stream.assigned.iter().position(|name| !self.relays.contains_key(name))
        {
            stream.assigned.remove(gone);
        }
        stream.list = stream.list.wrapping_add(1);
        self.sharing.touch_stream(id);
        self.news_for_broadcasters = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::{
        Rules,
        tests::driver::{START_US, World, joining, name},
    };

    fn place(relays: &[&str]) -> Place {
        let relays = relays.iter().map(|relay| joining(relay).address).collect();
        Place { relays, away: vec![], upstream: vec![], epoch: 1 }
    }

    #[test]
    fn short_list_of_a_directory_that_has_just_begun_gets_longer_once_relays_had_the_time_to_come_back() {
        let registry = Registry::new(Rules { begun_at_us: START_US, ..Rules::default() });
        let after = |later: Duration, relays: &[&str]| {
            registry.longer_list_after(START_US + micros(later), &place(relays)).map(|after| after.as_secs())
        };
        assert_eq!(after(Duration::ZERO, &["a"]), Some(5));
        assert_eq!(after(Duration::from_secs(3), &["a", "b"]), Some(2));
        assert_eq!(after(SETTLING_TIME, &["a", "b"]), None);
        assert_eq!(after(Duration::ZERO, &["a", "b", "c", "d"]), None, "no list is longer");
    }

    #[test]
    fn short_list_gets_longer_when_a_relay_that_has_joined_is_found_good_and_not_when_it_is_not() {
        let mut world = World::new(&["a"]);
        let after = |world: &World| world.registry.longer_list_after(world.now_us, &place(&["a"]));
        assert_eq!(after(&world), None);
        let said_at_ms = world.say();
        world.registry.register(world.now_us, joining("b"), said_at_ms).unwrap();
        assert_eq!(after(&world), Some(CHECKING_TIME));
        world.check_all(&Err("nobody answers".to_owned()));
        assert!(!world.registry.relays[&name("b")].check.is_good());
        assert_eq!(after(&world), None, "it may never be");
    }
}
