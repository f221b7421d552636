//! Which ffmpeg the app uses: its sidecar where the package brings one, else the system's.
//!
//! Packages for Linux depend on the system's ffmpeg. Those for macOS and Windows are built with `--config sidecar.conf.json`, which
//! takes `binaries/dead-streaming-ffmpeg-<target triple>` in. Without that option, as in `cargo build`, no sidecar is needed.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
};

use tauri::{AppHandle, Runtime};
use tauri_plugin_shell::ShellExt as _;
use thiserror::Error;

/// The sidecar's name. Not `ffmpeg`: a package would install it over the system's own.
const SIDECAR: &str = "dead-streaming-ffmpeg";

/// There is no ffmpeg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("ffmpeg is needed to go live and was not found; install it (on Debian and Ubuntu: sudo apt install ffmpeg)")]
pub(crate) struct NoFfmpeg;

/// The ffmpeg command to run.
pub(crate) fn find<R: Runtime>(app: &AppHandle<R>) -> Result<PathBuf, NoFfmpeg> {
    if let Ok(sidecar) = app.shell().sidecar(SIDECAR) {
        let command: std::process::Command = sidecar.into();
        let path = PathBuf::from(command.get_program());
        if path.is_file() {
            return Ok(path);
        }
    }
    in_folders(&env::var_os("PATH").unwrap_or_default()).ok_or(NoFfmpeg)
}

fn in_folders(path: &OsStr) -> Option<PathBuf> {
    let name = format!("ffmpeg{}", env::consts::EXE_SUFFIX);
    env::split_paths(path).map(|folder| folder.join(&name)).find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_without_ffmpeg_have_none() {
        assert_eq!(in_folders(OsStr::new("")), None);
        assert_eq!(in_folders(OsStr::new("/nowhere:/proc/self")), None);
    }
}
