//! The `relay` command.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use relay::{Config, Flags, Relay, drain};
use service::{Lifecycle, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    match start(Flags::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("relay: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(flags: Flags) -> Result<()> {
    telemetry::init(flags.log_format)?;
    let config = Config::try_from(flags)?;
    service::listener::raise_open_files_limit();
    let life = Lifecycle::new();
    let relay = Relay::bind(config).await?;
    drain::on_signals(relay.drain(), &life)?;
    relay.run(life).await
}
