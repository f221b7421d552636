//! Closing the window: asks first while somebody may be watching, and never leaves a stream or a process behind.

use std::sync::atomic::{AtomicBool, Ordering};

use tauri::{AppHandle, CloseRequestApi, Manager as _, Runtime, Window};
use tauri_plugin_dialog::{DialogExt as _, MessageDialogButtons, MessageDialogKind};

use crate::on_air::OnAir;

/// Whether the question is on the screen.
#[derive(Debug, Default)]
pub(crate) struct Asking(AtomicBool);

/// Keeps the window open, and asks, while a stream runs.
pub(crate) fn close_requested<R: Runtime>(window: &Window<R>, request: &CloseRequestApi) {
    if !window.state::<OnAir>().is_on() {
        return;
    }
    request.prevent_close();
    if window.state::<Asking>().0.swap(true, Ordering::Relaxed) {
        return;
    }
    let window = window.clone();
    let dialog = window.dialog().message("Closing the window ends your stream for everybody who watches it.");
    dialog
        .title("You are live")
        .kind(MessageDialogKind::Warning)
        .buttons(MessageDialogButtons::OkCancelCustom("End the stream and close".to_owned(), "Stay live".to_owned()))
        .parent(&window)
        .show(move |close| {
            window.state::<Asking>().0.store(false, Ordering::Relaxed);
            if close {
                tauri::async_runtime::spawn(async move {
                    window.state::<OnAir>().stop().await;
                    if let Err(error) = window.destroy() {
                        tracing::warn!("the window does not close: {error}");
                    }
                });
            }
        });
}

/// Ends the stream before the process ends, whatever made it end.
pub(crate) fn exiting<R: Runtime>(app: &AppHandle<R>) {
    tauri::async_runtime::block_on(app.state::<OnAir>().stop());
}

/// Ends the app in good order when the system asks for it.
#[cfg(unix)]
pub(crate) async fn exit_on_signal<R: Runtime>(app: AppHandle<R>) {
    use tokio::signal::unix::{SignalKind, signal};

    let (Ok(mut terminate), Ok(mut interrupt), Ok(mut hangup)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()), signal(SignalKind::hangup()))
    else {
        tracing::warn!("signals can't be waited for; a terminated app ends its stream late");
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = hangup.recv() => {}
    }
    app.exit(0);
}
