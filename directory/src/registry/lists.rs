//! The lists of relays that broadcasters and viewers hold: where they go by themselves when a relay fails, also while there is no
//! directory to ask.

use std::{collections::HashSet, time::Duration};

use protocol::{
    RelayName, StreamId,
    limits::{RELAYS_NAMED_MAX, TICKET_RELAYS_MAX},
};

use super::{Registry, micros, stream::Stream};

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
