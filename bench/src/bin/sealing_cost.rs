//! The `sealing_cost` command.

use anyhow::Result;
use bench::sealing::Sealing;
use clap::Parser;

/// Measures what end-to-end encryption costs and prints one line of JSON for each bitrate, first with each chunk at its time as in
/// a broadcast, then without a pause.
#[derive(Debug, Parser)]
#[command(name = "sealing_cost", version)]
struct Flags {
    /// Bits per second, in kbit/s
    #[arg(long, value_delimiter = ',', default_values_t = [6_000, 12_000], value_name = "KBIT/S")]
    bitrate: Vec<u32>,

    /// Chunks per second, one for each frame
    #[arg(long, default_value_t = 30, value_name = "COUNT")]
    rate: u32,

    /// Seconds of the stream, each bitrate
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

fn main() -> Result<()> {
    let Flags { bitrate, rate, seconds } = Flags::parse();
    for paced in [true, false] {
        for &bitrate_kbit_s in &bitrate {
            let cost = Sealing { bitrate_kbit_s, rate, seconds, key_interval: 2 * rate, paced }.measure()?;
            println!("{}", serde_json::to_string(&cost)?);
        }
    }
    Ok(())
}
