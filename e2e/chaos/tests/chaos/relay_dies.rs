//! A relay dies, or is cut off.

use chaos::{
    scenes::{Size, black_hole, origin_killed},
    tape::{Event, Outcome, Tape},
};

/// Longest stall here: below what people reload a page for. The target of the long scene is 2 s.
const STALL_MS_MAX: f64 = 4000.0;

/// Asserts that nobody is lost or has to reload, and that no relay sends anything twice or out of order.
fn survived((tape, events): &(Tape, Vec<Event>)) -> Outcome {
    let outcome = tape.outcome(events);
    let diary = || tape.diary(events);
    assert_eq!((outcome.lost, outcome.reloads), (0, 0), "{outcome:?}\n{}", diary());
    assert_eq!((outcome.repeated, outcome.disordered), (0, 0), "{outcome:?}\n{}", diary());
    assert!(outcome.stalls.max_ms < STALL_MS_MAX, "{outcome:?}\n{}", diary());
    outcome
}

/// Asserts: nobody lost, no reload, order kept, and the picture moves again in a few seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_origin_loses_no_viewer() {
    let outcome = survived(&origin_killed(&Size::of(8, 2)).await);
    assert_eq!(outcome.stalls.count, 16, "every viewer at every death");
}

/// Asserts: the same, with the product's own broadcaster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_origin_loses_no_viewer_of_a_real_broadcast() {
    survived(&origin_killed(&Size::of(4, 1).with_broadcast()).await);
}

/// Asserts: the same, when nothing is closed and nothing arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn origin_whose_cable_is_pulled_loses_no_viewer() {
    survived(&black_hole(&Size::of(8, 1)).await);
}
