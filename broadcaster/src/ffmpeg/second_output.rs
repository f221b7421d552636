//! A second output of ffmpeg: its standard input is a socket pair, which is written to in the other direction. So it needs no name in
//! a file system and no port, and nobody else can write there.

use std::{io, process::Stdio};

#[cfg(unix)]
pub(super) type SecondOutput = tokio::net::unix::OwnedReadHalf;

/// Our end and theirs.
#[cfg(unix)]
pub(super) fn open() -> io::Result<(tokio::net::UnixStream, Stdio)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((tokio::net::UnixStream::from_std(ours)?, Stdio::from(std::os::fd::OwnedFd::from(theirs))))
}

#[cfg(not(unix))]
pub(super) type SecondOutput = tokio::io::ReadHalf<Nowhere>;

/// What there is in place of a socket pair: nothing.
#[cfg(not(unix))]
pub(super) type Nowhere = tokio::io::DuplexStream;

/// There are no socket pairs here.
#[cfg(not(unix))]
pub(super) fn open() -> io::Result<(NoSocket, Stdio)> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// Never made.
#[cfg(not(unix))]
pub(super) enum NoSocket {}

#[cfg(not(unix))]
impl NoSocket {
    pub(super) fn into_split(self) -> (SecondOutput, tokio::io::WriteHalf<Nowhere>) {
        match self {}
    }
}
