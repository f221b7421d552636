//! A network that is not this machine's own: where viewers are behind a link.

use std::path::Path;

use anyhow::{Context as _, Result};

/// Moves this thread to the network namespace at `path`: all sockets that it makes from now on are there.
///
/// # Errors
/// When there is none, or it is not allowed.
#[cfg(target_os = "linux")]
pub fn enter(path: &Path) -> Result<()> {
    use rustix::{
        fd::AsFd as _,
        thread::{LinkNameSpaceType, move_into_link_name_space},
    };
    let file = std::fs::File::open(path).with_context(|| format!("there is no namespace {}", path.display()))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
        .context("a thread can't be moved to a network namespace here; it takes root, or CAP_SYS_ADMIN")
}

/// There are none here.
///
/// # Errors
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn enter(path: &Path) -> Result<()> {
    Err(anyhow::anyhow!("{} can't be entered: only Linux has network namespaces", path.display()))
        .context("no namespace")
}
