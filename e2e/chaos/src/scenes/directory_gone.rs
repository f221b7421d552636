//! The directory dies, alone or with the relay that takes the stream in, and comes back, with its disk or with nothing but its key.

use std::time::Duration;

use tokio::time::sleep;

use super::{Returned, Size, mended, show};
use crate::{
    now_us,
    progress::say,
    show::began,
    source::Programme,
    tape::{Event, Tape},
};

/// What happens.
#[derive(Debug, Clone, Copy)]
pub struct Absence {
    /// How long the directory is gone.
    pub away: Duration,
    /// It comes back with an empty disk but for its key.
    pub empty_disk: bool,
    /// The origin is killed together with it.
    pub with_origin: bool,
    /// The origin is killed while it is gone, in the middle.
    pub origin_meanwhile: bool,
}

/// Plays it `events` times. The events told are those in which something that carries media was killed, or the whole absence
/// when nothing was.
pub async fn directory_gone(size: &Size, absence: Absence) -> (Tape, Vec<Event>, Vec<Returned>) {
    let mut show = show(3, false, size).await;
    let second = Programme {
        title: "Unlisted".into(),
        visibility: "unlisted",
        rate: 5,
        key_interval: 10,
        ..Programme::default()
    };
    let unlisted = began(show.directory(), second).await;
    let (mut events, mut returned) = (vec![], vec![]);
    for n in 1..=size.events {
        show.calm().await;
        let epoch = show.source().map_or(0, |source| source.standing().epoch);
        let at = now_us();
        let mut killed = vec![];
        if absence.with_origin {
            killed.push(show.origin().await);
        }
        say(&format!("kill -9 of the directory for {} s, {n} of {}", absence.away.as_secs(), size.events));
        show.system.kill("directory").await;
        for name in &killed {
            show.system.kill(name).await;
        }
        if absence.with_origin {
            let back_at = tokio::time::Instant::now() + absence.away;
            // Viewers may be well before the directory is back, or only after it.
            let (event, ()) = tokio::join!(wait_for_life(&show, at, absence.away), tokio::time::sleep_until(back_at));
            let event_so_far = event;
            back(&mut show, absence).await;
            returned.push(Returned::observe(&show, &unlisted, epoch).await);
            events.push(match event_so_far {
                Some(event) => event,
                None => mended(&show, at).await,
            });
        } else if absence.origin_meanwhile {
            sleep(absence.away / 2).await;
            let origin = show.origin().await;
            let at = now_us();
            show.system.kill(&origin).await;
            killed.push(origin.clone());
            events.push(mended(&show, at).await);
            sleep(absence.away / 2).await;
            back(&mut show, absence).await;
            returned.push(Returned::observe(&show, &unlisted, epoch).await);
        } else {
            sleep(absence.away).await;
            back(&mut show, absence).await;
            returned.push(Returned::observe(&show, &unlisted, epoch).await);
            events.push(mended(&show, at).await);
        }
        for name in killed {
            show.system.restart(&name).await;
            show.system.is_ready(&name).await;
        }
    }
    let tape = show.end().await;
    unlisted.end().await;
    (tape, events, returned)
}

/// The event, when everybody shows again while the directory is still gone.
async fn wait_for_life(show: &crate::show::Show, at: u64, away: Duration) -> Option<Event> {
    sleep(Duration::from_millis(100)).await;
    let recovered = show.all_show_since(now_us(), away.saturating_sub(Duration::from_millis(600))).await;
    if !recovered {
        return None;
    }
    sleep(Duration::from_millis(500)).await;
    Some(Event { from_us: at, to_us: now_us() })
}

async fn back(show: &mut crate::show::Show, absence: Absence) {
    if absence.empty_disk {
        show.system.empty_directory_disk();
    }
    show.system.restart("directory").await;
}
