//! What the window may ask for. Each command is a few lines over the part that does it; `ui/src/host/app.ts` is the other side.

use broadcaster::{
    Authorities, BroadcastOptions, BroadcastState, BroadcastStatus, Quality, SoundChoice, SourceChoice,
    TransportChoice,
    sources::{self, SourceInfo},
};
use futures_util::{StreamExt as _, pin_mut};
use protocol::{
    Secret, ViewerId,
    http::{ListEvent, Visibility},
};
use serde::Deserialize;
use tauri::{
    AppHandle, State,
    ipc::{Channel, InvokeResponseBody, Response},
};
use ts_rs::TS;
use url::Url;

use crate::{
    directory::{Directory, DirectoryAnswer, DirectoryCall},
    error::{CommandError, code},
    ffmpeg,
    media::MediaConnections,
    on_air::{OnAir, RunningBroadcast},
    settings::{self, Settings, SettingsFile},
    subscriptions::Subscriptions,
};

type Answer<T> = Result<T, CommandError>;

/// What a person chose before going live.
#[derive(Debug, Deserialize, TS)]
#[ts(export)]
pub(crate) struct GoLive {
    title: String,
    visibility: Visibility,
    /// What viewers must know, where the visibility is `password`.
    #[serde(default)]
    password: Option<Secret>,
    /// Whether the stream is end-to-end encrypted.
    #[serde(default)]
    encrypt: bool,
    source: SourceChoice,
    sound: SoundChoice,
    quality: Quality,
    /// Whether a second, smaller picture is sent as well.
    #[serde(default)]
    small_picture: bool,
}

/// The settings.
#[tauri::command]
pub(crate) fn settings(file: State<'_, SettingsFile>) -> Settings {
    file.current()
}

/// Takes another directory, as it was typed.
#[tauri::command(async)]
pub(crate) fn set_directory(
    address: &str,
    file: State<'_, SettingsFile>,
    directory: State<'_, Directory>,
) -> Answer<Settings> {
    let address = settings::parse_address(address).map_err(|error| CommandError::new(code::INVALID_ADDRESS, error))?;
    directory.change(address.clone());
    file.set_directory(address)
        .map_err(|error| CommandError::new(code::SETTINGS, format!("the address can't be remembered: {error}")))
}

/// Keeps the operator's pass for the present directory, or forgets it.
#[tauri::command(async)]
pub(crate) fn set_pass(pass: Option<Secret>, file: State<'_, SettingsFile>) -> Answer<Settings> {
    let pass = match pass {
        Some(text) => settings::parse_pass(&text).map_err(|error| CommandError::new(code::INVALID_PASS, error))?,
        None => None,
    };
    file.set_pass(pass)
        .map_err(|error| CommandError::new(code::SETTINGS, format!("the pass can't be remembered: {error}")))
}

/// One call of the directory.
#[tauri::command]
pub(crate) async fn call_directory(call: DirectoryCall, directory: State<'_, Directory>) -> Answer<DirectoryAnswer> {
    directory.call(call).await
}

/// The public list as it changes. Fails when the directory can't be reached (any more).
#[tauri::command]
pub(crate) async fn list_events(
    channel: Channel<ListEvent>,
    directory: State<'_, Directory>,
    subscriptions: State<'_, Subscriptions>,
) -> Answer<()> {
    let mut outcome = Ok(());
    let events = directory.client().list_events();
    let pass_on = async {
        pin_mut!(events);
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => drop(channel.send(event)),
                Err(error) => return outcome = Err(error.into()),
            }
        }
    };
    subscriptions.run(channel.id(), pass_on).await;
    outcome
}

/// What can be shown on this machine.
#[tauri::command]
pub(crate) async fn list_sources() -> Vec<SourceInfo> {
    sources::list().await
}

/// A small picture of what a source shows now: JPEG.
#[tauri::command]
pub(crate) async fn preview_source(choice: SourceChoice, app: AppHandle) -> Answer<Response> {
    Ok(Response::new(sources::preview(&choice, &ffmpeg_of(&app)?).await?))
}

/// Goes live. Fails, with nothing left running, when the source, ffmpeg or the directory is not there.
#[tauri::command]
pub(crate) async fn start_broadcast(
    options: GoLive,
    app: AppHandle,
    directory: State<'_, Directory>,
    file: State<'_, SettingsFile>,
    on_air: State<'_, OnAir>,
) -> Answer<RunningBroadcast> {
    let GoLive { title, visibility, password, encrypt, source, sound, quality, small_picture } = options;
    let ffmpeg = ffmpeg_of(&app)?;
    let directory = directory.client().address().clone();
    let options = BroadcastOptions {
        pass: file.pass(&directory),
        directory,
        authorities: Authorities::default(),
        title,
        visibility,
        password,
        encrypt,
        source,
        sound,
        quality,
        bitrate_kbit_s: None,
        small_picture,
        transport: TransportChoice::default(),
        ffmpeg,
    };
    on_air.start(options).await
}

/// Removes a viewer from the stream that runs, for good.
#[tauri::command]
pub(crate) async fn remove_viewer(viewer: ViewerId, on_air: State<'_, OnAir>) -> Answer<()> {
    on_air.remove_viewer(viewer).await
}

/// Ends the stream for everybody.
#[tauri::command]
pub(crate) async fn stop_broadcast(on_air: State<'_, OnAir>) -> Answer<()> {
    on_air.stop().await;
    Ok(())
}

/// The broadcast that runs, for a page that was loaded anew.
#[tauri::command]
pub(crate) fn current_broadcast(on_air: State<'_, OnAir>) -> Option<RunningBroadcast> {
    on_air.current()
}

/// How the broadcast is doing, now and with each change, until it has ended.
#[tauri::command]
pub(crate) async fn broadcast_status(
    channel: Channel<BroadcastStatus>,
    on_air: State<'_, OnAir>,
    subscriptions: State<'_, Subscriptions>,
) -> Answer<()> {
    let Some(mut newest) = on_air.status() else { return Ok(()) };
    let pass_on = async {
        loop {
            let status = newest.borrow_and_update().clone();
            let ended = status.state == BroadcastState::Ended;
            drop(channel.send(status));
            if ended || newest.changed().await.is_err() {
                return;
            }
        }
    };
    subscriptions.run(channel.id(), pass_on).await;
    Ok(())
}

/// Connects to a relay and passes its messages on, until one side ends it.
#[tauri::command]
pub(crate) async fn open_media(
    url: Url,
    channel: Channel<InvokeResponseBody>,
    connections: State<'_, MediaConnections>,
    subscriptions: State<'_, Subscriptions>,
) -> Answer<()> {
    subscriptions.run(channel.id(), connections.carry(&url, &channel)).await;
    Ok(())
}

/// Sends a text to the relay of `channel`.
#[tauri::command]
pub(crate) fn send_media(channel: u32, text: String, connections: State<'_, MediaConnections>) -> bool {
    connections.send(channel, text)
}

/// The page has taken `messages` of `channel` in all.
#[tauri::command]
pub(crate) fn acknowledge_media(channel: u32, messages: u64, connections: State<'_, MediaConnections>) {
    connections.acknowledge(channel, messages);
}

/// Ends the subscription that speaks through `channel`.
#[tauri::command]
pub(crate) fn unsubscribe(channel: u32, subscriptions: State<'_, Subscriptions>) {
    subscriptions.end(channel);
}

fn ffmpeg_of(app: &AppHandle) -> Answer<std::path::PathBuf> {
    ffmpeg::find(app).map_err(|error| CommandError::new(code::CAPTURE, error))
}
