//! Relays leave in good order: one that is asked to end, all of them in turn, or a stream that is moved.

use tokio::time::Instant;

use super::{LEAVE_TIME_MAX, Size, mended, show};
use crate::{
    now_us,
    progress::say,
    tape::{Event, Tape},
};

/// How a relay leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// The one that takes the stream in gets SIGTERM, and is started again.
    Asked,
    /// Every relay in turn, as in an upgrade.
    InTurn,
    /// The one that takes the stream in, by `directory drain`; its process ends by itself and is started again.
    Drained,
    /// None: `directory move` takes the stream elsewhere.
    Moved,
}

/// How the processes ended.
#[derive(Debug, Clone, Default)]
pub struct Drained {
    /// The longest that one took, in milliseconds.
    pub longest_ms: u64,
    /// Those that did not end with status 0, or not in time.
    pub ended_badly: Vec<String>,
    /// What the operator's commands complained about.
    pub complaints: Vec<String>,
}

/// Lets relays leave `events` times, or all relays as often.
pub async fn drain(size: &Size, leaving: Leaving) -> (Tape, Vec<Event>, Drained) {
    let mut show = show(3, false, size).await;
    let mut events = vec![];
    let mut drained = Drained::default();
    for n in 1..=size.events {
        let leavers = match leaving {
            Leaving::InTurn => show.system.relays(),
            _ => vec![show.origin().await],
        };
        for name in leavers {
            show.calm().await;
            say(&format!("{name}, {n} of {}: {leaving:?}", size.events));
            let at = now_us();
            let command = match leaving {
                Leaving::Drained => Some(vec!["drain".to_owned(), name.clone()]),
                Leaving::Moved => {
                    let to = show.system.relays().into_iter().find(|other| *other != name).unwrap_or_default();
                    Some(vec!["move".to_owned(), show.id().to_string(), to])
                }
                Leaving::Asked | Leaving::InTurn => None,
            };
            if let Some(command) = command {
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                if let Err(complaint) = show.system.try_operator(&words).await {
                    drained.complaints.push(complaint);
                    continue;
                }
            }
            if leaving != Leaving::Moved {
                let begun = Instant::now();
                let status = match leaving {
                    Leaving::Drained => show.system.ended(&name, LEAVE_TIME_MAX).await,
                    _ => show.system.terminate(&name, LEAVE_TIME_MAX).await,
                };
                drained.longest_ms = drained.longest_ms.max(begun.elapsed().as_millis() as u64);
                if !status.is_some_and(|status| status.success()) {
                    drained.ended_badly.push(status.map_or("not in time".to_owned(), |status| status.to_string()));
                }
            }
            events.push(mended(&show, at).await);
            if leaving != Leaving::Moved {
                show.system.restart(&name).await;
                show.system.is_ready(&name).await;
            }
        }
    }
    (show.end().await, events, drained)
}
