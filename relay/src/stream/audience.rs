//! Who watches a stream: each viewer once, however many connections it has.

use std::collections::{BTreeMap, HashMap};

use protocol::{ViewerId, control::AudienceMember, limits::AUDIENCE_MAX};

/// Most connections of one viewer: a page has one, and while its network changes some that are dead and not yet given up. Whoever
/// hands a ticket on shares these.
pub const CONNECTIONS_OF_VIEWER_MAX: u32 = 4;

/// Those who watch.
#[derive(Debug, Default)]
pub struct Audience {
    /// In the order in which they came.
    arrivals: BTreeMap<u64, AudienceMember>,
    guests: HashMap<ViewerId, Guest>,
    arrivals_total: u64,
    removals: u64,
    version: u64,
}

#[derive(Debug, Clone, Copy)]
struct Guest {
    arrival: u64,
    connections: u32,
    removed: bool,
}

impl Audience {
    /// A connection of `viewer` comes. `false`: it has as many as it may.
    #[must_use]
    pub fn join(&mut self, viewer: ViewerId, now_ms: u64) -> bool {
        if let Some(guest) = self.guests.get_mut(&viewer) {
            let may = guest.connections < CONNECTIONS_OF_VIEWER_MAX;
            guest.connections += u32::from(may);
            return may;
        }
        let arrival = self.arrivals_total;
        self.arrivals_total += 1;
        self.version += 1;
        self.guests.insert(viewer, Guest { arrival, connections: 1, removed: false });
        self.arrivals.insert(arrival, AudienceMember { viewer, since_ms: now_ms });
        true
    }

    /// A connection of `viewer` goes.
    pub fn leave(&mut self, viewer: ViewerId) {
        let Some(guest) = self.guests.get_mut(&viewer) else { return };
        guest.connections -= 1;
        if guest.connections == 0 {
            self.arrivals.remove(&guest.arrival);
            self.guests.remove(&viewer);
            self.version += 1;
        }
    }

    /// `viewer` is to go, with all its connections.
    pub fn remove(&mut self, viewer: ViewerId) {
        if let Some(guest) = self.guests.get_mut(&viewer) {
            guest.removed = true;
            self.removals += 1;
        }
    }

    /// How often somebody was removed: [`Self::is_removed`] changes with it only.
    #[must_use]
    pub const fn removals(&self) -> u64 {
        self.removals
    }

    /// Whether `viewer` is to go.
    #[must_use]
    pub fn is_removed(&self, viewer: ViewerId) -> bool {
        self.guests.get(&viewer).is_some_and(|guest| guest.removed)
    }

    /// Changes with [`Self::newest`].
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.guests.len()).unwrap_or(u32::MAX)
    }

    /// Whether nobody watches.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.guests.is_empty()
    }

    /// The newest, newest first, at most [`AUDIENCE_MAX`].
    #[must_use]
    pub fn newest(&self) -> Vec<AudienceMember> {
        self.arrivals.values().rev().take(AUDIENCE_MAX).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(audience: &Audience) -> Vec<u64> {
        audience.newest().iter().map(|member| member.viewer.0).collect()
    }

    #[test]
    fn viewer_with_several_connections_is_one_viewer() {
        let mut audience = Audience::default();
        for now_ms in 1..=u64::from(CONNECTIONS_OF_VIEWER_MAX) {
            assert!(audience.join(ViewerId(7), now_ms));
        }
        assert!(!audience.join(ViewerId(7), 9));
        assert_eq!(audience.newest(), [AudienceMember { viewer: ViewerId(7), since_ms: 1 }]);
        audience.leave(ViewerId(7));
        assert!(audience.join(ViewerId(7), 10));
        for _ in 0..CONNECTIONS_OF_VIEWER_MAX {
            assert_eq!(audience.len(), 1);
            audience.leave(ViewerId(7));
        }
        assert!(audience.is_empty() && audience.newest().is_empty());
    }

    #[test]
    fn newest_come_first_and_a_crowd_is_cut_off() {
        let mut audience = Audience::default();
        for viewer in 0..AUDIENCE_MAX as u64 + 20 {
            assert!(audience.join(ViewerId(viewer), viewer));
        }
        audience.leave(ViewerId(118));
        let named = names(&audience);
        assert_eq!((named.len(), named[0], named[1], audience.len()), (AUDIENCE_MAX, 119, 117, 119));
    }

    #[test]
    fn removed_viewer_is_marked_until_it_has_gone() {
        let mut audience = Audience::default();
        assert!(audience.join(ViewerId(1), 0) && audience.join(ViewerId(2), 0));
        audience.remove(ViewerId(1));
        audience.remove(ViewerId(3));
        assert_eq!((audience.removals(), audience.is_removed(ViewerId(1))), (1, true));
        assert!(!audience.is_removed(ViewerId(2)) && !audience.is_removed(ViewerId(3)));
        audience.leave(ViewerId(1));
        assert!(!audience.is_removed(ViewerId(1)));
    }
}
