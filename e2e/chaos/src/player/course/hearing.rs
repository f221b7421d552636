//! What a player hears over its connections.

use protocol::{MediaHeader, MediaKind};
use serde_json::Value;
use tokio::time::Instant;

use super::{Beside, Course, Why};
use crate::{
    directory::{Relay, ticket_facts},
    feed::LinkId,
    link::Heard,
    now_us,
};

impl Course {
    pub(super) async fn hear(&mut self, id: LinkId, heard: Heard) {
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

    fn media(&mut self, id: LinkId, header: &MediaHeader, now: Instant) {
        let before = self.feed.shown().len();
        self.feed.take(id, header, now_us());
        let is_chunk = header.kind == MediaKind::Chunk;
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
}
