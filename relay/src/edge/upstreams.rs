//! Which relay a stream is pulled from, and when the next one is tried. Pure: tickets and times go in, decisions come out.

use std::time::Duration;

use protocol::{
    RelayName, Secret,
    http::RelayAddress,
    limits::{CLIENT_PATIENCE, RELAYS_NAMED_MAX},
    ticket::Grant,
};
use tokio::time::Instant;

use super::permit::Permit;

/// Pause after the first round that found no upstream; it doubles up to [`PAUSE_MAX`]. There is none within a round.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// Longest pause between two rounds: how long an upstream that is back may wait.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// How long an upstream may take to answer at last: rounds that found none are borne with longer.
const PATIENCE_MAX: Duration = Duration::from_secs(4);

/// Most upstreams that are kept in mind: those of two tickets.
const LISTED_MAX: usize = 2 * RELAYS_NAMED_MAX;

/// Rounds in which a newer publisher is looked for while the older one's stream goes on: as long as a broadcaster takes to move.
const NEWER_ROUNDS_MAX: u32 = 5;

/// Where a stream may be pulled from.
#[derive(Debug)]
pub(super) struct Upstreams {
    /// This relay.
    own: RelayName,
    /// Those that the newest ticket names, and behind them those of older ones: where a stream goes when its origin dies, the
    /// directory may be the last to know.
    list: Vec<Named>,
    newest: Option<Newest>,
    /// The index of the one to try next.
    next: usize,
    /// Those to try before it.
    preferred: Vec<RelayName>,
    /// Attempts of this round that came to nothing.
    failures: usize,
    /// Rounds that found none since one was found.
    rounds: u32,
    not_before: Option<Instant>,
}

/// One of them, and the newest ticket that names it.
#[derive(Debug, Clone)]
struct Named {
    relay: RelayAddress,
    ticket: Secret,
    permit: Permit,
}

/// The newest ticket.
#[derive(Debug)]
struct Newest {
    ticket: Secret,
    epoch: u32,
    issued_at_s: u64,
}

/// One to try now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Which.
    pub(super) upstream: RelayAddress,
    /// With which ticket.
    pub(super) ticket: Secret,
    /// The ticket's times.
    pub(super) permit: Permit,
    /// How long it may take to answer.
    pub(super) patience: Duration,
}

impl Upstreams {
    /// Those of the relay `own`, which knows of none.
    pub(super) const fn new(own: RelayName) -> Self {
        Self {
            own,
            list: Vec::new(),
            newest: None,
            next: 0,
            preferred: Vec::new(),
            failures: 0,
            rounds: 0,
            not_before: None,
        }
    }

    /// Takes note of a viewer's ticket. The newest one's list comes first, without those that are out.
    pub(super) fn learn(&mut self, grant: &Grant, ticket: &Secret, is_out: impl Fn(&RelayName) -> bool, now: Instant) {
        let permit = Permit::of(grant);
        let others = grant.upstream.iter().filter(|upstream| upstream.name != self.own);
        let named = |relay: &RelayAddress| Named { relay: relay.clone(), ticket: ticket.clone(), permit };
        let mut list: Vec<_> = others.take(RELAYS_NAMED_MAX).map(named).collect();
        let is_newer = |newest: &Newest| (grant.epoch, grant.issued_at_s) >= (newest.epoch, newest.issued_at_s);
        if list.is_empty() || !self.newest.as_ref().is_none_or(is_newer) {
            return;
        }
        list.retain(|named| !is_out(&named.relay.name));
        let is_other =
            !list.iter().map(|named| &named.relay).eq(self.list.iter().take(list.len()).map(|named| &named.relay));
        let older = std::mem::take(&mut self.list);
        let is_left = |old: &Named| list.iter().all(|named| named.relay.name != old.relay.name);
        let left: Vec<_> = older.into_iter().filter(is_left).collect();
        list.extend(left);
        list.truncate(LISTED_MAX);
        self.list = list;
        if is_other {
            (self.next, self.failures, self.rounds) = (0, 0, 0);
            // Other relays need no patience, but a crowd with lists of all kinds makes nobody dial without a pause.
            self.not_before = self.not_before.map(|at| at.min(now + PAUSE_MIN));
        }
        self.newest = Some(Newest { ticket: ticket.clone(), epoch: grant.epoch, issued_at_s: grant.issued_at_s });
    }

