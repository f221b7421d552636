//! The cable of the relay that takes the stream in is pulled: nothing is closed, and nothing arrives, at the directory either.

use super::{Size, mended, show};
use crate::{
    now_us,
    progress::say,
    tape::{Event, Tape},
};

/// Pulls it `events` times; it is put back when all are well.
pub async fn black_hole(size: &Size) -> (Tape, Vec<Event>) {
    let show = show(3, true, size).await;
    let mut events = vec![];
    for n in 1..=size.events {
        show.calm().await;
        let origin = show.origin().await;
        say(&format!("{origin} is cut off, {n} of {}", size.events));
        let at = now_us();
        show.system.cable(&origin).pulled(true);
        events.push(mended(&show, at).await);
        show.system.cable(&origin).pulled(false);
        show.system.is_ready(&origin).await;
    }
    (show.end().await, events)
}
