//! One stream that is pulled from another relay: at most one upstream that sends it, and one beside it that may take its place. Where
//! the next one is, is decided in `upstreams`; what viewers get of two, by `handover` and the window.

use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use protocol::{
    MediaHeader, PROTOCOL_VERSION, RelayName, StreamId,
    control::{ClientHello, FromRelay, ToViewer},
    http::RelayAddress,
    limits::{CLIENT_PATIENCE, EDGE_IDLE_TIME_MAX},
    relay_proof::{Assertion, pull_request},
};
use tokio::{
    sync::mpsc,
    time::{Duration, Instant, MissedTickBehavior, interval},
};
use tracing::{debug, info, warn};

use super::{
    Wish,
    handover::Handover,
    link::{Failure, Link, News},
    renewal::Renewals,
    upstreams::Upstreams,
};
use crate::{
    house::House,
    stream::{
        Origin, PushError, UpstreamSeat,
        demand::{Demand, Wanted},
    },
};

mod told;

use told::read_origin;

/// How often it is looked at what time brings: silence, pauses that are over, viewers that have gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often the directory is asked at most for a newer ticket.
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How long before its end a ticket is replaced that an upstream has.
const TICKET_SPARE_S: u64 = 60;

/// How long this relay looks for a place to follow a stream to that moves, before it sends its viewers there.
const FOLLOW_TIME_MAX: Duration = Duration::from_secs(1);

/// One stream.
#[derive(Debug)]
pub(super) struct Pull {
    house: Arc<House>,
    stream: StreamId,
    demand: Demand,
    upstreams: Upstreams,
    wishes: mpsc::Receiver<Wish>,
    main: Option<Main>,
    beside: Option<Beside>,
    /// Since when nobody watches.
    idle_since: Option<Instant>,
    asked_at: Option<Instant>,
}

/// A connection to an upstream.
#[derive(Debug)]
struct Feed {
    link: Link,
    upstream: RelayName,
    heard_at: Instant,
    /// When the ticket ends that it has, in seconds since the Unix epoch.
    expires_at_s: u64,
    /// Whether it says that the broadcaster is connected.
    present: bool,
}

/// The upstream that sends the stream.
#[derive(Debug)]
struct Main {
    feed: Feed,
    seat: UpstreamSeat,
    origin: Origin,
    moving: Option<Moving>,
}

/// The upstream has said that the stream goes on elsewhere.
#[derive(Debug)]
struct Moving {
    since: Instant,
    relays: Vec<RelayAddress>,
    viewers_told: bool,
}

/// The one that may take its place.
#[derive(Debug)]
struct Beside {
    feed: Feed,
    begun: Instant,
    patience: Duration,
    origin: Option<Origin>,
    handover: Handover,
}

/// Why another upstream is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// There is none.
    Lost,
    /// The one there is says nothing, or has no broadcaster: whichever brings media first stays.
    Race,
    /// The one there is sends the stream, but not for long.
    Handover,
}

impl Pull {
    /// A pull for the viewer of `wish`.
    pub(super) fn new(
        house: Arc<House>,
        stream: StreamId,
        demand: Demand,
        wishes: mpsc::Receiver<Wish>,
        wish: Wish,
    ) -> Self {
        let upstreams = Upstreams::new(house.name.clone());
        let mut pull = Self {
            house,
            stream,
            demand,
            upstreams,
            wishes,
            main: None,
            beside: None,
            idle_since: None,
            asked_at: None,
        };
        pull.learn(&wish);
        pull
    }

