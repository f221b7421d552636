//! Results are kept beside the document they make, so that a run of some scenes leaves the others' figures standing.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

use crate::{
    figure::{CALM_CORES_MAX, Figure},
    programme::Act,
};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Results {
    machine: Vec<(String, String)>,
    figures: Vec<Figure>,
}

/// The figures of earlier runs.
///
/// # Errors
/// When there is a file that can't be read.
pub fn read(folder: &Path) -> io::Result<Vec<Figure>> {
    match fs::read_to_string(folder.join("resilience.json")) {
        Ok(text) => Ok(serde_json::from_str::<Results>(&text)?.figures),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(vec![]),
        Err(error) => Err(error),
    }
}

/// Earlier figures, with the new ones of a scene in place of all that it gave before.
#[must_use]
pub fn merge(earlier: Vec<Figure>, scene: &str, now: Vec<Figure>) -> Vec<Figure> {
    earlier.into_iter().filter(|figure| figure.scene != scene).chain(now).collect()
}

/// Writes both files.
///
/// # Errors
/// When they can't be written.
pub fn write(folder: &Path, acts: &[Act], machine: &[(String, String)], figures: &[Figure]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let place = |figure: &Figure| acts.iter().position(|act| act.name == figure.scene);
    let mut figures: Vec<_> = figures.iter().filter(|figure| place(figure).is_some()).cloned().collect();
    figures.sort_by_key(|figure| place(figure));
    let text = document(acts, machine, &figures);
    let results = Results { machine: machine.to_vec(), figures };
    fs::write(folder.join("resilience.json"), format!("{}\n", serde_json::to_string_pretty(&results)?))?;
    fs::write(folder.join("resilience.md"), text)
}

fn document(acts: &[Act], machine: &[(String, String)], figures: &[Figure]) -> String {
    let mut titles: Vec<&str> = acts.iter().map(|act| act.title).collect();
    titles.dedup();
    let sections = titles.iter().filter_map(|title| {
        let scenes: Vec<_> = acts.iter().filter(|act| act.title == *title).map(|act| act.name).collect();
        let own: Vec<_> = figures.iter().filter(|figure| scenes.contains(&figure.scene.as_str())).collect();
        (!own.is_empty()).then(|| format!("## {title}\n\n{}", table(&own)))
    });
    let machine = machine.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    format!(
        "# Resilience\n\n\
         Measured, not estimated; written by `make chaos`. Real directories and relays are killed, drained, cut off, overloaded and \
         brought\nback under a live stream, before protocol viewers that check the header of every chunk, and before a few pages in \
         headless\nChromium. A stall is the longest time between two new pictures that a viewer could show, the usual 33 ms \
         included, around\neach time something broke; percentiles are over all viewers and all times. A chunk that was made while \
         the stream had\nnowhere to go counts as missing. Everything shares the machine's cores. To run again: `make chaos`; one \
         scene:\n`cargo run --release -p chaos -- origin_killed` after `cargo build --release`.\n\n{}\n\n{}\n\n{}\n",
        verdict(figures),
        rows(&["", ""], machine),
        sections.collect::<Vec<_>>().join("\n\n"),
    )
}

/// What the reader must know before quoting a figure.
fn verdict(figures: &[Figure]) -> String {
    let missed: Vec<_> = figures.iter().filter(|figure| figure.is_met() == Some(false)).collect();
    let held = figures.iter().filter(|figure| figure.is_met() == Some(true)).count();
    let mut sentences = vec![format!("**{held} of {} targets are met.**", held + missed.len())];
    if !missed.is_empty() {
        let what: Vec<_> = missed.iter().map(|figure| figure.finding.what.as_str()).collect();
        sentences.push(format!("Missed: {}.", what.join("; ")));
    }
    let busy: Vec<_> = figures.iter().filter(|figure| figure.is_busy()).collect();
    if !busy.is_empty() {
        let worst = busy.iter().map(|figure| figure.around.others_cores).fold(0.0, f64::max);
        sentences.push(format!(
            "**The machine was not calm:** during the scenes of {} of {} figures, marked †, other programs used more than \
             {CALM_CORES_MAX} of a core (up to {worst:.2}). Their times say little about the product.",
            busy.len(),
            figures.len()
        ));
    }
    let quick = figures.iter().filter(|figure| figure.quick).count();
    if quick > 0 {
        sentences.push(format!("**{quick} figures, marked ‡, come from a quick run** and are too few to be quoted."));
    }
    let slow = figures.iter().filter(|figure| !figure.build.optimised).count();
    if slow > 0 {
        sentences.push(format!("**{slow} figures, marked §, are not of the release build.**"));
    }
    sentences.join(" ")
}

fn table(figures: &[&Figure]) -> String {
    let cells = figures.iter().map(|figure| {
        let mut marks = String::new();
        for (mark, holds) in [("†", figure.is_busy()), ("‡", figure.quick), ("§", !figure.build.optimised)] {
            if holds {
                marks.push_str(&format!(" {mark}"));
            }
        }
        let met = if figure.is_met() == Some(true) { "met" } else { "**missed**" };
        let finding = &figure.finding;
        let around = &figure.around;
        vec![
            finding.what.clone(),
            format!("**{}**{marks}", finding.result),
            finding.target.as_ref().map(|target| format!("{}: {met}", target.text)).unwrap_or_default(),
            finding.notes.clone(),
            format!("{:.2} → {:.2}, {:.2}", around.load_before, around.load_after, around.others_cores),
            format!("{}, {}", figure.at.chars().take(16).collect::<String>().replace('T', " "), figure.build.commit),
        ]
    });
    let head =
        ["what", "result", "target", "more", "load average before → after, cores used by others", "when (UTC), commit"];
    rows(&head, cells)
}

fn rows(head: &[&str], body: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let head: Vec<_> = head.iter().map(|&cell| cell.to_owned()).collect();
    let rule = vec!["---".to_owned(); head.len()];
    [head, rule].into_iter().chain(body).map(|cells| line(&cells)).collect::<Vec<_>>().join("\n")
}
