//! Where the stream is sent, and where it is sent next: which connections are open, which of them leads, and when another begins.
//!
//! As long as one connection is hopeful nothing is changed. None is while the relay is silent, gone, or not where the directory
//! wants the stream; then the next relay is opened beside what there is. What proves itself first stays.

use std::{sync::Arc, time::Instant};

use futures_util::future::BoxFuture;
use protocol::{
    ErrorCode, RelayName,
    control::{FromBroadcaster, ToBroadcaster},
    http::{Assignment, RelayAddress},
    limits::{AUDIENCE_MAX, MOVE_OVERLAP_TIME_MAX},
};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Uplink,
    confirmed::Confirmed,
    connection::{Connection, ConnectionId, End, News},
    flight::Flight,
    gauge::Gauge,
    leg::Leg,
    line::Ear,
    route::Route,
};
use crate::{
    claim::is_final,
    directory_client::{Backoff, DirectoryError, local_now_us},
    status::BroadcastState,
    uplink_rate::UplinkRate,
};

/// Most connections at a time: one that is silent, one that is left, and two that may be better.
const LEGS_MAX: usize = 4;

/// Most messages that wait to be said on a connection that takes none: orders are minutes apart.
const SAYS_MAX: usize = 8;

/// The connections of one broadcast.
pub(super) struct Course<'a> {
    uplink: &'a Uplink,
    pub(super) tasks: JoinSet<()>,
    news: mpsc::Sender<(ConnectionId, News)>,
    route: Route,
    legs: Vec<Leg>,
    opened: u64,
    leader: Option<ConnectionId>,
    /// Connections of a lower epoch are to be replaced.
    wanted_epoch: u32,
    /// The epoch that the directory said last when it was asked: one that it gave, not one that it wants.
    asked_epoch: u32,
    /// The question to the directory that is open.
    pub(super) asking: Option<BoxFuture<'static, Result<Assignment, DirectoryError>>>,
    /// Waits before questions; none before the first since the stream was live.
    backoff: Option<Backoff>,
    failed: Option<RelayName>,
    was_live: bool,
    was_registered: bool,
    gauge: Gauge,
}

impl<'a> Course<'a> {
    /// No connection yet.
    pub(super) fn new(uplink: &'a Uplink, assignment: Assignment, news: mpsc::Sender<(ConnectionId, News)>) -> Self {
        Self {
            uplink,
            tasks: JoinSet::new(),
            news,
            wanted_epoch: assignment.epoch,
            asked_epoch: assignment.epoch,
            route: Route::new(assignment),
            legs: Vec::new(),
            opened: 0,
            leader: None,
            asking: None,
            backoff: None,
            failed: None,
            was_live: false,
            was_registered: false,
            gauge: {
                let now = Instant::now();
                Gauge::new(UplinkRate::new(uplink.picture_bit_s, uplink.fixed_bit_s, now), now)
            },
        }
    }

    /// Does what is due at `now`.
    pub(super) fn steer(&mut self, now: Instant) {
        self.legs.retain(|leg| leg.leave_at.is_none_or(|at| now < at));
        self.settle_leader();
        let given_up = self.legs.iter().find_map(|leg| Some((leg.id, leg.failure(now)?)));
        if let Some((id, reason)) = given_up {
            self.lost(id, End::Broken(reason), now);
        }
        let is_hopeful = |leg: &Leg| leg.epoch >= self.wanted_epoch && !leg.is_silent(now) && leg.leave_at.is_none();
        if !self.legs.iter().any(is_hopeful) {
            self.go_on(now);
        }
        self.show(now);
    }

    /// Opens the next relay, or asks the directory for one.
    fn go_on(&mut self, now: Instant) {
        if let Some(leader) = self.leader().filter(|leader| leader.is_silent(now)) {
            let (name, failed) = (leader.relay.name.clone(), Some(leader.relay.name.clone()));
            self.failed = failed;
            self.reconnecting(&format!("{name} is silent"));
        }
        let epoch = self.route.assignment.epoch;
        let Self { route, legs, .. } = self;
        let next = route
            .next(|name| legs.iter().any(|leg| leg.relay.name == *name))
            .or_else(|| route.next(|name| legs.iter().any(|leg| leg.relay.name == *name && leg.epoch >= epoch)));
        match next {
            Some(relay) => self.open(relay, now),
            None => self.ask(),
        }
    }

