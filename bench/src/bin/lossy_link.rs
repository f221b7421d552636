//! The `lossy_link` command.

#[cfg(target_os = "linux")]
use std::time::Duration;

use clap::Parser;

/// A link between this machine and a network namespace that loses and delays packets, for measurements: says where it is in one line of
/// JSON, stays until it is told to end (Ctrl-C, SIGTERM), and then says what it has carried. Needs root.
///
/// This machine is 198.18.0.1 to the other end, which is 198.18.0.2; one link at a time.
#[derive(Debug, Parser)]
#[command(name = "lossy_link", version)]
struct Flags {
    /// Of a hundred packets, each way, so many are lost
    #[arg(long, default_value_t = 2.0, value_name = "PERCENT")]
    loss: f64,

    /// Milliseconds that each packet is delayed by, each way
    #[arg(long, default_value_t = 20, value_name = "MILLISECONDS")]
    delay: u64,

    /// The congestion control of TCP that goes by the link, such as cubic or bbr [default: the machine's]
    #[arg(long, value_name = "NAME")]
    tcp: Option<String>,

    /// The same losses come again with the same seed
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    seed: u64,
}

#[cfg(target_os = "linux")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    use bench::link::{FAR, Link, NEAR, Weather};
    use tokio::signal::unix::{SignalKind, signal};
    let Flags { loss, delay, tcp, seed } = Flags::parse();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let link = Link::open(&Weather { loss_percent: loss, delay: Duration::from_millis(delay), tcp, seed })?;
    println!("{}", serde_json::json!({ "namespace": link.namespace(), "near": NEAR, "far": FAR }));
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    let (to_far, to_near) = link.carried();
    println!("{}", serde_json::json!({ "to_far": to_far, "to_near": to_near }));
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn main() -> anyhow::Result<()> {
    anyhow::bail!("{:?}: only Linux has network namespaces", Flags::parse())
}
