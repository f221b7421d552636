//! One ffmpeg process: started, read, and ended without leaving anything behind.

pub(crate) mod encoder;

use std::{
    collections::VecDeque,
    ffi::OsString,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use crate::sources::SourceError;

/// How long an ffmpeg that was asked to end may take: it flushes its encoder, no more.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes asked for per read: a pipe's default capacity.
const READ_BYTES: usize = 64 * 1024;

/// Lines of complaint that are kept: the reason is among the last.
const COMPLAINT_LINES_MAX: usize = 8;

/// Longest kept line of complaint, in bytes.
const COMPLAINT_BYTES_MAX: usize = 300;

/// A running ffmpeg that writes to its standard output. It is killed when this is dropped; when this whole process is killed it
/// ends itself, because nobody reads what it writes.
#[derive(Debug)]
pub(crate) struct Ffmpeg {
    child: Child,
    stdout: ChildStdout,
    stdin: Option<ChildStdin>,
    complaint: Complaint,
}

/// What ffmpeg wrote to its standard error, shared with the task that reads it.
#[derive(Debug, Clone, Default)]
struct Complaint(Arc<Mutex<VecDeque<String>>>);

impl Ffmpeg {
    /// Starts `ffmpeg` with these arguments; `feeds` when frames will be written to its standard input.
    pub(crate) fn start(ffmpeg: &Path, arguments: &[OsString], feeds: bool) -> Result<Self, SourceError> {
        let mut command = Command::new(ffmpeg);
        command.args(["-hide_banner", "-loglevel", "error"]);
        if !feeds {
            command.arg("-nostdin");
        }
        let stdin = if feeds { Stdio::piped() } else { Stdio::null() };
        command.args(arguments).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(windows)]
        command.creation_flags(0x0800_0000); // CREATE_NO_WINDOW
        let not_started = |reason: String| SourceError::FfmpegMissing { ffmpeg: ffmpeg.to_owned(), reason };
        let mut child = command.spawn().map_err(|error| not_started(error.to_string()))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(not_started("its output can't be read".to_owned()));
        };
        let complaint = Complaint::default();
        drop(tokio::spawn(complaint.clone().collect(stderr)));
        Ok(Self { stdin: child.stdin.take(), child, stdout, complaint })
    }

    /// Its standard input, once, when it was started to be fed.
    pub(crate) fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.stdin.take()
    }

    /// Reads what it has written into `bytes`; false at its end. May be cancelled without a loss.
    pub(crate) async fn read(&mut self, bytes: &mut BytesMut) -> bool {
        bytes.reserve(READ_BYTES);
        self.stdout.read_buf(bytes).await.is_ok_and(|read| read > 0)
    }

    /// Why it failed, in its own words: its last complaint.
    pub(crate) async fn complaint(&mut self) -> String {
        let _ = tokio::time::timeout(END_TIME_MAX, self.child.wait()).await;
        self.complaint.text()
    }

    /// Asks it to end, reads it empty meanwhile (a full pipe would hold it for ever), and kills it when it does not end in time.
    pub(crate) async fn stop(mut self) {
        drop(self.stdin.take());
        self.ask_to_end();
        let ended = async {
            let mut rest = BytesMut::new();
            while self.read(&mut rest).await {
                rest.clear();
            }
            let _ = self.child.wait().await;
        };
        if tokio::time::timeout(END_TIME_MAX, ended).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    #[cfg(unix)]
    fn ask_to_end(&mut self) {
        let pid = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn ask_to_end(&mut self) {
        let _ = self.child.start_kill();
    }
}

impl Complaint {
    async fn collect(self, stderr: ChildStderr) {
        let mut lines = BufReader::new(stderr).split(b'\n');
        while let Ok(Some(line)) = lines.next_segment().await {
            let line = String::from_utf8_lossy(&line[..line.len().min(COMPLAINT_BYTES_MAX)]).trim().to_owned();
            if line.is_empty() {
                continue;
            }
            tracing::debug!(line, "ffmpeg complains");
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() == COMPLAINT_LINES_MAX {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }

    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(String::as_str).collect::<Vec<_>>().join("; ")
    }
}

/// Runs ffmpeg to its end within `time_max`: what it wrote, or what it complained of.
pub(crate) async fn run(
    ffmpeg: &Path,
    arguments: &[OsString],
    time_max: Duration,
) -> Result<Result<BytesMut, String>, SourceError> {
    let mut process = Ffmpeg::start(ffmpeg, arguments, false)?;
    let finish = async {
        let mut output = BytesMut::new();
        while process.read(&mut output).await {}
        let status = process.child.wait().await;
        (output, status.is_ok_and(|status| status.success()))
    };
    match tokio::time::timeout(time_max, finish).await {
        Ok((output, true)) => Ok(Ok(output)),
        Ok((_, false)) => Ok(Err(process.complaint().await)),
        Err(_) => {
            process.stop().await;
            Ok(Err("it took too long".to_owned()))
        }
    }
}
