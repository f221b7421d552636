//! Logs, on standard error: readable lines for people, or JSON for machines.

use std::io::IsTerminal as _;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// A sentence and its fields on a line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Libraries whose talk is never shown, whatever `RUST_LOG` asks of all: it has messages in it as they are, tickets included.
const LIBRARIES_THAT_WRITE_WHAT_THEY_CARRY: [&str; 6] =
    ["tungstenite", "tokio_tungstenite", "hyper", "hyper_util", "h2", "rustls"];

/// Starts logging. `RUST_LOG` (the syntax of `tracing_subscriber::EnvFilter`) says what is shown; without it, `info`.
///
/// # Errors
/// When `RUST_LOG` can't be read, or when logging was started before.
pub fn init(format: LogFormat) -> Result<()> {
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) => EnvFilter::try_new(&directives).context("RUST_LOG is not a list of log filters")?,
        Err(_) => EnvFilter::new("info"),
    };
    let filter = LIBRARIES_THAT_WRITE_WHAT_THEY_CARRY.iter().try_fold(filter, |filter, library| {
        Ok::<_, anyhow::Error>(filter.add_directive(format!("{library}=info").parse()?))
    })?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // It would say on the standard error output that nothing can be said there, and panic: a reader of logs that has gone is
        // no reason to end anything, or to be unable to.
        .log_internal_errors(false);
    let started = match format {
        LogFormat::Text => lines.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("logging can't be started: {error}"))
}
