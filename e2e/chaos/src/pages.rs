//! The product's own player, in pages of a headless Chromium: a few of them watch beside the protocol viewers.

use std::{path::Path, process::Stdio, time::Duration};

use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use crate::{
    stalls::{Distribution, longest_gap},
    tape::Event,
};

/// Longest wait for pages to play, and for what they say.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(90);

/// Pages that watch. They end when this is dropped.
#[derive(Debug)]
pub struct Pages {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    count: usize,
}

/// What one page showed.
#[derive(Debug, Clone, Deserialize)]
pub struct Page {
    /// When there was a new picture: milliseconds since the Unix epoch.
    pub frames: Vec<u64>,
    /// What its player said it was doing, whenever that changed.
    pub states: Vec<String>,
    /// Since when, likewise, the picture was how wide.
    pub widths: Vec<(u64, u32)>,
    /// How often the page was loaded.
    pub documents: u32,
}

#[derive(Deserialize)]
struct Widths {
    widths: Vec<u32>,
}

impl Pages {
    /// Opens so many; they all play when this returns.
    ///
    /// # Panics
    /// When they don't: node, the packages of `e2e` and Chromium have to be there.
    pub async fn open(link: &str, count: usize) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut command = Command::new("node");
        command.args(["--import", "tsx", "src/watching_pages.ts", link, &count.to_string()]).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("node can't be started: {error}"));
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else { panic!("pipes to node") };
        let mut pages = Self { child, input, lines: BufReader::new(output).lines(), count };
        let playing = pages.line().await;
        assert!(playing.contains("playing"), "pages that play, not {playing}");
        pages
    }

    /// How wide the picture is in each page.
    pub async fn widths(&mut self) -> Vec<u32> {
        self.input.write_all(b"\n").await.unwrap_or_else(|error| panic!("the pages have ended: {error}"));
        read::<Widths>(&self.line().await).widths
    }

    /// Closes them; what they showed.
    pub async fn close(mut self) -> Vec<Page> {
        let mut seen = vec![];
        drop(self.input);
        for _ in 0..self.count {
            let line = timeout(ANSWER_TIME_MAX, self.lines.next_line()).await;
            let line = line.ok().and_then(Result::ok).flatten().unwrap_or_else(|| panic!("a page has ended"));
            seen.push(read(&line));
        }
        let _ = timeout(ANSWER_TIME_MAX, self.child.wait()).await;
        seen
    }

    async fn line(&mut self) -> String {
        let line = timeout(ANSWER_TIME_MAX, self.lines.next_line()).await;
        line.ok().and_then(Result::ok).flatten().unwrap_or_else(|| panic!("the pages say nothing"))
    }
}

fn read<'line, T: Deserialize<'line>>(line: &'line str) -> T {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

/// The longest time without a new picture, of each page at each event.
#[must_use]
pub fn stalls(pages: &[Page], events: &[Event]) -> Distribution {
    let mut gaps = vec![];
    for page in pages {
        let times: Vec<u64> = page.frames.iter().map(|ms| ms * 1000).collect();
        gaps.extend(events.iter().map(|event| longest_gap(&times, event.from_us, event.to_us)));
    }
    Distribution::of(gaps)
}
