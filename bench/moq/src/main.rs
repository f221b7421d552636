//! The `moq_load` command.

mod crowd;
mod publisher;
mod report;
mod stream;

// What times, counts and reads both loads: they are to measure alike.
#[path = "../../src/latencies.rs"]
#[expect(dead_code, reason = "speeds are not reported here")]
mod latencies;
#[path = "../../src/media_clock.rs"]
mod media_clock;
#[path = "../../src/order.rs"]
mod order;
#[path = "../../src/process.rs"]
#[expect(dead_code, reason = "memory is not reported here")]
mod process;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use url::{Host, Url};

use crate::{report::Report, stream::Stream};

/// Puts load on a moq-relay of this machine and prints one line of JSON, with the fields of relay_load: one paced stream of made-up
/// frames, a group for each segment, and many viewers, each with a connection and a UDP socket of its own.
#[derive(Debug, Parser)]
#[command(name = "moq_load", version)]
struct Flags {
    /// The relay, on a loopback address: https: for WebTransport, moqt: for QUIC without HTTP/3
    #[arg(long, value_name = "URL")]
    relay: Url,

    /// The relay's process, whose CPU time is read
    #[arg(long, value_name = "PID")]
    relay_pid: u32,

    /// Viewers
    #[arg(long, default_value_t = 300, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=5_000))]
    viewers: u32,

    /// Chunks per second
    #[arg(long, default_value_t = 30.0, value_name = "COUNT")]
    rate: f64,

    /// Bytes of each chunk
    #[arg(long, default_value_t = 10_420, value_name = "BYTES")]
    chunk_bytes: usize,

    /// Every how many chunks there is a key chunk
    #[arg(long, default_value_t = 60, value_name = "CHUNKS", value_parser = clap::value_parser!(u32).range(1..))]
    key_interval: u32,

    /// Seconds that all viewers watch before anything is measured
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    warm_up: u32,

    /// Seconds that are measured
    #[arg(long, default_value_t = 20, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let is_own = match flags.relay.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        _ => false,
    };
    ensure!(is_own, "a loopback address alone is loaded");
    ensure!((1.0..=240.0).contains(&flags.rate), "give 1 to 240 chunks per second");
    ensure!(flags.chunk_bytes >= stream::HEAD_BYTES, "a chunk holds at least its head of {} bytes", stream::HEAD_BYTES);
    // Each viewer is a file.
    rlimit::increase_nofile_limit(u64::MAX)?;
    moq_tokio::crypto::install_default().ok().context("TLS can't be set up")?;
    let stream = Stream::new(flags.relay.clone(), flags.rate, flags.key_interval, flags.chunk_bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(Report::of(&flags, &stream))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
