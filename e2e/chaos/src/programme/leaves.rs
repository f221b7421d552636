//! A relay leaves in good order, or a stream leaves a relay.

use super::{SMOOTH, judged};
use crate::{
    figure::Finding,
    scenes::{self, Drained, Leaving, Size},
};

/// How long a relay that was asked to end may take: its default.
const DRAIN_MS_MAX: f64 = 15_000.0;

async fn leaving(id: &str, what: &str, size: &Size, leaving: Leaving) -> Vec<Finding> {
    let (tape, events, Drained { longest_ms, ended_badly, complaints }) = scenes::drain(size, leaving).await;
    // Where the operator's command failed nothing has left, and nothing is to be said of it.
    let played = complaints.is_empty();
    let mut found = if played { judged(id, what, &tape, &events, SMOOTH) } else { vec![] };
    if played && leaving != Leaving::Moved {
        let ends = if ended_badly.is_empty() {
            "All with exit status 0.".to_owned()
        } else {
            format!("{} not with exit status 0: {}.", ended_badly.len(), ended_badly.join(", "))
        };
        let bad = ended_badly.len() as u64;
        found.push(Finding::time(
            &format!("{id}.end"),
            &format!("{what}: until the process has ended"),
            longest_ms as f64,
            DRAIN_MS_MAX,
            format!("at most {:.1} s", longest_ms as f64 / 1000.0),
            "The longest of all.".into(),
        ));
        let what = format!("{what}: processes that ended badly");
        found.push(Finding::none(&format!("{id}.status"), &what, bad, bad.to_string(), ends));
    }
    if matches!(leaving, Leaving::Drained | Leaving::Moved) {
        let what = format!("{what}: commands that failed");
        let count = complaints.len() as u64;
        let first = complaints.into_iter().next().unwrap_or_default();
        let first = first.lines().next().unwrap_or_default().to_owned();
        found.push(Finding::none(&format!("{id}.command"), &what, count, count.to_string(), first));
    }
    found
}

pub(super) async fn drain(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 10) };
    leaving("drain", "SIGTERM to the origin", &size, Leaving::Asked).await
}

pub(super) async fn drain_broadcast(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 5) }.with_broadcast();
    leaving("drain_broadcast", "the same under the product's `broadcast`", &size, Leaving::Asked).await
}

pub(super) async fn rolling(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 1) } else { Size::of(50, 2) };
    leaving("rolling_upgrade", "all relays restarted one by one", &size, Leaving::InTurn).await
}

pub(super) async fn operator_drain(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 3) };
    leaving("operator_drain", "`directory drain`", &size, Leaving::Drained).await
}

pub(super) async fn operator_move(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 6) };
    leaving("operator_move", "`directory move`", &size, Leaving::Moved).await
}
