//! The `performance_charts` command.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use bench::chart::Results;
use clap::Parser;

/// Draws the charts of a measurement, each into an SVG file of its own.
#[derive(Debug, Parser)]
#[command(name = "performance_charts", version)]
struct Flags {
    /// The results, as the measurements write them beside docs/performance.md
    #[arg(long, default_value = "docs/performance.json", value_name = "FILE")]
    results: PathBuf,

    /// The folder of the drawings; made when it is not there
    #[arg(long, default_value = "docs/performance", value_name = "FOLDER")]
    to: PathBuf,
}

fn main() -> Result<()> {
    let flags = Flags::parse();
    let json =
        fs::read_to_string(&flags.results).with_context(|| format!("{} can't be read", flags.results.display()))?;
    let results: Results = serde_json::from_str(&json)?;
    fs::create_dir_all(&flags.to)?;
    for chart in &results.charts {
        fs::write(flags.to.join(format!("{}.svg", chart.id)), chart.svg()?)?;
    }
    Ok(())
}
