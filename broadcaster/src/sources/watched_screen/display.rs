//! What an X server tells of its screen: which parts have changed, their pixels, and the pointer.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{MemfdFlags, memfd_create},
    io::Errno,
};
use thiserror::Error;
use x11rb::{
    connection::{Connection as _, RequestConnection as _},
    errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError},
    protocol::{
        Event,
        damage::{self, ConnectionExt as _},
        shm::{self, ConnectionExt as _},
        xfixes::{self, ConnectionExt as _},
        xinput::{self, ConnectionExt as _},
        xproto::{ChangeWindowAttributesAux, ConnectionExt as _, EventMask, ImageFormat, ImageOrder, Screen, Window},
    },
    rust_connection::RustConnection,
};

use super::{area::Area, canvas::Canvas, pointer::Pointer};

/// Blue, green and red in the bytes of a pixel, the lowest first.
const RED_MASK: u32 = 0x00ff_0000;
const BLUE_MASK: u32 = 0x0000_00ff;
const PIXEL_BITS: u8 = 32;

/// The input extension's number for all pointers that move the one on the screen (`XIAllMasterDevices`).
const ALL_POINTERS: u16 = 1;

/// Why a screen can't be watched, or not any more.
#[derive(Debug, Error)]
pub(super) enum DisplayError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error(transparent)]
    Reply(#[from] ReplyError),
    #[error(transparent)]
    Id(#[from] ReplyOrIdError),
    #[error(transparent)]
    Memory(#[from] io::Error),
    #[error(transparent)]
    Colours(#[from] yuv::YuvError),
    #[error("{0}")]
    Unsuited(&'static str),
}

impl DisplayError {
    /// The server is there and refuses a single request: the screen has another size by now.
    pub(super) const fn is_refusal(&self) -> bool {
        matches!(self, Self::Reply(ReplyError::X11Error(_)) | Self::Id(ReplyOrIdError::X11Error(_)))
    }
}

impl From<Errno> for DisplayError {
    fn from(error: Errno) -> Self {
        Self::Memory(error.into())
    }
}

/// What has happened since it was asked last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) is_damaged: bool,
    pub(super) pointer_moved: bool,
    pub(super) pointer_has_new_image: bool,
    pub(super) is_resized: bool,
}

/// What has been painted since it was asked last.
#[derive(Debug)]
pub(super) struct Painted {
    pub(super) areas: Vec<Area>,
    /// Where the pointer is.
    pub(super) pointer_at: Option<(i16, i16)>,
}

/// A connection to an X server that watches its screen.
pub(super) struct Display {
    connection: RustConnection,
    root: Window,
    damage: damage::Damage,
    region: xfixes::Region,
    size: (u16, u16),
    /// Where the server puts pixels.
    segment: shm::Seg,
    memory: File,
}

impl Display {
    /// Connects to a display that can be watched: one of this machine, whose pixels are four bytes.
    pub(super) fn open(name: &str) -> Result<Self, DisplayError> {
        let (connection, number) = x11rb::connect(Some(name))?;
        let setup = connection.setup();
        let Some(screen) = setup.roots.get(number) else { return Err(DisplayError::Unsuited("it has no screen")) };
        let is_32 = |depth| setup.pixmap_formats.iter().any(|f| f.depth == depth && f.bits_per_pixel == PIXEL_BITS);
        if !is_32(screen.root_depth) || setup.image_byte_order != ImageOrder::LSB_FIRST || !has_usual_colours(screen) {
            return Err(DisplayError::Unsuited("its pixels are of another form"));
        }
        let (root, size) = (screen.root, even((screen.width_in_pixels, screen.height_in_pixels)));
        for extension in ["MIT-SHM", "DAMAGE", "XFIXES", "XInputExtension"] {
            connection.prefetch_extension_information(extension)?;
        }
        connection.shm_query_version()?.reply()?;
        connection.xfixes_query_version(5, 0)?.reply()?;
        connection.damage_query_version(1, 1)?.reply()?;
        connection.xinput_xi_query_version(2, 2)?.reply()?;

        let (damage, region) = (connection.generate_id()?, connection.generate_id()?);
        connection.xfixes_create_region(region, &[])?;
        connection.damage_create(damage, root, damage::ReportLevel::NON_EMPTY)?.check()?;
        connection.xfixes_select_cursor_input(root, xfixes::CursorNotifyMask::DISPLAY_CURSOR)?;
        let motion = xinput::EventMask { deviceid: ALL_POINTERS, mask: vec![xinput::XIEventMask::RAW_MOTION] };
        connection.xinput_xi_select_events(root, &[motion])?.check()?;
        let structure = ChangeWindowAttributesAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
        connection.change_window_attributes(root, &structure)?.check()?;

        let (segment, memory) = share(&connection, size)?;
        Ok(Self { connection, root, damage, region, size, segment, memory })
    }

    /// Width and height in pixels, the even part of it.
    pub(super) const fn size(&self) -> (u16, u16) {
        self.size
    }

    /// Asks for the size again, and shares memory for it.
    pub(super) fn measure(&mut self) -> Result<(), DisplayError> {
        let geometry = self.connection.get_geometry(self.root)?.reply()?;
        let size = even((geometry.width, geometry.height));
        if size != self.size {
            self.connection.shm_detach(self.segment)?;
            (self.segment, self.memory) = share(&self.connection, size)?;
            self.size = size;
        }
        Ok(())
    }

    /// What has happened since.
    pub(super) fn seen(&self) -> Result<Seen, DisplayError> {
        let mut seen = Seen::default();
        while let Some(event) = self.connection.poll_for_event()? {
            match event {
                Event::DamageNotify(_) => seen.is_damaged = true,
                Event::XinputRawMotion(_) => seen.pointer_moved = true,
                Event::XfixesCursorNotify(_) => seen.pointer_has_new_image = true,
                Event::ConfigureNotify(event) if event.window == self.root => {
                    seen.is_resized |= even((event.width, event.height)) != self.size;
                }
                _ => {}
            }
        }
        Ok(seen)
    }

    /// Waits for something to happen, until this moment at the latest. What has arrived already must have been taken.
    pub(super) fn wait(&self, until: Instant) -> Result<(), DisplayError> {
        self.connection.flush()?;
        let time = until.saturating_duration_since(Instant::now()).min(Duration::from_secs(1));
        let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
        match poll(&mut [PollFd::new(self.connection.stream(), PollFlags::IN)], Some(&time)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// What has been painted since; from now on it is noted anew.
    pub(super) fn painted(&self) -> Result<Painted, DisplayError> {
        self.connection.damage_subtract(self.damage, x11rb::NONE, self.region)?;
        let region = self.connection.xfixes_fetch_region(self.region)?;
        let pointer = self.connection.query_pointer(self.root)?;
        let touched = |part: x11rb::protocol::xproto::Rectangle| {
            Area::touched(part.x.into(), part.y.into(), part.width, part.height, self.size)
        };
        let areas = region.reply()?.rectangles.into_iter().filter_map(touched).collect();
        let pointer = pointer.reply()?;
        Ok(Painted { areas, pointer_at: pointer.same_screen.then_some((pointer.root_x, pointer.root_y)) })
    }

    /// The pointer's image, and where it is.
    pub(super) fn pointer(&self) -> Result<Pointer, DisplayError> {
        let image = self.connection.xfixes_get_cursor_image()?.reply()?;
        Ok(Pointer {
            width: image.width,
            height: image.height,
            hot: (image.xhot, image.yhot),
            at: Some((image.x, image.y)),
            image: image.cursor_image,
        })
    }

    /// Fetches these areas, which don't overlap much, and gives their pixels strip by strip to `paint`.
    pub(super) fn fetch(
        &self,
        areas: &[Area],
        mut paint: impl FnMut(Area, &mut [u8]) -> Result<(), DisplayError>,
    ) -> Result<(), DisplayError> {
        let mut strip_pixels = Vec::new();
        let format = ImageFormat::Z_PIXMAP.into();
        for area in areas {
            let [x, y] = [area.x, area.y].map(|edge| i16::try_from(edge).unwrap_or(i16::MAX));
            let (width, height, planes) = (area.width, area.height, u32::MAX);
            self.connection.shm_get_image(self.root, x, y, width, height, planes, format, self.segment, 0)?.reply()?;
            let mut at = 0;
            for strip in Canvas::strips(*area) {
                strip_pixels.resize(4 * strip.pixels(), 0);
                self.memory.read_exact_at(&mut strip_pixels, at)?;
                at += strip_pixels.len() as u64;
                paint(strip, &mut strip_pixels)?;
            }
        }
        Ok(())
    }
}

fn has_usual_colours(screen: &Screen) -> bool {
    let mut visuals = screen.allowed_depths.iter().flat_map(|depth| &depth.visuals);
    let root = visuals.find(|visual| visual.visual_id == screen.root_visual);
    root.is_some_and(|visual| visual.red_mask == RED_MASK && visual.blue_mask == BLUE_MASK)
}

const fn even((width, height): (u16, u16)) -> (u16, u16) {
    (width & !1, height & !1)
}

/// Memory for a whole screen that the server writes to and this process reads as a file, so that nothing has to be mapped here.
fn share(connection: &RustConnection, size: (u16, u16)) -> Result<(shm::Seg, File), DisplayError> {
    let memory = File::from(memfd_create("screen", MemfdFlags::CLOEXEC)?);
    memory.set_len(4 * Area::whole(size).pixels() as u64)?;
    let segment = connection.generate_id()?;
    connection.shm_attach_fd(segment, memory.try_clone()?, false)?.check()?;
    Ok((segment, memory))
}
