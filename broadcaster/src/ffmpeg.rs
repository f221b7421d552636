//! One ffmpeg process: started, read, and ended without leaving anything behind.

pub(crate) mod encoder;
mod second_output;

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
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use crate::sources::SourceError;
use second_output::SecondOutput;

/// How long an ffmpeg that was asked to end may take: it flushes its encoder, no more.
const END_TIME_MAX: Duration = Duration::from_secs(2);

/// Bytes asked for per read: a pipe's default capacity.
const READ_BYTES: usize = 64 * 1024;

/// Room in the pipe through which frames are fed: as much as Linux gives to everybody.
#[cfg(target_os = "linux")]
const FRAME_PIPE_BYTES: usize = 1024 * 1024;

/// Lines of complaint that are kept: the reason is among the last.
const COMPLAINT_LINES_MAX: usize = 8;

/// Longest kept line of complaint, in bytes.
const COMPLAINT_BYTES_MAX: usize = 300;

/// How an ffmpeg is connected beside its standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Pipes {
    /// Frames will be written to its standard input.
    pub(crate) feeds: bool,
    /// It has a second output: `pipe:0`, the other direction of its standard input.
    pub(crate) second_output: bool,
}

/// Where frames are written to.
pub(crate) type FrameInput = Box<dyn AsyncWrite + Send + Unpin>;

/// A running ffmpeg that writes to its standard output. It is killed when this is dropped; when this whole process is killed it
/// ends itself, because nobody reads what it writes.
pub(crate) struct Ffmpeg {
    child: Child,
    stdout: ChildStdout,
    stdin: Option<FrameInput>,
    second_output: Option<SecondOutput>,
    complaint: Complaint,
}

/// What has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// More of the standard output.
    First,
    /// More of the second output.
    Second,
    /// The standard output is over, and with it the process.
    End,
}

/// What ffmpeg wrote to its standard error, shared with the task that reads it.
#[derive(Debug, Clone, Default)]
struct Complaint(Arc<Mutex<VecDeque<String>>>);

impl Ffmpeg {
    /// Starts `ffmpeg` with these arguments.
    pub(crate) fn start(ffmpeg: &Path, arguments: &[OsString], pipes: Pipes) -> Result<Self, SourceError> {
        let not_started = |reason: String| SourceError::FfmpegMissing { ffmpeg: ffmpeg.to_owned(), reason };
        let mut command = Command::new(ffmpeg);
        command.args(["-hide_banner", "-loglevel", "error"]);
        if !pipes.feeds {
            command.arg("-nostdin");
        }
        let (mut stdin, mut second_output) = (None, None);
        command.stdin(if pipes.second_output {
            let (ours, theirs) = second_output::open().map_err(|error| not_started(error.to_string()))?;
            let (reads, writes) = ours.into_split();
            second_output = Some(reads);
            stdin = pipes.feeds.then_some(Box::new(writes) as FrameInput);
            theirs
        } else if pipes.feeds {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        #[cfg(windows)]
        command.creation_flags(0x0800_0000); // CREATE_NO_WINDOW
        let mut child = command.spawn().map_err(|error| not_started(error.to_string()))?;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(not_started("its output can't be read".to_owned()));
        };
        let complaint = Complaint::default();
        drop(tokio::spawn(complaint.clone().collect(stderr)));
        if let Some(piped) = child.stdin.take() {
            widen(&piped);
            stdin = Some(Box::new(piped));
        }
        Ok(Self { child, stdout, stdin, second_output, complaint })
    }

    /// Its standard input, once, when it was started to be fed.
    pub(crate) fn take_stdin(&mut self) -> Option<FrameInput> {
        self.stdin.take()
    }

    /// Reads what it has written into `bytes`; false at its end. May be cancelled without a loss.
    pub(crate) async fn read(&mut self, bytes: &mut BytesMut) -> bool {
        bytes.reserve(READ_BYTES);
        self.stdout.read_buf(bytes).await.is_ok_and(|read| read > 0)
    }

    /// The same of both outputs, whichever has more first.
    pub(crate) async fn read_both(&mut self, first: &mut BytesMut, second: &mut BytesMut) -> Read {
        first.reserve(READ_BYTES);
        loop {
            let Some(second_output) = &mut self.second_output else {
                return if self.read(first).await { Read::First } else { Read::End };
            };
            second.reserve(READ_BYTES);
            tokio::select! {
                more = self.stdout.read_buf(first) => {
                    return if more.is_ok_and(|read| read > 0) { Read::First } else { Read::End };
                }
                more = second_output.read_buf(second) => match more {
                    Ok(1..) => return Read::Second,
                    _ => self.second_output = None,
                },
            }
        }
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
            let (mut rest, mut other_rest) = (BytesMut::new(), BytesMut::new());
            while self.read_both(&mut rest, &mut other_rest).await != Read::End {
                rest.clear();
                other_rest.clear();
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

/// Gives a pipe room for most of a frame: with the usual 64 KiB both ends would wake each other for each part of it.
#[cfg(target_os = "linux")]
fn widen(pipe: &ChildStdin) {
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, FRAME_PIPE_BYTES);
}

#[cfg(not(target_os = "linux"))]
const fn widen(_: &ChildStdin) {}

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
    let mut process = Ffmpeg::start(ffmpeg, arguments, Pipes::default())?;
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