    /// Forgets those that are out, as far as tickets with these times mean them.
    pub(super) fn forget(&mut self, is_out: impl Fn(&RelayName, Permit) -> bool) {
        self.list.retain(|named| !is_out(&named.relay.name, named.permit));
    }

    /// The epoch of the newest ticket.
    pub(super) fn epoch(&self) -> u32 {
        self.newest.as_ref().map_or(0, |newest| newest.epoch)
    }

    /// The newest ticket, whatever it names.
    pub(super) fn ticket(&self) -> Option<&Secret> {
        self.newest.as_ref().map(|newest| &newest.ticket)
    }

    /// The newest ticket that is good for this upstream, and its times.
    pub(super) fn ticket_for(&self, upstream: &RelayName) -> Option<(&Secret, Permit)> {
        let named = self.list.iter().find(|named| named.relay.name == *upstream)?;
        Some((&named.ticket, named.permit))
    }

    /// The stream goes on at these relays: they are tried first. Only names count, as anybody can say an address; `false`: the ticket
    /// allows none of them.
    pub(super) fn prefer(&mut self, relays: &[RelayAddress]) -> bool {
        let allowed = |name: &RelayName| self.list.iter().any(|named| named.relay.name == *name);
        self.preferred = relays.iter().map(|relay| relay.name.clone()).filter(allowed).collect();
        !self.preferred.is_empty()
    }

    /// Whether there are others than `upstream`.
    pub(super) fn has_others_than(&self, upstream: &RelayName) -> bool {
        self.list.iter().any(|other| other.relay.name != *upstream)
    }

    /// Whether the newest ticket names others than `upstream`, which has the stream of a publisher of `epoch`, for a newer publisher
    /// that was not looked for often enough yet: it may not have come, nor ever come.
    pub(super) fn know_newer(&self, epoch: u32, upstream: &RelayName) -> bool {
        self.epoch() > epoch && self.has_others_than(upstream) && self.rounds < NEWER_ROUNDS_MAX
    }

    /// Whether a whole round found no upstream, or there is none to try.
    pub(super) const fn none_found(&self) -> bool {
        self.rounds > 0 || self.list.is_empty()
    }

    /// The one to try at `now`, other than `avoided`, if it is time for one.
    pub(super) fn next(&mut self, avoided: Option<&RelayName>, now: Instant) -> Option<Attempt> {
        if self.not_before.is_some_and(|at| now < at) {
            return None;
        }
        let Named { relay: upstream, ticket, permit } = self.pick(avoided)?;
        let patience = (CLIENT_PATIENCE * 2_u32.pow(self.rounds.min(8))).min(PATIENCE_MAX);
        Some(Attempt { upstream, ticket, permit, patience })
    }

    fn pick(&mut self, avoided: Option<&RelayName>) -> Option<Named> {
        let may = |named: &&Named| avoided != Some(&named.relay.name);
        while !self.preferred.is_empty() {
            let name = self.preferred.remove(0);
            if let Some(upstream) = self.list.iter().filter(may).find(|named| named.relay.name == name) {
                return Some(upstream.clone());
            }
        }
        for _ in 0..self.list.len() {
            let upstream = self.list.get(self.next % self.list.len())?;
            self.next = (self.next + 1) % self.list.len();
            if may(&upstream) {
                return Some(upstream.clone());
            }
        }
        None
    }

    /// The last attempt has come to nothing.
    pub(super) fn failed(&mut self, now: Instant) {
        self.failures += 1;
        if self.failures >= self.list.len() {
            self.not_before = Some(now + (PAUSE_MIN * 2_u32.pow(self.rounds.min(8))).min(PAUSE_MAX));
            self.failures = 0;
            self.rounds += 1;
        }
    }

