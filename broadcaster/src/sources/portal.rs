//! The screen or window that the system's own dialog lets a person choose, captured by `scap` in a helper process: through the
//! desktop portal on Wayland, and on macOS and Windows.

use std::{process::Stdio, sync::Arc, time::Duration};

use bytes::BytesMut;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    process::{ChildStdout, Command},
    sync::watch,
    time::timeout,
};

use super::{SourceError, capture::Capture, raw_frames::RawFrame};
use crate::{
    capture_helper::{ARGUMENT, FrameHeader},
    options::Quality,
};

/// How long the portal may take to say that it is there: it may have to be started.
#[cfg(target_os = "linux")]
const PROBE_TIME_MAX: Duration = Duration::from_secs(3);

/// How long a person may take to choose. `scap` itself gives up after 10 s.
const CHOICE_TIME_MAX: Duration = Duration::from_secs(20);

/// Asks the person, and waits for the first frame.
pub(crate) async fn open(quality: Quality) -> Result<Capture, SourceError> {
    if !is_there().await {
        return Err(SourceError::PortalMissing);
    }
    let failed = |reason: String| SourceError::CaptureFailed { reason };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    let mut helper = Command::new(program)
        .args([ARGUMENT, &quality.frame_rate().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let Some(mut stdout) = helper.stdout.take() else { return Err(failed("its output can't be read".to_owned())) };
    match timeout(CHOICE_TIME_MAX, read_frame(&mut stdout)).await {
        Ok(Some(first)) => {
            let (newest, frames) = watch::channel(Arc::new(first));
            drop(tokio::spawn(read_frames(stdout, newest)));
            if let Some(stderr) = helper.stderr.take() {
                drop(tokio::spawn(discard(stderr)));
            }
            let end = failed("the system ended the capture".to_owned());
            Ok(Capture { frames, quality, end, _helper: Some(helper) })
        }
        Ok(None) => {
            let mut said = String::new();
            if let Some(stderr) = &mut helper.stderr {
                let _ = timeout(Duration::from_secs(1), stderr.read_to_string(&mut said)).await;
            }
            tracing::info!(said, "the capture helper has ended before its first frame");
            Err(SourceError::PermissionRefused)
        }
        Err(_) => Err(SourceError::PermissionRefused),
    }
}

/// Whether the session's portal can capture screens. Asked before anything else: `scap` panics without it.
#[cfg(target_os = "linux")]
pub(crate) async fn is_there() -> bool {
    let ask = async {
        let session = zbus::Connection::session().await?;
        let portal = Some("org.freedesktop.portal.Desktop");
        let properties = Some("org.freedesktop.DBus.Properties");
        let property = ("org.freedesktop.portal.ScreenCast", "AvailableCursorModes");
        session.call_method(portal, "/org/freedesktop/portal/desktop", properties, "Get", &property).await
    };
    matches!(timeout(PROBE_TIME_MAX, ask).await, Ok(Ok(_)))
}

/// These systems need no portal.
#[cfg(not(target_os = "linux"))]
pub(crate) async fn is_there() -> bool {
    true
}

async fn read_frames(mut stdout: ChildStdout, newest: watch::Sender<Arc<RawFrame>>) {
    while let Some(frame) = read_frame(&mut stdout).await {
        newest.send_replace(Arc::new(frame));
    }
}

async fn read_frame(stdout: &mut ChildStdout) -> Option<RawFrame> {
    let mut header = [0; FrameHeader::BYTES];
    stdout.read_exact(&mut header).await.ok()?;
    let header = FrameHeader::decode(header)?;
    let mut pixels = vec![0; header.frame_bytes()];
    stdout.read_exact(&mut pixels).await.ok()?;
    Some(RawFrame { header, pixels })
}

async fn discard(mut stderr: impl AsyncRead + Unpin) {
    let mut bytes = BytesMut::new();
    while stderr.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {
        bytes.clear();
    }
}
