//! A change of the weather as a line of JSON, for tests that are not written in Rust.

use std::time::Duration;

use serde::Deserialize;

use super::{Way, Weather};

/// What is to be otherwise; what is not named stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    up: WayChange,
    down: WayChange,
    reorder_ms: Option<u64>,
    refusing: Option<bool>,
    cut: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WayChange {
    delay_ms: Option<u64>,
    /// 0 is no bound.
    bytes_per_second: Option<u64>,
    black_hole: Option<bool>,
}

impl Change {
    /// Makes it.
    pub fn apply(self, weather: &mut Weather) {
        self.up.apply(&mut weather.up);
        self.down.apply(&mut weather.down);
        if let Some(ms) = self.reorder_ms {
            weather.reorder = Duration::from_millis(ms);
        }
        weather.refusing = self.refusing.unwrap_or(weather.refusing);
        if self.cut {
            weather.cut();
        }
    }
}

impl WayChange {
    fn apply(self, way: &mut Way) {
        if let Some(ms) = self.delay_ms {
            way.delay = Duration::from_millis(ms);
        }
        if let Some(rate) = self.bytes_per_second {
            way.bytes_per_second = (rate > 0).then_some(rate);
        }
        way.black_hole = self.black_hole.unwrap_or(way.black_hole);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(weather: Weather, line: &str) -> Weather {
        let mut weather = weather;
        serde_json::from_str::<Change>(line).unwrap().apply(&mut weather);
        weather
    }

    #[test]
    fn what_is_not_named_stays() {
        let slow = changed(Weather::default(), r#"{"down": {"bytes_per_second": 1000}, "reorder_ms": 5}"#);
        assert_eq!((slow.down.bytes_per_second, slow.up.bytes_per_second), (Some(1000), None));
        let late = changed(slow, r#"{"up": {"delay_ms": 40, "black_hole": true}}"#);
        assert_eq!((late.down, late.reorder), (slow.down, Duration::from_millis(5)));
        assert_eq!(late.up, Way { delay: Duration::from_millis(40), bytes_per_second: None, black_hole: true });
        assert_eq!(changed(slow, r#"{"down": {"bytes_per_second": 0}}"#).down, Way::default());
        assert!(changed(slow, r#"{"cut": true}"#).has_cut_since(&slow));
    }

    #[test]
    fn misspelt_changes_are_refused() {
        assert!(serde_json::from_str::<Change>(r#"{"down": {"bytesPerSecond": 1}}"#).is_err());
        assert!(serde_json::from_str::<Change>(r#"{"blackhole": true}"#).is_err());
    }
}
