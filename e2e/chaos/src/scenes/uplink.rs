//! The broadcaster's uplink gets narrow, stays so, and gets wide again, under the product's own `broadcast`.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Size;
use crate::{
    now_us,
    player::Tempo,
    progress::say,
    show::{Broadcast, Sender, Show},
    tape::{Event, Tape},
};

/// What is sent while the way is wide.
const KBIT: u32 = 2500;

/// How much of it the narrow way carries.
const NARROW_SHARE: f64 = 0.4;

/// How long the rate is measured.
const MEASURED: Duration = Duration::from_secs(4);

/// How long the rate may take to come down before what arrives is judged.
const ADAPTED_AFTER: Duration = Duration::from_secs(8);

/// Longest wait for the rate to be back.
const CLIMB_TIME_MAX: Duration = Duration::from_secs(90);

/// Between two looks at the rate while it climbs.
const CLIMB_LOOK: Duration = Duration::from_secs(2);

/// This much of the rate there was is all of it: encoders don't meet it to the byte.
pub const BACK_SHARE: f64 = 0.85;

/// What came of it. Rates are bytes of the broadcaster in a second, latencies from capture to showing, in microseconds.
#[derive(Debug)]
pub struct Narrowed {
    /// What everybody saw.
    pub tape: Tape,
    /// The whole time from the narrowing to the end.
    pub event: Event,
    /// Before.
    pub wide: (f64, i64),
    /// What the narrow way carries.
    pub way: f64,
    /// On the narrow way, after a while.
    pub narrow: (f64, i64),
    /// How long the rate took to be back once the way was wide again; none when it did not come back.
    pub back_after: Option<Duration>,
    /// At the end.
    pub again: (f64, i64),
}

/// Plays it before `size.viewers`, the way narrow for `narrow`. The rate is back when it is `back_share` of what it was.
pub async fn uplink(size: &Size, narrow: Duration, back_share: f64) -> Narrowed {
    let plan = stage::Plan::of_relays(2, true);
    let sender = Sender::Broadcast(Broadcast { kbit: KBIT, ..Broadcast::default() });
    let show = Show::begin(&plan, sender, size.viewers, Tempo::default()).await;
    show.calm().await;
    // Encoders begin with more than they keep up.
    sleep(MEASURED).await;
    let wide = (rate(&show, MEASURED).await, now_us());
    let way = wide.0 * NARROW_SHARE;
    say(&format!("{:.0} kbit/s arrive; the uplink now carries {:.0}", kbit(wide.0), kbit(way)));
    let at = now_us();
    throttle(&show, Some(way as u64));
    sleep(ADAPTED_AFTER).await;
    let narrow = (rate(&show, narrow.saturating_sub(ADAPTED_AFTER)).await, now_us());
    say(&format!("{:.0} kbit/s arrive; the uplink is wide again", kbit(narrow.0)));
    throttle(&show, None);
    let begun = Instant::now();
    let mut back_after = None;
    while back_after.is_none() && begun.elapsed() < CLIMB_TIME_MAX {
        if rate(&show, CLIMB_LOOK).await >= wide.0 * back_share {
            back_after = Some(begun.elapsed());
        }
    }
    let again = (rate(&show, MEASURED).await, now_us());
    say(&format!("{:.0} kbit/s arrive", kbit(again.0)));
    let event = Event { from_us: at, to_us: now_us() };
    let tape = show.end().await;
    let span = MEASURED.as_micros() as u64;
    let with_latency = |(rate, until): (f64, u64)| (rate, tape.latency_us(until - span, until).unwrap_or(i64::MAX));
    let (wide, narrow, again) = (with_latency(wide), with_latency(narrow), with_latency(again));
    Narrowed { tape, event, wide, way, narrow, back_after, again }
}

fn throttle(show: &Show, bytes_per_second: Option<u64>) {
    for name in show.system.relays() {
        show.system.cable(&name).public.change(|weather| weather.up.bytes_per_second = bytes_per_second);
    }
}

/// Bytes that went up in a second: viewers say next to nothing.
async fn rate(show: &Show, measured: Duration) -> f64 {
    let sum = || show.system.relays().iter().map(|name| show.system.cable(name).public.tally().up_bytes).sum::<u64>();
    let (before, begun) = (sum(), Instant::now());
    sleep(measured).await;
    (sum() - before) as f64 / begun.elapsed().as_secs_f64()
}

fn kbit(bytes: f64) -> f64 {
    bytes * 8.0 / 1000.0
}
