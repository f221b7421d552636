//! The `relay` command.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _};
use relay::{Config, Flags, Relay, drain};
use service::{Lifecycle, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let command = service::flags::without_empty_variables(Flags::command());
    let flags = Flags::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    match start(flags).await {
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