    /// The last attempt has brought the stream.
    pub(super) fn succeeded(&mut self) {
        (self.failures, self.rounds, self.not_before) = (0, 0, None);
        self.preferred.clear();
    }
}

#[cfg(test)]
mod tests {
    use protocol::{StreamId, ViewerId};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn name(text: &str) -> RelayName {
        text.parse().unwrap()
    }

    fn address(text: &str) -> RelayAddress {
        RelayAddress::new(name(text), format!("ws://{text}.example/ws").parse().unwrap())
    }

    fn grant(epoch: u32, issued_at_s: u64, upstreams: &[&str]) -> Grant {
        let stream = StreamId::of(&"test".parse().unwrap(), 1);
        let upstream = upstreams.iter().map(|text| address(text)).collect();
        Grant { upstream, ..Grant::watch(stream, epoch, vec![name("own")], ViewerId(1), issued_at_s) }
    }

    struct World {
        upstreams: Upstreams,
        now: Instant,
    }

    impl World {
        fn new(upstreams: &[&str]) -> Self {
            let mut world = Self { upstreams: Upstreams::new(name("own")), now: Instant::now() };
            world.learn(1, 100, upstreams);
            world
        }

        fn learn(&mut self, epoch: u32, issued_at_s: u64, upstreams: &[&str]) {
            let ticket = format!("ticket of {epoch}/{issued_at_s}").as_str().into();
            self.upstreams.learn(
                &grant(epoch, issued_at_s, upstreams),
                &ticket,
                |relay| *relay == name("out"),
                self.now,
            );
        }

        fn next(&mut self, avoided: Option<&str>) -> Option<String> {
            let avoided = avoided.map(name);
            let attempt = self.upstreams.next(avoided.as_ref(), self.now)?;
            Some(attempt.upstream.name.to_string())
        }

        /// Who is tried until there is a pause, and the pause.
        fn round(&mut self) -> (Vec<String>, Duration) {
            let mut tried = vec![];
            while let Some(upstream) = self.next(None) {
                tried.push(upstream);
                self.upstreams.failed(self.now);
            }
            let begun = self.now;
            while self.upstreams.not_before.is_some_and(|at| self.now < at) {
                self.now += MS;
            }
            (tried, self.now - begun)
        }
    }

    #[test]
    fn list_is_tried_without_a_pause_and_then_round_with_growing_ones() {
        let mut world = World::new(&["a", "own", "b"]);
        for pause_ms in [100, 200, 400, 800, 1000, 1000] {
            let (tried, pause) = world.round();
            assert_eq!((tried, pause), (vec!["a".to_owned(), "b".to_owned()], pause_ms * MS));
        }
        world.upstreams.succeeded();
        assert_eq!(world.round().1, 100 * MS);
    }

    #[test]
    fn one_that_was_lost_is_tried_after_all_others() {
        let mut world = World::new(&["a", "b", "c"]);
        assert_eq!(world.next(None).unwrap(), "a");
        world.upstreams.succeeded();
        assert_eq!(world.round().0, ["b", "c", "a"]);
    }

    #[test]
    fn patience_grows_with_rounds_in_vain() {
        let mut world = World::new(&["a"]);
        let mut patience = vec![];
        for _ in 0..5 {
            patience.push(world.upstreams.next(None, world.now).unwrap().patience.as_secs());
            world.upstreams.failed(world.now);
            world.now += PAUSE_MAX;
        }
        assert_eq!(patience, [1, 2, 4, 4, 4]);
    }

    #[test]
    fn newer_tickets_list_comes_first_and_an_older_one_is_ignored() {
        let mut world = World::new(&["a"]);
        world.learn(1, 99, &["x"]);
        assert!(world.upstreams.ticket_for(&name("x")).is_none());
        world.learn(1, 101, &["b", "c"]);
        world.learn(0, 500, &["x"]);
        world.learn(1, 102, &["own"]);
        let ticket_for = |world: &World, text| world.upstreams.ticket_for(&name(text)).unwrap().0.expose().to_owned();
        assert_eq!(
            (ticket_for(&world, "a"), ticket_for(&world, "b")),
            ("ticket of 1/100".into(), "ticket of 1/101".into())
        );
        world.learn(2, 50, &["d", "a"]);
        assert_eq!((world.upstreams.epoch(), ticket_for(&world, "a")), (2, "ticket of 2/50".into()));
        assert_eq!(world.round().0, ["d", "a", "b", "c"], "those of older ones come last");
    }

