//! Broadcasts with the real ffmpeg to a relay and a directory inside the test.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod fake;
mod networks;
mod resilience;
mod small_picture;
mod sources;
mod transports;
mod trust;
#[cfg(target_os = "linux")]
mod watched_screen;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::atomic::Ordering,
    time::Duration,
};

use broadcaster::{BroadcastState, SoundChoice, SourceChoice};
use fake::{FakeDirectory, FakeRelay, Media, chunks, now_us, track_bytes, wait_for, wait_for_state};
use protocol::{ErrorCode, MediaKind, TrackNumber, control::ToBroadcaster};

/// A folder of the test's own, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("broadcaster-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs a tool that must succeed and must not warn; what it prints.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaint.is_empty(), "{program} {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

/// How many frames (or packets of sound) ffmpeg decodes from one track's bytes, without a warning.
fn decoded_frames(bytes: &[u8], folder: &Folder) -> usize {
    let file = folder.0.join("track.mp4");
    std::fs::write(&file, bytes).unwrap();
    let file = file.to_str().unwrap();
    // Times are kept as they are: ffmpeg would round them to a frame rate that it guesses.
    let keep_times = ["-fps_mode", "passthrough", "-enc_time_base", "1:1000000"];
    run("ffmpeg", &[&["-v", "warning", "-i", file][..], &keep_times, &["-f", "null", "-"]].concat());
    let count = ["-v", "warning", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", file];
    run("ffprobe", &count).trim().trim_end_matches(',').parse().unwrap()
}

/// Checks what a relay demands: numbers that grow, a key frame first, times that grow.
fn assert_well_formed(media: &[Media], track: u16) {
    let mut previous: Option<&Media> = None;
    for media in chunks(media, track) {
        let header = media.header;
        match previous.map(|previous| previous.header) {
            None => assert!(header.key && header.chunk == 0),
            Some(before) if header.key => assert!(header.segment > before.segment && header.chunk == 0),
            Some(before) => assert_eq!((header.segment, header.chunk), (before.segment, before.chunk + 1)),
        }
        if let Some(previous) = previous {
            assert!(header.captured_at_us > previous.header.captured_at_us);
        }
        previous = Some(media);
    }
}

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let processes =
        std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter(|&pid: &u32| stat(pid).is_some_and(|(state, ppid)| ppid == parent && state != 'Z')).collect()
}

/// State and parent of a process.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Sends a signal to a process of this test.
fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status().unwrap();
    assert!(status.success());
}

async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the condition within the test's patience");
}

#[tokio::test]
async fn test_picture_arrives_frame_by_frame_and_decodes_without_a_warning() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    assert_eq!(publisher.tracks.len(), 1);
    assert!(publisher.tracks[0].is_well_formed() && publisher.tracks[0].codec.starts_with("avc1."));
    assert_eq!((publisher.tracks[0].width, publisher.tracks[0].height), (1280, 720));

    let media = publisher.take(1, 130).await;
    assert_eq!(media.iter().filter(|media| media.header.kind == MediaKind::Init).count(), 1);
    assert_well_formed(&media, 1);
    let keys: Vec<_> = chunks(&media, 1).into_iter().filter(|media| media.header.key).collect();
    for pair in keys.windows(2) {
        let apart_us = pair[1].header.captured_at_us - pair[0].header.captured_at_us;
        assert!((1_900_000..2_300_000).contains(&apart_us), "{apart_us}");
    }
    assert!(keys.len() >= 2);
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &Folder::new("test-picture")), 130);

    let status = wait_for_state(&broadcast, BroadcastState::Live).await;
    assert_eq!((status.width, status.height, status.dropped_frames), (1280, 720, 0));
    assert!(status.watch_link.expose().ends_with(&format!("/view/{}", status.stream)));
    drop(publisher);
}

#[tokio::test]
async fn broadcast_is_live_only_while_the_relay_confirms() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.confirms = false;
    publisher.take(1, 5).await;
    assert_eq!(broadcast.status().borrow().state, BroadcastState::Connecting);
    for _ in 0..2 {
        publisher.confirms = true;
        publisher.read_until(wait_for_state(&broadcast, BroadcastState::Live)).await;
        // The relay is alive, and the encoder goes on; only nothing arrives any more.
        publisher.confirms = false;
        publisher.read_until(wait_for_state(&broadcast, BroadcastState::Stalled)).await;
    }
}

#[tokio::test]
async fn stopping_tells_everybody_and_leaves_no_process() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    assert_eq!(children(std::process::id()).len(), 1);
    let mut status = broadcast.status();
    let relay_side = async { while publisher.next().await.is_some() {} };
    tokio::join!(broadcast.stop(), relay_side);
    assert_eq!(directory.ended.load(Ordering::SeqCst), 1);
    assert!(children(std::process::id()).is_empty());
    let last = wait_for(&mut status, |status| status.state == BroadcastState::Ended).await;
    assert!(!last.failed);
}

#[tokio::test]
async fn killed_command_leaves_no_process() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let mut command = directory.command().args(["--source", "test"]).spawn().unwrap();
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    let ffmpegs = children(command.id());
    assert_eq!(ffmpegs.len(), 1);
    command.kill().unwrap();
    command.wait().unwrap();
    until(|| ffmpegs.iter().all(|&pid| stat(pid).is_none_or(|(state, _)| state == 'Z'))).await;
}

