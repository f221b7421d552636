//! The mouse pointer, which no picture of the screen holds and which is drawn into it. Pure.

use super::area::Area;

/// Its image and where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Alpha, red, green, blue, the colours multiplied by alpha already.
    pub(super) image: Vec<u32>,
    pub(super) width: u16,
    pub(super) height: u16,
    /// The pixel of the image that points.
    pub(super) hot: (u16, u16),
    /// What it points at; `None` while it is on no screen of ours.
    pub(super) at: Option<(i16, i16)>,
}

impl Pointer {
    /// What it covers of a screen of this size.
    pub(super) fn area(&self, size: (u16, u16)) -> Option<Area> {
        let (x, y) = self.corner()?;
        Area::touched(x, y, self.width, self.height, size)
    }

    fn corner(&self) -> Option<(i32, i32)> {
        let (x, y) = self.at?;
        Some((i32::from(x) - i32::from(self.hot.0), i32::from(y) - i32::from(self.hot.1)))
    }

    /// Draws what it covers of `area`, whose pixels these are: blue, green, red and nothing, 4 bytes each.
    pub(super) fn draw(&self, area: Area, pixels: &mut [u8]) {
        let Some((left, top)) = self.corner() else { return };
        let row_bytes = 4 * usize::from(area.width);
        for (y, row) in (i32::from(area.y)..).zip(pixels.chunks_exact_mut(row_bytes)) {
            let image = self.row(y - top);
            for (x, &colour) in (left - i32::from(area.x)..).zip(image) {
                let pixel = usize::try_from(x).ok().and_then(|x| row.get_mut(4 * x..4 * x + 3));
                if let Some(pixel) = pixel {
                    over(pixel, colour);
                }
            }
        }
    }

    fn row(&self, y: i32) -> &[u32] {
        let width = usize::from(self.width);
        let from = usize::try_from(y).ok().filter(|&y| y < usize::from(self.height)).map(|y| y * width);
        from.and_then(|from| self.image.get(from..from + width)).unwrap_or_default()
    }
}

/// Puts a colour over blue, green and red.
fn over(pixel: &mut [u8], colour: u32) {
    let [blue, green, red, alpha] = colour.to_le_bytes();
    for (below, above) in pixel.iter_mut().zip([blue, green, red]) {
        let seen = (u16::from(*below) * u16::from(255 - alpha) + 127) / 255;
        *below = above.saturating_add(u8::try_from(seen).unwrap_or(u8::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u16, u16) = (8, 6);

    /// Two by two pixels: opaque red, half transparent green; nothing, opaque blue.
    fn pointer(at: Option<(i16, i16)>) -> Pointer {
        Pointer { image: vec![0xffff_0000, 0x8000_8000, 0, 0xff00_00ff], width: 2, height: 2, hot: (1, 0), at }
    }

    fn drawn(at: (i16, i16), area: Area) -> Vec<[u8; 3]> {
        let mut pixels = [200, 200, 200, 9].repeat(area.pixels());
        pointer(Some(at)).draw(area, &mut pixels);
        assert!(pixels.chunks_exact(4).all(|pixel| pixel[3] == 9));
        pixels.chunks_exact(4).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    }

    #[test]
    fn pointer_covers_what_is_around_what_it_points_at() {
        assert_eq!(pointer(Some((4, 1))).area(SIZE), Some(Area { x: 2, y: 0, width: 4, height: 4 }));
        assert_eq!(pointer(Some((0, 5))).area(SIZE), Some(Area { x: 0, y: 4, width: 2, height: 2 }));
        assert_eq!(pointer(Some((40, 5))).area(SIZE), None);
        assert_eq!(pointer(None).area(SIZE), None);
    }

    #[test]
    fn pointer_is_drawn_over_what_is_there() {
        let below = [200; 3];
        let area = Area { x: 2, y: 2, width: 4, height: 2 };
        let row = [below, [0, 0, 255], [100, 228, 100], below];
        assert_eq!(drawn((4, 2), area), [row, [below, below, [255, 0, 0], below]].concat());
        // Only the part that is in the area: its lower left, and its upper right.
        assert_eq!(drawn((6, 1), area)[..4], [below; 4]);
        assert_eq!(drawn((5, 1), area)[..4], [below, below, below, [255, 0, 0]]);
        assert_eq!(drawn((2, 3), area)[4..], [[100, 228, 100], below, below, below]);
    }
}
