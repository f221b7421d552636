//! Pages in a browser watch the product's own `broadcast` while its relays are killed and asked to end.

use super::{LEAVE_TIME_MAX, Size, mended, origin_killed, show};
use crate::{
    now_us,
    pages::{Page, Pages},
    progress::say,
    tape::{Event, Tape},
};

/// What came of it.
#[derive(Debug)]
pub struct Browsed {
    /// What the protocol viewers beside them saw.
    pub tape: Tape,
    /// What the pages showed.
    pub pages: Vec<Page>,
    /// The origin was killed.
    pub killed: Vec<Event>,
    /// The origin was asked to end.
    pub left: Vec<Event>,
}

/// Plays it before `pages` pages and `size.viewers` others: each of both happens `size.events` times.
pub async fn pages(size: &Size, pages: usize) -> Browsed {
    let mut show = show(3, false, &size.clone().with_broadcast()).await;
    let opened = Pages::open(&show.link(), pages).await;
    let (mut killed, mut left) = (vec![], vec![]);
    for n in 1..=size.events {
        killed.push(origin_killed::killed(&mut show, n, size.events).await);
        show.calm().await;
        let origin = show.origin().await;
        say(&format!("SIGTERM to {origin}, {n} of {}", size.events));
        let at = now_us();
        let status = show.system.terminate(&origin, LEAVE_TIME_MAX).await;
        assert!(status.is_some_and(|status| status.success()), "{origin} ended with {status:?}");
        left.push(mended(&show, at).await);
        show.system.restart(&origin).await;
        show.system.is_ready(&origin).await;
    }
    let pages = opened.close().await;
    Browsed { tape: show.end().await, pages, killed, left }
}
