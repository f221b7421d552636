//! The `fan_out_floor` command.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Result;
use clap::Parser;

/// Hands one stream on to everybody who asks, on a loopback address: the measure of what fan-out costs at least. Prints its address.
#[derive(Debug, Parser)]
#[command(name = "fan_out_floor", version)]
struct Flags {
    /// The port; 0: any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, flags.port))?;
    println!("ws://{}/ws", listener.local_addr()?);
    bench::floor::serve(listener)
}
