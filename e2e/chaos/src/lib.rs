//! Chaos over the real servers: relays and directories are killed, drained, cut off and brought back under live streams, and
//! players that read every header say what people would have noticed.

pub mod directory;
pub mod feed;
pub mod figure;
mod link;
pub mod machine;
pub mod pages;
pub mod player;
pub mod programme;
pub mod progress;
pub mod results;
pub mod scenes;
pub mod show;
pub mod source;
pub mod stalls;
pub mod tape;

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, by this machine's clock, which all here share.
#[must_use]
pub fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

/// Seconds since the Unix epoch as ISO 8601, in UTC. Days are counted as in Howard Hinnant's `civil_from_days`.
#[must_use]
pub fn iso_time(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_calendars_have_them() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_763_859_599, "2025-11-23T00:59:59Z"),
        ] {
            assert_eq!(iso_time(seconds), text);
        }
    }
}
