//! Relays that are too busy are rid of a stream: one at a time, the smallest that helps, and not back again at once.

use std::{cmp::Reverse, time::Duration};

use protocol::{RelayName, StreamId};

use super::{
    Assign, Note, Registry, RelayHealth, assignment,
    head_room::{HeadRoom, Work},
    micros,
    pressure::{BUSY_UNDER, FREE_OVER},
    relay::Relay,
};

/// How often a stream moves because its relay is hot: what the last move brought is in the heartbeats by then, also that it was over
/// after [`protocol::limits::MOVE_OVERLAP_TIME_MAX`].
const PAUSE: Duration = Duration::from_secs(10);

/// How long a stream is left alone after that: what is too much for every relay would otherwise go round for ever.
const LEFT_ALONE: Duration = Duration::from_secs(60);

/// Only a relay with more room than this takes a stream off a hot one.
const ROOM_OVER: HeadRoom = HeadRoom::of_percent(30);

/// Of a relay that lags with room left, a stream has to be this part (one in so many) to make a difference.
const PART_THAT_HELPS: u64 = 10;

/// A stream that could move.
struct Leaving {
    stream: StreamId,
    viewers: u32,
    helps: bool,
    /// How much room it would leave.
    room: HeadRoom,
}

impl Registry {
    /// Moves a stream off a relay that has been hot for long enough, if one would help and has a place to go to.
    pub(super) fn cool_down(&mut self, now_us: u64) {
        let paused = self.left_hot_at_us.is_some_and(|at_us| now_us.saturating_sub(at_us) < micros(PAUSE));
        if self.rules.assign != Assign::HeadRoom || paused || !self.leads() {
            return;
        }
        let hot = self.relays.iter().filter(|(_, relay)| {
            relay.pressure.is_hot(now_us) && !relay.is_lost(now_us) && relay.check.is_good() && !relay.is_draining()
        });
        let mut hot: Vec<_> = hot.map(|(name, relay)| (relay.room_for(relay.told()), name)).collect();
        if hot.is_empty() {
            return;
        }
        hot.sort_unstable();
        let found = hot.into_iter().find_map(|(_, name)| {
            let (stream, to) = self.relief(now_us, name)?;
            Some((stream, name.clone(), to))
        });
        let Some((stream, from, to)) = found else { return };
        self.left_hot_at_us = Some(now_us);
        self.notes.push(Note::StreamLeavesHot { stream, from, to: to.clone() });
        self.with_stream(stream, now_us, |stream| stream.left_hot_at_us = Some(now_us));
        self.move_to(now_us, stream, &to);
    }

    /// The stream that is to leave a hot relay, and where it is to go.
    fn relief(&self, now_us: u64, name: &RelayName) -> Option<(StreamId, RelayName)> {
        let relay = self.relays.get(name)?;
        let work = relay.work(relay.told());
        let mut leaving = self.could_leave(now_us, name, relay, &work);
        leaving.retain(|stream| stream.helps || stream.room > work.head_room(&relay.joining));
        // The smallest that helps: its viewers have to follow. When none is enough by itself, the one that helps most.
        leaving.sort_by_key(|leaving| {
            let most = if leaving.helps { Reverse(HeadRoom::NONE) } else { Reverse(leaving.room) };
            (!leaving.helps, most, leaving.viewers, leaving.stream)
        });
        leaving.into_iter().find_map(|leaving| Some((leaving.stream, self.cool_place(now_us, &leaving, &work)?)))
    }

    /// The streams that are sent to this relay, and what it would gain without each.
    fn could_leave(&self, now_us: u64, name: &RelayName, relay: &Relay, work: &Work) -> Vec<Leaving> {
        let strained = work.head_room(&relay.joining) >= BUSY_UNDER;
        let streams = relay.carried.iter().filter_map(|id| self.streams.get(id)).filter_map(|stream| {
            let (home, report) = stream.live_on()?;
            let alone = stream.left_hot_at_us.is_some_and(|at_us| now_us.saturating_sub(at_us) < micros(LEFT_ALONE));
            if home != name || report.epoch != stream.epoch || alone {
                return None; // it is about to leave, or has just moved
            }
            let viewers = report.viewers;
            let room = work.without(viewers).head_room(&relay.joining);
            let (part, whole) = work.share_of(viewers);
            let helps = if strained { part * PART_THAT_HELPS >= whole } else { room >= BUSY_UNDER };
            Some(Leaving { stream: stream.id, viewers, helps, room })
        });
        streams.collect()
    }

    /// Where a stream of a hot relay is better off: a relay with room that keeps some. One that its edges know of already comes first,
    /// and then the one with most room.
    fn cool_place(&self, now_us: u64, leaving: &Leaving, from: &Work) -> Option<RelayName> {
        let stream = self.streams.get(&leaving.stream)?;
        let has_edges = stream.reports.values().any(|report| !report.is_origin());
        let loads = assignment::loads(&self.relays, &self.streams, Some(leaving.stream));
        let cool = self.relays.iter().filter_map(|(name, relay)| {
            let load = *loads.get(name)?;
            let room = relay.room_for(load);
            let after = relay.work(load).with(leaving.viewers, from).head_room(&relay.joining);
            let ready = self.health(relay, load, now_us) == RelayHealth::Ready && !relay.is_lost(now_us);
            let cool = ready && room > ROOM_OVER && after > FREE_OVER;
            cool.then(|| (has_edges && stream.assigned.contains(name), room, Reverse((load, name))))
        });
        cool.max().map(|(.., Reverse((_, name)))| name.clone())
    }
}
