//! Two directories behind one address, which share a store.

use chaos::scenes::{Shared, Size, store};

use super::{DEATH_MS_MAX, survived};

/// How soon a change is in the other directory's list, on a busy machine; the long scene asks for 200 ms at p95.
const TOLD_MS_MAX: u128 = 2000;

/// Asserts: what one directory knows the other knows at once; without the store nothing stops, and readiness says so in words; once it is
/// back, as it was or empty, both know the same again; and one of the two may die.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn store_and_directories_come_and_go_unnoticed() {
    let Shared { tape, killed, directory_killed, told_after, converged_after, readiness } =
        store(&Size::of(8, 1)).await;
    assert!(told_after.iter().all(|after| after.as_millis() < TOLD_MS_MAX), "{told_after:?}");
    assert!(converged_after.iter().all(Option::is_some), "{converged_after:?}");
    assert!(readiness.0 == 200 && readiness.1.contains("store"), "{readiness:?}");
    survived(&tape, &[killed], DEATH_MS_MAX);
    survived(&tape, &[directory_killed], DEATH_MS_MAX);
}
