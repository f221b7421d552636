//! Who may watch one stream no longer: viewers that its broadcaster removed, and where they came from.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    net::IpAddr,
};

use protocol::{ViewerId, limits::TICKET_TIME};
use service::Network;

use super::micros;

/// Viewers whose network is remembered, of one stream: as many as a large relay serves. The oldest is forgotten first, and can still
/// be removed, but comes in again as somebody new.
const SEEN_MAX: usize = 20_000;

/// Removed viewers and networks that are remembered, of one stream: more than anybody removes by hand.
const REMOVED_MAX: usize = 1000;

/// Most removed viewers that one heartbeat's answer names of one stream.
const TOLD_MAX: usize = 256;

/// The viewers of one stream.
#[derive(Debug, Default)]
pub(super) struct Removed {
    seen: HashMap<ViewerId, Origin>,
    seen_order: VecDeque<ViewerId>,
    viewers: VecDeque<(ViewerId, u64)>,
    networks: VecDeque<Network>,
    changes: u64,
}

/// Where a viewer comes from.
#[derive(Debug, Clone, Copy)]
struct Origin {
    /// Where it was let in. Nobody who has got hold of its ticket changes that.
    admitted: Network,
    /// Where it renewed its ticket last: a phone leaves one network for another.
    newest: Network,
}

impl Removed {
    /// A viewer has asked for a ticket itself.
    pub(super) fn seen(&mut self, viewer: ViewerId, network: Network) {
        match self.seen.entry(viewer) {
            Entry::Occupied(mut origin) => origin.get_mut().newest = network,
            Entry::Vacant(new) => {
                new.insert(Origin { admitted: network, newest: network });
                self.seen_order.push_back(viewer);
            }
        }
        if self.seen_order.len() > SEEN_MAX
            && let Some(oldest) = self.seen_order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    /// The broadcaster does not want this viewer.
    pub(super) fn remove(&mut self, viewer: ViewerId, now_us: u64) {
        if !self.has(viewer) {
            push(&mut self.viewers, (viewer, now_us));
            self.changes += 1;
        }
        if let Some(Origin { admitted, newest }) = self.seen.get(&viewer).copied() {
            self.keep_out(admitted);
            self.keep_out(newest);
        }
    }

    fn keep_out(&mut self, network: Network) {
        if !self.networks.contains(&network) {
            push(&mut self.networks, network);
            self.changes += 1;
        }
    }

    /// Counts the changes.
    pub(super) fn changes(&self) -> u64 {
        self.changes
    }

    /// Viewers with the times of their removal, and networks, each in order.
    pub(super) fn all(&self) -> (Vec<(ViewerId, u64)>, Vec<IpAddr>) {
        let mut viewers: Vec<_> = self.viewers.iter().copied().collect();
        let mut networks: Vec<_> = self.networks.iter().map(Network::ip).collect();
        viewers.sort_unstable();
        networks.sort_unstable();
        (viewers, networks)
    }

    /// The same of another directory. It may not know where they came from who were let in here.
    pub(super) fn absorb(&mut self, viewers: &[(ViewerId, u64)], networks: &[IpAddr]) {
        for (viewer, at_us) in viewers {
            let room = self.viewers.len() < REMOVED_MAX && self.networks.len() < REMOVED_MAX;
            match self.viewers.iter_mut().find(|(removed, _)| removed == viewer) {
                Some((_, own_at_us)) if *own_at_us >= *at_us => {}
                Some((_, own_at_us)) => {
                    *own_at_us = *at_us;
                    self.changes += 1;
                }
                // What is full stays as it is: two directories must not push each other's out for ever.
                None if room => self.remove(*viewer, *at_us),
                None => {}
            }
        }
        for network in networks.iter().copied().map(Network::of) {
            if self.networks.len() < REMOVED_MAX {
                self.keep_out(network);
            }
        }
        self.viewers.make_contiguous().sort_by_key(|(_, at_us)| *at_us);
    }

    pub(super) fn has(&self, viewer: ViewerId) -> bool {
        self.viewers.iter().any(|(removed, _)| *removed == viewer)
    }

    pub(super) fn has_network(&self, network: &Network) -> bool {
        self.networks.contains(network)
    }

    /// Those whose tickets a relay would still take: the newest first.
    pub(super) fn told(&self, now_us: u64) -> impl Iterator<Item = ViewerId> {
        let fresh = move |at_us: u64| now_us.saturating_sub(at_us) < micros(TICKET_TIME);
        self.viewers.iter().rev().take_while(move |(_, at_us)| fresh(*at_us)).take(TOLD_MAX).map(|(viewer, _)| *viewer)
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T) {
    queue.push_back(item);
    if queue.len() > REMOVED_MAX {
        queue.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn removed_viewer_and_its_network_stay_out_and_others_do_not() {
        let mut removed = Removed::default();
        removed.seen(ViewerId(1), network("203.0.113.5"));
        removed.seen(ViewerId(2), network("203.0.113.6"));
        removed.remove(ViewerId(1), 0);
        assert!(removed.has(ViewerId(1)) && removed.has_network(&network("203.0.113.5")));
        assert!(!removed.has(ViewerId(2)) && !removed.has_network(&network("203.0.113.6")));
    }

    #[test]
    fn viewer_that_has_changed_its_network_is_out_of_the_first_and_of_the_last() {
        let mut removed = Removed::default();
        for address in ["203.0.113.5", "203.0.113.6", "203.0.113.7"] {
            removed.seen(ViewerId(1), network(address));
        }
        removed.remove(ViewerId(1), 0);
        let out = ["203.0.113.5", "203.0.113.6", "203.0.113.7"].map(|address| removed.has_network(&network(address)));
        assert_eq!(out, [true, false, true]);
    }

    #[test]
    fn relays_are_told_until_the_tickets_have_expired() {
        let mut removed = Removed::default();
        removed.remove(ViewerId(1), 0);
        removed.remove(ViewerId(2), 5);
        removed.remove(ViewerId(1), 7);
        let told = |now_us| removed.told(now_us).collect::<Vec<_>>();
        assert_eq!(told(10), [ViewerId(2), ViewerId(1)]);
        assert_eq!(told(micros(TICKET_TIME)), [ViewerId(2)]);
        assert_eq!(told(micros(TICKET_TIME) + 5), []);
        assert!(removed.has(ViewerId(1)), "and stay out for as long as the stream goes on");
    }

    #[test]
    fn memory_is_bounded() {
        let mut removed = Removed::default();
        for number in 0..50_000 {
            removed.seen(ViewerId(number), network("203.0.113.5"));
            removed.remove(ViewerId(number), number);
        }
        let sizes = [removed.seen.len(), removed.seen_order.len(), removed.viewers.len(), removed.networks.len()];
        assert_eq!(sizes, [SEEN_MAX, SEEN_MAX, REMOVED_MAX, 1]);
        assert_eq!(removed.told(50_000).count(), TOLD_MAX);
    }
}
