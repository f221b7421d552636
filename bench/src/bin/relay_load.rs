//! The `relay_load` command.

use std::{net::IpAddr, path::PathBuf};

use anyhow::Result;
use bench::{
    directory::Directory,
    load::{Elsewhere, Load},
    target::Target,
    transport::Transport,
};
use clap::Parser;
use url::Url;

/// Puts load on a relay of this machine and prints one line of JSON: paced streams of made-up chunks, many viewers, the time
/// each chunk takes to each of them, and the relay's CPU time per delivered chunk.
///
/// The servers must be running already, on a loopback address; others are refused.
#[derive(Debug, Parser)]
#[command(name = "relay_load", version)]
struct Flags {
    /// The directory that assigns the relay
    #[arg(long, default_value = "http://127.0.0.1:5000", value_name = "URL")]
    directory: Url,

    /// A server that asks for no ticket and carries one stream, instead of a directory's relay: that of fan_out_floor
    #[arg(long, value_name = "URL", conflicts_with = "directory")]
    server: Option<Url>,

    /// A PEM file with the authority of the relay's certificate
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The relay's process, whose CPU time and memory are read (Linux)
    #[arg(long, value_name = "PID")]
    relay_pid: Option<u32>,

    /// What carries the streams, to the relay and to viewers
    #[arg(long, value_enum, default_value_t, value_name = "TRANSPORT")]
    transport: Transport,

    /// The network namespace where viewers are, when not where the relay is (Linux, root): a path such as /proc/123/ns/net
    #[arg(long, value_name = "PATH", requires = "relay_seen_at")]
    viewers_in: Option<PathBuf>,

    /// Where the relay is seen from that namespace
    #[arg(long, value_name = "ADDRESS", requires = "viewers_in")]
    relay_seen_at: Option<IpAddr>,

    /// Viewers, over all streams
    #[arg(long, default_value_t = 300, value_name = "COUNT")]
    viewers: u32,

    /// Streams
    #[arg(long, default_value_t = 1, value_name = "COUNT")]
    streams: u32,

    /// Viewers beside the others that read nothing
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    stalled: u32,

    /// Viewers beside the others that come within one second, two seconds into the measured time
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    storm: u32,

    /// Chunks per second of each stream: 0.1 is one in ten seconds
    #[arg(long, default_value_t = 30.0, value_name = "COUNT")]
    rate: f64,

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

    /// Viewers' threads never sleep. On one machine whoever sends to a thread that sleeps pays for waking it, which nobody does over a network
    #[arg(long, default_value_t = false, action = clap::ArgAction::Set, value_name = "BOOLEAN")]
    awake: bool,

    /// Threads that read for the viewers; the publisher has one of its own
    #[arg(long, default_value_t = 1, value_name = "COUNT", value_parser = clap::value_parser!(u8).range(1..=16))]
    threads: u8,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let target = match flags.server {
        Some(server) => Target::server(server)?,
        None => Target::Directory(Directory::new(flags.directory)?),
    };
    // Each viewer is a file.
    rlimit::increase_nofile_limit(u64::MAX)?;
    let load = Load {
        viewers: flags.viewers,
        streams: flags.streams,
        rate: flags.rate,
        chunk_bytes: flags.chunk_bytes,
        key_interval: flags.key_interval,
        warm_up_seconds: flags.warm_up,
        seconds: flags.seconds,
        threads: flags.threads.into(),
        awake: flags.awake,
        stalled: flags.stalled,
        storm: flags.storm,
        relay_pid: flags.relay_pid,
        transport: flags.transport,
        elsewhere: flags.viewers_in.zip(flags.relay_seen_at).map(|(namespace, relay)| Elsewhere { namespace, relay }),
        tls: flags.ca.map(|ca| service::tls::client_config(Some(&ca))).transpose()?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(load.run(&target))?;
    println!("{}", serde_json::to_string(&report)?);
    Ok(())
}
