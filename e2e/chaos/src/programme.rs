//! Every scene as it stands on the command line, in full and in short, and what is asked of it.

mod browsers;
mod dies;
mod directory;
mod leaves;
mod many;
mod networks;

use futures_util::future::LocalBoxFuture;

use crate::{
    figure::{Finding, Target, Wanted, findings},
    tape::{Event, Tape},
};

/// A relay that dies, is cut off, or can't say goodbye.
const DEATH: Wanted = Wanted { stall_p95_ms: 2000.0, every_chunk: false };

/// Whatever is planned, or carries no media.
const SMOOTH: Wanted = Wanted { stall_p95_ms: 100.0, every_chunk: true };

/// One scene.
#[derive(Clone)]
pub struct Act {
    /// As on the command line.
    pub name: &'static str,
    /// The heading of its figures.
    pub title: &'static str,
    /// It waits for most of its time, and is played beside the others.
    pub beside: bool,
    /// Plays it, in short or in full.
    pub play: fn(quick: bool) -> LocalBoxFuture<'static, Vec<Finding>>,
}

/// The scenes that wait for most of their time.
const BESIDE: [&str; 1] = ["directory_gone"];

macro_rules! acts {
    ($($title:literal { $($name:literal: $play:path,)* })*) => {
        /// All of them.
        #[must_use]
        pub fn acts() -> Vec<Act> {
            let all = vec![$($((
                $name,
                $title,
                (|quick| Box::pin($play(quick))) as fn(bool) -> LocalBoxFuture<'static, Vec<Finding>>,
            ),)*)*];
            let act = |(name, title, play)| Act { name, title, beside: BESIDE.contains(&name), play };
            all.into_iter().map(act).collect()
        }
    };
}

acts! {
    "A relay dies" {
        "origin_killed": dies::origin_killed,
        "broadcast": dies::broadcast,
        "black_hole": dies::black_hole,
    }
    "In browsers" {
        "pages": browsers::pages,
    }
    "A relay leaves" {
        "drain": leaves::drain,
        "drain_broadcast": leaves::drain_broadcast,
        "rolling_upgrade": leaves::rolling,
        "operator_drain": leaves::operator_drain,
        "operator_move": leaves::operator_move,
    }
    "The directory dies" {
        "directory_gone": directory::directory_gone,
        "directory_empty": directory::directory_empty,
        "both_killed": directory::both_killed,
    }
    "Two directories and a store" {
        "store": directory::store,
    }
    "One stream on many relays" {
        "edges": many::edges,
        "chain": many::chain,
    }
    "Too much for a relay" {
        "hot": many::hot,
        "breathing": many::breathing,
    }
    "Bad networks" {
        "uplink": networks::uplink,
        "slow_viewer": networks::slow_viewer,
    }
}

/// The lines of what was recorded. `CHAOS_DIARY` names a folder where it is written what happened when.
fn judged(id: &str, what: &str, tape: &Tape, events: &[Event], wanted: Wanted) -> Vec<Finding> {
    if let Some(folder) = std::env::var_os("CHAOS_DIARY") {
        let path = std::path::Path::new(&folder).join(format!("{id}.txt"));
        if let Err(error) = std::fs::write(&path, tape.diary(events)) {
            eprintln!("{} can't be written: {error}", path.display());
        }
    }
    findings(id, what, &tape.outcome(events), wanted)
}
