//! A relay dies, or is cut off.

use chaos::scenes::{Size, black_hole, origin_killed};

use super::{DEATH_MS_MAX, survived};

/// Asserts: nobody lost, no reload, order kept, and the picture moves again in a few seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_origin_loses_no_viewer() {
    let (tape, events) = origin_killed(&Size::of(8, 2)).await;
    let outcome = survived(&tape, &events, DEATH_MS_MAX);
    assert_eq!(outcome.stalls.count, 16, "every viewer at every death");
}

/// Asserts: the same, with the product's own broadcaster.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_origin_loses_no_viewer_of_a_real_broadcast() {
    let (tape, events) = origin_killed(&Size::of(4, 1).with_broadcast()).await;
    survived(&tape, &events, DEATH_MS_MAX);
}

/// Asserts: the same, when nothing is closed and nothing arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn origin_whose_cable_is_pulled_loses_no_viewer() {
    let (tape, events) = black_hole(&Size::of(8, 1)).await;
    survived(&tape, &events, DEATH_MS_MAX);
}
