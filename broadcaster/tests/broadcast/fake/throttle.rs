//! A line that carries only so many bytes per second towards the relay.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

/// How much a slow line carries at a time.
const STEP: Duration = Duration::from_millis(10);

/// Bytes per second of a line; 0 for as many as there are.
#[derive(Debug, Clone, Default)]
pub(crate) struct Speed(Arc<AtomicU64>);

impl Speed {
    pub(crate) fn set_kbit_s(&self, kbit_s: u64) {
        self.0.store(kbit_s * 125, Ordering::SeqCst);
    }

    /// How long so many bytes take.
    pub(super) fn takes(&self, bytes: usize) -> Duration {
        match self.0.load(Ordering::SeqCst) {
            0 => Duration::ZERO,
            bytes_per_s => Duration::from_secs_f64(bytes as f64 / bytes_per_s as f64),
        }
    }
}

/// One connection over such a line.
pub(super) struct Throttled<S> {
    stream: S,
    speed: Speed,
    /// When the next bytes may be read.
    free: Pin<Box<Sleep>>,
}

impl<S> Throttled<S> {
    pub(super) fn new(stream: S, speed: Speed) -> Self {
        Self { stream, speed, free: Box::pin(sleep_until(Instant::now())) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let bytes_per_s = this.speed.0.load(Ordering::SeqCst);
        if bytes_per_s == 0 {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        ready!(this.free.as_mut().poll(cx));
        let most = usize::try_from(bytes_per_s * STEP.as_millis() as u64 / 1_000).unwrap().clamp(1, buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.stream).poll_read(cx, &mut part))?;
        let read = part.filled().len();
        buffer.advance(read);
        let takes = Duration::from_secs_f64(read as f64 / bytes_per_s as f64);
        // What the timer was late by is made up for, but not what nobody wanted to read.
        let from = this.free.deadline().max(Instant::now() - 2 * STEP);
        this.free.as_mut().reset(from + takes);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
