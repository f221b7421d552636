//! One stream on many relays.

use std::time::Duration;

use super::{DEATH, SMOOTH, judged};
use crate::{
    figure::{Finding, Target},
    scenes::{self, Chained, Crowd, Crowded, Share, Size},
    source::Programme,
};

/// How much more than one copy for each viewer and each relay behind it a relay may send: key frames of those who join, and what
/// the measured time cuts through.
const EGRESS_RATIO_MAX: f64 = 1.1;

/// How soon a late joiner sees something.
const JOIN_MS_MAX: f64 = 1000.0;

pub(super) async fn edges(quick: bool) -> Vec<Finding> {
    let low = Programme { rate: 5, key_interval: 10, chunk_bytes: 300, sound: false, ..Programme::default() };
    let crowd = if quick {
        Crowd { relays: 4, viewers: 100, late: 10, programme: low, measured: Duration::from_secs(3) }
    } else {
        Crowd { relays: 12, viewers: 3000, late: 50, programme: low, measured: Duration::from_secs(20) }
    };
    let crowded = scenes::edges(&crowd).await;
    let what = format!("{} relays, {} viewers", crowd.relays, crowd.viewers);
    let mut found = cost(&what, &crowd, &crowded);
    found.push(Finding::time(
        "edges.late",
        &format!("{what}: late joiners' first picture"),
        crowded.late.p95_ms,
        JOIN_MS_MAX,
        crowded.late.to_string(),
        format!("{} joined, one after the other, {} of them at edges.", crowd.late, crowded.late_at_edges),
    ));
    let Crowded { tape, edge_killed, origin_killed, .. } = crowded;
    if let Some(event) = edge_killed {
        found.extend(judged("edges.edge", &format!("{what}, kill -9 of an edge"), &tape, &[event], DEATH));
    }
    let what = format!("{what}, kill -9 of the origin");
    found.extend(judged("edges.origin", &what, &tape, &[origin_killed], DEATH));
    found
}

/// What each relay costs, and that it costs no more when others have more viewers.
fn cost(what: &str, crowd: &Crowd, crowded: &Crowded) -> Vec<Finding> {
    let Crowded { few, many, origin, .. } = crowded;
    let busy = || many.iter().filter(|share| share.viewers > 0);
    let stream = many.iter().find(|share| share.relay == *origin).map_or(0.0, |share| share.ingress);
    let edges = busy().filter(|share| share.relay != *origin).count();
    // The origin sends a copy to each edge, too; a tree that is deeper sends as many copies in all.
    let copies = |share: &Share| share.viewers as f64 + if share.relay == *origin { edges as f64 } else { 0.0 };
    let ratios: Vec<f64> = busy().map(|share| share.egress / stream / copies(share)).collect();
    let (least, most) = bounds(&ratios);
    let each = |share: &Share| {
        let kbit = share.egress * 8.0 / 1000.0;
        format!("{} {} viewers {:.1} % {kbit:.0} kbit/s", share.relay, share.viewers, share.cpu * 100.0)
    };
    let mut found = vec![Finding {
        id: "edges.egress".into(),
        what: format!("{what}: what a relay sends, for each of its viewers and of the relays behind it"),
        result: format!("{least:.2} to {most:.2} copies of the stream"),
        value: most,
        target: Some(Target { max: EGRESS_RATIO_MAX, text: format!("≤ {EGRESS_RATIO_MAX}") }),
        notes: format!("{} relays carry it; {origin} is the origin. {}.", edges + 1, list(busy().map(each))),
    }];
    let taken = busy().map(|share| share.taken_in).fold(0.0, f64::max);
    found.push(Finding {
        id: "edges.taken_in".into(),
        what: format!("{what}: chunks that a relay takes in, for each that is made"),
        result: format!("at most {taken:.2}"),
        value: taken,
        target: Some(Target { max: EGRESS_RATIO_MAX, text: format!("≤ {EGRESS_RATIO_MAX}") }),
        notes: "One copy, however many watch there.".into(),
    });
    let cpu = |share: &Share| share.cpu / share.viewers as f64 * 1e6;
    let (least, dearest) = bounds(&busy().map(cpu).collect::<Vec<_>>());
    // Relays whose own viewers have hardly grown while all of them have tripled.
    let same = few.iter().filter_map(|then| {
        let now = many.iter().find(|now| now.relay == then.relay)?;
        (then.viewers > 0 && now.viewers as f64 <= 1.1 * then.viewers as f64).then(|| {
            let (before, after) = (then.cpu * 100.0, now.cpu * 100.0);
            format!("{} {} → {} viewers, {before:.1} → {after:.1} %", now.relay, then.viewers, now.viewers)
        })
    });
    let same = list(same);
    let same = if same.is_empty() { "none".to_owned() } else { same };
    found.push(Finding {
        id: "edges.cost".into(),
        what: format!("{what}: a relay's CPU for each of its viewers"),
        result: format!("{least:.0} to {dearest:.0} µs a second"),
        value: dearest,
        target: None,
        notes: format!("Relays that were full before a third of {} viewers, then and now: {same}.", crowd.viewers),
    });
    found
}

