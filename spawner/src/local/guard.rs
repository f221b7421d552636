//! The program that keeps a relay's process, and ends it: a shell, as setting a death signal between fork and exec is unsafe code,
//! and as a relay may outlive who has started it.

use std::{fs::File, io, path::PathBuf, process::Stdio, time::Duration};

use tokio::process::{Child, Command};

/// The program, with words for its readers.
const PROGRAM: &str = include_str!("guard.sh");

/// The word that has it stop its relay.
pub(super) const STOP: &[u8] = b"stop\n";

/// Variables of our environment that a relay may have. All others stay here: the secrets of this process are not a relay's.
const INHERITED: [&str; 14] = [
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "RUST_LOG",
    "RUST_BACKTRACE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "CA_FILE",
    "TLS_CERT",
    "TLS_KEY",
    "GRACE_SECONDS",
    "DRAIN_SECONDS",
];

/// Those that begin like this are settings of relays, for all that are started here.
const INHERITED_PREFIX: &str = "RELAY_";

/// What a process is started with.
pub(super) struct Plan {
    pub(super) program: PathBuf,
    pub(super) environment: Vec<(String, String)>,
    pub(super) log: PathBuf,
    pub(super) pipe: PathBuf,
    pub(super) port: u16,
    pub(super) grace: Duration,
    pub(super) alone_time_max: Duration,
}

/// Runs a relay under a guard, with `log` as its output, which nobody else may hold then.
pub(super) fn run(plan: &Plan, log: File) -> io::Result<Child> {
    let mut command = Command::new("/bin/sh");
    let seconds = |time: Duration| time.as_secs().to_string();
    // Whoever lists processes is to see what runs.
    let program: Vec<_> = PROGRAM.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    command.arg("-c").arg(program.join("\n")).arg("guard").arg(seconds(plan.grace)).arg(seconds(plan.alone_time_max));
    command.arg(&plan.pipe).arg(&plan.program);
    command.env_clear().envs(std::env::vars_os().filter(|(key, _)| {
        let key = key.to_string_lossy();
        INHERITED.contains(&key.as_ref()) || (key.starts_with(INHERITED_PREFIX) && key != "RELAY_PUBLIC_URL")
    }));
    command.envs(plan.environment.iter().map(|(key, value)| (key, value)));
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Ctrl-C in a terminal is for this process alone, which knows what its relays are to do.
    #[cfg(unix)]
    command.process_group(0);
    command.spawn()
}