#[tokio::test]
async fn refused_ticket_is_exchanged_before_another_relay_is_tried() {
    for code in [ErrorCode::PublisherPresent, ErrorCode::StaleEpoch, ErrorCode::TicketExpired] {
        let (first, second) = (FakeRelay::start().await, FakeRelay::start().await);
        let directory = FakeDirectory::start(&[&first, &second]).await;
        let _broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
        first.hello().await.refuse(code).await;
        assert_eq!(first.publisher().await.ticket.expose(), "ticket 2");
        assert_eq!(directory.assignments.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn relay_that_does_not_read_costs_segments_and_no_more() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    publisher.take(1, 3).await;
    // Nothing is read until the socket is full and segments are left out.
    let mut status = broadcast.status();
    publisher.pretend_until(wait_for(&mut status, |status| status.dropped_segments >= 1)).await;
    // Everything from before that moment, and what was left out of it, is past with the first key frame from after it.
    let dropped_at_us = now_us();
    let mut media = Vec::new();
    while media.last().is_none_or(|m: &Media| !(m.header.key && m.header.captured_at_us > dropped_at_us)) {
        media.extend(publisher.take(1, 1).await);
    }
    media.extend(publisher.take(1, 10).await);
    let mut previous: Option<&Media> = None;
    for media in chunks(&media, 1) {
        let follows = previous.is_none_or(|previous| {
            (previous.header.segment, previous.header.chunk + 1) == (media.header.segment, media.header.chunk)
        });
        assert!(follows || media.header.key, "after a loss a key frame is first: {:?}", media.header);
        previous = Some(media);
    }
    assert!(status.borrow().dropped_frames > 0);
}

#[tokio::test]
async fn key_frame_comes_when_it_is_wanted() {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let _broadcast = directory.broadcast(SourceChoice::Test, SoundChoice::None).await;
    let mut publisher = relay.publisher().await;
    let mut media = publisher.take(1, 5).await;
    publisher.say(&ToBroadcaster::KeyFrameWanted { track: TrackNumber(1) }).await;
    let asked_us = now_us();
    loop {
        media.extend(publisher.take(1, 1).await);
        if media.last().is_some_and(|media| media.header.key) {
            break;
        }
    }
    let waited_us = now_us() - asked_us;
    assert!(waited_us < 1_900_000, "{waited_us}");
    media.extend(publisher.take(1, 70).await);
    assert_well_formed(&media, 1);
    let frames = chunks(&media, 1);
    for pair in frames.windows(2) {
        let gap_us = pair[1].header.captured_at_us - pair[0].header.captured_at_us;
        assert!(gap_us < 1_500_000, "{gap_us}"); // a busy machine delays the first encoder, not the second
    }
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &Folder::new("wanted")), frames.len());
}

/// A film of so many seconds, with sound.
fn make_film(folder: &Folder, seconds: u32) -> PathBuf {
    let film = folder.0.join("film.mp4");
    let picture = format!("testsrc2=size=640x360:rate=30:duration={seconds}");
    let sound = format!("sine=frequency=880:sample_rate=44100:duration={seconds}");
    let make =
        ["-v", "error", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &sound, "-c:v", "libx264", "-preset"];
    run("ffmpeg", &[&make[..], &["ultrafast", "-c:a", "aac", film.to_str().unwrap()]].concat());
    film
}

#[tokio::test]
async fn film_is_sent_with_its_sound_cut_where_the_picture_is() {
    let folder = Folder::new("film");
    let film = make_film(&folder, 6);

    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let broadcast = directory.broadcast(SourceChoice::File { path: film, repeat: false }, SoundChoice::System).await;
    let mut publisher = relay.publisher().await;
    assert_eq!(publisher.tracks.iter().map(|track| track.codec.as_str()).filter(|&codec| codec == "opus").count(), 1);
    let mut media = Vec::new();
    while let Some(message) = publisher.next().await {
        media.push(message);
    }
    assert_well_formed(&media, 1);
    assert_well_formed(&media, 2);
    let keys = |track| chunks(&media, track).into_iter().filter(|m| m.header.key).map(|m| m.header.segment).collect();
    let (picture_keys, sound_keys): (Vec<u32>, Vec<u32>) = (keys(1), keys(2));
    assert!(
        picture_keys.len() >= 3 && sound_keys.iter().all(|segment| picture_keys.contains(segment)),
        "{sound_keys:?}"
    );
    assert!(picture_keys.len() - sound_keys.len() <= 1);
    // A machine that is too busy may have to leave something out.
    let (sent, dropped) = (chunks(&media, 1).len(), broadcast.status().borrow().dropped_frames);
    assert!(sent as u64 + dropped >= 175, "{sent} {dropped}");
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &folder), chunks(&media, 1).len());
    let packets = chunks(&media, 2).len();
    assert!(packets <= 305 && (packets >= 250 || dropped > 0), "{packets} {dropped}");
    assert!(decoded_frames(&track_bytes(&media, 2), &folder).abs_diff(packets) <= 1);
    assert!(!wait_for_state(&broadcast, BroadcastState::Ended).await.failed);
}
