//! How a player stays connected: which relay it opens when, and when it asks the directory.

mod asking;
mod hearing;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use protocol::{PROTOCOL_VERSION, StreamId};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Report, Sight};
use crate::{
    directory::{Assignment, Directory, Refusal, Relay},
    feed::{Feed, LinkId},
    link::{Link, next},
    now_us,
};

/// A relay that says nothing for this long may be dead: another one is opened beside it.
const PATIENCE: Duration = Duration::from_secs(1);

/// No broadcaster for this long: the directory knows better where the stream is.
const ABSENT_TIME_MAX: Duration = Duration::from_secs(1);

/// No media for this long on a living connection: likewise.
const NO_MEDIA_TIME_MAX: Duration = Duration::from_secs(2);

/// Between two questions that are asked because no media come.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Longest that media of the next connection wait for the end of a segment of the one before it.
const HOLD_TIME_MAX: Duration = Duration::from_millis(400);

/// Both connections of a move are open for this long at most.
const OVERLAP_TIME_MAX: Duration = Duration::from_secs(5);

/// How often a player looks at its clocks.
#[derive(Debug, Clone, Copy)]
pub struct Tempo(pub Duration);

impl Default for Tempo {
    fn default() -> Self {
        Self(Duration::from_millis(25))
    }
}

/// Why a second connection is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    /// The first is silent; whichever has media stays.
    Silence,
    /// The relay wants it, or the directory: the change is at a boundary.
    Move,
}

/// Why the directory is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// There is no connection.
    Nowhere,
    /// The ticket gets old.
    Renewal,
    /// Media don't come.
    NoMedia,
    /// The relay told to move and did not say where, or the ticket does not hold there.
    Move,
}

/// What is known of a connection.
struct Health {
    id: LinkId,
    heard: Instant,
    media: Instant,
    absent_since: Option<Instant>,
}

