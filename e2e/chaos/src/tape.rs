//! What everybody saw, and what is to be said of it. Pure.

use std::collections::HashSet;

use protocol::TrackNumber;

use crate::{
    feed::Place,
    player::Report,
    source::{Made, PICTURE},
    stalls::{Distribution, longest_gap, median},
};

/// Whoever showed nothing for this long at the end is lost.
const LOST_AFTER_US: u64 = 2_000_000;

/// Latency before something broke is that of this long before it, and after it that of as long at the end of its time.
const LATENCY_SPAN_US: u64 = 1_000_000;

/// So long before an event its diary begins.
const DIARY_BEFORE_US: u64 = 200_000;

/// The time in which something broke and was mended: microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    /// When it broke.
    pub from_us: u64,
    /// When all had been well again for a moment, or nobody waited any longer.
    pub to_us: u64,
}

/// Everything that was recorded.
#[derive(Debug)]
pub struct Tape {
    /// What each player saw.
    pub reports: Vec<Report>,
    /// What was made, in order.
    pub made: Vec<Made>,
    /// What happened to the source.
    pub diary: Vec<(u64, String)>,
    ended_us: u64,
    /// Whether the source has kept book of what it made.
    kept_book: bool,
}

/// What is to be said of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Viewers.
    pub viewers: usize,
    /// Things that were broken.
    pub events: usize,
    /// The longest time without a new picture, of each viewer at each event.
    pub stalls: Distribution,
    /// The longest time in which the source itself made no picture, in milliseconds: what no server can be blamed for. None where
    /// it keeps no book.
    pub source_gap_ms: Option<f64>,
    /// Viewers that show nothing at the end, or gave up.
    pub lost: usize,
    /// Why they gave up.
    pub gave_up: Vec<String>,
    /// Viewers that had to ask in anew.
    pub reloads: u32,
    /// Chunks that were made while viewers watched, over all viewers.
    pub due: u64,
    /// Those of them that were not shown.
    pub missing: u64,
    /// Chunks that a relay sent twice or after later ones.
    pub repeated: u64,
    /// Chunks that a relay left out within a segment, or sent out of order.
    pub disordered: u64,
    /// Chunks that relays left out for viewers that were behind, and said so.
    pub skipped: u64,
    /// Chunks that came over two connections and were shown once.
    pub overlap: u64,
    /// How much longer chunks take after an event than before it, in milliseconds: the worst event's median.
    pub latency_change_ms: f64,
}

impl Tape {
    /// What viewers saw until `ended_us`, and what was made, if its maker keeps book.
    #[must_use]
    pub fn new(reports: Vec<Report>, made: Vec<Made>, diary: Vec<(u64, String)>, ended_us: u64) -> Self {
        let kept_book = !made.is_empty();
        let mut tape = Self { reports, made, diary, ended_us, kept_book };
        if !kept_book {
            tape.made = tape.union();
        }
        tape
    }

    /// What anybody saw: all that is known of what was made when its maker keeps no book.
    fn union(&self) -> Vec<Made> {
        let mut seen = HashSet::new();
        let all = self.reports.iter().flat_map(|report| &report.shown);
        let first = all.filter(|shown| seen.insert((shown.track, shown.place)));
        let mut made: Vec<_> =
            first.map(|shown| Made { track: shown.track, place: shown.place, at_us: shown.captured_us }).collect();
        made.sort_unstable_by_key(|made| made.at_us);
        made
    }

    /// The outcome of these events.
    #[must_use]
    pub fn outcome(&self, events: &[Event]) -> Outcome {
        let mut outcome = Outcome { viewers: self.reports.len(), events: events.len(), ..Outcome::default() };
        let mut stalls = vec![];
        for report in &self.reports {
            let times = times_of(report);
            let last = times.last().copied().unwrap_or_default();
            // Only those who were there from the beginning to the end of it.
            let first = times.first().copied().unwrap_or(u64::MAX);
            let there = |event: &&Event| first <= event.from_us && (!report.left || last >= event.to_us);
            stalls.extend(events.iter().filter(there).map(|event| longest_gap(&times, event.from_us, event.to_us)));
            let silent = !report.left && self.ended_us.saturating_sub(last) > LOST_AFTER_US;
            outcome.lost += usize::from(report.over.is_some() || silent);
            outcome.gave_up.extend(report.over.clone());
            outcome.reloads += report.reloads.saturating_sub(1);
            let (due, missing) = self.missing(report);
            outcome.due += due;
            outcome.missing += missing;
            outcome.repeated += report.faults.repeated;
            outcome.disordered += report.faults.left_out + report.faults.disordered;
            outcome.skipped += report.skipped;
            outcome.overlap += report.overlap;
        }
        outcome.stalls = Distribution::of(stalls);
        if self.kept_book {
            let pictures = self.made.iter().filter(|made| made.track == PICTURE);
            let times: Vec<_> = pictures.map(|made| made.at_us).collect();
            let gaps = events.iter().map(|event| longest_gap(&times, event.from_us, event.to_us));
            outcome.source_gap_ms = gaps.max().map(|us| us as f64 / 1000.0);
        }
        let changes = events.iter().filter_map(|event| self.latency_change_us(event));
        outcome.latency_change_ms = changes.max().unwrap_or_default() as f64 / 1000.0;
        outcome
    }

