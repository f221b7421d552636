//! Where viewers go: to a relay that carries the stream, or, when those are busy or far, to one that pulls it from them. A pull costs
//! a whole copy of the stream, so it isn't begun before it is needed.

use std::cmp::Reverse;

use protocol::{RelayName, StreamId, limits::RELAYS_NAMED_MAX};

use super::{
    Assign, Registry, RelayHealth,
    edges::Tree,
    head_room::{HeadRoom, NEAR},
    lists,
    pressure::BUSY_UNDER,
    relay::Relay,
    stream::Stream,
};

/// A relay that carries the stream gets its viewers while it has this much room: enough for what comes before the next heartbeat.
const ROOM_FOR_VIEWERS: HeadRoom = HeadRoom::of_percent(30);

/// How much more room a new edge must have than the best relay that carries the stream, to be worth the copy.
const EDGE_GAIN: HeadRoom = HeadRoom::of_percent(10);

/// What is known of somebody who wants to watch.
#[derive(Debug, Clone, Default)]
pub struct Wish {
    /// Where it is, as [`super::region_of`] writes it.
    pub region: Option<String>,
    /// A relay that did not serve it.
    pub failed: Option<RelayName>,
    /// The relays of the ticket that it has: it is at one of them.
    pub held: Vec<RelayName>,
}

/// Where a viewer is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Best first, each once.
    pub(super) names: Vec<RelayName>,
    /// Where those of them pull from that lack the stream, best first.
    pub(super) upstream: Vec<RelayName>,
    /// The relays of its ticket that the viewer need not leave.
    pub(super) held: Vec<RelayName>,
    /// Whether the first has the stream, or is to get it: it stays first then, however it is doing.
    pub(super) certain: bool,
    /// Whether the first lacks the stream.
    opens: bool,
}

/// A relay that carries a stream, and that viewers can be sent to.
#[derive(Debug, Clone, Copy)]
struct Carrier<'a> {
    name: &'a RelayName,
    room: HeadRoom,
    viewers: u32,
    depth: u8,
    region: Option<&'a str>,
}

/// What one choice looks at.
struct Search<'a> {
    registry: &'a Registry,
    now_us: u64,
    stream: &'a Stream,
    wish: &'a Wish,
    tree: Tree<'a>,
    carriers: Vec<Carrier<'a>>,
}

impl Registry {
    /// Where somebody watches who wishes this.
    pub(super) fn choose(&self, now_us: u64, stream: &Stream, wish: &Wish) -> Choice {
        let tree = Tree::of(stream, now_us);
        let mut search = Search { registry: self, now_us, stream, wish, tree, carriers: Vec::new() };
        search.carriers = search.tree.relays().iter().filter_map(|of| search.carrier(*of)).collect();
        search.choose()
    }

    /// A viewer was sent to the first of these relays. Until that one's next heartbeat nobody else tells of it.
    pub(super) fn sent(&mut self, now_us: u64, stream: StreamId, choice: &Choice) {
        let Some(first) = choice.names.first() else { return };
        let Some(relay) = self.relays.get_mut(first) else { return };
        relay.sent.viewers = relay.sent.viewers.saturating_add(1);
        if choice.opens
            && let Some(upstream) = choice.upstream.first()
            && let Some(stream) = self.streams.get_mut(&stream)
        {
            relay.sent.edges = relay.sent.edges.saturating_add(1);
            stream.opens(now_us, first.clone(), upstream.clone());
        }
    }
}

impl<'a> Search<'a> {
    fn choose(&self) -> Choice {
        let base = lists::of_broadcaster(self.stream);
        let near = self.wish.region.as_deref().and_then(|region| self.best_in(Some(region)));
        let best = near.or_else(|| self.best_in(None));
        let is_left = |name: &RelayName| best.is_some() && self.wish.held.contains(name) && self.is_hot(name);
        let opens = best.is_some_and(|name| self.tree.depth_of(name).is_none());
        let works = |name: &&RelayName| self.wish.failed.as_ref() != Some(*name);
        // When none is fit it is where it plays, else where it is expected.
        let best = best.or_else(|| best_of(&self.carriers, None).map(|carrier| carrier.name));
        let first = best.or_else(|| base.iter().find(works)).or(base.first());

        let held: Vec<_> =
            self.wish.held.iter().filter(|name| self.may_stay(name) && !is_left(name)).cloned().collect();
        let mut names = Names::default();
        names.extend(first);
        names.extend(&held);
        if self.tree.origin() != first {
            // When an edge fails, a relay where it plays is better than one where it soon may.
            let others: Vec<_> = self.carriers.iter().filter(|carrier| Some(carrier.name) != first).copied().collect();
            names.extend(best_of(&others, None).map(|carrier| carrier.name));
        }
        names.extend(&base);
        names.extend(self.tree.relays().iter().map(|(name, _)| *name));
        names.0.retain(|name| !is_left(name));
        let upstream = self.upstream(first, &base);
        let certain = opens || first.is_some_and(|first| self.tree.depth_of(first).is_some());
        Choice { names: names.0, upstream, held, certain, opens }
    }