fn bounds(values: &[f64]) -> (f64, f64) {
    (values.iter().copied().fold(f64::MAX, f64::min), values.iter().copied().fold(0.0, f64::max))
}

fn list(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}

pub(super) async fn chain(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(5, 1) } else { Size::of(20, 1) };
    let Chained { tape, event, end } = scenes::chain(&size).await;
    let (name, now) = end;
    let left = now.iter().filter(|relay| relay.as_ref() != Some(&name)).count() as u64;
    let what = "kill -9 of the relay between the origin and an edge";
    let mut found = judged("chain", what, &tape, &[event], DEATH);
    let what = format!("{what}: viewers that left the edge");
    found.push(Finding::none("chain.left", &what, left, format!("{left} of {}", now.len()), String::new()));
    found
}

pub(super) async fn hot(quick: bool) -> Vec<Finding> {
    let (viewers, stay) = if quick { (5, Duration::from_secs(5)) } else { (20, Duration::from_secs(30)) };
    let scenes::Cooled { tape, event, moved_after, moves } = scenes::hot(viewers, stay).await;
    let what = "a relay with two streams that needs more than it can send";
    let mut found = judged("hot", what, &tape, &[event], SMOOTH);
    found.push(Finding::time(
        "hot.moved",
        &format!("{what}: until the smaller stream is elsewhere"),
        moved_after.map_or(f64::MAX, |after| after.as_secs_f64() * 1000.0),
        MOVE_MS_MAX,
        moved_after.map_or("never".to_owned(), |after| format!("{:.1} s", after.as_secs_f64())),
        "It has to be hot for 5 s first.".into(),
    ));
    let more = moves.saturating_sub(1);
    let what = format!("{what}: further moves in {} s", stay.as_secs());
    found.push(Finding::none("hot.again", &what, more, more.to_string(), String::new()));
    found
}

pub(super) async fn breathing(quick: bool) -> Vec<Finding> {
    // Those who stay leave more of one relay free than a directory wants to keep.
    let (relays, stay) = (if quick { 2 } else { 4 }, 5);
    let scenes::Breathed { tape, rising, falling, relays, fallen_after, failures } =
        scenes::breathing(relays, stay).await;
    let what = "relays started and drained with the load";
    let mut found = judged("breathing", what, &tape, &[rising, falling], SMOOTH);
    let [begin, most, end] = relays;
    found.push(Finding::none(
        "breathing.relays",
        &format!("{what}: relays too many at the end"),
        end.saturating_sub(begin) as u64,
        format!("{begin} → {most} → {end}"),
        fallen_after.map_or("They did not leave.".to_owned(), |after| {
            format!("The last one left {:.0} s after the viewers.", after.as_secs_f64())
        }),
    ));
    let unborn = u64::from(most <= begin);
    let notes = format!("{failures} starts failed.");
    found.push(Finding::none("breathing.grown", &format!("{what}: did not grow"), unborn, unborn.to_string(), notes));
    found
}

/// How long a relay may be hot: 5 s by rule, and the heartbeats before and after them.
const MOVE_MS_MAX: f64 = 10_000.0;
