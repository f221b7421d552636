//! What is planned, or carries no media, goes unnoticed.

use std::time::Duration;

use chaos::scenes::{Absence, Leaving, Size, directory_gone, drain};

use super::{DEATH_MS_MAX, SMOOTH_MS_MAX, survived, unnoticed};

/// How soon a directory that is back knows everything again.
const RETURN_MS_MAX: u64 = 3000;

/// Asserts: nobody lost, every chunk shown exactly once, and exit status 0 in time.
async fn leaves_unnoticed(leaving: Leaving) {
    let (tape, events, drained) = drain(&Size::of(8, 1), leaving).await;
    assert!(drained.complaints.is_empty(), "{drained:?}");
    assert!(drained.ended_badly.is_empty(), "{drained:?}");
    unnoticed(&tape, &events);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn relays_that_are_replaced_in_turn_leave_unnoticed() {
    leaves_unnoticed(Leaving::InTurn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn origin_that_the_operator_drains_leaves_unnoticed() {
    leaves_unnoticed(Leaving::Drained).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stream_that_the_operator_moves_goes_unnoticed() {
    leaves_unnoticed(Leaving::Moved).await;
}

/// Asserts: as for a death, and the directory knows everything again within 3 s of its return: list, titles, visibility, keys,
/// epochs, new viewers.
async fn directory_returns(absence: Absence, stall_ms_max: f64) {
    let (tape, events, returned) = directory_gone(&Size::of(8, 1), absence).await;
    survived(&tape, &events, stall_ms_max);
    for returned in returned {
        assert!(returned.all_ms().is_some_and(|ms| ms <= RETURN_MS_MAX), "{returned:?}\n{}", tape.diary(&events));
    }
}

const GONE: Absence =
    Absence { away: Duration::from_secs(4), empty_disk: true, with_origin: false, origin_meanwhile: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_that_comes_back_with_nothing_but_its_key_knows_everything_again() {
    directory_returns(GONE, SMOOTH_MS_MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn origin_that_dies_while_the_directory_is_gone_loses_no_viewer() {
    directory_returns(Absence { empty_disk: false, origin_meanwhile: true, ..GONE }, DEATH_MS_MAX).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn directory_and_origin_that_die_together_lose_no_viewer() {
    directory_returns(Absence { with_origin: true, ..GONE }, DEATH_MS_MAX).await;
}
