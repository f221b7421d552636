//! The `broadcast` command: goes live without a window.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{anyhow, bail};
use broadcaster::{
    Authorities, Broadcast, BroadcastOptions, BroadcastState, Quality, SoundChoice, SourceChoice, StartError,
    TransportChoice, directory_client::DirectoryError,
};
use clap::{Parser, ValueEnum};
use protocol::{ErrorCode, Secret, http::Visibility};
use tracing_subscriber::EnvFilter;
use url::Url;

/// Sends a screen, a test picture or a media file live, without a window.
///
/// Prints the link to watch it as soon as it is live, and how it is doing on standard error. Ctrl-C ends it.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// What to send: `screen`, `portal` (Wayland; its dialog asks what to share), `test` (a moving picture), `file` or `file:PATH`
    #[arg(long, default_value = "screen")]
    source: String,

    /// The media file, with `--source file`
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,

    /// Play the media file again and again
    #[arg(long)]
    repeat: bool,

    /// What the stream is called
    #[arg(long, default_value = "Live")]
    title: String,

    /// The directory's address
    #[arg(long, env = "DEAD_STREAMING_DIRECTORY", default_value = "http://localhost:5000")]
    directory: Url,

    /// Trust the authorities in this PEM file too, over https and wss
    #[arg(long, env = "DEAD_STREAMING_CA", value_name = "FILE")]
    ca: Option<PathBuf>,

    /// The operator's pass, where the directory asks for one; better in the environment than on the command line
    #[arg(long, env = "BROADCAST_PASS", hide_env_values = true, value_name = "PASS")]
    pass: Option<Secret>,

    /// Who finds the stream: everybody in the list, whoever has the link, or whoever has the link and the password
    #[arg(long, value_enum, default_value = "public")]
    visibility: VisibilityArgument,

    /// The stream's password, with `--visibility password`; better in the environment than on the command line
    #[arg(long, env = "STREAM_PASSWORD", hide_env_values = true, value_name = "PASSWORD")]
    password: Option<Secret>,

    /// Encrypt end to end: only the printed link, with what stands after its #, shows the stream
    #[arg(long)]
    encrypt: bool,

    /// What is heard. A media file brings its own sound with anything but `none`
    #[arg(long, value_enum, default_value = "none")]
    sound: SoundArgument,

    /// Picture size and frame rate: `720p30`, `720p60`, `1080p30`, `1080p60` or `native`
    #[arg(long, default_value_t)]
    quality: Quality,

    /// The most bits per second the picture takes, in kbit/s; fewer while the connection is slow [default: what fits the quality]
    #[arg(long, value_name = "KBIT/S", value_parser = clap::value_parser!(u32).range(100..=50_000))]
    bitrate: Option<u32>,

    /// Send a second, smaller picture as well (up to 640x360, about a fifth of the bits), for viewers on slow connections
    #[arg(long)]
    small_picture: bool,

    /// What the stream travels by: `auto` is WebTransport (UDP) where the relay offers it and the network lets it through, else WebSocket
    #[arg(long, value_enum, default_value = "auto")]
    transport: TransportArgument,

    /// The ffmpeg to use: a path, or a name that is looked up in PATH
    #[arg(long, env = "DEAD_STREAMING_FFMPEG", default_value = "ffmpeg")]
    ffmpeg: PathBuf,

    /// End by itself after this many seconds of being live
    #[arg(long, value_name = "SECONDS")]
    duration: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum VisibilityArgument {
    Public,
    Unlisted,
    Password,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum TransportArgument {
    Auto,
    Websocket,
    Webtransport,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SoundArgument {
    None,
    System,
    Microphone,
    Both,
}

impl Arguments {
    fn source(&self) -> anyhow::Result<SourceChoice> {
        let file = |path: PathBuf| SourceChoice::File { path, repeat: self.repeat };
        Ok(match (self.source.as_str(), &self.file) {
            ("screen", None) => SourceChoice::Screen,
            ("portal", None) => SourceChoice::Portal,
            ("test", None) => SourceChoice::Test,
            ("file", Some(path)) => file(path.clone()),
            ("file", None) => bail!("--source file needs --file PATH"),
            ("screen" | "portal" | "test", Some(_)) => bail!("--file goes with --source file only"),
            (other, _) => match other.strip_prefix("file:") {
                Some(path) if !path.is_empty() && self.file.is_none() => file(path.into()),
                _ => bail!("--source is one of screen, portal, test, file and file:PATH"),
            },
        })
    }

    fn options(&self) -> anyhow::Result<BroadcastOptions> {
        if !matches!(self.directory.scheme(), "http" | "https") || self.directory.host().is_none() {
            bail!("--directory is an address such as http://localhost:5000");
        }
        match (self.visibility, given(self.password.as_ref())) {
            (VisibilityArgument::Password, None) => {
                bail!("--visibility password needs a password, in STREAM_PASSWORD or with --password")
            }
            (VisibilityArgument::Public | VisibilityArgument::Unlisted, Some(_)) => {
                bail!("a password (STREAM_PASSWORD, --password) goes with --visibility password only")
            }
            _ => {}
        }
        Ok(BroadcastOptions {
            directory: self.directory.clone(),
            authorities: self.ca.as_deref().map_or_else(|| Ok(Authorities::default()), Authorities::with_file)?,
            pass: given(self.pass.as_ref()),
            title: self.title.clone(),
            visibility: match self.visibility {
                VisibilityArgument::Public => Visibility::Public,
                VisibilityArgument::Unlisted => Visibility::Unlisted,
                VisibilityArgument::Password => Visibility::Password,
            },
            password: given(self.password.as_ref()),
            encrypt: self.encrypt,
            source: self.source()?,
            sound: match self.sound {
                SoundArgument::None => SoundChoice::None,
                SoundArgument::System => SoundChoice::System,
                SoundArgument::Microphone => SoundChoice::Microphone,
                SoundArgument::Both => SoundChoice::Both,
            },
            quality: self.quality,
            bitrate_kbit_s: self.bitrate,
            small_picture: self.small_picture,
            transport: match self.transport {
                TransportArgument::Auto => TransportChoice::Auto,
                TransportArgument::Websocket => TransportChoice::Websocket,
                TransportArgument::Webtransport => TransportChoice::Webtransport,
            },
            ffmpeg: self.ffmpeg.clone(),
        })
    }
}

/// An empty variable of the environment is as good as none.
fn given(secret: Option<&Secret>) -> Option<Secret> {
    secret.filter(|secret| !secret.is_empty()).cloned()
}

/// What to do about a refusal, where the directory's own words don't name the flag.
const fn way_out(code: ErrorCode) -> Option<&'static str> {
    Some(match code {
        ErrorCode::PassRequired => "then give it in BROADCAST_PASS or with --pass",
        ErrorCode::PassInvalid => "check BROADCAST_PASS or --pass",
        ErrorCode::InvalidPassword => "choose another password in STREAM_PASSWORD or with --password",
        ErrorCode::InvalidTitle => "choose another title with --title",
        _ => return None,
    })
}

fn explained(error: StartError) -> anyhow::Error {
    let way_out = match &error {
        StartError::Directory(DirectoryError::Untrusted { .. }) => Some("name its authority with --ca FILE"),
        StartError::Directory(error) => error.code().and_then(way_out),
        _ => None,
    };
    match way_out {
        Some(way_out) => anyhow!("{}; {way_out}", error.to_string().trim_end_matches('.')),
        None => error.into(),
    }
}

/// Words for what is allowed, but not as safe as it looks.
fn warnings(options: &BroadcastOptions) {
    let host = options.directory.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let local = host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback());
    if options.directory.scheme() == "https" || local {
        return;
    }
    if options.encrypt {
        eprintln!("Browsers open encrypted streams over https or on localhost only; viewers of {host} need the app.");
    }
    if options.pass.is_some() || options.password.is_some() {
        eprintln!("The directory is reached over plain http: pass and password can be read on the way.");
    }
}