    /// Runs until nobody needs the stream from another relay any more.
    pub(super) async fn run(mut self) {
        let stopping = self.house.stopping.clone();
        let pulling = async {
            let mut looks = interval(LOOK_INTERVAL);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    news = next(self.main.as_mut().map(|main| &mut main.feed)) => self.hear(news),
                    news = next(self.beside.as_mut().map(|beside| &mut beside.feed)) => self.hear_beside(news),
                    Some(wish) = self.wishes.recv() => self.learn(&wish),
                    () = self.demand.changed() => self.ask_for_keys(),
                    _ = looks.tick() => if self.look() { return },
                }
            }
        };
        stopping.run_until_cancelled(pulling).await;
    }

    fn learn(&mut self, wish: &Wish) {
        self.upstreams.learn(&wish.grant, &wish.ticket, Instant::now());
        let Some(Main { feed, .. }) = &mut self.main else { return };
        // Not for every viewer that comes.
        if let Some((ticket, expires_at_s)) = self.upstreams.ticket_for(&feed.upstream)
            && expires_at_s >= feed.expires_at_s + TICKET_SPARE_S
        {
            feed.expires_at_s = expires_at_s;
            feed.link.renew(ticket);
        }
    }

    /// Looks at what time brings; whether the pull is over.
    fn look(&mut self) -> bool {
        let now = Instant::now();
        let wanted = self.demand.now();
        if wanted != Wanted::LettingGo {
            self.idle_since = None;
        }
        match wanted {
            Wanted::Gone => {
                (self.main, self.beside) = (None, None);
                return self.house.edges.finish(&self.house, self.stream, &mut self.wishes, false);
            }
            Wanted::Nothing => (self.main, self.beside) = (None, None),
            Wanted::LettingGo => {
                let idle = now.duration_since(*self.idle_since.get_or_insert(now));
                return idle >= EDGE_IDLE_TIME_MAX && self.let_go();
            }
            Wanted::Pulled => {
                self.ask_for_keys();
                self.seek(now);
            }
        }
        false
    }

    fn let_go(&mut self) -> bool {
        let is_over = self.house.edges.finish(&self.house, self.stream, &mut self.wishes, true);
        if is_over {
            info!("nobody watches the stream here any more; letting go of it");
        }
        is_over
    }

    /// Keeps an upstream.
    fn seek(&mut self, now: Instant) {
        self.bear_with_beside(now);
        self.take_over_when_due(now);
        let Some(need) = self.need(now) else {
            self.beside = None;
            self.keep_ticket(now);
            return;
        };
        if self.beside.is_some() || (need == Need::Lost && self.house.drain.is_draining()) {
            return;
        }
        let avoided = self.main.as_ref().map(|main| main.feed.upstream.clone()).filter(|upstream| {
            // Where there is no other only the connection may be dead.
            need == Need::Handover || self.upstreams.has_others_than(upstream)
        });
        if let Some(attempt) = self.upstreams.next(avoided.as_ref(), now) {
            self.beside = self.open(attempt, now);
        } else if avoided.is_some() || self.upstreams.none_found() {
            self.ask(now);
        }
        self.send_viewers_after(now);
    }

    fn need(&self, now: Instant) -> Option<Need> {
        let Some(main) = &self.main else { return Some(Need::Lost) };
        if now.duration_since(main.feed.heard_at) >= CLIENT_PATIENCE || !main.feed.present {
            return Some(Need::Race);
        }
        (main.moving.is_some() || self.upstreams.know_newer(main.origin.epoch, &main.feed.upstream))
            .then_some(Need::Handover)
    }

    /// Nobody waits long for one that does not answer.
    fn bear_with_beside(&mut self, now: Instant) {
        let Some(beside) = &self.beside else { return };
        let is_silent = now.duration_since(beside.feed.heard_at) >= beside.patience;
        let brings_nothing = !beside.handover.has_begun() && now.duration_since(beside.begun) >= 2 * beside.patience;
        if is_silent || brings_nothing {
            self.fail_beside(Failure::Silent);
        }
    }

    fn keep_ticket(&mut self, now: Instant) {
        let now_s = self.house.clock.now_s();
        if self.main.as_ref().is_some_and(|main| now_s + TICKET_SPARE_S > main.feed.expires_at_s) {
            self.ask(now);
        }
    }

    /// Asks the directory for a newer ticket, and with it for upstreams that hold now.
    fn ask(&mut self, now: Instant) {
        let asked_lately = self.asked_at.is_some_and(|at| now.duration_since(at) < ASK_INTERVAL);
        let Some(ticket) = self.upstreams.ticket().cloned().filter(|_| !asked_lately) else { return };
        self.asked_at = Some(now);
        self.house.edges.life.spawn(Renewals::ask(Arc::clone(&self.house), self.stream, ticket));
    }

    /// A stream that goes on where this relay can't follow it: its viewers are told.
    fn send_viewers_after(&mut self, now: Instant) {
        let Some(Main { moving: Some(moving), seat, .. }) = &mut self.main else { return };
        if !moving.viewers_told && now.duration_since(moving.since) >= FOLLOW_TIME_MAX {
            moving.viewers_told = true;
            info!("the stream moves where this relay can't follow; its viewers are told");
            // Whether they are still this upstream's to tell is seen with the next media.
            let _ = seat.move_to(moving.relays.clone(), now);
        }
    }

    fn open(&self, attempt: super::upstreams::Attempt, now: Instant) -> Option<Beside> {
        let membership = self.house.membership.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let said_at_ms = self.house.edges.next_said_at_ms(self.house.clock.now_us() / 1000);
        let request = pull_request(self.stream, &attempt.upstream.name);
        let assertion = Assertion::new(self.house.name.clone(), &request, b"", said_at_ms);
        let assertion = self.house.key.sign(&assertion).ok()?;
        let hello =
            ClientHello::PullStream { protocol: PROTOCOL_VERSION, ticket: attempt.ticket, membership, assertion };
        debug!(upstream = %attempt.upstream.name, "asking another relay for the stream");
        let edges = &self.house.edges;
        let feed = Feed {
            link: Link::open(&edges.dialler, attempt.upstream.url, hello, &edges.life),
            upstream: attempt.upstream.name,
            heard_at: now,
            expires_at_s: attempt.expires_at_s,
            present: true,
        };
        let (patience, handover) = (attempt.patience, Handover::default());
        Some(Beside { feed, begun: now, patience, origin: None, handover })
    }

    /// What the upstream says.
    fn hear(&mut self, news: News) {
        let Some(main) = &mut self.main else { return };
        main.feed.heard_at = Instant::now();
        let heard = match news {
            News::Alive => Ok(()),
            News::Media(header, message) => self.push(&header, message),
            News::Ended(failure) => Err(Heard::Lost(failure)),
            News::Said(ToViewer::Error { code, message }) => Err(Heard::Lost(Failure::Refused(code.as_str(), message))),
            News::Said(ToViewer::Broadcaster { present }) => {
                main.feed.present = present;
                main.seat.set_present(present).map_err(Heard::from)
            }
            News::Said(ToViewer::Skipped { track, chunks }) => main.seat.skipped(track, chunks).map_err(Heard::from),
            News::Said(ToViewer::Move { relays, .. }) => {
                self.is_to_follow(relays);
                Ok(())
            }
            News::Said(ToViewer::StreamEnded {}) => {
                self.end();
                Ok(())
            }
            News::Said(watching @ ToViewer::Watching { .. }) => self.comes_otherwise(watching),
            News::Said(ToViewer::Viewers { .. }) => Ok(()),
        };
        match heard {
            Ok(()) => self.take_over_when_due(Instant::now()),
            Err(Heard::Superseded) => self.main = None,
            Err(Heard::Lost(failure)) => self.lose(&failure),
        }
    }

    fn push(&mut self, header: &MediaHeader, message: Bytes) -> Result<(), Heard> {
        let Some(main) = &mut self.main else { return Ok(()) };
        let metrics = &self.house.metrics;
        metrics.upstream_bytes_in.inc_by(message.len() as u64);
        if main.seat.push(header, message, Instant::now())? {
            metrics.upstream_chunks_in.inc();
        }
        Ok(())
    }

    /// The stream comes to the upstream on another way, or from another publisher.
    fn comes_otherwise(&mut self, watching: ToViewer) -> Result<(), Heard> {
        let Some(main) = &mut self.main else { return Ok(()) };
        let origin = read_origin(watching, &main.feed.upstream, &self.house.name).map_err(Heard::Lost)?;
        let refused = |_| Heard::Lost(Failure::Useless("what it sends now is outdated"));
        main.seat = self.house.streams.pull(self.stream, origin.clone()).map_err(refused)?;
        main.origin = origin;
        Ok(())
    }

    fn is_to_follow(&mut self, relays: Vec<RelayAddress>) {
        let Some(main) = &mut self.main else { return };
        let may_follow = self.upstreams.prefer(&relays);
        info!(upstream = %main.feed.upstream, may_follow, "the upstream says that the stream goes on elsewhere");
        main.moving = Some(Moving { since: Instant::now(), relays, viewers_told: false });
        if !may_follow {
            self.ask(Instant::now());
        }
    }

    /// The upstream says that the stream is over.
    fn end(&mut self) {
        let Some(main) = &self.main else { return };
        if self.upstreams.epoch() > main.origin.epoch {
            return self.lose(&Failure::Useless("the stream goes on elsewhere"));
        }
        info!(upstream = %main.feed.upstream, "the stream has ended");
        (self.main, self.beside) = (None, None);
        self.house.streams.end(self.stream, Instant::now());
    }

    fn lose(&mut self, failure: &Failure) {
        let Some(main) = self.main.take() else { return };
        self.house.metrics.upstream_failed(failure.reason());
        warn!(upstream = %main.feed.upstream, %failure, "another relay sends the stream no longer; trying the next");
        // The next one has its place before the old one leaves it, so that viewers hear of nothing.
        if self.beside.as_ref().is_some_and(|beside| beside.origin.is_some()) {
            self.take_over();
        }
        drop(main);
        self.seek(Instant::now());
    }

    /// What the one beside says.
    fn hear_beside(&mut self, news: News) {
        let Some(beside) = &mut self.beside else { return };
        let now = Instant::now();
        beside.feed.heard_at = now;
        match news {
            News::Ended(failure) => self.fail_beside(failure),
            News::Said(ToViewer::Error { code, message }) => self.fail_beside(Failure::Refused(code.as_str(), message)),
            News::Said(ToViewer::Move { .. } | ToViewer::StreamEnded {}) => {
                self.fail_beside(Failure::Useless("the stream does not stay there"));
            }
            News::Said(watching @ ToViewer::Watching { .. }) => {
                match read_origin(watching, &beside.feed.upstream, &self.house.name) {
                    Ok(origin) => self.answered(origin),
                    Err(failure) => self.fail_beside(failure),
                }
            }
            News::Said(ToViewer::Broadcaster { present }) => beside.feed.present = present,
            News::Media(header, message) => {
                beside.handover.hold(header, message, now);
                if self.need(now) == Some(Need::Handover) {
                    self.take_over_when_due(now);
                } else if self.need(now).is_some() {
                    self.take_over();
                }
            }
            News::Said(ToViewer::Skipped { .. } | ToViewer::Viewers { .. }) | News::Alive => {}
        }
    }

    /// The one beside has the stream.
    fn answered(&mut self, origin: Origin) {
        let Some(beside) = &mut self.beside else { return };
        let is_older = self.main.as_ref().is_some_and(|main| {
            let is_outdated = main.moving.is_none() && self.upstreams.epoch() > main.origin.epoch;
            origin.epoch < main.origin.epoch || (is_outdated && origin.epoch == main.origin.epoch)
        });
        if is_older {
            return self.fail_beside(Failure::Useless("it has an older publisher's stream"));
        }
        beside.origin = Some(origin);
        if self.main.is_none() {
            self.take_over();
        }
    }

    fn fail_beside(&mut self, failure: Failure) {
        let Some(beside) = self.beside.take() else { return };
        self.house.metrics.upstream_failed(failure.reason());
        debug!(upstream = %beside.feed.upstream, %failure, "another relay does not send the stream");
        let now = Instant::now();
        self.upstreams.failed(now);
        self.seek(now);
    }

    fn take_over_when_due(&mut self, now: Instant) {
        let (Some(main), Some(beside)) = (&self.main, &self.beside) else { return };
        let Some(origin) = &beside.origin else { return };
        let reached = |track| main.seat.segment_of(track);
        let is_other = origin.tracks != main.origin.tracks;
        if is_other || beside.handover.is_due(&origin.tracks, reached, now) {
            self.take_over();
        }
    }

    /// The one beside takes the upstream's place.
    fn take_over(&mut self) {
        let Some(Beside { feed, origin: Some(origin), handover, .. }) = self.beside.take() else { return };
        let seat = match self.house.streams.pull(self.stream, origin.clone()) {
            Ok(seat) => seat,
            Err(refused) => {
                debug!(upstream = %feed.upstream, %refused, "what another relay sends is of no use");
                self.house.metrics.upstream_failed("useless");
                return self.upstreams.failed(Instant::now());
            }
        };
        let (depth, epoch) = (origin.path.len(), origin.epoch);
        info!(upstream = %feed.upstream, depth, epoch, "the stream comes from another relay");
        self.upstreams.succeeded();
        if !feed.present {
            let _ = seat.set_present(false);
        }
        self.main = Some(Main { feed, seat, origin, moving: None });
        for (header, message) in handover.into_held() {
            if self.push(&header, message).is_err() {
                return self.main = None;
            }
        }
    }

    fn ask_for_keys(&self) {
        let Some(main) = &self.main else { return };
        for track in main.seat.keys_wanted(Instant::now()) {
            main.feed.link.say(FromRelay::KeyFrameWanted { track });
        }
    }
}

/// What comes next, if there is somebody to say it.
async fn next(feed: Option<&mut Feed>) -> News {
    match feed {
        Some(feed) => feed.link.next().await,
        None => std::future::pending().await,
    }
}

/// Why an upstream is left.
#[derive(Debug)]
enum Heard {
    /// A broadcaster sends the stream here, or it is no longer here.
    Superseded,
    /// It can't be used any more.
    Lost(Failure),
}

impl From<PushError> for Heard {
    fn from(error: PushError) -> Self {
        match error {
            PushError::Superseded | PushError::Ended => Self::Superseded,
            PushError::Refused(_) => Self::Lost(Failure::Useless("it sends media that can't be held")),
        }
    }
}
