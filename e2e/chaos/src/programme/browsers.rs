//! The product's own player, in pages.

use super::{DEATH, Target, judged};
use crate::{
    figure::Finding,
    pages::{Page, stalls},
    scenes::{self, Browsed, Size},
    tape::Event,
};

/// The longest that a page may stand still when a relay leaves in good order: pictures that were decoded are shown, and the next ones
/// are there before they are needed.
const LEFT_MS_MAX: f64 = 250.0;

/// The longest when one dies.
const KILLED_MS_MAX: f64 = 2000.0;

pub(super) async fn pages(quick: bool) -> Vec<Finding> {
    let (size, pages) = if quick { (Size::of(2, 1), 1) } else { (Size::of(3, 5), 3) };
    let Browsed { tape, pages, killed, left } = scenes::pages(&size, pages).await;
    let mut found = judged("pages.beside", "kill -9 of the origin, beside pages", &tape, &killed, DEATH);
    found.retain(|finding| finding.target.is_some());
    found.push(stood("pages.killed", "kill -9 of the origin", &pages, &killed, KILLED_MS_MAX));
    found.push(stood("pages.left", "SIGTERM to the origin", &pages, &left, LEFT_MS_MAX));
    let more = pages.iter().map(|page| u64::from(page.documents.saturating_sub(1))).sum();
    let failed = pages.iter().filter(|page| page.states.iter().any(|state| state == "failed")).count();
    let what = "pages: reloads";
    found.push(Finding::none("pages.reloads", what, more, more.to_string(), format!("{failed} players failed.")));
    found
}

fn stood(id: &str, what: &str, pages: &[Page], events: &[Event], max_ms: f64) -> Finding {
    let stalls = stalls(pages, events);
    Finding {
        id: id.into(),
        what: format!("{what}: longest time in which a page showed no new picture"),
        result: stalls.to_string(),
        value: stalls.p95_ms,
        target: Some(Target { max: max_ms, text: format!("≤ {max_ms} ms") }),
        notes: format!("{} pages in headless Chromium, {} times; the target is for p95.", pages.len(), events.len()),
    }
}
