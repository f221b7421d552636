//! Where a source goes: the next relay of its list, or where the directory says.

use std::{collections::HashSet, time::Duration};

use protocol::PROTOCOL_VERSION;
use serde_json::json;
use tokio::time::Instant;

use super::{Air, Answer, Health, Line};
use crate::{
    directory::{Assignment, Refusal, Relay},
    feed::LinkId,
    source::{PICTURE, SOUND},
};

/// Pauses between rounds in which nothing helped.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(2);

impl Air {
    pub(super) fn open_beside_silent(&mut self) {
        let silent = self.lines.last().map(|line| line.relay.name.clone()).unwrap_or_default();
        self.failed = Some(silent.clone());
        match self.untried() {
            Some(relay) => {
                self.write(format!("{silent} is silent"));
                // The first is kept, in case it speaks again; others were opened beside it and are silent too.
                self.lines.truncate(1);
                let kept: Vec<_> = self.lines.iter().map(|line| line.id).collect();
                self.health.retain(|id, _| kept.contains(id));
                self.open(relay);
            }
            None if self.asking.is_none() => self.ask(),
            None => {}
        }
    }

    pub(super) fn go_on(&mut self) {
        match self.untried() {
            Some(relay) => self.open(relay),
            None => self.ask(),
        }
    }

    fn untried(&self) -> Option<Relay> {
        let here = |name: &str| self.lines.iter().any(|line| line.relay.name == name);
        let mut relays = self.assignment.relays.iter();
        relays.find(|relay| !self.tried.contains(&relay.name) && !here(&relay.name)).cloned()
    }

    pub(super) fn open(&mut self, relay: Relay) {
        self.lines_made += 1;
        let id = LinkId(self.lines_made);
        let mut tracks = vec![json!({
            "track": PICTURE.0, "kind": "video", "codec": "avc1.4D401F", "width": 640, "height": 360,
            "frame_rate": self.programme.rate,
        })];
        if self.sound.is_some() {
            tracks.push(json!({
                "track": SOUND.0, "kind": "sound", "codec": "opus", "sample_rate": 48000, "channels": 2,
            }));
        }
        let hello = json!({
            "type": "register_new_stream", "protocol": PROTOCOL_VERSION, "ticket": self.assignment.ticket, "tracks": tracks,
        });
        self.write(format!("opens {} in epoch {}", relay.name, self.assignment.epoch));
        self.tried.insert(relay.name.clone());
        let health = Health {
            registered: false,
            received: 0,
            grew_at: Instant::now(),
            needs_key: HashSet::new(),
            left_at: None,
        };
        self.health.insert(id, health);
        self.lines.push(Line::begin(id, relay, self.assignment.epoch, hello, self.tell.clone()));
    }

    fn ask(&mut self) {
        self.write(format!("asks where to go ({} failed)", self.failed.as_deref().unwrap_or("none")));
        let asking = self.directory.clone().assignment(self.id, self.key.clone(), self.failed.clone());
        self.asking = Some(Box::pin(async { Answer::Assignment(asking.await) }));
    }

    pub(super) fn restore(&mut self) {
        let Some(record) = self.record.clone() else { return };
        self.write("gives its record back".into());
        self.restore_wanted = false;
        let restoring = self.directory.clone().restore(self.key.clone(), record);
        self.asking = Some(Box::pin(async { Answer::Restored(restoring.await) }));
    }

    pub(super) fn answered(&mut self, answer: Answer) {
        match answer {
            Answer::Assignment(Ok(assignment)) => {
                let names: Vec<_> = assignment.relays.iter().map(|relay| relay.name.as_str()).collect();
                self.write(format!("is sent to {} in epoch {}", names.join(", "), assignment.epoch));
                self.tried.clear();
                if self.rounds > 1 {
                    self.pause();
                }
                self.rounds += 1;
                self.assigned(assignment);
            }
            Answer::Assignment(Err(refusal)) => {
                self.write(format!("the directory: {refusal:?}"));
                if matches!(&refusal, Refusal::Code(code) if code == "stream_not_found") {
                    self.restore_wanted = true;
                    self.restore();
                }
                self.tried.clear();
                self.pause();
            }
            Answer::Restored(Ok(())) => self.write("is known again".into()),
            Answer::Restored(Err(refusal)) => {
                self.write(format!("is not restored: {refusal:?}"));
                self.pause();
            }
        }
    }

    fn pause(&mut self) {
        self.rounds += 1;
        let whole = PAUSE_MIN.saturating_mul(1 << self.rounds.saturating_sub(2).min(8)).min(PAUSE_MAX);
        self.paused_until = Instant::now() + whole.mul_f64(0.5 + 0.5 * rand::random::<f64>());
    }

    /// Goes where an assignment says. One of a higher epoch is a move: the new relay is opened before the old one is left.
    pub(super) fn assigned(&mut self, assignment: Assignment) {
        if let Some(record) = &assignment.record {
            self.record = Some(record.clone());
        }
        let renewed = json!({ "type": "renew_ticket", "ticket": assignment.ticket });
        let moves = assignment.epoch > self.assignment.epoch;
        if assignment.epoch < self.assignment.epoch {
            return;
        }
        let same = |line: &&Line| {
            line.epoch == assignment.epoch && assignment.relays.iter().any(|relay| relay.name == line.relay.name)
        };
        for line in self.lines.iter().filter(same) {
            line.say(&renewed);
        }
        self.assignment = assignment;
        if !moves && !self.lines.is_empty() {
            return;
        }
        let now = Instant::now();
        if self.lines.is_empty() && now < self.paused_until {
            return;
        }
        if moves {
            self.tried.clear();
        }
        match self.assignment.relays.first().cloned() {
            Some(relay) if self.lines.iter().any(|line| line.relay.name == relay.name) => {
                // The same relay in a new epoch: two connections there would be in each other's way.
                let ids: Vec<_> = self.lines.iter().map(|line| line.id).collect();
                ids.into_iter().for_each(|id| self.forget(id));
                self.open(relay);
            }
            Some(relay) => self.open(relay),
            None => {}
        }
    }

    /// Whether no line goes, or is about to go, where the stream belongs.
    pub(super) fn has_no_home(&self) -> bool {
        !self.lines.iter().any(|line| line.epoch == self.assignment.epoch)
    }
}
