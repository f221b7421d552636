//! A crowd that comes at once to a stream that others watch already.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mio::{Events, Interest, Poll, Token};

use crate::{
    crowd::{Watching, door::Door, line::Line},
    latencies::Latencies,
    viewer::Viewer,
};

/// How long the crowd takes to come.
pub const STORM_TIME: Duration = Duration::from_secs(1);

/// How long the last one may wait.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Lets a viewer in at each of `doors`, evenly over [`STORM_TIME`], and tells how long each waited for its first chunk, from the
/// begin of its connection on. They all go when the last has it.
///
/// # Errors
/// When one is refused, or waits too long.
pub fn run(doors: &[Door], watching: &Watching) -> Result<Latencies> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(1024);
    let mut read = vec![0; 512 * 1024];
    let mut places: Vec<(Line, Viewer, Instant)> = Vec::with_capacity(doors.len());
    let mut waits = Latencies::default();
    let begun = Instant::now();
    while places.len() < doors.len() || waits.len() < doors.len() {
        ensure!(
            begun.elapsed() < STORM_TIME + WAIT_MAX,
            "{} of {} got nothing",
            doors.len() - waits.len(),
            doors.len()
        );
        let due = begun + STORM_TIME.mul_f64(places.len() as f64 / doors.len().max(1) as f64);
        let mut wait = due.saturating_duration_since(Instant::now());
        if let Some(door) = doors.get(places.len())
            && wait.is_zero()
        {
            let came = Instant::now();
            let mut line = door.enter()?;
            poll.registry().register(line.source(), Token(places.len()), Interest::READABLE)?;
            places.push((line, Viewer::new(watching), came));
        } else if places.len() == doors.len() {
            wait = Duration::from_millis(10);
        }
        poll.poll(&mut events, Some(wait))?;
        for event in events.iter() {
            let Some((line, viewer, came)) = places.get_mut(event.token().0) else { continue };
            let had = viewer.has_begun();
            while let Some(bytes) = line.read(&mut read)? {
                viewer.take(bytes, line)?;
            }
            if viewer.has_begun() && !had {
                waits.add(u64::try_from(came.elapsed().as_micros())?);
            }
        }
    }
    Ok(waits)
}