    /// What happened around each event to the source and to the viewer whose picture stood still longest.
    #[must_use]
    pub fn diary(&self, events: &[Event]) -> String {
        let mut text = String::new();
        for (n, event) in events.iter().enumerate() {
            let gap = |report: &&Report| longest_gap(&times_of(report), event.from_us, event.to_us);
            let Some(worst) = self.reports.iter().max_by_key(gap) else { continue };
            text.push_str(&format!("event {}: longest stall {} ms\n", n + 1, gap(&worst) / 1000));
            let entries = self.diary.iter().map(|entry| ("source", entry));
            let mut entries: Vec<_> = entries.chain(worst.diary.iter().map(|entry| ("viewer", entry))).collect();
            entries.sort_by_key(|(_, (at, _))| *at);
            for (who, (at, what)) in entries {
                if (event.from_us.saturating_sub(DIARY_BEFORE_US)..event.to_us).contains(at) {
                    let ms = (*at as i64 - event.from_us as i64) / 1000;
                    text.push_str(&format!("  {ms:>6} ms {who} {what}\n"));
                }
            }
        }
        text
    }

    /// Chunks made between the first and the last one that were shown, and those of them that were not.
    fn missing(&self, report: &Report) -> (u64, u64) {
        let shown: HashSet<(TrackNumber, Place)> =
            report.shown.iter().map(|shown| (shown.track, shown.place)).collect();
        let mut result = (0, 0);
        for track in self.made.iter().map(|made| made.track).collect::<HashSet<_>>() {
            let mut places = report.shown.iter().filter(|shown| shown.track == track).map(|shown| shown.place);
            let Some(first) = places.next() else { continue };
            let last = places.next_back().unwrap_or(first);
            let due = self.made.iter().filter(|made| made.track == track && (first..=last).contains(&made.place));
            for made in due {
                result.0 += 1;
                result.1 += u64::from(!shown.contains(&(track, made.place)));
            }
        }
        result
    }

    /// How long pictures took from capture to showing, in microseconds: the middle one of all that were shown in this time.
    #[must_use]
    pub fn latency_us(&self, from_us: u64, to_us: u64) -> Option<i64> {
        let shown = self.reports.iter().flat_map(|report| &report.shown);
        let within = shown.filter(|shown| shown.track == PICTURE && (from_us..to_us).contains(&shown.shown_us));
        median(within.map(|shown| shown.shown_us as i64 - shown.captured_us as i64).collect())
    }

    fn latency_change_us(&self, event: &Event) -> Option<i64> {
        let before = self.latency_us(event.from_us - LATENCY_SPAN_US, event.from_us)?;
        Some(self.latency_us(event.to_us - LATENCY_SPAN_US, event.to_us)? - before)
    }
}

fn times_of(report: &Report) -> Vec<u64> {
    report.shown.iter().filter(|shown| shown.track == PICTURE).map(|shown| shown.shown_us).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{Faults, Shown};

    const S: u64 = 1_000_000;

    fn made(n: u64) -> Made {
        let place = Place { segment: (n / 10) as u32, chunk: (n % 10) as u32 };
        Made { track: PICTURE, place, at_us: 100 * S + n * S / 10 }
    }

    fn report(places: impl Iterator<Item = u64>) -> Report {
        let shown = places.map(made).map(|made| Shown {
            track: made.track,
            place: made.place,
            captured_us: made.at_us,
            shown_us: made.at_us + 5_000,
        });
        Report {
            shown: shown.collect(),
            faults: Faults::default(),
            overlap: 0,
            skipped: 0,
            reloads: 1,
            over: None,
            left: false,
            diary: vec![],
        }
    }

    #[test]
    fn stall_loss_and_missing_chunks_are_of_each_viewer() {
        let all: Vec<_> = (0..100).map(made).collect();
        let reports = [report(0..100), report((0..50).chain(60..100)), report(0..50)];
        let event = Event { from_us: 105 * S, to_us: 110 * S };
        for made in [all, vec![]] {
            let reports = reports.iter().map(|one| Report { shown: one.shown.clone(), ..report(0..0) }).collect();
            let outcome = Tape::new(reports, made, vec![], 110 * S).outcome(&[event]);
            assert_eq!((outcome.viewers, outcome.lost, outcome.reloads), (3, 1, 0));
            assert_eq!((outcome.due, outcome.missing), (250, 10), "the lost one's end is not counted as missing");
            assert_eq!(outcome.stalls.p50_ms, 1100.0);
            assert_eq!(outcome.latency_change_ms, 0.0);
        }
    }
}