    fn open(&mut self, relay: RelayAddress, now: Instant) {
        if self.legs.len() >= LEGS_MAX {
            let leader = self.leader;
            let oldest = self.legs.iter().position(|leg| Some(leg.id) != leader);
            drop(oldest.map(|oldest| self.legs.remove(oldest)));
        }
        if !self.was_live {
            self.uplink.board.state(BroadcastState::Connecting, format!("Connecting to {}.", relay.name));
        }
        self.opened += 1;
        let id = ConnectionId(self.opened);
        let (says, heard_says) = mpsc::channel(SAYS_MAX);
        let leave = CancellationToken::new();
        let (ticket, flight) = (self.route.assignment.ticket.clone(), Flight::default());
        let connection = Connection {
            relay: relay.clone(),
            ticket: ticket.clone(),
            tracks: self.uplink.tracks(),
            ways: self.uplink.ways.clone(),
            outbox: Arc::clone(&self.uplink.outbox),
            flight: flight.clone(),
            says: heard_says,
            leave: leave.clone(),
            ear: Ear::new(id, self.news.clone()),
        };
        self.tasks.spawn(connection.run());
        self.legs.push(Leg {
            id,
            relay,
            epoch: self.route.assignment.epoch,
            ticket,
            ticket_since: now,
            says,
            leave,
            registered: false,
            transport: None,
            confirms: false,
            heard_at: now,
            leave_at: None,
            confirmed: Confirmed::new(self.uplink.outbox.frames(), now),
            flight,
        });
    }

    /// Asks the directory for relays, unless it is being asked.
    fn ask(&mut self) {
        if self.asking.is_some() {
            return;
        }
        let wait = self.backoff.as_mut().map(Backoff::next).unwrap_or_default();
        self.backoff.get_or_insert_with(Backoff::new);
        let (claim, failed) = (Arc::clone(&self.uplink.claim), self.failed.clone());
        self.asking = Some(Box::pin(async move {
            tokio::time::sleep(wait).await;
            claim.assignment(failed).await
        }));
    }

