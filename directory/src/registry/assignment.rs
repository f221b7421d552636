//! Which relays a stream is given: the healthy ones with the fewest streams first.

use std::collections::{BTreeMap, HashMap};

use protocol::{RelayName, StreamId, limits::RELAYS_NAMED_MAX};

use super::{
    relay::{Relay, RelayHealth},
    stream::Stream,
};

/// How much a relay has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Load {
    /// Streams it told of, and those assigned to it that no relay has told of yet.
    streams: u32,
    viewers: u32,
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
        Load { streams: relay.streams.saturating_sub(own.into()), viewers: relay.viewers }
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

/// How a relay with this load is doing.
pub(super) fn health(relay: &Relay, load: Load, now_us: u64) -> RelayHealth {
    if !relay.check.is_good() {
        RelayHealth::Unchecked
    } else if relay.is_draining() {
        RelayHealth::Draining
    } else if load.streams >= relay.joining.streams_max || load.viewers >= relay.joining.viewers_max {
        RelayHealth::Full
    } else if relay.is_suspect(now_us) {
        RelayHealth::Suspect
    } else {
        RelayHealth::Ready
    }
}

/// The relays for a `stream` (none yet: a new one) in order of preference: fewest streams, then fewest viewers, then by name. Full, lost, draining
/// and unchecked relays are left out; suspect ones come after the others, and the one that `failed` last.
pub(super) fn preferred(
    relays: &BTreeMap<RelayName, Relay>,
    streams: &HashMap<StreamId, Stream>,
    stream: Option<StreamId>,
    failed: Option<&RelayName>,
    now_us: u64,
) -> Vec<RelayName> {
    let loads = loads(relays, streams, stream);
    let candidates = relays.iter().filter(|(_, relay)| !relay.is_lost(now_us)).filter_map(|(name, relay)| {
        let load = *loads.get(name)?;
        let health = health(relay, load, now_us);
        (health < RelayHealth::Full).then_some((failed == Some(name), health, load, name))
    });
    let mut candidates: Vec<_> = candidates.collect();
    candidates.sort_unstable();
    candidates.into_iter().take(RELAYS_NAMED_MAX).map(|(.., name)| name.clone()).collect()
}
