//! One direction of a link: a thread that takes packets in, loses some and stamps the others, and one that lets each out in its time.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use tun_rs::SyncDevice;

use super::{Carried, loss::Loss};

/// Packets that are under way at most: 100 ms of a gigabit per second.
const PACKETS_MAX: usize = 8192;

/// Larger than any packet of a device.
const PACKET_BYTES_MAX: usize = 2048;

/// A packet, and when it is due.
type Stamped = (Instant, Vec<u8>);

/// Counts one direction.
#[derive(Debug, Clone, Default)]
pub(super) struct Way(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    passed: AtomicU64,
    lost: AtomicU64,
    overflowed: AtomicU64,
    late_us_max: AtomicU64,
}

impl Way {
    /// Carries packets from one device to the other until the process ends.
    pub(super) fn begin(
        from: Arc<SyncDevice>,
        to: Arc<SyncDevice>,
        loss: Loss,
        delay: Duration,
        name: &str,
    ) -> io::Result<Self> {
        let way = Self::default();
        let (stamped, due) = sync_channel(PACKETS_MAX);
        let counts = Arc::clone(&way.0);
        thread::Builder::new()
            .name(format!("{name} in"))
            .spawn(move || take_in(&from, loss, delay, &stamped, &counts))?;
        let counts = Arc::clone(&way.0);
        thread::Builder::new().name(format!("{name} out")).spawn(move || let_out(&to, &due, &counts))?;
        Ok(way)
    }

    pub(super) fn carried(&self) -> Carried {
        let Counts { passed, lost, overflowed, late_us_max } = &*self.0;
        Carried {
            passed: passed.load(Relaxed),
            lost: lost.load(Relaxed),
            overflowed: overflowed.load(Relaxed),
            late_us_max: late_us_max.load(Relaxed),
        }
    }
}

fn take_in(from: &SyncDevice, mut loss: Loss, delay: Duration, stamped: &SyncSender<Stamped>, counts: &Counts) {
    let mut packet = [0; PACKET_BYTES_MAX];
    // An error is the end: the device has gone.
    while let Ok(len) = from.recv(&mut packet) {
        if loss.next_is_lost() {
            counts.lost.fetch_add(1, Relaxed);
            continue;
        }
        match stamped.try_send((Instant::now() + delay, packet[..len].to_vec())) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                counts.overflowed.fetch_add(1, Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

fn let_out(to: &SyncDevice, due: &Receiver<Stamped>, counts: &Counts) {
    for (due_at, packet) in due {
        thread::sleep(due_at.saturating_duration_since(Instant::now()));
        let late_us = u64::try_from(due_at.elapsed().as_micros()).unwrap_or(u64::MAX);
        counts.late_us_max.fetch_max(late_us, Relaxed);
        // One that the other side does not take is lost, as on a wire.
        if to.send(&packet).is_ok() {
            counts.passed.fetch_add(1, Relaxed);
        }
    }
}
