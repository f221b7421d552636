//! Captures a screen, a test picture or a media file, encodes it with ffmpeg, cuts it into chunks and sends them to a relay.
//!
//! The desktop app and the `broadcast` command are both thin shells over [`Broadcast`]:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use broadcaster::{Authorities, Broadcast, BroadcastOptions, Quality, SoundChoice, SourceChoice, TransportChoice};
//!
//! let broadcast = Broadcast::start(BroadcastOptions {
//!     directory: "http://localhost:5000".parse()?,
//!     authorities: Authorities::default(),
//!     pass: None,
//!     title: "My screen".to_owned(),
//!     visibility: protocol::http::Visibility::Public,
//!     password: None,
//!     encrypt: true,
//!     source: SourceChoice::Screen,
//!     sound: SoundChoice::None,
//!     quality: Quality::P720At30,
//!     bitrate_kbit_s: None,
//!     small_picture: false,
//!     transport: TransportChoice::Auto,
//!     ffmpeg: "ffmpeg".into(),
//! })
//! .await?;
//! let mut status = broadcast.status();
//! while status.changed().await.is_ok() {
//!     println!("{}", status.borrow_and_update().sentence);
//! }
//! broadcast.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! Every `main` that uses this library calls [`capture_helper::run_if_asked`] first: the portal's frames are captured in a second
//! process of the same binary.

pub mod authorities;
pub mod broadcast;
pub mod capture_helper;
pub mod directory_client;
pub mod options;
pub mod sources;
pub mod status;

mod claim;
mod ffmpeg;
mod media_clock;
mod outbox;
mod package;
mod picture;
mod sleep_watch;
mod sound;
mod uplink;
mod uplink_queue;
mod uplink_rate;

pub use authorities::Authorities;
pub use broadcast::{Broadcast, StartError};
pub use options::{BroadcastOptions, Quality, SoundChoice, SourceChoice};
pub use status::{BroadcastState, BroadcastStatus, WatchLink};
pub use webtransport::transport;
pub use webtransport::{Transport, TransportChoice};
