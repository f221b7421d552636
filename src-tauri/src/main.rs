#![cfg_attr(all(windows, not(debug_assertions)), windows_subsystem = "windows")]
//! The desktop app: one window over the `broadcaster` library. It has no behaviour of its own.

mod app;
mod closing;
mod commands;
mod directory;
#[cfg(target_os = "linux")]
mod drawing;
mod error;
mod ffmpeg;
mod media;
mod on_air;
mod settings;
mod subscriptions;

use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    broadcaster::capture_helper::run_if_asked();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match app::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
