//! The `directory` command.

use std::process::ExitCode;

use anyhow::Result;
use directory::{Config, Directory, command::Cli};
use service::{Lifecycle, telemetry};

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { config, ask } = Cli::of_process();
    let done = match ask {
        Some(ask) => ask.run(&config).await.map(|answer| print!("{answer}")),
        None => serve(config).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("directory: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(config: Config) -> Result<()> {
    telemetry::init(config.log_format)?;
    service::listener::raise_open_files_limit();
    let life = Lifecycle::new();
    let directory = Directory::bind(config).await?;
    life.stop_on_signals()?;
    directory.run(life).await
}