    /// The directory has answered. An error is one that no asking again cures.
    pub(super) fn answered(
        &mut self,
        answer: Result<Assignment, DirectoryError>,
        now: Instant,
    ) -> Result<(), DirectoryError> {
        self.asking = None;
        match answer {
            Ok(assignment) => {
                self.asked_epoch = self.asked_epoch.max(assignment.epoch);
                self.learn(assignment, now);
            }
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "the directory names no relay now");
                if self.leader.is_none() {
                    self.reconnecting(&error.to_string());
                }
            }
        }
        self.route.begin_round();
        Ok(())
    }

    /// The directory orders something by itself.
    pub(super) fn ordered(&mut self, order: Assignment, now: Instant) {
        if order.epoch < self.route.assignment.epoch {
            return;
        }
        let newest = self.legs.iter().map(|leg| leg.epoch).max().unwrap_or_default();
        if order.epoch > newest.max(self.wanted_epoch) {
            // What the directory only repeats of an answer is no reason to leave where the stream arrives.
            let repeats = order.epoch <= self.asked_epoch;
            let settled = self.leader().filter(|leader| leader.has_fresh_ticket(now));
            if !(repeats && settled.is_some_and(|leader| named(&order, &leader.relay.name))) {
                self.wanted_epoch = order.epoch;
            }
        }
        self.learn(order, now);
        let wanted_epoch = self.wanted_epoch;
        self.legs.retain(|leg| leg.registered || leg.epoch >= wanted_epoch);
    }

    /// Takes the newest assignment: a ticket for where the stream is, and relays for when they are needed.
    fn learn(&mut self, assignment: Assignment, now: Instant) {
        if assignment.epoch < self.route.assignment.epoch {
            return;
        }
        for leg in &mut self.legs {
            if leg.epoch == assignment.epoch && named(&assignment, &leg.relay.name) && leg.ticket != assignment.ticket {
                (leg.ticket, leg.ticket_since) = (assignment.ticket.clone(), now);
                leg.say(FromBroadcaster::RenewTicket { ticket: assignment.ticket.clone() });
            }
        }
        if !assignment.relays.is_empty() {
            self.route = Route::new(assignment);
        }
    }

    /// What a connection tells.
    pub(super) fn heard(&mut self, id: ConnectionId, news: News, now: Instant) {
        let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else { return };
        leg.heard_at = now;
        match news {
            News::Registered(transport) => {
                (leg.registered, leg.transport) = (true, Some(transport));
                leg.confirmed = Confirmed::new(self.uplink.outbox.frames(), now);
                self.registered(id, now);
            }
            News::Heard(Some(message)) => self.told(id, message, now),
            News::Heard(None) => {}
            News::Ended(end) => self.lost(id, end, now),
        }
    }

    fn told(&mut self, id: ConnectionId, message: ToBroadcaster, now: Instant) {
        let leads = self.leader == Some(id);
        match message {
            ToBroadcaster::Received { chunks, bytes } => {
                let Some(leg) = self.legs.iter_mut().find(|leg| leg.id == id) else { return };
                leg.confirms = true;
                leg.flight.confirmed(chunks, now);
                if leg.confirmed.more(chunks, bytes, now) {
                    self.proven(id, now);
                }
                self.look(id, now);
                self.show(now);
            }
            ToBroadcaster::KeyFrameWanted { .. } => self.uplink.key_frame_wanted.notify_one(),
            ToBroadcaster::Viewers { count } if leads => self.uplink.board.change(|status| status.viewers = count),
            ToBroadcaster::Audience { mut viewers } if leads => {
                viewers.truncate(AUDIENCE_MAX);
                self.uplink.board.change(|status| status.audience = viewers);
            }
            ToBroadcaster::Viewers { .. }
            | ToBroadcaster::Audience { .. }
            | ToBroadcaster::Error { .. }
            | ToBroadcaster::StreamRegistered { .. } => {}
        }
    }

    /// What the leading relay has just confirmed tells what the line bears.
    fn look(&mut self, id: ConnectionId, now: Instant) {
        let Some(leader) = self.legs.iter().find(|leg| leg.id == id && self.leader == Some(id)) else { return };
        self.gauge.look(leader, self.uplink.outbox.made_bytes(), now);
        let rate = self.gauge.picture();
        self.uplink.rate.send_if_modified(|known| std::mem::replace(known, rate) != rate);
    }

    /// A relay takes the stream: viewers begin with a key frame there, and follow from where it was before.
    fn registered(&mut self, id: ConnectionId, now: Instant) {
        let Some(new) = self.legs.iter().find(|leg| leg.id == id) else { return };
        let (relay, epoch) = (new.relay.clone(), new.epoch);
        if std::mem::replace(&mut self.was_registered, true) {
            self.uplink.key_frame_wanted.notify_one(); // the first one begins with the first
        }
        for old in self.legs.iter_mut().filter(|old| old.epoch < epoch && old.leave_at.is_none()) {
            old.leave_at = Some(now + MOVE_OVERLAP_TIME_MAX);
            if old.registered && old.relay.name != relay.name {
                let others = self.route.assignment.relays.iter();
                let others = others.filter(|other| ![&relay.name, &old.relay.name].contains(&&other.name));
                let relays = std::iter::once(&relay).chain(others).cloned().collect();
                old.say(FromBroadcaster::Moving { relays });
            }
        }
        self.settle_leader();
    }

    /// More has arrived at a relay: of those with the same ticket it is the one that stays.
    fn proven(&mut self, id: ConnectionId, now: Instant) {
        let Some(leg) = self.legs.iter().find(|leg| leg.id == id) else { return };
        let epoch = leg.epoch;
        if self.leader().is_some_and(|leader| leader.epoch > epoch) {
            return; // it is being left
        }
        self.legs.retain(|leg| leg.id == id || leg.epoch != epoch);
        self.lead(id);
        self.route.begin_round();
        (self.was_live, self.failed) = (true, None);
        if !self.legs.iter().any(|leg| leg.id == id && leg.is_silent(now)) {
            self.backoff = None;
        }
    }

    /// A connection is over.
    fn lost(&mut self, id: ConnectionId, end: End, now: Instant) {
        let Some(position) = self.legs.iter().position(|leg| leg.id == id) else { return };
        let leg = self.legs.remove(position);
        let name = leg.relay.name.clone();
        tracing::info!(relay = %name, ?end, "the connection to the relay has ended");
        self.settle_leader();
        if leg.leave_at.is_some() {
            return;
        }
        // What was to be left stays as long as there is nothing better.
        let has_better = self.legs.iter().any(|other| other.registered && other.epoch >= leg.epoch);
        if !has_better {
            self.legs.iter_mut().for_each(|other| other.leave_at = None);
        }
        self.route.failed(&name);
        self.failed = Some(name);
        let (reason, needs_ticket) = match end {
            End::Left => return,
            End::Broken(reason) => (reason, false),
            End::Refused(code, message) => (message, needs_ticket(code)),
        };
        if self.leader.is_none() {
            self.reconnecting(&reason);
        }
        if needs_ticket && leg.epoch == self.route.assignment.epoch {
            self.route.give_up();
        } else if !has_better {
            // The next relay of the list is not waited with; the directory hears what failed, and names others.
            self.ask();
        }
        self.steer(now);
    }

    fn leader(&self) -> Option<&Leg> {
        self.legs.iter().find(|leg| Some(leg.id) == self.leader)
    }

    /// Whoever takes the stream leads when the leader is gone.
    fn settle_leader(&mut self) {
        if self.leader.is_some() && self.leader().is_none() {
            self.leader = None;
            self.uplink.board.change(|status| {
                (status.bitrate_kbit_s, status.frame_rate) = (0, 0.0);
                (status.relay, status.transport) = (None, None);
                status.audience.clear();
            });
        }
        if self.leader.is_none()
            && let Some(best) = self.legs.iter().filter(|leg| leg.registered).max_by_key(|leg| (leg.epoch, leg.id))
        {
            self.lead(best.id);
        }
    }

    fn lead(&mut self, id: ConnectionId) {
        if self.leader != Some(id) {
            self.leader = Some(id);
            let way = self.leader().map(|leg| (leg.relay.name.clone(), leg.transport));
            self.uplink.board.change(|status| {
                (status.relay, status.transport) =
                    way.map_or((None, None), |(relay, transport)| (Some(relay), transport));
                status.audience.clear();
            });
        }
    }

    /// The process slept, or was stopped: what the relays said meanwhile is still to be read.
    pub(super) fn woke_up(&mut self, now: Instant) {
        self.legs.iter_mut().for_each(|leg| leg.excuse(now));
        self.uplink.ways.ways.forget();
    }

    /// Tells every relay that the stream is over.
    pub(super) fn end(&mut self) {
        self.legs.iter().for_each(|leg| leg.say(FromBroadcaster::EndStream {}));
        self.legs.clear();
    }

    fn reconnecting(&self, reason: &str) {
        let state = if self.was_live { BroadcastState::Reconnecting } else { BroadcastState::Connecting };
        self.uplink.board.state(state, format!("Connecting again: {reason}."));
    }

    fn show(&mut self, now: Instant) {
        let (dropped, frames) = (self.uplink.outbox.dropped(), self.uplink.outbox.frames());
        let board = &self.uplink.board;
        board.change(|status| {
            (status.dropped_frames, status.dropped_segments) = (dropped.frames, dropped.segments);
        });
        let Some(leader) = self.legs.iter_mut().find(|leg| Some(leg.id) == self.leader) else { return };
        let (bitrate_kbit_s, frame_rate) = leader.confirmed.figures(frames, now);
        let live = leader.is_live(now);
        board.change(|status| {
            (status.bitrate_kbit_s, status.frame_rate) = (bitrate_kbit_s, frame_rate);
            if live && status.started_at_ms.is_none() {
                status.started_at_ms = Some(local_now_us() / 1_000);
            }
        });
        let name = &leader.relay.name;
        if leader.is_silent(now) {
            // It says already that another relay is looked for.
        } else if live {
            let sentence = format!("Live at {name}.{}", board.about_the_line(now));
            board.state(BroadcastState::Live, sentence);
        } else if leader.confirmed.chunks > 0 {
            board.state(BroadcastState::Stalled, format!("Nothing has arrived at {name} for a moment."));
        }
    }
}

fn named(assignment: &Assignment, relay: &RelayName) -> bool {
    assignment.relays.iter().any(|other| other.name == *relay)
}

/// Whether the ticket, not the relay, is what stands in the way.
const fn needs_ticket(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PublisherPresent
            | ErrorCode::StaleEpoch
            | ErrorCode::Superseded
            | ErrorCode::TicketExpired
            | ErrorCode::TicketInvalid
    )
}
