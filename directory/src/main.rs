//! The `directory` command.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use directory::{Config, Directory};
use service::{Lifecycle, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    match start(Config::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("directory: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start(config: Config) -> Result<()> {
    telemetry::init(config.log_format)?;
    service::listener::raise_open_files_limit();
    let life = Lifecycle::new();
    let directory = Directory::bind(config).await?;
    life.stop_on_signals()?;
    directory.run(life).await
}
