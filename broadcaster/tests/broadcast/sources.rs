//! Screens that are captured, fail and come back.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use broadcaster::{BroadcastState, SoundChoice, SourceChoice};
use protocol::{TrackNumber, control::ToBroadcaster};

use super::{
    Folder, assert_well_formed, children, chunks, decoded_frames,
    fake::{FakeDirectory, FakeRelay, Media, Publisher, track_bytes, wait_for},
    make_film, signal,
};

/// An X server of the test's own.
pub(super) struct Display {
    server: std::process::Child,
    pub(super) name: String,
}

impl Display {
    pub(super) fn start() -> Self {
        Self::start_as(None, "800x600")
    }

    /// The same, with this name where there is one, and of this size.
    pub(super) fn start_as(name: Option<&str>, size: &str) -> Self {
        let mut server = Command::new("Xvfb")
            .args(name)
            .args(["-displayfd", "1", "-screen", "0", &format!("{size}x24"), "-nolisten", "tcp", "-noreset"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        let mut name = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut name).unwrap();
        Self { server, name: format!(":{}", name.trim()) }
    }

    /// The `broadcast` command, which sends this display.
    pub(super) fn broadcast(&self, directory: &FakeDirectory) -> Command {
        let mut command = directory.command();
        command.args(["--source", "screen", "--duration", "120"]).env("DISPLAY", &self.name);
        command.env_remove("WAYLAND_DISPLAY").env_remove("XDG_SESSION_TYPE");
        command
    }

    pub(super) fn colour(&self, colour: &str) {
        let status = Command::new("xsetroot").args(["-display", &self.name, "-solid", colour]).status();
        assert!(status.expect("xsetroot is installed").success());
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The colour near a corner (the pointer is in the middle) of the last frame: red, green, blue.
fn last_colour(bytes: &[u8], folder: &Path) -> [u8; 3] {
    let file = folder.join("screen.mp4");
    std::fs::write(&file, bytes).unwrap();
    let decode =
        ["-v", "error", "-i", file.to_str().unwrap(), "-vf", "crop=2:2:20:20,format=rgb24", "-f", "rawvideo", "-"];
    let output = Command::new("ffmpeg").args(decode).stdin(Stdio::null()).output().unwrap();
    let [r, g, b] = *output.stdout.last_chunk::<3>().unwrap();
    [r, g, b]
}

#[tokio::test]
async fn screen_is_captured_and_costs_next_to_nothing_while_it_is_still() {
    let display = Display::start();
    display.colour("#204060");
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let mut command = display.broadcast(&directory).spawn().unwrap();
    let mut publisher = relay.publisher().await;
    assert_eq!((publisher.tracks[0].width, publisher.tracks[0].height), (800, 600));
    let mut media = publisher.take(1, 15).await;
    let frames = chunks(&media, 1);
    let mut gaps_ms: Vec<u64> =
        frames.windows(2).map(|pair| (pair[1].header.captured_at_us - pair[0].header.captured_at_us) / 1_000).collect();
    gaps_ms.sort_unstable();
    let gap_ms = gaps_ms[gaps_ms.len() / 2];
    assert!((250..=450).contains(&gap_ms), "still: about 3 frames/s: {gaps_ms:?}");
    let bytes: usize = frames[5..].iter().map(|media| media.payload.len()).sum();
    assert!(bytes < 20_000, "{bytes}");

    display.colour("#c08020");
    media.extend(publisher.take(1, 5).await);
    let folder = Folder::new("screen");
    let [r, g, b] = last_colour(&track_bytes(&media, 1), &folder.0);
    assert!(r.abs_diff(0xc0) < 12 && g.abs_diff(0x80) < 12 && b.abs_diff(0x20) < 12, "{r} {g} {b}");
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &folder), 20);
    command.kill().unwrap();
    command.wait().unwrap();
}

/// Reads media up to the first chunk that `condition` holds of.
async fn take_to(publisher: &mut Publisher, condition: impl Fn(&Media) -> bool) -> Vec<Media> {
    let mut media = Vec::new();
    while !media.last().is_some_and(&condition) {
        media.extend(publisher.take(1, 1).await);
    }
    media
}

#[tokio::test]
async fn display_that_is_gone_is_waited_for_and_the_stream_goes_on_with_a_key_frame() {
    let display = Display::start();
    let name = display.name.clone();
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let mut command = display.broadcast(&directory).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(command.stderr.take().unwrap()).lines();
    let mut publisher = relay.publisher().await;
    let mut media = publisher.take(1, 10).await;
    drop(display);
    // All that it says is read: it must not stand before a pipe that nobody reads.
    let (says, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(says.send(line))));
    let said = loop {
        // The connection lives without media.
        if let Ok(Some(more)) = tokio::time::timeout(Duration::from_millis(300), publisher.next()).await {
            media.push(more);
        }
        if let Some(said) = said.try_iter().find(|line| line.starts_with("There is no picture")) {
            break said;
        }
    };
    assert!(said.contains(&name) && said.ends_with("the stream stays meanwhile."), "{said}");
    let _display = Display::start_as(Some(&name), "800x600");
    let segment = chunks(&media, 1).last().unwrap().header.segment;
    media.extend(take_to(&mut publisher, |media| media.header.key && media.header.segment > segment).await);
    media.extend(publisher.take(1, 10).await);
    assert_well_formed(&media, 1);
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &Folder::new("gone")), chunks(&media, 1).len());
    command.kill().unwrap();
    command.wait().unwrap();
}