#[tokio::main]
async fn run(options: BroadcastOptions, duration: Option<u64>) -> anyhow::Result<()> {
    warnings(&options);
    let broadcast = Broadcast::start(options).await.map_err(explained)?;
    let mut status = broadcast.status();
    let stop = stop_asked();
    tokio::pin!(stop);
    let mut printed_link = false;
    let mut said = String::new();
    let mut over = None;
    loop {
        let now = status.borrow_and_update().clone();
        if now.state == BroadcastState::Live && !printed_link {
            println!("{}", now.watch_link.expose());
            printed_link = true;
            over = duration.map(|seconds| tokio::time::Instant::now() + Duration::from_secs(seconds));
        }
        if now.sentence != said {
            said.clone_from(&now.sentence);
            match now.state {
                BroadcastState::Live => {
                    let way = now.transport.map(|way| format!(", by {way}")).unwrap_or_default();
                    eprintln!("{said} {}x{}, {}{way}.", now.width, now.height, now.encoder);
                }
                _ => eprintln!("{said}"),
            }
        }
        if now.state == BroadcastState::Ended {
            broadcast.stop().await;
            if now.failed {
                std::process::exit(1);
            }
            return Ok(());
        }
        let deadline = async {
            match over {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = status.changed() => if changed.is_err() { return Ok(()) },
            () = deadline => break,
            () = &mut stop => break,
        }
    }
    eprintln!("Ending the broadcast.");
    let last = status.borrow().clone();
    broadcast.stop().await;
    eprintln!("Ended. {} frames and {} segments were left out.", last.dropped_frames, last.dropped_segments);
    Ok(())
}

/// Ctrl-C, or SIGTERM where there is one.
async fn stop_asked() {
    #[cfg(unix)]
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        return;
    }
    let _ = tokio::signal::ctrl_c().await;
}

fn main() -> ExitCode {
    broadcaster::capture_helper::run_if_asked();
    let arguments = Arguments::parse();
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,rustls_platform_verifier=off"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let options = match arguments.options() {
        Ok(options) => options,
        Err(error) => {
            eprintln!("{error}.");
            return ExitCode::from(2);
        }
    };
    match run(options, arguments.duration) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}.");
            ExitCode::FAILURE
        }
    }
}
