//! The `chaos` command: plays scenes and writes `docs/resilience.md`.

use std::{path::PathBuf, process::ExitCode};

use chaos::{
    figure::{Build, Figure, Finding},
    iso_time,
    machine::{self, Surroundings},
    programme::{Act, acts},
    progress, results,
};
use clap::Parser;

/// Kills, drains and cuts off the real servers under live streams, says what viewers noticed, and writes it down.
///
/// The servers are those of the same build; PROFILE=release or BINARIES=FOLDER name others.
#[derive(Debug, Parser)]
struct Arguments {
    /// The scenes; all of them when none is named
    scenes: Vec<String>,

    /// Fewer viewers and fewer deaths: a few minutes instead of half an hour
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

/// One scene, played in a thread and a runtime of its own: nothing of it is left in the next.
struct Playing {
    act: Act,
    surroundings: Surroundings,
    thread: std::thread::JoinHandle<Vec<Finding>>,
}

impl Playing {
    fn begin(act: Act, quick: bool) -> std::io::Result<Self> {
        let surroundings = Surroundings::begin();
        let runtime = tokio::runtime::Runtime::new()?;
        let play = act.play;
        let thread = std::thread::spawn(move || runtime.block_on(play(quick)));
        Ok(Self { act, surroundings, thread })
    }

    /// Waits for its end; its figures, when it came to one.
    fn end(self, build: &Build, quick: bool) -> Option<Vec<Figure>> {
        let Self { act, surroundings, thread } = self;
        let played = thread.join();
        let around = surroundings.end();
        let Ok(found) = played else {
            eprintln!("  {} could not be played to its end", act.name);
            return None;
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
        Some(found.into_iter().map(figure).collect())
    }
}

/// Plays them one after the other, and beside them those that mostly wait; whether all could be played to their end.
fn run(arguments: &Arguments, all: &[Act], chosen: Vec<Act>) -> std::io::Result<bool> {
    let machine = machine::describe();
    let build = machine::build(is_optimised());
    let quick = arguments.quick;
    let mut figures = results::read(&arguments.to)?;
    let mut all_played = true;
    progress::begin();
    let count = chosen.len();
    let (beside, chosen): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|act| act.beside);
    let mut beside = beside.into_iter().map(|act| Playing::begin(act, quick)).collect::<std::io::Result<Vec<_>>>()?;
    for playing in &beside {
        println!("\n{}, beside the others", playing.act.name);
    }
    let mut chosen = chosen.into_iter();
    for n in 1.. {
        let playing = match chosen.next() {
            Some(act) => {
                println!("\n{n} of {count}: {}", act.name);
                Playing::begin(act, quick)?
            }
            None => match beside.pop() {
                Some(playing) => {
                    println!("\n{n} of {count}: {}, to its end", playing.act.name);
                    playing
                }
                None => break,
            },
        };
        let name = playing.act.name;
        match playing.end(&build, quick) {
            Some(found) => {
                figures = results::merge(figures, name, found);
                results::write(&arguments.to, all, &machine, &figures)?;
            }
            None => all_played = false,
        }
    }
    let seconds = progress::elapsed_s();
    println!("\n{} min {} s. Written to {}.", seconds / 60, seconds % 60, arguments.to.join("resilience.md").display());
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