pub(super) struct Course {
    directory: Directory,
    id: StreamId,
    tempo: Tempo,
    sight: Arc<Sight>,
    links: Vec<Link>,
    health: Vec<Health>,
    feed: Feed,
    beside: Option<(Beside, Instant)>,
    held_since: Option<Instant>,
    assignment: Option<Assignment>,
    /// Where a relay has told this player to go.
    moving_to: Vec<Relay>,
    tried: HashSet<String>,
    failed: Option<String>,
    asking: Option<(Why, BoxFuture<'static, Result<Assignment, Refusal>>)>,
    asked_at: Option<Instant>,
    renew_at: Option<Instant>,
    rounds: u32,
    paused_until: Instant,
    unknown_since: Option<Instant>,
    links_made: u32,
    reported_shown: usize,
    report: Report,
}

impl Course {
    pub(super) fn new(
        directory: Directory,
        id: StreamId,
        tempo: Tempo,
        sight: Arc<Sight>,
        assignment: Option<Assignment>,
    ) -> Self {
        let report = Report {
            shown: vec![],
            faults: crate::feed::Faults::default(),
            overlap: 0,
            skipped: 0,
            reloads: 0,
            over: None,
            left: false,
            diary: vec![],
        };
        Self {
            directory,
            id,
            tempo,
            sight,
            links: vec![],
            health: vec![],
            feed: Feed::new(LinkId(0)),
            beside: None,
            held_since: None,
            assignment,
            moving_to: vec![],
            tried: HashSet::new(),
            failed: None,
            asking: None,
            asked_at: None,
            renew_at: None,
            rounds: 0,
            paused_until: Instant::now(),
            unknown_since: None,
            links_made: 0,
            reported_shown: 0,
            report,
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) -> Report {
        let mut ticks = interval(self.tempo.0);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.report.over.is_none() {
            let asked = async {
                match &mut self.asking {
                    Some((_, asking)) => asking.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => break,
                answer = asked => {
                    let why = self.asking.take().map_or(Why::Nowhere, |(why, _)| why);
                    self.answered(why, answer).await;
                }
                (link, heard) = next(&mut self.links) => self.hear(link, heard).await,
                _ = ticks.tick() => self.look().await,
            }
            self.note_shown();
        }
        self.report.overlap = self.feed.overlap();
        (self.report.shown, self.report.faults) = self.feed.into_parts();
        self.report
    }

    fn note_shown(&mut self) {
        let count = self.feed.shown().len();
        if count > self.reported_shown {
            self.reported_shown = count;
            self.sight.shows(now_us());
        }
    }

    fn write(&mut self, what: String) {
        self.report.diary.push((now_us(), what));
    }

    fn give_up(&mut self, why: &str) {
        self.write(format!("gave up: {why}"));
        self.report.over = Some(why.to_owned());
        self.sight.set_over(why);
    }

    /// Looks at the clocks.
    async fn look(&mut self) {
        let now = Instant::now();
        if self.links.is_empty() {
            if self.asking.is_none() && now >= self.paused_until {
                self.go_on();
            }
            return;
        }
        if self.held_since.is_some_and(|since| now - since > HOLD_TIME_MAX)
            || self.beside.is_some_and(|(_, since)| self.links.len() > 1 && now - since > OVERLAP_TIME_MAX)
        {
            self.change_to_next();
        }
        let current = self.feed.current();
        let Some(health) = self.health.iter().find(|health| health.id == current) else { return };
        let silent = now - health.heard > PATIENCE;
        let absent = health.absent_since.is_some_and(|since| now - since > ABSENT_TIME_MAX);
        let no_media = now - health.media > NO_MEDIA_TIME_MAX;
        let may_ask = self.asking.is_none() && self.asked_at.is_none_or(|at| now - at > ASK_AGAIN_AFTER);
        // The newest of several silent ones counts.
        let newest_is_fresh = self.health.last().is_some_and(|health| now - health.heard <= PATIENCE);
        if silent && !newest_is_fresh {
            self.open_beside_silent();
        } else if (absent || no_media) && may_ask {
            self.ask(Why::NoMedia);
        } else if self.asking.is_none() && self.renew_at.is_some_and(|at| now >= at) {
            self.ask(Why::Renewal);
        }
    }

    /// There is no connection: the next relay of the list at once, and after a whole round the directory.
    fn go_on(&mut self) {
        match self.untried() {
            Some(relay) => self.open(relay),
            None => self.ask(Why::Nowhere),
        }
    }

    fn untried(&self) -> Option<Relay> {
        let here = |name: &str| self.links.iter().any(|link| link.relay.name == name);
        let assignment = self.assignment.as_ref()?;
        assignment.relays.iter().find(|relay| !self.tried.contains(&relay.name) && !here(&relay.name)).cloned()
    }

    fn open(&mut self, relay: Relay) {
        let Some(assignment) = &self.assignment else { return };
        self.links_made += 1;
        let id = LinkId(self.links_made);
        let hello = json!({ "type": "watch_stream", "protocol": PROTOCOL_VERSION, "ticket": assignment.ticket });
        self.write(format!("opens {}", relay.name));
        self.tried.insert(relay.name.clone());
        let now = Instant::now();
        self.health.push(Health { id, heard: now, media: now, absent_since: None });
        self.links.push(Link::begin(id, relay, hello));
        if self.links.len() == 1 {
            self.feed.change_to(id, now_us());
        } else {
            self.feed.prepare(id);
        }
    }

    fn open_beside_silent(&mut self) {
        let Some(relay) = self.untried() else {
            if self.asking.is_none() && self.asked_at.is_none_or(|at| at.elapsed() > ASK_AGAIN_AFTER) {
                self.failed = self.current_name();
                self.ask(Why::NoMedia);
            }
            return;
        };
        self.write(format!("{} is silent", self.current_name().unwrap_or_default()));
        self.failed = self.current_name();
        // One that is silent too is not waited for.
        self.links.truncate(1);
        self.health.truncate(1);
        self.beside = Some((Beside::Silence, Instant::now()));
        self.open(relay);
    }

    fn current_name(&self) -> Option<String> {
        let current = self.feed.current();
        self.links.iter().find(|link| link.id == current).map(|link| link.relay.name.clone())
    }

    fn drop_link(&mut self, id: LinkId) {
        self.links.retain(|link| link.id != id);
        self.health.retain(|health| health.id != id);
        if id != self.feed.current() {
            self.keep_current();
        } else if let Some(link) = self.links.last() {
            self.feed.change_to(link.id, now_us());
            self.beside = None;
            self.held_since = None;
        }
        if self.links.is_empty() {
            self.sight.set_relay(None);
            if self.asking.is_none() && Instant::now() >= self.paused_until && self.report.over.is_none() {
                self.go_on();
            }
        }
    }

    /// What was opened beside the current connection is not needed.
    fn keep_current(&mut self) {
        let current = self.feed.current();
        self.feed.forget_next();
        self.links.retain(|link| link.id == current);
        self.health.retain(|health| health.id == current);
        (self.beside, self.held_since) = (None, None);
    }

    /// What was opened last is the current connection now.
    fn change_to_next(&mut self) {
        let Some(next) = self.links.last().map(|link| link.id) else { return };
        self.feed.change_to(next, now_us());
        self.links.retain(|link| link.id == next);
        self.health.retain(|health| health.id == next);
        (self.beside, self.held_since) = (None, None);
        let name = self.current_name().unwrap_or_default();
        self.write(format!("has changed to {name}"));
    }
}
