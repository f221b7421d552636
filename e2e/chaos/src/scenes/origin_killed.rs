//! The relay that takes the stream in dies, again and again; a killed one is back before the next dies.

use super::{Size, mended, show};
use crate::{
    now_us,
    progress::say,
    tape::{Event, Tape},
};

/// Kills the origin `events` times.
pub async fn origin_killed(size: &Size) -> (Tape, Vec<Event>) {
    let mut show = show(3, false, size).await;
    let mut events = vec![];
    for n in 1..=size.events {
        show.calm().await;
        let origin = show.origin().await;
        say(&format!("kill -9 of {origin}, {n} of {}", size.events));
        let at = now_us();
        show.system.kill(&origin).await;
        events.push(mended(&show, at).await);
        show.system.restart(&origin).await;
        show.system.is_ready(&origin).await;
    }
    (show.end().await, events)
}