    /// The best relay of a region, which may lack the stream; none when all of the region is too busy for it.
    fn best_in(&self, region: Option<&str>) -> Option<&'a RelayName> {
        let roomy = self.carriers.iter().filter(|carrier| carrier.room >= ROOM_FOR_VIEWERS).copied();
        if let Some(best) = best_of(&roomy.collect::<Vec<_>>(), region) {
            return Some(best.name);
        }
        // Nearness alone isn't worth a busy relay, and one that nobody else is fit for pulls from a relay that may be broken.
        let least = if region.is_some() { ROOM_FOR_VIEWERS } else { best_of(&self.carriers, None)?.room };
        let here = self.carriers.iter().filter(|carrier| carrier.is_in(region)).map(|carrier| carrier.room).max();
        let least = least.max(here.map_or(HeadRoom::NONE, |room| room.plus(EDGE_GAIN)));
        let (edge, room) = self.best_edge(region)?;
        (room >= least).then_some(edge)
    }

    /// The relay that would do best as a new edge of the stream, if there is something to pull from.
    fn best_edge(&self, region: Option<&str>) -> Option<(&'a RelayName, HeadRoom)> {
        let origin = self.registry.relays.get(self.tree.origin()?)?;
        if origin.is_draining() || !origin.check.is_good() || self.tree.upstreams(None).is_empty() {
            return None; // the stream is about to be elsewhere
        }
        let fits = |name: &RelayName, relay: &Relay| {
            let lacks = !self.stream.reports.contains_key(name) && self.tree.depth_of(name).is_none();
            let here = region.is_none() || relay.joining.region.as_deref() == region;
            let ready = self.registry.health(relay, relay.told(), self.now_us) == RelayHealth::Ready;
            lacks && here && ready && !relay.is_lost(self.now_us) && self.wish.failed.as_ref() != Some(name)
        };
        let edges = self.registry.relays.iter().filter(|(name, relay)| fits(name, relay));
        let edges = edges.map(|(name, relay)| (relay.room_for(relay.told()), Reverse((relay.told(), name))));
        edges.max().map(|(room, Reverse((_, name)))| (name, room))
    }

    /// A relay of the tree, when it is well.
    fn carrier(&self, (name, depth): (&'a RelayName, u8)) -> Option<Carrier<'a>> {
        let relay = self.registry.relays.get(name)?;
        let ill = relay.is_draining() || relay.is_lost(self.now_us) || relay.is_suspect(self.now_us);
        if ill || !relay.check.is_good() || self.wish.failed.as_ref() == Some(name) {
            return None;
        }
        let told = relay.told();
        let region = relay.joining.region.as_deref();
        // One that lags or turns people away is as one that is full, whatever room it has.
        let room = if self.by_room() && relay.pressure.is_busy() { BUSY_UNDER } else { HeadRoom::ALL };
        Some(Carrier { name, room: relay.room_for(told).min(room), viewers: told.viewers, depth, region })
    }

    /// Whether viewers who renew their tickets are to leave a relay that has too much to do: a few a second of a thousand, until it is
    /// hot no more. That helps also where no stream can be moved, as its broadcasters send to other relays.
    fn is_hot(&self, name: &RelayName) -> bool {
        self.by_room() && self.registry.relays.get(name).is_some_and(|relay| relay.pressure.is_hot(self.now_us))
    }

    fn by_room(&self) -> bool {
        self.registry.rules.assign == Assign::HeadRoom
    }

    /// Whether a viewer that is at this relay need not leave it.
    fn may_stay(&self, name: &RelayName) -> bool {
        let carries = self.tree.depth_of(name).is_some() || self.stream.reports.contains_key(name);
        let stays = |relay: &Relay| !relay.is_draining() && relay.check.is_good();
        carries && self.wish.failed.as_ref() != Some(name) && self.registry.relays.get(name).is_some_and(stays)
    }

    /// Where the relays of a list pull from that begins with `first`. Behind the best come those that the broadcaster goes to when its
    /// relay fails: so an edge finds it again.
    fn upstream(&self, first: Option<&RelayName>, base: &[RelayName]) -> Vec<RelayName> {
        if self.tree.origin().is_none() && !self.stream.has_begun() {
            return Vec::new(); // nobody has it: whoever asked would ask in vain
        }
        let mut names = Names::default();
        // Whoever carries it needs no upstream now; the others of its list do.
        let own = first.filter(|first| self.tree.origin() == Some(first));
        names.extend(own);
        names.extend(self.tree.upstreams(first).into_iter().take(2));
        names.extend(base);
        let reached = |name: &RelayName| self.registry.relays.get(name).is_some_and(|relay| relay.check.is_good());
        // An edge doesn't pull from itself; an origin that is, or is to be, has the others of its list pull from it.
        let edge = first.filter(|_| own.is_none() && self.tree.origin().is_some());
        names.0.retain(|name| Some(name) != edge && reached(name));
        names.0.truncate(RELAYS_NAMED_MAX);
        names.0
    }
}

impl Carrier<'_> {
    fn is_in(&self, region: Option<&str>) -> bool {
        region.is_none() || self.region == region
    }
}

/// The best carrier within a region: of those about as good as the one with most room the origin, else the one with fewest viewers.
fn best_of<'a>(carriers: &[Carrier<'a>], region: Option<&str>) -> Option<Carrier<'a>> {
    let carriers = carriers.iter().filter(|carrier| carrier.is_in(region));
    let best = carriers.clone().map(|carrier| carrier.room).max()?;
    let near = carriers.filter(|carrier| carrier.room.plus(NEAR) >= best);
    near.min_by_key(|carrier| (carrier.depth > 0, carrier.viewers, carrier.name)).copied()
}

/// Names in the order in which they came, each once.
#[derive(Default)]
struct Names(Vec<RelayName>);

impl Names {
    fn extend<'a>(&mut self, names: impl IntoIterator<Item = &'a RelayName>) {
        for name in names {
            if !self.0.contains(name) {
                self.0.push(name.clone());
            }
        }
    }
}
