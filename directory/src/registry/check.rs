//! Whether who answers at a relay's public address is that relay: when the directory dials it, and what follows from the answers.

use std::time::Duration;

use protocol::{RelayName, http::RelayAddress, limits::RELAY_SILENCE_TIME_MAX, signing::PublicKey};

use super::{Note, Registry, micros, relay::Joining};

/// How often a relay that answered well is dialled again: a machine that was taken over is noticed within two of these.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(60);

/// First pause after a failed check; it doubles up to [`PAUSE_MAX`].
pub(super) const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause: how long a relay that is mended waits for work.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often the reports of clients make the directory dial one relay.
const REPORTS_INTERVAL: Duration = Duration::from_secs(1);

/// Failed checks in a row after which a relay that was good is not any more: one is an accident of the network.
const FAILURES_MAX: u32 = 2;

/// What a relay reads that was not dialled yet.
const NOT_YET: &str = "the directory has not dialled this relay's public address yet";

/// A relay that is to be dialled.
#[derive(Debug, Clone)]
pub struct DueCheck {
    /// Its name and where it is to answer.
    pub address: RelayAddress,
    /// The key that it is to answer with.
    pub public_key: PublicKey,
    /// Whether it joined from the public internet: its address must be there too.
    pub from_afar: bool,
    /// Which check of this relay it is: a later one makes it void.
    number: u64,
}

/// What is known about one relay's public address.
#[derive(Debug)]
pub(super) struct Check {
    good: bool,
    failures: u32,
    problem: Option<String>,
    number: u64,
    running: bool,
    due_at_us: u64,
    /// When the last check began.
    begun_at_us: u64,
    /// Whether somebody could not use the relay, and no check was good since.
    reported: bool,
}

impl Check {
    pub(super) fn new(now_us: u64) -> Self {
        Self {
            good: false,
            failures: 0,
            problem: None,
            number: 0,
            running: false,
            due_at_us: now_us,
            begun_at_us: 0,
            reported: false,
        }
    }

    /// One that another directory has found good. It is dialled from here, too, but works meanwhile.
    pub(super) fn trusted(now_us: u64) -> Self {
        Self { good: true, due_at_us: now_us.saturating_add(micros(PAUSE_MIN)), ..Self::new(now_us) }
    }

    /// The relay is silent, and its silence proves nothing: it is dialled as often as it has time to speak.
    pub(super) fn wonder(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.begun_at_us) >= micros(RELAY_SILENCE_TIME_MAX) {
            self.due_at_us = self.due_at_us.min(now_us);
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.good
    }

    /// Whether the first check is still under way: the relay is about to be good, or to have failed.
    pub(super) fn is_awaited(&self) -> bool {
        !self.good && self.failures == 0
    }

    /// Whether the last check of a relay that was good went wrong, or somebody could not use it and the check of that is under way.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.failures > 0 || self.reported
    }

    /// Somebody could not use the relay: it is dialled now, but not more often than once in [`REPORTS_INTERVAL`].
    pub(super) fn report(&mut self, now_us: u64) -> bool {
        if !self.good || self.running || now_us.saturating_sub(self.begun_at_us) < micros(REPORTS_INTERVAL) {
            return false;
        }
        (self.reported, self.due_at_us) = (true, now_us);
        true
    }

    /// Why the relay gets no work, if so.
    pub(super) fn problem(&self) -> Option<&str> {
        if self.good { None } else { Some(self.problem.as_deref().unwrap_or(NOT_YET)) }
    }

    /// The relay registered again, at the same address. Registering often makes nobody dial more often.
    pub(super) fn again(&mut self, now_us: u64) {
        if self.failures == 0 {
            self.due_at_us = self.due_at_us.min(now_us.saturating_add(micros(PAUSE_MIN)));
        }
    }

    fn begin(&mut self, now_us: u64) -> Option<u64> {
        if self.running || now_us < self.due_at_us {
            return None;
        }
        self.running = true;
        self.begun_at_us = now_us;
        self.number += 1;
        Some(self.number)
    }

    fn succeeded(&mut self, now_us: u64) {
        let Self { number, begun_at_us, .. } = *self;
        *self = Self {
            good: true,
            number,
            begun_at_us,
            due_at_us: now_us.saturating_add(micros(CHECK_INTERVAL)),
            ..Self::new(now_us)
        };
    }

    fn failed(&mut self, now_us: u64, problem: String) {
        (self.running, self.reported) = (false, false);
        self.failures = self.failures.saturating_add(1);
        self.good = self.good && self.failures < FAILURES_MAX;
        self.problem = Some(problem);
        let doubled = PAUSE_MIN.saturating_mul(1 << (self.failures - 1).min(16));
        self.due_at_us = now_us.saturating_add(micros(doubled.min(PAUSE_MAX)));
    }
}

