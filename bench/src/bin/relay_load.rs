//! The `relay_load` command.

use anyhow::Result;
use bench::{directory::Directory, load::Load};
use clap::Parser;
use url::Url;

/// Puts load on a relay of this machine and prints one line of JSON: one paced stream of made-up chunks, many viewers, the time
/// each chunk takes to each of them, and the relay's CPU time per delivered chunk.
///
/// The servers must be running already, on a loopback address; others are refused.
#[derive(Debug, Parser)]
#[command(name = "relay_load", version)]
struct Flags {
    /// The directory that assigns the relay
    #[arg(long, default_value = "http://127.0.0.1:5000", value_name = "URL")]
    directory: Url,

    /// The relay's process, whose CPU time is read (Linux)
    #[arg(long, value_name = "PID")]
    relay_pid: Option<u32>,

    /// Viewers
    #[arg(long, default_value_t = 300, value_name = "COUNT")]
    viewers: u32,

    /// Chunks per second
    #[arg(long, default_value_t = 30, value_name = "COUNT")]
    rate: u32,

    /// Bytes of each chunk: 10,400 at 30 a second are 2.5 Mbit/s
    #[arg(long, default_value_t = 10_400, value_name = "BYTES")]
    chunk_bytes: usize,

    /// Every how many chunks there is a key chunk
    #[arg(long, default_value_t = 60, value_name = "CHUNKS")]
    key_interval: u32,

    /// Seconds that all viewers watch before anything is measured
    #[arg(long, default_value_t = 3, value_name = "SECONDS")]
    warm_up: u32,

    /// Seconds that are measured
    #[arg(long, default_value_t = 20, value_name = "SECONDS")]
    seconds: u32,

    /// Threads that read for the viewers; the publisher has one of its own
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let directory = Directory::new(flags.directory)?;
    let load = Load {
        viewers: flags.viewers,
        rate: flags.rate,
        chunk_bytes: flags.chunk_bytes,
        key_interval: flags.key_interval,
        warm_up_seconds: flags.warm_up,
        seconds: flags.seconds,
        relay_pid: flags.relay_pid,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(flags.threads.into()).enable_all().build()?;
    let report = runtime.block_on(load.run(&directory))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
