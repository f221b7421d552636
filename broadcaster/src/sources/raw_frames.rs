//! Frames that pass through this process on their way to an encoder: the newest is kept, nothing queues.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt as _},
    sync::watch,
    time::{Instant, sleep_until},
};

use crate::capture_helper::FrameHeader;

/// A still screen is encoded this often: players take longer gaps for a stall.
const STILL_INTERVAL: Duration = Duration::from_millis(333);

/// One captured frame.
#[derive(Debug)]
pub(crate) struct RawFrame {
    pub(crate) header: FrameHeader,
    pub(crate) pixels: Vec<u8>,
}

/// The newest frame of a capture that runs.
pub(crate) type RawFrames = watch::Receiver<Arc<RawFrame>>;

/// Writes the newest frame to an encoder that expects `header`'s form: at once when there is a new one, at most `frame_rate`
/// times a second, and now and then again on a still screen. Ends with the capture, with the encoder, or when the form changes.
pub(crate) async fn feed(
    mut stdin: impl AsyncWrite + Unpin,
    mut frames: RawFrames,
    header: FrameHeader,
    frame_rate: u32,
) {
    // A little less than the frame's time: a capture that keeps that pace must not lose every other frame to jitter.
    let interval = Duration::from_secs(1) * 2 / (3 * frame_rate.max(1));
    frames.mark_changed();
    let mut written = Instant::now();
    loop {
        tokio::select! {
            changed = frames.changed() => if changed.is_err() { return },
            () = sleep_until(written + STILL_INTERVAL) => {}
        }
        sleep_until(written + interval).await;
        written = Instant::now();
        let frame = Arc::clone(&frames.borrow_and_update());
        if frame.header != header || stdin.write_all(&frame.pixels).await.is_err() {
            return;
        }
    }
}
