//! Every scene as it stands on the command line, in full and in short, and what is asked of it.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;

use crate::{
    figure::{Finding, Wanted, findings},
    scenes::{
        Absence, Crowd, Crowded, Drained, Leaving, Returned, Share, Size, black_hole, directory_gone, drain, edges,
        origin_killed,
    },
    source::Programme,
    tape::{Event, Tape},
};

/// A relay that dies, is cut off, or can't say goodbye.
const DEATH: Wanted = Wanted { stall_p95_ms: 2000.0, every_chunk: false };

/// Whatever is planned, or carries no media.
const SMOOTH: Wanted = Wanted { stall_p95_ms: 100.0, every_chunk: true };

/// How soon a directory that is back knows everything again.
const RETURN_MS_MAX: f64 = 3000.0;

/// How long a relay that was asked to end may take: its default.
const DRAIN_MS_MAX: f64 = 15_000.0;

/// One scene.
#[derive(Clone)]
pub struct Act {
    /// As on the command line.
    pub name: &'static str,
    /// The heading of its figures.
    pub title: &'static str,
    /// Plays it, in short or in full.
    pub play: fn(quick: bool) -> LocalBoxFuture<'static, Vec<Finding>>,
}

/// All of them.
#[must_use]
pub fn acts() -> Vec<Act> {
    const DIES: &str = "A relay dies";
    const LEAVES: &str = "A relay leaves";
    const DIRECTORY: &str = "The directory dies";
    const MANY: &str = "One stream on many relays";
    vec![
        Act { name: "origin_killed", title: DIES, play: |quick| Box::pin(play_origin_killed(quick)) },
        Act { name: "broadcast", title: DIES, play: |quick| Box::pin(play_broadcast(quick)) },
        Act { name: "black_hole", title: DIES, play: |quick| Box::pin(play_black_hole(quick)) },
        Act { name: "drain", title: LEAVES, play: |quick| Box::pin(play_drain(quick)) },
        Act { name: "drain_broadcast", title: LEAVES, play: |quick| Box::pin(play_drain_broadcast(quick)) },
        Act { name: "rolling_upgrade", title: LEAVES, play: |quick| Box::pin(play_rolling(quick)) },
        Act { name: "operator_drain", title: LEAVES, play: |quick| Box::pin(play_operator_drain(quick)) },
        Act { name: "operator_move", title: LEAVES, play: |quick| Box::pin(play_operator_move(quick)) },
        Act { name: "directory_gone", title: DIRECTORY, play: |quick| Box::pin(play_directory_gone(quick)) },
        Act { name: "directory_empty", title: DIRECTORY, play: |quick| Box::pin(play_directory_empty(quick)) },
        Act { name: "both_killed", title: DIRECTORY, play: |quick| Box::pin(play_both_killed(quick)) },
        Act { name: "edges", title: MANY, play: |quick| Box::pin(play_edges(quick)) },
    ]
}

/// The lines of what was recorded. `CHAOS_DIARY` names a folder where it is written what happened when.
fn judged(id: &str, what: &str, tape: &Tape, events: &[Event], wanted: Wanted) -> Vec<Finding> {
    if let Some(folder) = std::env::var_os("CHAOS_DIARY") {
        let path = std::path::Path::new(&folder).join(format!("{id}.txt"));
        if let Err(error) = std::fs::write(&path, tape.diary(events)) {
            eprintln!("{} can't be written: {error}", path.display());
        }
    }
    findings(id, what, &tape.outcome(events), wanted)
}

async fn play_origin_killed(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 3) } else { Size::of(50, 20) };
    let (tape, events) = origin_killed(&size).await;
    judged("origin_killed", "kill -9 of the origin", &tape, &events, DEATH)
}

async fn play_broadcast(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 10) }.with_broadcast();
    let (tape, events) = origin_killed(&size).await;
    judged("broadcast", "the same under the product's `broadcast`", &tape, &events, DEATH)
}

async fn play_black_hole(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 10) };
    let (tape, events) = black_hole(&size).await;
    judged("black_hole", "the origin's cable pulled", &tape, &events, DEATH)
}

async fn leaving(id: &str, what: &str, size: &Size, leaving: Leaving) -> Vec<Finding> {
    let (tape, events, Drained { longest_ms, ended_badly, complaints }) = drain(size, leaving).await;
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

async fn play_drain(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 10) };
    leaving("drain", "SIGTERM to the origin", &size, Leaving::Asked).await
}

async fn play_drain_broadcast(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 10) }.with_broadcast();
    leaving("drain_broadcast", "the same under the product's `broadcast`", &size, Leaving::Asked).await
}

async fn play_rolling(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 1) } else { Size::of(50, 3) };
    leaving("rolling_upgrade", "all relays restarted one by one", &size, Leaving::InTurn).await
}

async fn play_operator_drain(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 5) };
    leaving("operator_drain", "`directory drain`", &size, Leaving::Drained).await
}

async fn play_operator_move(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 10) };
    leaving("operator_move", "`directory move`", &size, Leaving::Moved).await
}

