//! Too much for a relay. What is too much for all of them is in `spawning.rs`.

use std::time::Duration;

use chaos::scenes::{Cooled, hot};

use super::unnoticed;

/// Asserts: one stream leaves a relay that has to send more than it can, unnoticed, and stays where it has gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hot_relay_is_left_by_one_stream_unnoticed() {
    let Cooled { tape, event, moved_after, moves } = hot(4, Duration::from_secs(4)).await;
    assert!(moved_after.is_some(), "{}", tape.diary(&[event]));
    assert_eq!(moves, 1, "{}", tape.diary(&[event]));
    unnoticed(&tape, &[event]);
}