#[tokio::test]
async fn encoder_that_dies_or_hangs_is_replaced() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    let mut media = publisher.take(1, 40).await;
    for name in ["KILL", "STOP"] {
        let encoder = children(std::process::id())[0];
        signal(name, encoder);
        let mut status = broadcast.status();
        let stalled = wait_for(&mut status, |status| status.sentence.starts_with("There is no picture"));
        tokio::pin!(stalled);
        let status = loop {
            tokio::select! {
                status = &mut stalled => break status,
                more = publisher.next() => media.extend(more),
            }
        };
        assert_eq!(status.state, BroadcastState::Stalled);
        let segment = chunks(&media, 1).last().unwrap().header.segment;
        media.extend(take_to(&mut publisher, |media| media.header.key && media.header.segment > segment).await);
        media.extend(publisher.take(1, 70).await);
        assert!(!children(std::process::id()).contains(&encoder));
    }
    assert_well_formed(&media, 1);
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &Folder::new("replaced")), chunks(&media, 1).len());
}

#[tokio::test]
async fn key_frame_of_a_film_comes_when_it_is_wanted_without_a_frame_lost_or_shown_twice() {
    let folder = Folder::new("wanted-film");
    let film = make_film(&folder, 20);
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let _broadcast = directory.broadcast(SourceChoice::File { path: film, repeat: false }, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    let mut media = publisher.take(1, 65).await;
    publisher.say(&ToBroadcaster::KeyFrameWanted { track: TrackNumber(1) }).await;
    media.extend(publisher.take(1, 150).await);
    assert_well_formed(&media, 1);
    let keys: Vec<u64> =
        chunks(&media, 1).into_iter().filter(|m| m.header.key).map(|m| m.header.captured_at_us).collect();
    assert!(keys.windows(2).any(|pair| pair[1] - pair[0] < 1_900_000), "one came early: {keys:?}");
    // When the first frames were played is known by and by: the least delayed arrival tells.
    let frames = chunks(&media, 1);
    let moments: Vec<u64> = frames[60..].iter().map(|media| media.header.captured_at_us).collect();
    let span = (moments[moments.len() - 1] - moments[0]) as f64 / 1e6 * 30.0;
    assert!((span - (moments.len() - 1) as f64).abs() < 3.0, "{span} {}", moments.len());
    assert!(moments.windows(2).all(|pair| pair[1] - pair[0] < 120_000), "{moments:?}");
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &folder), frames.len());
}