async fn absence(id: &str, what: &str, size: &Size, absence: Absence, wanted: Wanted) -> Vec<Finding> {
    let (tape, events, returned) = directory_gone(size, absence).await;
    let mut found = judged(id, what, &tape, &events, wanted);
    let latest = returned.iter().map(Returned::all_ms).collect::<Option<Vec<_>>>();
    let worst = latest.and_then(|all| all.into_iter().max());
    let said = returned.iter().map(|returned| {
        let ms = |ms: Option<u64>| ms.map_or("never".to_owned(), |ms| format!("{ms} ms"));
        let Returned { listed_ms, watched_ms, unlisted_ms, .. } = returned;
        let mut words =
            format!("listed {}, new viewer {}, unlisted {}", ms(*listed_ms), ms(*watched_ms), ms(*unlisted_ms));
        for (holds, otherwise) in [
            (returned.keys_hold, "keys refused"),
            (returned.unlisted_stays_so, "the unlisted stream listed"),
            (returned.epochs_hold, "epoch gone back"),
        ] {
            if !holds {
                words.push_str(&format!(", {otherwise}"));
            }
        }
        words
    });
    found.push(Finding::time(
        &format!("{id}.return"),
        &format!("{what}: from its return until everything is as it was"),
        worst.map_or(f64::INFINITY, |ms| ms as f64).min(f64::MAX),
        RETURN_MS_MAX,
        worst.map_or("not everything comes back".to_owned(), |ms| format!("at most {ms} ms")),
        format!("{}.", said.collect::<Vec<_>>().join("; ")),
    ));
    found
}

async fn play_directory_gone(quick: bool) -> Vec<Finding> {
    let (viewers, away) = if quick { (10, Duration::from_secs(10)) } else { (50, Duration::from_secs(600)) };
    let plan = Absence { away, empty_disk: false, with_origin: false, origin_meanwhile: true };
    let what = format!("directory gone for {} s, kill -9 of the origin meanwhile", away.as_secs());
    absence("directory_gone", &what, &Size::of(viewers, 1), plan, DEATH).await
}

async fn play_directory_empty(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 1) } else { Size::of(50, 5) };
    let away = Duration::from_secs(5);
    let plan = Absence { away, empty_disk: true, with_origin: false, origin_meanwhile: false };
    absence("directory_empty", "directory gone for 5 s, its disk empty but for its key", &size, plan, SMOOTH).await
}

async fn play_both_killed(quick: bool) -> Vec<Finding> {
    let size = if quick { Size::of(10, 2) } else { Size::of(50, 5) };
    let away = Duration::from_secs(5);
    let plan = Absence { away, empty_disk: true, with_origin: true, origin_meanwhile: false };
    let what =
        "kill -9 of directory and origin together, the directory back after 5 s with an empty disk but for its key";
    absence("both_killed", what, &size, plan, DEATH).await
}

async fn play_edges(quick: bool) -> Vec<Finding> {
    let low = Programme { rate: 5, key_interval: 10, chunk_bytes: 300, sound: false, ..Programme::default() };
    let crowd = if quick {
        Crowd { relays: 4, viewers: 100, programme: low, measured: Duration::from_secs(3) }
    } else {
        Crowd { relays: 12, viewers: 3000, programme: low, measured: Duration::from_secs(20) }
    };
    let Crowded { shares, tape, edge_killed, origin_killed } = edges(&crowd).await;
    let what = format!("{} relays, {} viewers", crowd.relays, crowd.viewers);
    let idle = shares.iter().filter(|share| share.viewers == 0).count() as u64;
    let busy = shares.iter().filter(|share| share.viewers > 0);
    let said = busy.clone().map(|share| {
        format!("{} {} viewers {:.1} % {:.0} MiB", share.relay, share.viewers, share.cpu * 100.0, share.memory_mib)
    });
    let most = busy.clone().map(|share| share.taken_in).fold(0.0, f64::max);
    let cost = |share: &Share| share.cpu / share.viewers as f64 * 1e6;
    let costs: Vec<f64> = busy.map(cost).collect();
    let (least, dearest) = (costs.iter().copied().fold(f64::MAX, f64::min), costs.iter().copied().fold(0.0, f64::max));
    let mut found = vec![
        Finding::none(
            "edges.idle",
            &format!("{what}: relays that serve nobody"),
            idle,
            idle.to_string(),
            format!("{}.", said.collect::<Vec<_>>().join("; ")),
        ),
        Finding {
            id: "edges.cost".into(),
            what: format!("{what}: a relay's CPU for each of its viewers"),
            result: format!("{least:.0} to {dearest:.0} µs a second"),
            value: dearest,
            target: None,
            notes: format!("At most {most:.2} chunks taken in by a relay for each that was made."),
        },
    ];
    if let Some(event) = edge_killed {
        found.extend(judged("edges.edge", &format!("{what}, kill -9 of an edge"), &tape, &[event], DEATH));
    }
    let what = format!("{what}, kill -9 of the origin");
    found.extend(judged("edges.origin", &what, &tape, &[origin_killed], DEATH));
    found
}
