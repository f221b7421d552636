//! One stream on many relays: a tree. The broadcaster sends to the origin; edges pull from it or from each other, no deeper than
//! [`EDGE_DEPTH_MAX`].

use std::time::Duration;

use protocol::{
    RelayName,
    limits::{EDGE_DEPTH_MAX, EDGES_PER_RELAY_MAX},
};

use super::{
    micros,
    stream::{Report, Stream},
};

/// How long a relay that somebody was sent to counts as one that carries the stream, before it says so: the viewer connects, the relay
/// pulls, and its next heartbeat is up to a second away.
pub(super) const OPENING_TIME_MAX: Duration = Duration::from_secs(3);

/// A relay that viewers were sent to though it lacked the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opened {
    /// Where it was told to pull from.
    upstream: RelayName,
    /// When.
    at_us: u64,
}

impl Opened {
    fn is_new(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.at_us) < micros(OPENING_TIME_MAX)
    }
}

/// The relays that carry what the newest publisher sends: the origin first. Empty when nothing plays.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    stream: &'a Stream,
    relays: Vec<(&'a RelayName, u8)>,
}

impl<'a> Tree<'a> {
    pub(super) fn of(stream: &'a Stream, now_us: u64) -> Self {
        let mut tree = Self { stream, relays: Vec::new() };
        let Some((origin, arrives)) = stream.live_on() else { return tree };
        tree.relays.push((origin, 0));
        // Right after a move the edges may not have followed yet.
        let follows = |report: &Report| report.epoch >= arrives.epoch || arrives.is_new(now_us);
        let edges = stream.reports.iter().filter(|(_, report)| report.live && !report.is_origin() && follows(report));
        tree.relays.extend(edges.map(|(name, report)| (name, report.depth)));
        for (name, opened) in stream.opened.iter().filter(|(_, opened)| opened.is_new(now_us)) {
            if tree.depth_of(name).is_none() {
                let above = tree.depth_of(&opened.upstream);
                tree.relays.push((name, above.map_or(EDGE_DEPTH_MAX, |depth| depth.saturating_add(1))));
            }
        }
        tree
    }

    /// All of them, with how deep each is.
    pub(super) fn relays(&self) -> &[(&'a RelayName, u8)] {
        &self.relays
    }

    pub(super) fn origin(&self) -> Option<&'a RelayName> {
        self.relays.first().map(|(name, _)| *name)
    }

    pub(super) fn depth_of(&self, relay: &RelayName) -> Option<u8> {
        self.relays.iter().find(|(name, _)| *name == relay).map(|(_, depth)| *depth)
    }

    /// The relays that this one may pull from, best first: the origin while it has few edges, else the edge that has fewest. A relay
    /// that carries the stream already never pulls from one as deep: that could be its own branch.
    pub(super) fn upstreams(&self, relay: Option<&RelayName>) -> Vec<&'a RelayName> {
        let own = relay.and_then(|relay| self.depth_of(relay));
        let depth_max = own.unwrap_or(EDGE_DEPTH_MAX).min(EDGE_DEPTH_MAX);
        let mut above: Vec<_> = self.relays.iter().filter(|(_, depth)| *depth < depth_max).collect();
        above.sort_by_cached_key(|(name, depth)| {
            let others = self.edges_of(name, *depth, relay);
            (*depth > 0 || others >= EDGES_PER_RELAY_MAX, others, *depth)
        });
        above.into_iter().map(|(name, _)| *name).collect()
    }

    /// How many relays, without `except`, pull from this one, as far as that is known.
    fn edges_of(&self, upstream: &RelayName, depth: u8, except: Option<&RelayName>) -> usize {
        // Whoever is one below the origin pulls from it. Further down it is known of those alone that were told so here.
        let told = |name: &RelayName| self.stream.opened.get(name).is_some_and(|opened| opened.upstream == *upstream);
        let below = self.relays.iter().filter(|(name, of)| *of == depth.saturating_add(1) && Some(*name) != except);
        below.filter(|(name, _)| depth == 0 || told(name)).count()
    }
}

