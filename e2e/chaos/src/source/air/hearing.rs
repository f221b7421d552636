//! What a source hears from relays and from the directory, and does about it.

use std::time::Duration;

use protocol::{MediaHeader, MediaKind};
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::{Air, Told};
use crate::{
    directory::{Assignment, Relay},
    feed::LinkId,
    now_us,
    source::{PICTURE, SOUND, orders::Ordered},
};

/// Both relays of a move get everything for this long at most.
const OVERLAP_TIME_MAX: Duration = Duration::from_secs(3);

/// What stands for an init segment.
const INIT: [u8; 500] = [0x5a; 500];

impl Air {
    pub(super) fn obey(&mut self, ordered: Ordered) {
        match ordered {
            Ordered::Unknown => self.restore_wanted = true,
            Ordered::Order(order) => match order["type"].as_str().unwrap_or_default() {
                "assignment" => {
                    if let Some(assignment) = Assignment::read(&order["assignment"]) {
                        if assignment.epoch != self.assignment.epoch {
                            let names: Vec<_> = assignment.relays.iter().map(|relay| relay.name.as_str()).collect();
                            self.write(format!("is ordered to {} in epoch {}", names.join(", "), assignment.epoch));
                        }
                        self.assigned(assignment);
                    }
                }
                "end" => self.give_up("ended by the directory"),
                _ => {}
            },
        }
    }

    pub(super) fn hear(&mut self, id: LinkId, told: Told) {
        let Some(name) = self.lines.iter().find(|line| line.id == id).map(|line| line.relay.name.clone()) else {
            return;
        };
        match told {
            Told::Closed => {
                self.write(format!("{name} has closed"));
                if self.lines.last().is_some_and(|line| line.id == id) {
                    self.failed = Some(name);
                }
                self.drop_line(id);
            }
            Told::Message(message) => self.message(id, &name, &message),
        }
    }

    fn message(&mut self, id: LinkId, name: &str, message: &Value) {
        match message["type"].as_str().unwrap_or_default() {
            "stream_registered" => self.registered(id),
            "received" => {
                let Some(health) = self.health.get_mut(&id) else { return };
                let chunks = message["chunks"].as_u64().unwrap_or_default();
                if chunks > health.received {
                    (health.received, health.grew_at) = (chunks, Instant::now());
                    self.keep(id);
                }
            }
            "key_frame_wanted" => {
                let wanted = message["track"].as_u64();
                for track in std::iter::once(&mut self.picture).chain(&mut self.sound) {
                    track.key_wanted |= Some(u64::from(track.number.0)) == wanted;
                }
            }
            "move" => {
                let relays = Relay::list(&message["relays"]);
                let ticket = message["ticket"].as_str().unwrap_or_default().to_owned();
                self.write(format!("is told by {name} to move"));
                let epoch = self.assignment.epoch + 1;
                self.assigned(Assignment { relays, ticket, epoch, record: None, longer_after: None });
            }
            "error" => self.write(format!("is told {} by {name}", message["code"].as_str().unwrap_or_default())),
            _ => {}
        }
    }

    /// A line may be sent to: it begins with init segments and, at once, key frames.
    fn registered(&mut self, id: LinkId) {
        let Some(line) = self.lines.iter().find(|line| line.id == id) else { return };
        let tracks = std::iter::once(&mut self.picture).chain(&mut self.sound);
        let Some(health) = self.health.get_mut(&id) else { return };
        (health.registered, health.grew_at) = (true, Instant::now());
        for track in tracks {
            track.key_wanted = true;
            health.needs_key.insert(track.number);
            let header = MediaHeader {
                kind: MediaKind::Init,
                key: false,
                sealed: false,
                track: track.number,
                segment: 0,
                chunk: 0,
                captured_at_us: now_us(),
            };
            line.send(Message::binary(header.message(&INIT)));
        }
        // The relay that is left tells its viewers where the stream goes on.
        let (epoch, now) = (line.epoch, Instant::now());
        let relays: Vec<_> =
            self.assignment.relays.iter().map(|relay| json!({ "name": relay.name, "url": relay.url })).collect();
        let moving = json!({ "type": "moving", "relays": relays, "epoch": epoch });
        for old in self.lines.iter().filter(|old| old.epoch < epoch) {
            if let Some(health) = self.health.get_mut(&old.id).filter(|health| health.left_at.is_none()) {
                health.left_at = Some(now + OVERLAP_TIME_MAX);
                if health.registered {
                    old.say(&moving);
                }
            }
        }
        // Pictures come at once, not with the next of their own accord.
        self.make(PICTURE);
        self.make(SOUND);
    }

    /// A line confirms media: those that were opened beside it in the same epoch are not needed.
    fn keep(&mut self, id: LinkId) {
        (self.rounds, self.failed) = (0, None);
        let Some(epoch) = self.lines.iter().find(|line| line.id == id).map(|line| line.epoch) else { return };
        let others: Vec<_> =
            self.lines.iter().filter(|line| line.id != id && line.epoch == epoch).map(|line| line.id).collect();
        others.into_iter().for_each(|other| self.forget(other));
        let here: Vec<_> = self.lines.iter().map(|line| line.relay.name.clone()).collect();
        self.tried.retain(|name| here.contains(name));
    }

    pub(super) fn forget(&mut self, id: LinkId) {
        self.lines.retain(|line| line.id != id);
        self.health.remove(&id);
    }

    pub(super) fn drop_line(&mut self, id: LinkId) {
        self.forget(id);
        if self.has_no_home() && self.asking.is_none() && Instant::now() >= self.paused_until {
            self.go_on();
        }
    }
}
