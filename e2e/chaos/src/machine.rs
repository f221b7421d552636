//! The machine and the build that were measured, in words.

use std::{fs, process::Command};

use crate::figure::{Around, Build};

/// Clock ticks of a second in /proc, on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

/// What it is.
#[must_use]
pub fn describe() -> Vec<(String, String)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let models: Vec<_> = cpuinfo
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split(": ").nth(1))
        .collect();
    let memory_kib: f64 = read("/proc/meminfo")
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
        .unwrap_or_default();
    let release = read("/etc/os-release");
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("unknown");
    [
        (
            "Processor",
            format!("{} cores of {} ({})", models.len(), models.first().unwrap_or(&"unknown"), std::env::consts::ARCH),
        ),
        ("Memory", format!("{:.1} GiB", memory_kib / 1024.0 / 1024.0)),
        ("System", format!("{}, Linux {}", name.trim_matches('"'), read("/proc/sys/kernel/osrelease").trim())),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// What was built. `optimised`: the binaries are.
#[must_use]
pub fn build(optimised: bool) -> Build {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let commit = git(&["rev-parse", "--short", "HEAD"]);
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"]).is_empty();
    Build { commit: if changed { format!("{commit}+") } else { commit }, optimised }
}

/// What is measured around a scene.
#[derive(Debug)]
pub struct Surroundings {
    load: f64,
    busy_s: f64,
    own_s: f64,
    begun: std::time::Instant,
}

impl Surroundings {
    /// Begins.
    #[must_use]
    pub fn begin() -> Self {
        Self { load: load(), busy_s: busy_s(), own_s: own_s(), begun: std::time::Instant::now() }
    }

    /// What it was like. The scene's servers must have ended: their time counts as its own then.
    #[must_use]
    pub fn end(&self) -> Around {
        let others = busy_s() - self.busy_s - (own_s() - self.own_s);
        let others_cores = (others / self.begun.elapsed().as_secs_f64()).max(0.0);
        Around { load_before: self.load, load_after: load(), others_cores }
    }
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// Time that all cores have worked.
fn busy_s() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let ticks: Vec<f64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|t| t.parse().ok()).collect();
    // user, nice, system, then idle and waiting, then interrupts; time stolen by other machines and guests is not counted again.
    let worked = ticks.iter().enumerate().filter(|(n, _)| matches!(n, 0..=2 | 5 | 6)).map(|(_, ticks)| ticks);
    worked.sum::<f64>() / TICKS_PER_SECOND
}

/// Time of this process and of its children that have ended.
fn own_s() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(4).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}
