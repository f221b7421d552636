//! The picture of a screen in the form that encoders take, repainted where the screen has changed. Pure.

use yuv::YuvError;

use super::area::Area;
use crate::{
    capture_helper::PixelFormat,
    sources::colours::{Pixels, convert},
};

/// Pixels that are converted at a time: they stay in the processor's cache while they are read, converted and compared.
const STRIP_PIXELS_MAX: usize = 32 * 1024;

/// One plane: its place in the picture, and how much smaller than the picture it is.
#[derive(Debug, Clone, Copy)]
struct Plane {
    from: usize,
    stride: usize,
    shrink: usize,
}

/// A picture of an even size.
#[derive(Debug)]
pub(super) struct Canvas {
    size: (u16, u16),
    planes: [Plane; 3],
    picture: Vec<u8>,
    /// The planes of one strip.
    strip: [Vec<u8>; 3],
}

impl Canvas {
    /// A black one.
    pub(super) fn new(size: (u16, u16)) -> Self {
        let (width, height) = (usize::from(size.0), usize::from(size.1));
        let pixels = width * height;
        let colours = Plane { from: pixels, stride: width / 2, shrink: 2 };
        let planes =
            [Plane { from: 0, stride: width, shrink: 1 }, colours, Plane { from: pixels + pixels / 4, ..colours }];
        let mut picture = vec![16; pixels];
        picture.resize(pixels + pixels / 2, 128);
        Self { size, planes, picture, strip: Default::default() }
    }

    pub(super) const fn size(&self) -> (u16, u16) {
        self.size
    }

    /// All three planes, one behind the other.
    pub(super) fn picture(&self) -> &[u8] {
        &self.picture
    }

    /// The parts of an area in which it is to be painted, from top to bottom.
    pub(super) fn strips(area: Area) -> impl Iterator<Item = Area> {
        let rows = (STRIP_PIXELS_MAX / usize::from(area.width).max(1)).max(2) & !1;
        let rows = u16::try_from(rows).unwrap_or(u16::MAX - 1);
        (0..area.height).step_by(rows.into()).map(move |from| Area {
            y: area.y + from,
            height: rows.min(area.height - from),
            ..area
        })
    }

    /// Paints one strip: blue, green, red and something, 4 bytes a pixel. True when the picture has changed by that.
    pub(super) fn paint(&mut self, area: Area, pixels: &[u8]) -> Result<bool, YuvError> {
        for (plane, strip) in self.planes.iter().zip(&mut self.strip) {
            strip.resize(area.pixels() / plane.shrink / plane.shrink, 0);
        }
        let [y, u, v] = &mut self.strip;
        let (width, height) = (u32::from(area.width), u32::from(area.height));
        let pixels = Pixels { format: PixelFormat::Bgrx, bytes: pixels, stride: 4 * width };
        convert(pixels, (width, height), [y, u, v])?;
        let mut has_changed = false;
        for (plane, strip) in self.planes.iter().zip(&self.strip) {
            let width = usize::from(area.width) / plane.shrink;
            let top_left =
                plane.from + usize::from(area.y) / plane.shrink * plane.stride + usize::from(area.x) / plane.shrink;
            for (n, row) in strip.chunks_exact(width).enumerate() {
                let from = top_left + n * plane.stride;
                let Some(old) = self.picture.get_mut(from..from + width) else { break };
                if old != row {
                    old.copy_from_slice(row);
                    has_changed = true;
                }
            }
        }
        Ok(has_changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paints an area in one colour, strip by strip.
    fn fill(canvas: &mut Canvas, area: Area, bgr: [u8; 3]) -> bool {
        let strips: Vec<Area> = Canvas::strips(area).collect();
        assert_eq!(strips.iter().map(|strip| usize::from(strip.height)).sum::<usize>(), usize::from(area.height));
        let paint = |strip: Area| {
            let pixels = [bgr[0], bgr[1], bgr[2], 0].repeat(strip.pixels());
            canvas.paint(strip, &pixels).unwrap()
        };
        strips.into_iter().map(paint).fold(false, |any, one| any | one)
    }

    /// The three values of one pixel.
    fn at(canvas: &Canvas, x: usize, y: usize) -> [u8; 3] {
        canvas.planes.map(|plane| canvas.picture[plane.from + y / plane.shrink * plane.stride + x / plane.shrink])
    }

    #[test]
    fn picture_changes_where_it_is_painted_and_says_whether_it_did() {
        let mut canvas = Canvas::new((1000, 400));
        let black = at(&canvas, 0, 0);
        let area = Area { x: 102, y: 50, width: 700, height: 302 };
        assert!(Canvas::strips(area).count() > 1);
        assert!(fill(&mut canvas, area, [255; 3]));
        assert!(!fill(&mut canvas, area, [255; 3]));
        for (x, y, is_white) in [
            (102, 50, true),
            (801, 351, true),
            (101, 50, false),
            (102, 49, false),
            (802, 351, false),
            (801, 352, false),
            (500, 200, true),
        ] {
            assert_eq!(at(&canvas, x, y) != black, is_white, "{x} {y}");
        }
        assert_eq!(canvas.picture().len(), 600_000);
    }
}