    #[test]
    fn other_list_shortens_the_pause_and_abolishes_it_not() {
        let mut world = World::new(&["a"]);
        for _ in 0..5 {
            world.round();
        }
        assert_eq!(world.next(None).unwrap(), "a");
        world.upstreams.failed(world.now);
        world.learn(1, 101, &["b"]);
        assert_eq!(world.next(None), None);
        world.now += PAUSE_MIN;
        assert_eq!(world.next(None).unwrap(), "b");
    }

    #[test]
    fn where_a_stream_moves_is_tried_first_if_the_ticket_names_it() {
        let mut world = World::new(&["a", "b", "c"]);
        assert_eq!(world.next(None).unwrap(), "a");
        world.upstreams.succeeded();
        let elsewhere = RelayAddress::new(name("c"), "ws://evil.example/ws".parse().unwrap());
        assert!(world.upstreams.prefer(&[address("x"), elsewhere, address("a")]));
        let attempt = world.upstreams.next(Some(&name("a")), world.now).unwrap();
        assert_eq!(attempt.upstream, address("c"), "at the address that the directory has signed");
        assert_eq!(world.next(Some("a")).unwrap(), "b");
        assert_eq!(world.next(Some("a")).unwrap(), "c");
        assert!(!world.upstreams.prefer(&[address("x")]));
    }

    #[test]
    fn newer_publisher_is_looked_for_elsewhere_and_not_for_ever() {
        let mut world = World::new(&["a"]);
        assert_eq!(world.next(None).unwrap(), "a");
        world.upstreams.succeeded();
        let knows = |world: &World| world.upstreams.know_newer(1, &name("a"));
        assert!(!knows(&world));
        world.learn(2, 101, &["a"]);
        assert!(!knows(&world), "there is nobody else");
        world.learn(2, 102, &["b", "a"]);
        assert!(knows(&world) && !world.upstreams.know_newer(2, &name("a")));
        for _ in 0..NEWER_ROUNDS_MAX {
            assert!(knows(&world));
            world.round();
        }
        assert!(!knows(&world));
        world.learn(3, 103, &["c"]);
        assert!(knows(&world), "another one");
    }

    #[test]
    fn relay_that_is_out_is_tried_no_more_until_a_newer_ticket_names_it() {
        let mut world = World::new(&["a", "b"]);
        world.learn(1, 101, &["c"]);
        world.upstreams.forget(|relay, permit| *relay == name("a") && permit.issued_at_s <= 101);
        assert_eq!(world.round().0, ["c", "b"]);
        world.upstreams.forget(|_, _| true);
        assert_eq!(world.next(None), None);
        assert!(world.upstreams.none_found() && world.upstreams.ticket().is_some(), "the directory is asked");
        world.learn(1, 102, &["a"]);
        assert_eq!(world.next(None).unwrap(), "a");
    }

    #[test]
    fn ticket_that_names_nobody_but_one_who_is_out_is_good_for_asking() {
        let mut world = World::new(&["out"]);
        assert_eq!(world.next(None), None);
        assert!(world.upstreams.none_found() && world.upstreams.ticket().is_some());
        world.learn(1, 101, &["out", "b"]);
        assert_eq!(world.round().0, ["b"]);
    }

    #[test]
    fn there_may_be_nobody_else() {
        let mut world = World::new(&["a"]);
        assert_eq!(world.next(Some("a")), None);
        assert!(!world.upstreams.has_others_than(&name("a")) && world.upstreams.has_others_than(&name("b")));
        assert_eq!(World::new(&[]).next(None), None);
    }
}
