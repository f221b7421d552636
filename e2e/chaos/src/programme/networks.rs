//! Bad networks of broadcasters and viewers.

use std::time::Duration;

use super::{SMOOTH, Target, judged};
use crate::{
    figure::{Finding, Wanted},
    pages::stalls,
    scenes::{self, BACK_SHARE, Narrowed, Size, Slowed},
};

/// A way that gets narrow drops what does not fit: a second or so, not more.
const NARROW: Wanted = Wanted { stall_p95_ms: 2000.0, every_chunk: false };

/// How much later pictures may be on a way that has become narrow, once the rate has come down: what a small router queues, and some.
const LATER_MS_MAX: f64 = 700.0;

/// How soon the rate is back: calm for 5 s, then 8 % a second, and a failed climb.
const BACK_MS_MAX: f64 = 60_000.0;

pub(super) async fn uplink(quick: bool) -> Vec<Finding> {
    let (viewers, narrow) = if quick { (3, Duration::from_secs(14)) } else { (10, Duration::from_secs(30)) };
    let Narrowed { tape, event, wide, way, narrow, back_after, again } =
        scenes::uplink(&Size::of(viewers, 1), narrow, BACK_SHARE).await;
    let what = "the broadcaster's uplink narrowed to 40 %";
    let kbit = |bytes: f64| format!("{:.0} kbit/s", bytes * 8.0 / 1000.0);
    let later = |of: (f64, i64)| of.1.saturating_sub(wide.1) as f64 / 1000.0;
    let mut found = judged("uplink", what, &tape, &[event], NARROW);
    found.push(Finding {
        id: "uplink.rate".into(),
        what: format!("{what}: what is sent"),
        result: format!("{} → {} → {}", kbit(wide.0), kbit(narrow.0), kbit(again.0)),
        value: narrow.0 / way,
        target: Some(Target { max: 1.0, text: "no more than fits".into() }),
        notes: format!("Before, on the narrow way, which carries {}, and at the end.", kbit(way)),
    });
    found.push(Finding::time(
        "uplink.later",
        &format!("{what}: how much later pictures are, after 8 s of it"),
        later(narrow),
        LATER_MS_MAX,
        format!("{:+.0} ms", later(narrow)),
        format!("And once it is wide again: {:+.0} ms.", later(again)),
    ));
    found.push(Finding::time(
        "uplink.back",
        "the uplink wide again: until 85 % of the former rate are sent",
        back_after.map_or(f64::MAX, |after| after.as_secs_f64() * 1000.0),
        BACK_MS_MAX,
        back_after.map_or("never".to_owned(), |after| format!("{:.0} s", after.as_secs_f64())),
        String::new(),
    ));
    // Pictures of all sizes count here, and the whole time: stalls and loss are told, latency by itself.
    found.retain(|finding| finding.id != "uplink.latency");
    found
}

/// How soon a page on a narrow way shows the smaller picture: two skips or stalls in 10 s, and the next segment.
const DOWN_MS_MAX: f64 = 20_000.0;

/// How soon it shows the large one again: 20 s of calm, and a failed climb.
const UP_MS_MAX: f64 = 60_000.0;

pub(super) async fn slow_viewer(_quick: bool) -> Vec<Finding> {
    let Slowed { tape, pages, narrow, wide, down_after, up_after, widths } = scenes::slow_viewer().await;
    let what = "a viewer's way narrowed below the stream's rate";
    let mut found = judged("slow_viewer", &format!("{what}: another viewer's view"), &tape, &[narrow, wide], SMOOTH);
    let ms = |after: Option<Duration>| after.map_or(f64::MAX, |after| after.as_secs_f64() * 1000.0);
    let words =
        |after: Option<Duration>| after.map_or("never".to_owned(), |after| format!("{:.1} s", after.as_secs_f64()));
    let [large, small, again] = widths;
    let stood = stalls(&pages, &[narrow]);
    let notes = format!("{large} → {small} wide; the picture stood still for {:.0} ms at most.", stood.max_ms);
    let down = format!("{what}: until its page shows the smaller picture");
    found.push(Finding::time("slow_viewer.down", &down, ms(down_after), DOWN_MS_MAX, words(down_after), notes));
    let stood = stalls(&pages, &[wide]);
    let notes = format!("{again} wide; the picture stood still for {:.0} ms at most.", stood.max_ms);
    let up = "the viewer's way wide again: until its page shows the large picture";
    found.push(Finding::time("slow_viewer.up", up, ms(up_after), UP_MS_MAX, words(up_after), notes));
    let more = pages.iter().map(|page| u64::from(page.documents.saturating_sub(1))).sum();
    let what = format!("{what}: reloads");
    found.push(Finding::none("slow_viewer.reloads", &what, more, more.to_string(), String::new()));
    found
}
