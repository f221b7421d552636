//! The relay that takes the stream in dies, again and again; a killed one is back before the next dies.

use super::{Size, mended, show};
use crate::{
    now_us,
    progress::say,
    show::Show,
    tape::{Event, Tape},
};

/// Kills the origin `events` times.
pub async fn origin_killed(size: &Size) -> (Tape, Vec<Event>) {
    let mut show = show(3, false, size).await;
    let mut events = vec![];
    for n in 1..=size.events {
        events.push(killed(&mut show, n, size.events).await);
    }
    (show.end().await, events)
}

/// Kills the origin for the `n`th of so many times, once all is calm; it is back when this returns.
pub(super) async fn killed(show: &mut Show, n: usize, times: usize) -> Event {
    show.calm().await;
    let origin = show.origin().await;
    say(&format!("kill -9 of {origin}, {n} of {times}"));
    let at = now_us();
    show.system.kill(&origin).await;
    let event = mended(show, at).await;
    show.system.restart(&origin).await;
    show.system.is_ready(&origin).await;
    event
}
