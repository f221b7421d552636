//! CPU time and memory of processes, and the machine's load, from Linux' `/proc` (proc(5)).

use std::{fs, io, time::Duration};

use thiserror::Error;

/// The unit of times in `/proc/PID/stat`: the kernel shows user space 100 ticks a second on every machine.
const TICK: Duration = Duration::from_millis(10);

/// Why a process can't be read.
#[derive(Debug, Error)]
pub enum ProcessError {
    /// No such process, or no `/proc`.
    #[error("process {0} can't be read: {1}")]
    Unreadable(u32, io::Error),
    /// Not as documented.
    #[error("/proc/{0} is not as documented")]
    Malformed(u32),
}

/// User and system time that all threads of process `pid` have used.
///
/// # Errors
/// When there is no such process.
pub fn process_time(pid: u32) -> Result<Duration, ProcessError> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|error| ProcessError::Unreadable(pid, error))?;
    ticks(&stat).map(|ticks| TICK * ticks).ok_or(ProcessError::Malformed(pid))
}

/// `utime` and `stime`, the 14th and 15th field. The second, the command's name, may hold blanks and brackets itself.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

/// Bytes of memory that process `pid` holds.
///
/// # Errors
/// When there is no such process.
pub fn resident_bytes(pid: u32) -> Result<u64, ProcessError> {
    let status =
        fs::read_to_string(format!("/proc/{pid}/status")).map_err(|error| ProcessError::Unreadable(pid, error))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or(ProcessError::Malformed(pid))
}

/// The machine's load average over the last minute; `None` where there is none to be read.
#[must_use]
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_found_behind_any_name() {
        let stat = "17 (a b) c) (d) S 1 17 17 0 -1 4194560 900 0 0 0 250 50 1 2 20 0 3 0 100 5000 200";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("17 (a) S 1"), None);
        assert_eq!(ticks(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_busy_process_uses_time() {
        let pid = std::process::id();
        let before = process_time(pid).unwrap();
        while process_time(pid).unwrap() < before + TICK {}
        assert!(load_average().is_some());
        assert!(resident_bytes(pid).unwrap() > 0);
    }
}
