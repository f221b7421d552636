//! The `relay` command.

use anyhow::Result;
use clap::Parser as _;
use relay::{Config, Flags, Relay};
use service::{Lifecycle, telemetry};

#[tokio::main]
async fn main() -> Result<()> {
    let flags = Flags::parse();
    telemetry::init(flags.log_format)?;
    let config = Config::try_from(flags)?;
    let life = Lifecycle::new();
    life.stop_on_signals()?;
    Relay::bind(config).await?.run(life).await
}
