//! The `chaos` command: plays scenes and writes `docs/resilience.md`.

use std::{path::PathBuf, process::ExitCode};

use chaos::{
    figure::{Figure, Finding},
    iso_time,
    machine::{self, Surroundings},
    programme::{Act, acts},
    results,
};
use clap::Parser;

/// Kills, drains and cuts off the real servers under live streams, says what viewers noticed, and writes it down.
///
/// The servers are those of the same build; PROFILE=release or BINARIES=FOLDER name others.
#[derive(Debug, Parser)]
struct Arguments {
    /// The scenes; all of them when none is named
    scenes: Vec<String>,

    /// Fewer viewers and fewer deaths: minutes instead of an hour
    #[arg(long)]
    quick: bool,

    /// Where resilience.md and resilience.json are written
    #[arg(long, default_value = "docs", value_name = "FOLDER")]
    to: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let all = acts();
    let unknown: Vec<_> =
        arguments.scenes.iter().filter(|name| all.iter().all(|act| act.name != name.as_str())).collect();
    if !unknown.is_empty() {
        let names: Vec<_> = all.iter().map(|act| act.name).collect();
        eprintln!("no such scene: {unknown:?}; there are {}", names.join(", "));
        return ExitCode::from(2);
    }
    // Thousands of viewers are as many files.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        eprintln!("the limit of open files stays low: {error}");
    }
    let chosen: Vec<_> = all
        .iter()
        .filter(|act| arguments.scenes.is_empty() || arguments.scenes.iter().any(|name| name == act.name))
        .cloned()
        .collect();
    match run(&arguments, &all, chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays them one after the other; whether all could be played to their end.
fn run(arguments: &Arguments, all: &[Act], chosen: Vec<Act>) -> std::io::Result<bool> {
    let machine = machine::describe();
    let build = machine::build(is_optimised());
    let mut figures = results::read(&arguments.to)?;
    let mut all_played = true;
    for act in chosen {
        println!("\n{}", act.name);
        let surroundings = Surroundings::begin();
        // A thread and a runtime of its own: nothing of one scene is left in the next.
        let runtime = tokio::runtime::Runtime::new()?;
        let (play, quick) = (act.play, arguments.quick);
        let played = std::thread::spawn(move || runtime.block_on(play(quick))).join();
        let around = surroundings.end();
        let Ok(found) = played else {
            all_played = false;
            eprintln!("  could not be played to its end");
            continue;
        };
        let at = iso_time(chaos::now_us() / 1_000_000);
        found.iter().for_each(print);
        println!(
            "  load {:.2} → {:.2}, others {:.2} cores",
            around.load_before, around.load_after, around.others_cores
        );
        let figure = |finding| Figure {
            finding,
            scene: act.name.to_owned(),
            around: around.clone(),
            at: at.clone(),
            build: build.clone(),
            quick,
        };
        figures = results::merge(figures, act.name, found.into_iter().map(figure).collect());
        results::write(&arguments.to, all, &machine, &figures)?;
    }
    println!("\nWritten to {}.", arguments.to.join("resilience.md").display());
    Ok(all_played)
}

fn print(finding: &Finding) {
    let met = match finding.is_met() {
        None => "",
        Some(true) => ": met",
        Some(false) => ": MISSED",
    };
    let target = finding.target.as_ref().map_or("", |target| &target.text);
    println!("  {}\n    {}   {target}{met}\n    {}", finding.what, finding.result, finding.notes);
}

/// Whether the binaries that run are optimised.
fn is_optimised() -> bool {
    match (std::env::var_os("BINARIES"), std::env::var_os("PROFILE")) {
        (Some(folder), _) => PathBuf::from(folder).ends_with("release"),
        (None, Some(profile)) => profile == "release",
        (None, None) => !cfg!(debug_assertions),
    }
}
