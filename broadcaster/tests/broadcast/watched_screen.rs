//! What of a screen is sent while it changes.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use x11rb::{
    connection::Connection as _,
    protocol::xproto::{ChangeGCAux, ConnectionExt as _, CreateGCAux, Gcontext, Rectangle, Window},
    rust_connection::RustConnection,
};

use super::{
    Folder, assert_well_formed, chunks, decoded_frames,
    fake::{FakeDirectory, FakeRelay, Media, Publisher, track_bytes},
    sources::Display,
};

/// Frames that come behind a change until the picture is as sharp as it gets.
const SHARP_FRAMES: usize = 12;

/// A program that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Paints on a screen.
struct Painter {
    connection: RustConnection,
    root: Window,
    context: Gcontext,
}

impl Painter {
    fn open(display: &Display) -> Self {
        let (connection, _) = x11rb::connect(Some(&display.name)).unwrap();
        let root = connection.setup().roots[0].root;
        let context = connection.generate_id().unwrap();
        connection.create_gc(context, root, &CreateGCAux::new()).unwrap();
        Self { connection, root, context }
    }

    fn fill(&self, colour: u32, x: i16, y: i16, width: u16, height: u16) {
        self.connection.change_gc(self.context, &ChangeGCAux::new().foreground(colour)).unwrap();
        let rectangle = Rectangle { x, y, width, height };
        self.connection.poly_fill_rectangle(self.root, self.context, &[rectangle]).unwrap();
        self.connection.flush().unwrap();
    }

    fn point(&self, x: i16, y: i16) {
        self.connection.warp_pointer(x11rb::NONE, self.root, 0, 0, 0, 0, x, y).unwrap();
        self.connection.flush().unwrap();
    }

    fn colour(&self, x: i16, y: i16) -> [u8; 3] {
        let format = x11rb::protocol::xproto::ImageFormat::Z_PIXMAP;
        let image = self.connection.get_image(format, self.root, x, y, 1, 1, u32::MAX).unwrap().reply().unwrap();
        [image.data[2], image.data[1], image.data[0]]
    }
}

/// The last frame of a track: red, green and blue of each pixel.
struct Picture {
    pixels: Vec<u8>,
    width: usize,
}

impl Picture {
    fn last_of(media: &[Media], (width, height): (usize, usize), folder: &Path) -> Self {
        let file = folder.join("last.mp4");
        std::fs::write(&file, track_bytes(media, 1)).unwrap();
        let rgb = "format=rgb24";
        let decode = ["-v", "error", "-i", file.to_str().unwrap(), "-vf", rgb, "-f", "rawvideo", "-"];
        let output = Command::new("ffmpeg").args(decode).stdin(Stdio::null()).output().unwrap();
        Self { pixels: output.stdout[output.stdout.len() - 3 * width * height..].to_vec(), width }
    }

    fn at(&self, x: i16, y: i16) -> [u8; 3] {
        let from = 3 * (usize::try_from(y).unwrap() * self.width + usize::try_from(x).unwrap());
        *self.pixels[from..].first_chunk().unwrap()
    }
}

fn is_like(seen: [u8; 3], expected: [u8; 3]) -> bool {
    seen.iter().zip(expected).all(|(seen, expected)| seen.abs_diff(expected) < 14)
}

async fn live(display: &Display, flags: &[&str]) -> (FakeRelay, FakeDirectory, Publisher, Running) {
    let relay = FakeRelay::start().await;
    let directory = FakeDirectory::start(&[&relay]).await;
    let command = Running(display.broadcast(&directory).args(flags).spawn().unwrap());
    let publisher = relay.publisher().await;
    (relay, directory, publisher, command)
}

#[tokio::test]
async fn parts_that_change_are_put_where_they_are_on_the_screen() {
    let display = Display::start();
    display.colour("#204060");
    let painter = Painter::open(&display);
    let (_relay, _directory, mut publisher, _command) = live(&display, &[]).await;
    let mut media = publisher.take(1, 3).await;
    // Odd places and sizes, over the edges, many at once and one by one.
    for n in 0..40_i16 {
        let colour = 0x10_3050 * u32::try_from(n % 8 + 1).unwrap();
        painter.fill(colour, 37 * n % 830 - 15, 53 * n % 620 - 11, 61, 47);
        if n % 7 == 0 {
            media.extend(publisher.take(1, 1).await);
        }
    }
    media.extend(publisher.take(1, SHARP_FRAMES).await);
    let folder = Folder::new("parts");
    let picture = Picture::last_of(&media, (800, 600), &folder.0);
    for n in 0..40_i16 {
        let (x, y) = (37 * n % 830 + 16, 53 * n % 620 + 12);
        // Where the parts overlap, colours of their edges are mixed.
        let is_even = [(-3, 0), (3, 0), (0, -3), (0, 3)]
            .iter()
            .all(|&(dx, dy)| x + dx < 800 && y + dy < 600 && painter.colour(x + dx, y + dy) == painter.colour(x, y));
        if is_even {
            let (seen, expected) = (picture.at(x, y), painter.colour(x, y));
            assert!(is_like(seen, expected), "{x} {y}: {seen:?} {expected:?}");
        }
    }
    assert_well_formed(&media, 1);
    assert_eq!(decoded_frames(&track_bytes(&media, 1), &folder), chunks(&media, 1).len());
}