impl Stream {
    /// A viewer was sent to a relay that lacks the stream.
    pub(super) fn opens(&mut self, now_us: u64, edge: RelayName, upstream: RelayName) {
        self.opened.insert(edge, Opened { upstream, at_us: now_us });
    }

    /// Forgets the relays that do not pull after all, or not any more.
    pub(super) fn forget_opened(&mut self, now_us: u64) {
        let Self { opened, reports, .. } = self;
        opened.retain(|name, opened| opened.is_new(now_us) || reports.contains_key(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::driver::{about, name};

    const NOW_US: u64 = 1_763_000_000_000_000;

    fn stream(reports: &[(&str, u32, u8)]) -> Stream {
        let mut stream = Stream::new(about("demo", Default::default()), NOW_US, vec![name("a")]);
        stream.epoch = 9;
        for (relay, epoch, depth) in reports {
            let report = Report { epoch: *epoch, live: true, viewers: 0, depth: *depth, since_us: NOW_US };
            stream.report(&name(relay), report);
        }
        stream
    }

    fn later_us() -> u64 {
        NOW_US + micros(super::super::stream::OLD_PLACE_TIME)
    }

    fn upstreams(stream: &Stream, relay: Option<&str>) -> Vec<String> {
        let tree = Tree::of(stream, NOW_US);
        tree.upstreams(relay.map(name).as_ref()).into_iter().map(ToString::to_string).collect()
    }

    #[test]
    fn edges_count_until_they_had_the_time_to_follow_a_move() {
        let moved = stream(&[("a", 2, 0), ("b", 1, 0), ("c", 1, 1), ("d", 2, 1)]);
        let relays =
            |now_us| Tree::of(&moved, now_us).relays().iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        assert_eq!(relays(NOW_US), ["a", "c", "d"]);
        assert_eq!(relays(later_us()), ["a", "d"]);
        let alone = stream(&[("c", 1, 1)]);
        assert!(Tree::of(&alone, NOW_US).relays().is_empty(), "an edge alone is no stream");
    }

    #[test]
    fn origin_feeds_sixteen_and_then_the_edge_with_the_fewest_does() {
        let edges: Vec<_> = (0..16).map(|number| format!("e{number:02}")).collect();
        let mut reports = vec![("a", 1, 0)];
        reports.extend(edges[..15].iter().map(|edge| (edge.as_str(), 1, 1)));
        let mut growing = stream(&reports);
        assert_eq!(upstreams(&growing, None)[0], "a");
        growing.opens(NOW_US, name(&edges[15]), name("a"));
        assert_eq!(upstreams(&growing, None)[..2], ["e00", "e01"]);
        assert_eq!(upstreams(&growing, Some("e03")), ["a"], "one that pulls from the origin already goes on so");
        growing.opens(NOW_US, name("f00"), name("e00"));
        assert_eq!(upstreams(&growing, None)[0], "e01");
        assert_eq!(upstreams(&growing, Some("f00"))[0], "e00", "its own place is free for it");
    }

    #[test]
    fn nobody_is_told_to_pull_from_its_own_branch_or_too_deep() {
        let deep = stream(&[("a", 1, 0), ("b", 1, 1), ("c", 1, 2), ("d", 1, 3)]);
        assert_eq!(upstreams(&deep, None), ["a", "b", "c"]);
        assert_eq!(upstreams(&deep, Some("d")), ["a", "b", "c"]);
        assert_eq!(upstreams(&deep, Some("b")), ["a"]);
        assert_eq!(upstreams(&deep, Some("a")), [""; 0]);
    }

    #[test]
    fn relay_that_was_opened_counts_for_three_seconds_or_as_long_as_it_tells_of_the_stream() {
        let mut opened = stream(&[("a", 1, 0)]);
        opened.opens(NOW_US, name("b"), name("a"));
        let over_us = NOW_US + micros(OPENING_TIME_MAX);
        assert_eq!(Tree::of(&opened, over_us - 1).depth_of(&name("b")), Some(1));
        assert_eq!(Tree::of(&opened, over_us).depth_of(&name("b")), None);
        opened.forget_opened(over_us - 1);
        assert_eq!(opened.opened.len(), 1);
        opened.forget_opened(over_us);
        assert!(opened.opened.is_empty());
    }
}
