//! How a player stays connected: which relay it opens when, and when it asks the directory.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use protocol::{PROTOCOL_VERSION, StreamId};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Report, Sight};
use crate::{
    directory::{Assignment, Directory, Refusal, Relay, ticket_facts},
    feed::{Feed, LinkId},
    link::{Heard, Link, next},
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

/// Pauses between rounds in which nothing helped.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// How long a stream that the directory does not know may still come back: as long as one outlives its broadcaster's connection.
const UNKNOWN_TIME_MAX: Duration = Duration::from_secs(10);

/// A ticket is renewed after this share of its life.
const RENEWED_AFTER: f64 = 0.5;

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
    pub(super) fn new(directory: Directory, id: StreamId, tempo: Tempo, sight: Arc<Sight>) -> Self {
        let report = Report {
            shown: vec![],
            faults: crate::feed::Faults::default(),
            overlap: 0,
            skipped: 0,
            reloads: 0,
            over: None,
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
            assignment: None,
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

    fn ask(&mut self, why: Why) {
        let ticket = self.assignment.as_ref().map(|assignment| assignment.ticket.clone());
        if ticket.is_none() {
            self.report.reloads += 1;
        }
        self.asked_at = Some(Instant::now());
        let failed = if why == Why::Renewal { None } else { self.failed.clone() };
        self.write(format!("asks ({why:?})"));
        let asking = self.directory.clone().watch(self.id, ticket, failed);
        self.asking = Some((why, Box::pin(asking)));
    }

    async fn answered(&mut self, why: Why, answer: Result<Assignment, Refusal>) {
        match answer {
            Ok(assignment) => self.assigned(why, assignment).await,
            Err(refusal) => self.refused(why, &refusal),
        }
    }

    async fn assigned(&mut self, why: Why, assignment: Assignment) {
        let names: Vec<_> = assignment.relays.iter().map(|relay| relay.name.as_str()).collect();
        self.write(format!("is sent to {}", names.join(", ")));
        let (_, issued_s, expires_s) = ticket_facts(&assignment.ticket);
        let life = Duration::from_secs(expires_s.saturating_sub(issued_s));
        self.renew_at = Some(Instant::now() + life.mul_f64(RENEWED_AFTER + 0.05 * (rand::random::<f64>() - 0.5)));
        self.unknown_since = None;
        let ticket = assignment.ticket.clone();
        self.assignment = Some(assignment);
        if self.links.is_empty() {
            // A relay that has not been tried is tried at once; a list that has just not helped, after a breath.
            match self.untried() {
                Some(relay) => self.open(relay),
                None if self.rounds > 1 => {
                    self.tried.clear();
                    self.pause();
                }
                None => {
                    self.tried.clear();
                    self.rounds += 1;
                    self.go_on();
                }
            }
            return;
        }
        self.tried.clear();
        let current = self.current_name();
        let relays = self.assignment.as_ref().map(|assignment| assignment.relays.clone()).unwrap_or_default();
        let target = match why {
            Why::Move => {
                let wanted = self.moving_to.iter().find(|wanted| relays.iter().any(|relay| relay.name == wanted.name));
                wanted.or_else(|| relays.iter().find(|relay| Some(&relay.name) != current.as_ref())).cloned()
            }
            Why::NoMedia => relays.first().filter(|relay| Some(&relay.name) != current.as_ref()).cloned(),
            _ if relays.iter().any(|relay| Some(&relay.name) == current.as_ref()) => None,
            _ => relays.first().cloned(),
        };
        match target {
            Some(relay) if self.links.len() == 1 => {
                // There is nothing to wait for from a connection that has nothing.
                let how = if why == Why::NoMedia { Beside::Silence } else { Beside::Move };
                self.beside = Some((how, Instant::now()));
                self.open(relay);
            }
            _ => {
                let current = self.feed.current();
                if let Some(link) = self.links.iter_mut().find(|link| link.id == current) {
                    link.say(json!({ "type": "renew_ticket", "ticket": ticket })).await;
                }
            }
        }
    }

    fn refused(&mut self, why: Why, refusal: &Refusal) {
        self.write(format!("the directory: {refusal:?}"));
        if why == Why::Renewal {
            self.renew_at = Some(Instant::now() + PAUSE_MAX);
        }
        let code = match refusal {
            Refusal::Away => "",
            Refusal::Code(code) => code.as_str(),
        };
        let playing = !self.links.is_empty();
        match code {
            "viewer_removed" | "invalid_request" | "not_found" => return self.give_up(code),
            "ticket_invalid" | "ticket_expired" | "unauthorized" => self.assignment = None,
            "stream_not_found" if !playing => {
                let since = *self.unknown_since.get_or_insert_with(Instant::now);
                if since.elapsed() > UNKNOWN_TIME_MAX {
                    return self.give_up(code);
                }
            }
            _ => {}
        }
        if !playing {
            // A directory that is away names no other relays: those of the list may be back.
            self.tried.clear();
            self.pause();
        }
    }

    fn pause(&mut self) {
        self.rounds += 1;
        let whole = PAUSE_MIN.saturating_mul(1 << self.rounds.saturating_sub(2).min(8)).min(PAUSE_MAX);
        self.paused_until = Instant::now() + whole.mul_f64(0.5 + 0.5 * rand::random::<f64>());
    }

    async fn hear(&mut self, id: LinkId, heard: Heard) {
        let now = Instant::now();
        if let Some(health) = self.health.iter_mut().find(|health| health.id == id) {
            health.heard = now;
            if matches!(heard, Heard::Media(_)) {
                health.media = now;
                health.absent_since = None;
            }
        }
        match heard {
            Heard::Opened | Heard::Life => {}
            Heard::Media(header) => self.media(id, &header, now),
            Heard::Text(message) => self.text(id, &message).await,
            Heard::Closed => {
                let name = self.links.iter().find(|link| link.id == id).map(|link| link.relay.name.clone());
                self.write(format!("{} has closed", name.as_deref().unwrap_or_default()));
                if id == self.feed.current() || self.links.len() == 1 {
                    self.failed = name;
                }
                self.drop_link(id);
            }
        }
    }

    fn media(&mut self, id: LinkId, header: &protocol::MediaHeader, now: Instant) {
        let before = self.feed.shown().len();
        self.feed.take(id, header, now_us());
        let is_chunk = header.kind == protocol::MediaKind::Chunk;
        if is_chunk && let Some((Beside::Silence, _)) = self.beside {
            // Whichever has media stays.
            if id == self.feed.current() {
                self.keep_current();
            } else {
                self.change_to_next();
            }
        }
        if self.feed.has_switched() {
            self.change_to_next();
        }
        self.held_since = if self.feed.holds() { self.held_since.or(Some(now)) } else { None };
        if self.feed.shown().len() > before {
            self.rounds = 0;
            self.tried.retain(|name| self.links.iter().any(|link| link.relay.name == *name));
            let name = self.current_name();
            if self.sight.relay() != name {
                self.sight.set_relay(name.as_deref());
            }
        }
    }

    async fn text(&mut self, id: LinkId, message: &Value) {
        match message["type"].as_str().unwrap_or_default() {
            "stream_ended" => self.give_up("stream_ended"),
            "skipped" => self.report.skipped += message["chunks"].as_u64().unwrap_or_default(),
            "broadcaster" => {
                let present = message["present"].as_bool().unwrap_or(true);
                if let Some(health) = self.health.iter_mut().find(|health| health.id == id) {
                    health.absent_since = (!present).then(Instant::now);
                }
            }
            "move" if id == self.feed.current() => self.told_to_move(message),
            "error" => {
                let code = message["code"].as_str().unwrap_or_default().to_owned();
                self.write(format!("is told {code}"));
                match code.as_str() {
                    "viewer_removed" | "unsupported_protocol" | "invalid_request" => self.give_up(&code),
                    // The list is of no more use than the ticket.
                    "ticket_invalid" | "ticket_expired" | "stream_not_found" | "unauthorized" | "relay_revoked" => {
                        let relays = self.assignment.iter().flat_map(|assignment| &assignment.relays);
                        self.tried = relays.map(|relay| relay.name.clone()).collect();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn told_to_move(&mut self, message: &Value) {
        self.moving_to = Relay::list(&message["relays"]);
        self.failed = None;
        let current = self.current_name();
        let wanted: Vec<_> = self.moving_to.iter().map(|relay| relay.name.as_str()).collect();
        self.write(format!("is told to move to {}", wanted.join(", ")));
        let ticket = self.assignment.as_ref().map_or("", |assignment| &assignment.ticket);
        let (holds_at, ..) = ticket_facts(ticket);
        let target =
            self.moving_to.iter().find(|relay| Some(&relay.name) != current.as_ref() && holds_at.contains(&relay.name));
        match target.cloned() {
            Some(relay) => {
                self.beside = Some((Beside::Move, Instant::now()));
                self.open(relay);
            }
            None => self.ask(Why::Move),
        }
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
