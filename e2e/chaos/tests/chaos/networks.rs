//! Bad networks of broadcasters and viewers.

use std::time::Duration;

use chaos::scenes::{Narrowed, Size, uplink};

use super::{DEATH_MS_MAX, survived};

/// The long scene waits until the former rate is back; here nobody does.
const BACK_SHARE: f64 = 0.0;

/// How much later pictures may be once the rate has come down: without that they would be later by all that does not fit.
const LATER_US_MAX: i64 = 2_500_000;

/// Asserts: on a narrow uplink less is sent, so that it arrives without much delay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broadcast_fits_into_its_uplink() {
    let narrowed = uplink(&Size::of(2, 1), Duration::from_secs(12), BACK_SHARE).await;
    let Narrowed { tape, event, wide, narrow, .. } = &narrowed;
    let said = || format!("{:?} {:?} {:?}\n{}", wide, narrow, narrowed.again, tape.diary(&[*event]));
    assert!(narrow.1 - wide.1 < LATER_US_MAX, "{}", said());
    survived(tape, &[*event], DEATH_MS_MAX);
}
