//! What a scene gives, and what was going on around it.

use serde::{Deserialize, Serialize};

use crate::tape::Outcome;

/// One line of the results, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Figure {
    /// What was found.
    #[serde(flatten)]
    pub finding: Finding,
    /// The scene, as on the command line.
    pub scene: String,
    /// The machine around it.
    pub around: Around,
    /// When, ISO 8601.
    pub at: String,
    /// What was measured.
    pub build: Build,
    /// Too short to be quoted.
    pub quick: bool,
}

/// A figure before the machine around it is added.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Stable: a later run of the same scene replaces the figure of this name.
    pub id: String,
    /// What was measured, for people.
    pub what: String,
    /// What came out, for people.
    pub result: String,
    /// The one number that is held against the target.
    pub value: f64,
    /// The target, when there is one.
    pub target: Option<Target>,
    /// How, and what else was seen.
    pub notes: String,
}

/// A bound: the value may at most be this.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// The bound.
    pub max: f64,
    /// For people.
    pub text: String,
}

/// The version that a figure is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Build {
    /// With "+" when there were changes that are not committed.
    pub commit: String,
    /// The release build.
    pub optimised: bool,
}

/// The machine around a measurement.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Around {
    /// The load average before it.
    pub load_before: f64,
    /// And after it.
    pub load_after: f64,
    /// What processes other than the scene's own used meanwhile, in cores.
    pub others_cores: f64,
}

/// More than this used by others, in cores, is not a calm machine.
pub const CALM_CORES_MAX: f64 = 0.15;

impl Figure {
    /// Whether others were in the way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.around.others_cores > CALM_CORES_MAX
    }

    /// Whether the target is met, when there is one.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        self.finding.is_met()
    }
}

impl Finding {
    /// Whether the target is met, when there is one.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        self.target.as_ref().map(|target| self.value <= target.max)
    }

    /// Something that is counted and should not be there at all.
    #[must_use]
    pub fn none(id: &str, what: &str, count: u64, result: String, notes: String) -> Self {
        Self {
            id: id.into(),
            what: what.into(),
            result,
            value: count as f64,
            target: Some(Target { max: 0.0, text: "none".into() }),
            notes,
        }
    }

    /// A time in milliseconds, and the longest it may be.
    #[must_use]
    pub fn time(id: &str, what: &str, value_ms: f64, max_ms: f64, result: String, notes: String) -> Self {
        let text = if max_ms < 1000.0 { format!("≤ {max_ms} ms") } else { format!("≤ {} s", max_ms / 1000.0) };
        let target = Some(Target { max: max_ms, text });
        Self { id: id.into(), what: what.into(), result, value: value_ms, target, notes }
    }
}

/// What is asked of a scene.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// The longest stall that 19 of 20 may have, in milliseconds.
    pub stall_p95_ms: f64,
    /// Whether every chunk has to be shown.
    pub every_chunk: bool,
}

/// How much longer chunks may take after something broke than before: a picture or two.
const LATENCY_CHANGE_MS_MAX: f64 = 50.0;

/// The lines of an outcome. `what` says what was done.
#[must_use]
pub fn findings(id: &str, what: &str, outcome: &Outcome, wanted: Wanted) -> Vec<Finding> {
    let Outcome {
        viewers, events, stalls, lost, reloads, due, missing, repeated, disordered, skipped, overlap, ..
    } = outcome;
    let mut gave_up = outcome.gave_up.clone();
    gave_up.sort();
    gave_up.dedup();
    let why = if gave_up.is_empty() { String::new() } else { format!("They gave up: {}.", gave_up.join(", ")) };
    let mut missing_notes = format!("{skipped} that relays say they left out; {overlap} came over two connections.");
    let source = outcome.source_gap_ms.map_or_else(
        || {
            missing_notes.push_str(" What was made is known from what any viewer was shown.");
            String::new()
        },
        |ms| format!(" The source itself paused for at most {ms:.0} ms."),
    );
    let missing_result = format!("{missing} of {due}");
    let mut chunks = Finding::none(
        &format!("{id}.missing"),
        &format!("{what}: chunks that were made and not shown"),
        *missing,
        missing_result,
        missing_notes,
    );
    if !wanted.every_chunk {
        chunks.target = None;
    }
    vec![
        Finding::time(
            &format!("{id}.stall"),
            &format!("{what}: longest time without a new picture"),
            stalls.p95_ms,
            wanted.stall_p95_ms,
            stalls.to_string(),
            format!("{viewers} viewers, {events} times; the target is for p95.{source}"),
        ),
        Finding::none(
            &format!("{id}.lost"),
            &format!("{what}: viewers lost"),
            *lost as u64,
            format!("{lost} of {viewers}"),
            format!("{reloads} reloads. {why}").trim().to_owned(),
        ),
        chunks,
        Finding::none(
            &format!("{id}.order"),
            &format!("{what}: chunks sent twice or out of order over one connection"),
            repeated + disordered,
            format!("{repeated} and {disordered}"),
            String::new(),
        ),
        Finding::time(
            &format!("{id}.latency"),
            &format!("{what}: latency afterwards, compared with before"),
            outcome.latency_change_ms,
            LATENCY_CHANGE_MS_MAX,
            format!("{:+.1} ms", outcome.latency_change_ms),
            "The median of all viewers over a second; the worst of all times.".into(),
        ),
    ]
}
