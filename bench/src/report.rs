//! What a run tells: one line of JSON.

use serde::Serialize;

use crate::latencies::{Speeds, Summary};

/// The figures of one run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Viewers that watched, over all streams.
    pub viewers: u32,
    /// Streams.
    pub streams: u32,
    /// Length of the measured time.
    pub seconds: f64,
    /// Chunks per second that were planned.
    pub rate: f64,
    /// Bytes of a chunk's payload.
    pub chunk_bytes: usize,
    /// Chunks that should have reached viewers in the measured time: those planned, times the viewers.
    pub chunks_due: u64,
    /// Chunks that did.
    pub chunks_delivered: u64,
    /// Their bytes.
    pub bytes_delivered: u64,
    /// Chunks that were left out between a viewer's first and its last.
    pub missing: u64,
    /// Chunks that came after a later one.
    pub disorder: u64,
    /// Times a viewer was told that it had fallen behind.
    pub skips: u64,
    /// The longest time between two chunks of one viewer.
    pub gap_ms_max: f64,
    /// From a chunk's planned time of sending until a viewer had its last byte, over all of them.
    pub latency_ms: Option<Summary>,
    /// The same as speeds.
    pub forwarding_kb_per_s: Option<Speeds>,
    /// How late chunks of the measured time were sent: a part of the latency that is not the relay's.
    pub publisher_late_ms: Option<Summary>,
    /// The relay's user and system time in the measured time; `None` when it was not asked for.
    pub relay_cpu_seconds: Option<f64>,
    /// The same, for each delivered chunk.
    pub relay_us_per_chunk: Option<f64>,
    /// The relay's memory before the viewers came.
    pub relay_resident_bytes_before: Option<u64>,
    /// The relay's memory at the begin of the measured time.
    pub relay_resident_bytes_begin: Option<u64>,
    /// The relay's memory at the end of the measured time.
    pub relay_resident_bytes: Option<u64>,
    /// How long those who came at once waited for their first chunk.
    pub storm_first_chunk_ms: Option<Summary>,
    /// What the load itself used, publisher and viewers together.
    pub load_cpu_seconds: Option<f64>,
    /// The machine's load average before.
    pub load_average_before: Option<f64>,
    /// The machine's load average after.
    pub load_average_after: Option<f64>,
}