impl Joining {
    fn due(&self, number: u64) -> DueCheck {
        let (address, public_key) = (self.address.clone(), self.public_key);
        DueCheck { address, public_key, from_afar: self.from_afar, number }
    }
}

impl Registry {
    /// The relays that are to be dialled now. Each must be followed by [`Self::checked`].
    pub fn due_checks(&mut self, now_us: u64) -> Vec<DueCheck> {
        let begun = |relay: &mut super::Relay| relay.check.begin(now_us).map(|number| relay.joining.due(number));
        self.relays.values_mut().filter_map(begun).collect()
    }

    /// What came of a check. A relay that is good no more loses its streams to others, as far as there are any.
    pub fn checked(&mut self, now_us: u64, due: &DueCheck, result: Result<(), String>) {
        let name = &due.address.name;
        let Some(relay) = self.relays.get_mut(name) else { return };
        let same = relay.joining.public_key == due.public_key && relay.joining.address.url == due.address.url;
        if !same || relay.check.number != due.number {
            return;
        }
        let (was_good, problem_before) = (relay.check.good, relay.check.problem.clone());
        match result {
            Ok(()) => relay.check.succeeded(now_us),
            Err(problem) => relay.check.failed(now_us, problem),
        }
        let (good, problem) = (relay.check.good, relay.check.problem.clone());
        if good && !was_good {
            self.news_for_broadcasters = true; // their lists may lack it
            self.notes.push(Note::RelayGood(name.clone()));
        } else if let Some(problem) = problem.filter(|problem| problem_before.as_ref() != Some(problem)) {
            self.notes.push(Note::RelayProblem(name.clone(), problem));
        }
        if was_good && !good {
            self.move_streams_of(now_us, name);
        }
    }

    /// Somebody says that a relay does not serve. Whether it is to be dialled now.
    pub fn reported_broken(&mut self, now_us: u64, name: &RelayName) -> bool {
        self.relays.get_mut(name).is_some_and(|relay| relay.check.report(now_us))
    }

    /// Why the relay of this name gets no work, if so.
    #[must_use]
    pub fn problem(&self, name: &RelayName) -> Option<&str> {
        self.relays.get(name)?.check.problem()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000;

    #[test]
    fn good_relay_is_dialled_every_minute_and_survives_one_failure() {
        let mut check = Check::new(0);
        assert_eq!(check.problem(), Some(NOT_YET));
        assert_eq!([check.begin(0), check.begin(0)], [Some(1), None]);
        check.succeeded(S);
        assert_eq!((check.is_good(), check.problem()), (true, None));
        assert_eq!([check.begin(60 * S), check.begin(61 * S)], [None, Some(2)]);
        check.failed(61 * S, "late".to_owned());
        assert_eq!((check.is_good(), check.problem()), (true, None));
        assert_eq!(check.begin(62 * S), Some(3));
        check.failed(62 * S, "late".to_owned());
        assert_eq!((check.is_good(), check.problem()), (false, Some("late")));
    }

    #[test]
    fn reports_make_a_good_relay_dialled_at_most_once_a_second() {
        let mut check = Check::new(0);
        assert!(!check.report(0), "it is about to be dialled anyhow");
        check.begin(0).unwrap();
        check.succeeded(0);
        assert!(!check.report(S - 1));
        assert!(check.report(S) && check.is_in_doubt() && check.is_good());
        assert_eq!(check.begin(S), Some(2));
        assert!(!check.report(S + 1), "it is being dialled");
        check.succeeded(S + 2);
        assert!(!check.is_in_doubt() && !check.report(S + 3));
        assert!(check.report(2 * S));
        check.begin(2 * S).unwrap();
        check.failed(2 * S, "late".to_owned());
        assert!(check.is_in_doubt() && check.is_good(), "until it failed twice");
    }

    #[test]
    fn failing_relay_is_dialled_less_and_less_often_however_often_it_registers() {
        let mut check = Check::new(0);
        let mut now_us = 0;
        let mut pauses = Vec::new();
        for _ in 0..7 {
            check.begin(now_us).unwrap();
            check.failed(now_us, "late".to_owned());
            check.again(now_us);
            pauses.push((check.due_at_us - now_us) / S);
            now_us = check.due_at_us;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        check.begin(now_us).unwrap();
        check.succeeded(now_us);
        check.again(now_us);
        assert_eq!(check.due_at_us, now_us + S, "and a good one a second later");
    }
}
