//! What this process uses, from Linux' `/proc/self` (proc(5)). Other systems have none, and nothing is known there: CPU time
//! `None`, the rest 0, which the directory takes for no bound.

use std::{fs, time::Duration};

/// The unit of times in `/proc/self/stat`: the kernel shows user space 100 ticks a second on every machine.
const TICK: Duration = Duration::from_millis(10);

/// Open files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Files {
    pub(super) open: u32,
    /// How many there may be; 0 when unknown or unbounded.
    pub(super) max: u32,
}

/// User and system time of all threads.
pub(super) fn cpu_time() -> Option<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat").ok()?).map(|ticks| TICK * ticks)
}

/// Resident memory.
pub(super) fn memory_bytes() -> u64 {
    fs::read_to_string("/proc/self/status").ok().and_then(|status| resident(&status)).unwrap_or_default()
}

/// Open files and their limit.
pub(super) fn files() -> Files {
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let max = fs::read_to_string("/proc/self/limits").ok().and_then(|limits| files_max(&limits)).unwrap_or_default();
    Files { open: u32::try_from(open).unwrap_or(u32::MAX), max }
}

/// `utime` and `stime`, the 14th and 15th field. The second, the command's name, may hold blanks and brackets itself.
fn ticks(stat: &str) -> Option<u32> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u32>().ok();
    Some(next()? + next()?)
}

/// `VmRSS:   1234 kB`
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// `Max open files   1024   4096   files`, the soft limit first; `unlimited` is none.
fn files_max(limits: &str) -> Option<u32> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_in_what_the_kernel_says() {
        let stat = "17 (a b) c) (d) S 1 17 17 0 -1 4194560 900 0 0 0 250 50 1 2 20 0 3 0 100 5000 200";
        assert_eq!((ticks(stat), ticks("17 (a) S 1"), ticks("")), (Some(300), None, None));
        assert_eq!(resident("Name:\trelay\nVmRSS:\t   1234 kB\n"), Some(1234 * 1024));
        let limits = "Limit      Soft Limit  Hard Limit  Units\nMax open files  1024   4096   files\n";
        assert_eq!((files_max(limits), files_max("Max open files unlimited unlimited files")), (Some(1024), None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn busy_process_uses_time_and_an_open_file_is_counted() {
        let (before, open) = (cpu_time().unwrap(), files().open);
        let more: Vec<_> = (0..50).map(|_| fs::File::open("/proc/self/stat").unwrap()).collect();
        // Other tests in this process may open and close some.
        assert!(files().open >= open + 30, "{open}");
        drop(more);
        while cpu_time().unwrap() < before + TICK {}
    }
}
