//! A connection to an upstream: the one that sends the stream, and a candidate for its place.

use std::sync::{Arc, PoisonError};

use protocol::{
    PROTOCOL_VERSION, RelayName, StreamId,
    control::ClientHello,
    relay_proof::{Assertion, pull_request},
};
use tokio::time::{Duration, Instant};
use webtransport::Transport;

use super::{
    super::{
        handover::Handover,
        link::{Link, News},
        permit::Permit,
        upstreams::Attempt,
    },
    moving::Moving,
    need::Sight,
};
use crate::{
    house::House,
    stream::{Origin, UpstreamSeat},
};

/// What both have.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) link: Link,
    /// What carries it, once it is reached.
    pub(super) transport: Option<Transport>,
    pub(super) upstream: RelayName,
    pub(super) heard_at: Instant,
    /// The times of the ticket that it has.
    pub(super) permit: Permit,
    /// Whether it says that the broadcaster is connected.
    pub(super) present: bool,
}

/// The upstream that sends the stream.
#[derive(Debug)]
pub(super) struct Main {
    pub(super) feed: Feed,
    pub(super) seat: UpstreamSeat,
    pub(super) origin: Origin,
    pub(super) moving: Option<Moving>,
}

/// The one that may take its place.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) feed: Feed,
    trial: Trial,
    /// What it has said of the stream.
    pub(super) origin: Option<Origin>,
    pub(super) handover: Handover,
}

/// How long a candidate is borne with.
#[derive(Debug, Clone, Copy)]
struct Trial {
    begun: Instant,
    patience: Duration,
}

impl Feed {
    /// Calls an upstream; none while this relay has nothing to show there.
    fn open(house: &Arc<House>, stream: StreamId, attempt: Attempt, now: Instant) -> Option<Self> {
        let membership = house.membership.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let edges = &house.edges;
        let said_at_ms = edges.next_said_at_ms(house.clock.now_us() / 1000);
        let request = pull_request(stream, &attempt.upstream.name);
        let assertion = house.key.sign(&Assertion::new(house.name.clone(), &request, b"", said_at_ms)).ok()?;
        let hello =
            ClientHello::PullStream { protocol: PROTOCOL_VERSION, ticket: attempt.ticket, membership, assertion };
        let upstream = attempt.upstream.name.clone();
        let link = Link::open(&edges.dialler, attempt.upstream, hello, &house.metrics, &edges.life);
        Some(Self { link, transport: None, upstream, heard_at: now, permit: attempt.permit, present: true })
    }
}

impl Main {
    /// How it seems; `newer_elsewhere`: whether others may have a newer publisher's stream.
    pub(super) const fn sight(&self, newer_elsewhere: bool) -> Sight {
        let Feed { heard_at, transport, present, .. } = self.feed;
        Sight { heard_at, transport, present, moving: self.moving.is_some(), newer_elsewhere }
    }
}

impl Candidate {
    /// Calls one.
    pub(super) fn open(house: &Arc<House>, stream: StreamId, attempt: Attempt, now: Instant) -> Option<Self> {
        let trial = Trial { begun: now, patience: attempt.patience };
        let feed = Feed::open(house, stream, attempt, now)?;
        Some(Self { feed, trial, origin: None, handover: Handover::default() })
    }

    /// Whether it has had its time.
    pub(super) fn has_failed(&self, now: Instant) -> bool {
        self.trial.is_over(self.feed.heard_at, self.handover.has_begun(), now)
    }
}

impl Trial {
    /// Nobody waits long for one that does not answer, nor for one that answers and brings nothing.
    fn is_over(self, heard_at: Instant, brings_media: bool, now: Instant) -> bool {
        let is_silent = now.duration_since(heard_at) >= self.patience;
        is_silent || (!brings_media && now.duration_since(self.begun) >= 2 * self.patience)
    }
}

/// What comes next, if there is somebody to say it.
pub(super) async fn next(feed: Option<&mut Feed>) -> News {
    match feed {
        Some(feed) => feed.link.next().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidate_that_is_silent_or_brings_nothing_has_its_time_and_no_more() {
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let trial = Trial { begun, patience: second };
        let over = |heard_s: u32, brings_media, now_s: u32| {
            trial.is_over(begun + heard_s * second, brings_media, begun + now_s * second)
        };
        assert!(!over(0, false, 0) && over(0, false, 1), "it does not answer");
        assert!(!over(1, false, 1) && over(2, false, 2), "it says all kinds of things");
        assert!(!over(9, true, 9) && over(9, true, 10), "it has brought something and says nothing more");
    }
}
