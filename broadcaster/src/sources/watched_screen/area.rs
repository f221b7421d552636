//! The parts of a screen that are to be fetched. Pure.

/// More parts than this are fetched as one: each is a question and an answer of the X server.
const AREAS_MAX: usize = 8;

/// A rectangle of the screen whose edges are even, as those of its pixels' colours are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: u16,
    pub(super) y: u16,
    pub(super) width: u16,
    pub(super) height: u16,
}

impl Area {
    /// A whole screen of an even size.
    pub(super) const fn whole((width, height): (u16, u16)) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// What a rectangle touches of a screen of an even size; `None` for nothing.
    pub(super) fn touched(x: i32, y: i32, width: u16, height: u16, size: (u16, u16)) -> Option<Self> {
        let (x, width) = Self::span(x, width, size.0)?;
        let (y, height) = Self::span(y, height, size.1)?;
        Some(Self { x, y, width, height })
    }

    fn span(from: i32, length: u16, most: u16) -> Option<(u16, u16)> {
        let to = (from + i32::from(length)).clamp(0, i32::from(most));
        let from = from.clamp(0, i32::from(most)) & !1;
        let length = u16::try_from(((to + 1) & !1) - from).ok().filter(|&length| length > 0 && to > from)?;
        Some((u16::try_from(from).ok()?, length))
    }

    pub(super) fn pixels(self) -> usize {
        usize::from(self.width) * usize::from(self.height)
    }

    /// The smallest that holds both.
    fn with(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self { x, y, width: right - x, height: bottom - y }
    }
}

/// What is fetched for these parts: themselves while they are few, else one that holds all.
pub(super) fn fetched(areas: Vec<Area>) -> Vec<Area> {
    let Some(all) = areas.iter().copied().reduce(Area::with) else { return areas };
    let is_less = areas.len() <= AREAS_MAX && areas.iter().map(|area| area.pixels()).sum::<usize>() < all.pixels();
    if is_less { areas } else { vec![all] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE: (u16, u16) = (800, 600);

    #[test]
    fn many_parts_and_parts_that_overlap_are_fetched_as_one() {
        let part = |n: u16| Area { x: 20 * n, y: 10 * n, width: 10, height: 2 };
        assert_eq!(fetched(Vec::new()), []);
        assert_eq!(fetched(vec![part(1), part(4)]), [part(1), part(4)]);
        let all = Area { x: 0, y: 0, width: 190, height: 92 };
        assert_eq!(fetched((0..10).map(part).collect()), [all]);
        assert_eq!(fetched(vec![part(3), part(3)]), [part(3)]);
    }

    proptest! {
        #[test]
        fn touched_area_is_even_on_the_screen_and_holds_what_was_painted(
            x in -900..900_i32, y in -900..900_i32, width in 0..900_u16, height in 0..900_u16,
        ) {
            let inside = |at: i32, from: i32, length: u16| (from..from + i32::from(length)).contains(&at);
            let is_seen = |left: i32, top: i32| inside(left, x, width) && inside(top, y, height);
            let area = Area::touched(x, y, width, height, SIZE);
            if let Some(area) = area {
                prop_assert!([area.x, area.y, area.width, area.height].iter().all(|edge| edge % 2 == 0));
                prop_assert!(area.pixels() > 0);
                prop_assert!(area.x + area.width <= SIZE.0 && area.y + area.height <= SIZE.1);
            }
            for left in (0..800).step_by(37) {
                for top in (0..600).step_by(29) {
                    let is_in = area.is_some_and(|a| inside(left, a.x.into(), a.width) && inside(top, a.y.into(), a.height));
                    prop_assert!(is_in || !is_seen(left, top), "{left} {top} {area:?}");
                }
            }
        }
    }
}
