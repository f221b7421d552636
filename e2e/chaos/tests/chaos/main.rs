//! Short forms of the scenes, over the real binaries of this build: what must hold on any machine, however busy. The figures of
//! long ones are in `docs/resilience.md`.
//!
//! Stalls are bounded more loosely here than there: other tests run beside these.

mod load;
mod many;
mod networks;
mod planned;
mod relay_dies;
mod shared;

use chaos::tape::{Event, Outcome, Tape};

/// Longest stall of what is planned, beyond the source's own pauses; the long scenes ask for 100 ms at p95 on a calm machine.
const SMOOTH_MS_MAX: f64 = 500.0;

/// Longest stall when a relay dies: below what people reload a page for. The long scenes ask for 2 s at p95.
const DEATH_MS_MAX: f64 = 4000.0;

/// Asserts: nobody lost, no reload, order kept, stalls bounded.
fn survived(tape: &Tape, events: &[Event], stall_ms_max: f64) -> Outcome {
    let outcome = tape.outcome(events);
    let diary = || tape.diary(events);
    assert_eq!((outcome.lost, outcome.reloads), (0, 0), "{outcome:?}\n{}", diary());
    assert_eq!((outcome.repeated, outcome.disordered), (0, 0), "{outcome:?}\n{}", diary());
    let stall = outcome.stalls.p95_ms - outcome.source_gap_ms.unwrap_or_default();
    assert!(stall < stall_ms_max, "{outcome:?}\n{}", diary());
    outcome
}

/// Asserts: the same, and every chunk was shown.
fn unnoticed(tape: &Tape, events: &[Event]) {
    let outcome = survived(tape, events, SMOOTH_MS_MAX);
    assert_eq!(outcome.missing, 0, "{outcome:?}\n{}", tape.diary(events));
}
