//! Head-room: how much more a relay can do, by the scarcest of what it has. Pure.

use protocol::http::RelayLoad;

use super::relay::Joining;

/// Head-rooms that differ by no more than this are as good as each other: what heartbeats tell is a second old, and a tenth of a
/// relay is what comes and goes in that time.
pub(super) const NEAR: HeadRoom = HeadRoom::of_percent(10);

/// What a relay can still take, from 0 (nothing) to 1 (it has nothing to do), in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct HeadRoom(u16);

impl HeadRoom {
    /// Nothing more fits.
    pub const NONE: Self = Self(0);

    /// There is nothing to do.
    pub(super) const ALL: Self = Self(1000);

    pub(super) const fn of_percent(percent: u16) -> Self {
        Self(percent * 10)
    }

    /// What is left when `used` of `max` is in use; rounded down, so that nothing is left of what is used up.
    fn left(used: u64, max: u64) -> Self {
        if max == 0 {
            return Self::NONE;
        }
        let used = used.saturating_mul(Self::ALL.0.into()).div_ceil(max);
        Self(Self::ALL.0.saturating_sub(u16::try_from(used).unwrap_or(Self::ALL.0)))
    }

    /// In whole percent, rounded down.
    #[must_use]
    pub const fn percent(self) -> u8 {
        (self.0 / 10) as u8
    }

    /// From 0 to 1.
    #[must_use]
    pub fn share(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL.0)
    }

    pub(super) const fn plus(self, more: Self) -> Self {
        Self(self.0 + more.0)
    }
}

/// What a relay does, or would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) streams: u32,
    pub(super) viewers: u32,
    /// What it measured.
    pub(super) load: RelayLoad,
}

impl Work {
    /// The head-room of a relay that said this of itself, and does this.
    ///
    /// Bytes a second and files count where their limit is known.
    pub(super) fn head_room(&self, of: &Joining) -> HeadRoom {
        let load = &self.load;
        let egress = of.egress_bytes_per_s_max.map(|max| HeadRoom::left(load.egress_bytes_per_s, max));
        let files = (load.files_max > 0).then(|| HeadRoom::left(load.files_open.into(), load.files_max.into()));
        let always = [
            HeadRoom::left(self.streams.into(), of.streams_max.into()),
            HeadRoom::left(self.viewers.into(), of.viewers_max.into()),
            HeadRoom::left(load.cpu_percent.into(), 100),
        ];
        always.into_iter().chain(egress).chain(files).min().unwrap_or_default()
    }

    /// The same without a stream that `viewers` watch, as far as that can be told: processor and line are used for viewers alike.
    pub(super) fn without(self, viewers: u32) -> Self {
        let (part, whole) = self.share_of(viewers);
        let rest = |used: u64| used - used.min(used.saturating_mul(part) / whole);
        Self {
            streams: self.streams.saturating_sub(1),
            viewers: self.viewers.saturating_sub(viewers),
            load: RelayLoad {
                cpu_percent: narrow(rest(self.load.cpu_percent.into())),
                egress_bytes_per_s: rest(self.load.egress_bytes_per_s),
                files_open: self.load.files_open.saturating_sub(viewers.saturating_add(1)),
                ..self.load
            },
        }
    }

    /// The same with that stream of a relay that does `other`.
    pub(super) fn with(self, viewers: u32, other: &Self) -> Self {
        let (part, whole) = other.share_of(viewers);
        let more = |used: u64, more: u64| used.saturating_add(more.saturating_mul(part) / whole);
        Self {
            streams: self.streams.saturating_add(1),
            viewers: self.viewers.saturating_add(viewers),
            load: RelayLoad {
                cpu_percent: narrow(more(self.load.cpu_percent.into(), other.load.cpu_percent.into())),
                egress_bytes_per_s: more(self.load.egress_bytes_per_s, other.load.egress_bytes_per_s),
                files_open: self.load.files_open.saturating_add(viewers.saturating_add(1)),
                ..self.load
            },
        }
    }

    /// Which part of all its work a stream with so many viewers is: a stream counts as much as one viewer, for what is received.
    pub(super) fn share_of(&self, viewers: u32) -> (u64, u64) {
        let whole = (u64::from(self.streams) + u64::from(self.viewers)).max(1);
        ((u64::from(viewers) + 1).min(whole), whole)
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::tests::driver::joining;

    fn relay() -> Joining {
        Joining { streams_max: 10, viewers_max: 100, egress_bytes_per_s_max: Some(1000), ..joining("a") }
    }

    fn work(streams: u32, viewers: u32, load: RelayLoad) -> Work {
        Work { streams, viewers, load }
    }

    #[test]
    fn scarcest_of_all_decides() {
        let idle = RelayLoad { files_max: 1000, ..RelayLoad::default() };
        for (work, percent) in [
            (work(0, 0, idle), 100),
            (work(3, 0, idle), 70),
            (work(3, 45, idle), 55),
            (work(3, 45, RelayLoad { cpu_percent: 60, ..idle }), 40),
            (work(3, 45, RelayLoad { egress_bytes_per_s: 800, ..idle }), 20),
            (work(3, 45, RelayLoad { files_open: 951, ..idle }), 4),
            (work(10, 45, idle), 0),
            (work(11, 45, idle), 0),
            (work(0, 0, RelayLoad { cpu_percent: 250, ..idle }), 0),
        ] {
            assert_eq!(work.head_room(&relay()).percent(), percent, "{work:?}");
        }
    }

    #[test]
    fn unknown_limits_do_not_count_and_a_limit_of_nothing_leaves_nothing() {
        let busy = RelayLoad { egress_bytes_per_s: 800, files_open: 900, ..RelayLoad::default() };
        let unknown = Joining { egress_bytes_per_s_max: None, ..relay() };
        assert_eq!(work(0, 0, busy).head_room(&unknown).percent(), 100);
        assert_eq!(work(0, 0, busy).head_room(&Joining { streams_max: 0, ..unknown }), HeadRoom::NONE);
    }

    #[test]
    fn rounded_so_that_a_relay_with_room_for_one_more_is_not_better_than_it_is() {
        assert_eq!(HeadRoom::left(1, 3), HeadRoom(666));
        assert_eq!(HeadRoom::left(99_999, 100_000), HeadRoom(0));
        assert_eq!(HeadRoom::left(u64::MAX, 7), HeadRoom::NONE);
        assert!((HeadRoom::of_percent(25).share() - 0.25).abs() < f64::EPSILON);
    }

    #[test]
    fn stream_that_leaves_takes_its_part_along() {
        let load = RelayLoad { cpu_percent: 90, egress_bytes_per_s: 900, files_open: 60, ..RelayLoad::default() };
        let before = work(2, 58, load);
        let after = before.without(19);
        assert_eq!((after.streams, after.viewers), (1, 39));
        let RelayLoad { cpu_percent, egress_bytes_per_s, files_open, .. } = after.load;
        assert_eq!((cpu_percent, egress_bytes_per_s, files_open), (60, 600, 40));
        let there = work(1, 0, RelayLoad { cpu_percent: 5, ..RelayLoad::default() }).with(19, &before);
        assert_eq!((there.streams, there.viewers, there.load.cpu_percent), (2, 19, 35));
        assert_eq!((there.load.egress_bytes_per_s, there.load.files_open), (300, 20));
        let nothing = work(0, 0, RelayLoad::default());
        assert_eq!(nothing.without(7), nothing, "what was never told of takes nothing along");
    }
}
