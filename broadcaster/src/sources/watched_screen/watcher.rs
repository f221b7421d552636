//! The thread that watches a screen: whatever changes is in the next frame.

use std::{sync::Arc, time::Instant};

use tokio::sync::watch;

use super::{
    area::{Area, fetched},
    canvas::Canvas,
    display::{Display, DisplayError},
    pointer::Pointer,
    rhythm::{Due, Rhythm},
};
use crate::{
    capture_helper::{FrameHeader, PixelFormat},
    sources::raw_frames::{RawFrame, RawFrames},
};

/// A screen, the picture of it, and who is shown that.
pub(super) struct Watcher {
    display: Display,
    canvas: Canvas,
    pointer: Pointer,
    /// Where the pointer was and is, as far as that is not in the picture yet.
    pointer_areas: Vec<Area>,
    rhythm: Rhythm,
    is_resized: bool,
    frames: watch::Sender<Arc<RawFrame>>,
    /// The memory of a frame that everybody is done with.
    spare: Vec<u8>,
}

impl Watcher {
    /// Takes the first frame of a display. The receiver sees it, and the ones that follow while [`Self::run`] runs.
    pub(super) fn start(display: Display, frame_rate: u32) -> Result<(Self, RawFrames), DisplayError> {
        let size = display.size();
        let (frames, shown) = watch::channel(Arc::new(RawFrame { header: header(size), pixels: Vec::new() }));
        let mut watcher = Self {
            pointer: display.pointer()?,
            pointer_areas: Vec::new(),
            canvas: Canvas::new(size),
            rhythm: Rhythm::new(frame_rate, Instant::now()),
            display,
            is_resized: false,
            frames,
            spare: Vec::new(),
        };
        watcher.paint(&[Area::whole(size)])?;
        watcher.show();
        Ok((watcher, shown))
    }

    /// Watches until nobody looks any more.
    ///
    /// # Errors
    /// When the display is gone.
    pub(super) fn run(mut self) -> Result<(), DisplayError> {
        let mut was_refused = false;
        while !self.frames.is_closed() {
            match self.step() {
                Ok(()) => was_refused = false,
                // It became smaller after it was asked for its size.
                Err(error) if error.is_refusal() && !was_refused => (was_refused, self.is_resized) = (true, true),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), DisplayError> {
        self.note()?;
        if self.is_resized {
            return self.measure();
        }
        let now = Instant::now();
        match self.rhythm.due(now) {
            Due::Nothing(until) => self.display.wait(until),
            Due::Changes => self.take(now),
            Due::Look => self.look(now),
        }
    }

    /// Notes what has happened; true when that was a change of the screen.
    fn note(&mut self) -> Result<bool, DisplayError> {
        let mut is_damaged = false;
        loop {
            let seen = self.display.seen()?;
            is_damaged |= seen.is_damaged;
            self.is_resized |= seen.is_resized;
            if seen.is_damaged || seen.pointer_moved || seen.pointer_has_new_image {
                self.rhythm.changed(Instant::now());
            }
            if !seen.pointer_has_new_image {
                return Ok(is_damaged);
            }
            let pointer = self.display.pointer()?; // with whose answer more may have arrived
            self.change_pointer(pointer);
        }
    }

    fn change_pointer(&mut self, pointer: Pointer) {
        let size = self.canvas.size();
        self.pointer_areas.extend(self.pointer.area(size));
        self.pointer_areas.extend(pointer.area(size));
        self.pointer = pointer;
    }

    /// What has been painted, and what the pointer has left and covered.
    fn changed_areas(&mut self) -> Result<Vec<Area>, DisplayError> {
        let mut painted = self.display.painted()?;
        if painted.pointer_at != self.pointer.at {
            let pointer = Pointer { at: painted.pointer_at, ..self.pointer.clone() };
            self.change_pointer(pointer);
        }
        painted.areas.append(&mut self.pointer_areas);
        Ok(painted.areas)
    }

    /// Takes what has changed.
    fn take(&mut self, now: Instant) -> Result<(), DisplayError> {
        let areas = fetched(self.changed_areas()?);
        if self.paint(&areas)? {
            self.show();
        }
        self.rhythm.taken(now);
        Ok(())
    }

    /// Takes all of it.
    fn look(&mut self, now: Instant) -> Result<(), DisplayError> {
        let was_reported = !self.changed_areas()?.is_empty();
        let has_changed = self.paint(&[Area::whole(self.canvas.size())])?;
        if has_changed {
            self.show();
        }
        // What was painted meanwhile has been reported by now.
        let unreported = has_changed && !was_reported && !self.note()?;
        if self.rhythm.looked(unreported, now) {
            tracing::debug!("the screen changes without a report and is looked at again and again");
        }
        Ok(())
    }

    /// The screen has another size.
    fn measure(&mut self) -> Result<(), DisplayError> {
        self.is_resized = false;
        self.display.measure()?;
        self.changed_areas()?;
        let size = self.display.size();
        self.canvas = Canvas::new(size);
        self.paint(&[Area::whole(size)])?;
        self.show();
        Ok(())
    }

    /// Repaints these areas; true when the picture has changed.
    fn paint(&mut self, areas: &[Area]) -> Result<bool, DisplayError> {
        let (canvas, pointer) = (&mut self.canvas, &self.pointer);
        let mut has_changed = false;
        self.display.fetch(areas, |strip, pixels| {
            pointer.draw(strip, pixels);
            has_changed |= canvas.paint(strip, pixels)?;
            Ok(())
        })?;
        Ok(has_changed)
    }

    fn show(&mut self) {
        let mut pixels = std::mem::take(&mut self.spare);
        pixels.clear();
        pixels.extend_from_slice(self.canvas.picture());
        let shown = RawFrame { header: header(self.canvas.size()), pixels };
        let before = self.frames.send_replace(Arc::new(shown));
        self.spare = Arc::try_unwrap(before).map(|frame| frame.pixels).unwrap_or_default();
    }
}

fn header((width, height): (u16, u16)) -> FrameHeader {
    FrameHeader { format: PixelFormat::Yuv420p, width: width.into(), height: height.into() }
}
