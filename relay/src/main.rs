//! The `relay` command.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, FromArgMatches as _};
use relay::{Config, Flags, Relay, drain};
use service::{Lifecycle, telemetry};
use tokio::runtime::Builder;

/// Turns of tasks between two looks at what has come to the sockets, while there is always a task that can run. A row of viewers takes a
/// millisecond: after the runtime's own 61 turns what a broadcaster sent would be a tenth of a second old on a core that has no time left.
const TURNS_BETWEEN_LOOKS: u32 = 8;

fn main() -> ExitCode {
    let command = service::flags::without_empty_variables(Flags::command());
    let flags = Flags::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let runtime = Builder::new_multi_thread().enable_all().event_interval(TURNS_BETWEEN_LOOKS).build();
    match runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(start(flags))) {
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