#[tokio::test]
async fn pointer_is_shown_where_it_is_and_not_where_it_was() {
    let display = Display::start();
    display.colour("#ffffff");
    let cursor = ["-display", &display.name, "-cursor_name", "left_ptr"];
    assert!(Command::new("xsetroot").args(cursor).status().unwrap().success());
    let painter = Painter::open(&display);
    painter.point(100, 100);
    let (_relay, _directory, mut publisher, _command) = live(&display, &[]).await;
    let folder = Folder::new("pointer");
    let mut media = publisher.take(1, SHARP_FRAMES).await;
    let is_dark = |picture: &Picture, x: i16, y: i16| {
        let around = (x..x + 10).flat_map(|x| (y..y + 14).map(move |y| (x, y)));
        around.into_iter().any(|(x, y)| picture.at(x, y)[1] < 100)
    };
    let picture = Picture::last_of(&media, (800, 600), &folder.0);
    assert!(is_dark(&picture, 100, 100) && !is_dark(&picture, 400, 301));
    painter.point(400, 301);
    media.extend(publisher.take(1, SHARP_FRAMES).await);
    let picture = Picture::last_of(&media, (800, 600), &folder.0);
    assert!(!is_dark(&picture, 100, 100) && is_dark(&picture, 400, 301));
}

#[tokio::test]
async fn screen_larger_than_the_picture_is_shown_smaller_in_the_same_colours() {
    let display = Display::start_as(None, "1921x1081");
    display.colour("#c08020");
    let (_relay, _directory, mut publisher, _command) = live(&display, &[]).await;
    assert_eq!((publisher.tracks[0].width, publisher.tracks[0].height), (1280, 720));
    let media = publisher.take(1, SHARP_FRAMES).await;
    let picture = Picture::last_of(&media, (1280, 720), &Folder::new("smaller").0);
    for (x, y) in [(4, 4), (1270, 710), (600, 300)] {
        assert!(is_like(picture.at(x, y), [0xc0, 0x80, 0x20]), "{:?}", picture.at(x, y));
    }
}

/// A machine that compiles something beside the test may take as long as this until it has a second to itself.
const CLOSE_FRAMES_PATIENCE: Duration = Duration::from_secs(180);

#[tokio::test]
async fn frames_of_a_screen_that_always_changes_are_a_sixtieth_of_a_second_apart_and_no_less() {
    let display = Display::start();
    let (_relay, _directory, mut publisher, _command) = live(&display, &["--quality", "720p60"]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let (painter, over) = (Painter::open(&display), Arc::clone(&is_over));
    let painting = std::thread::spawn(move || {
        for n in 0.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            // Never the colour of a few strokes before: what looks the same is no new frame.
            painter.fill(0x01_0101 * (n * 29 % 256), 200, 200, 200, 200);
            std::thread::sleep(Duration::from_millis(5));
        }
    });
    // How many of them a machine manages is measured elsewhere; at 30 a second none would be so close to the one before.
    let begun = std::time::Instant::now();
    let gaps_us = loop {
        assert!(begun.elapsed() < CLOSE_FRAMES_PATIENCE, "no second had frames so close to each other");
        let media = publisher.take(1, 61).await;
        let times: Vec<u64> = chunks(&media, 1).iter().map(|media| media.header.captured_at_us).collect();
        let gaps_us: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if gaps_us.iter().filter(|gap_us| **gap_us < 25_000).count() > gaps_us.len() / 2 {
            break gaps_us;
        }
    };
    is_over.store(true, Ordering::Relaxed);
    painting.join().unwrap();
    let second_us: u64 = gaps_us.iter().sum();
    assert!(second_us > 850_000, "not more often than asked for: {gaps_us:?}");
}
