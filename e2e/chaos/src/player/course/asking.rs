//! What a player asks the directory, and what it does with the answer.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{Beside, Course, Why};
use crate::directory::{Assignment, Refusal, ticket_facts};

/// Pauses between rounds in which nothing helped.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(3);

/// How long a stream that the directory does not know may still come back: as long as one outlives its broadcaster's connection.
const UNKNOWN_TIME_MAX: Duration = Duration::from_secs(10);

/// A ticket is renewed after this share of its life.
const RENEWED_AFTER: f64 = 0.5;

/// How much later than it may be, at most, a longer list is asked for, as a share of that time.
const ASK_AGAIN_SPREAD: f64 = 0.5;

impl Course {
    pub(super) fn ask(&mut self, why: Why) {
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

    pub(super) async fn answered(&mut self, why: Why, answer: Result<Assignment, Refusal>) {
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
        let due = life.mul_f64(RENEWED_AFTER + 0.05 * (rand::random::<f64>() - 0.5));
        let again = assignment.longer_after.map(|after| after.mul_f64(1.0 + ASK_AGAIN_SPREAD * rand::random::<f64>()));
        self.renew_at = Some(Instant::now() + again.map_or(due, |again| again.min(due)));
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
        if playing && why == Why::NoMedia && matches!(code, "" | "no_relay" | "stream_not_found") {
            self.look_around();
        }
        if !playing {
            // A directory that is away names no other relays: those of the list may be back.
            self.tried.clear();
            self.pause();
        }
    }

    /// Nobody can say where the stream is: each of the others is looked at beside the one that brings nothing.
    fn look_around(&mut self) {
        let Some(relay) = self.untried() else { return };
        self.keep_current();
        self.beside = Some((Beside::Silence, Instant::now()));
        self.open(relay);
    }

    fn pause(&mut self) {
        self.rounds += 1;
        let whole = PAUSE_MIN.saturating_mul(1 << self.rounds.saturating_sub(2).min(8)).min(PAUSE_MAX);
        self.paused_until = Instant::now() + whole.mul_f64(0.5 + 0.5 * rand::random::<f64>());
    }
}
