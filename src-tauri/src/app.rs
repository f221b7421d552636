//! The app: its parts, its one window, and its end.

use std::env;

use anyhow::Context as _;
use tauri::{App, Manager as _, RunEvent, WindowEvent, webview::PageLoadEvent};

use crate::{
    closing::{self, Asking},
    commands,
    directory::Directory,
    media::MediaConnections,
    on_air::OnAir,
    settings::{DIRECTORY_VARIABLE, SettingsFile},
    subscriptions::Subscriptions,
};

/// Shows the window and runs until it is closed.
pub(crate) fn run() -> anyhow::Result<()> {
    // Tauri panics where this returns an error.
    #[cfg(target_os = "linux")]
    gtk::init()
        .context("the window can't be opened: start the app where there is a display (DISPLAY or WAYLAND_DISPLAY)")?;
    let app = tauri::Builder::default()
        .plugin(tauri_plugin_shell::init())
        .plugin(tauri_plugin_dialog::init())
        .manage(OnAir::default())
        .manage(Asking::default())
        .manage(Subscriptions::default())
        .manage(MediaConnections::default())
        .invoke_handler(tauri::generate_handler![
            commands::settings,
            commands::set_directory,
            commands::set_pass,
            commands::call_directory,
            commands::list_events,
            commands::list_sources,
            commands::preview_source,
            commands::start_broadcast,
            commands::stop_broadcast,
            commands::remove_viewer,
            commands::current_broadcast,
            commands::broadcast_status,
            commands::open_media,
            commands::send_media,
            commands::acknowledge_media,
            commands::unsubscribe,
        ])
        .setup(|app| Ok(prepare(app)?))
        .on_page_load(|webview, load| {
            if load.event() == PageLoadEvent::Started {
                webview.state::<Subscriptions>().end_all();
            }
        })
        .on_window_event(|window, event| {
            if let WindowEvent::CloseRequested { api, .. } = event {
                closing::close_requested(window, api);
            }
        })
        .build(tauri::generate_context!())
        .context("the window can't be opened")?;
    app.run(|app, event| {
        if let RunEvent::Exit = event {
            closing::exiting(app);
        }
    });
    Ok(())
}

fn prepare(app: &App) -> tauri::Result<()> {
    let file = app.path().app_config_dir()?.join("settings.json");
    let settings = SettingsFile::open(file, env::var(DIRECTORY_VARIABLE).ok().as_deref());
    tracing::info!("The directory is {}.", settings.current().directory);
    app.manage(Directory::new(settings.current().directory));
    app.manage(settings);
    #[cfg(target_os = "linux")]
    crate::drawing::choose(app)?;
    #[cfg(unix)]
    tauri::async_runtime::spawn(closing::exit_on_signal(app.handle().clone()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn window_runs_nothing_inline_and_may_use_nothing_but_the_commands() {
        let config = parsed(include_str!("../tauri.conf.json"));
        let security = &config["app"]["security"];
        let policy = security["csp"].as_object().unwrap();
        assert_eq!(policy["default-src"], "'none'");
        assert!(policy.values().all(|sources| !sources.as_str().unwrap().contains("unsafe")), "{policy:?}");
        assert!(security.as_object().unwrap().keys().all(|key| !key.contains("dangerous")), "{security}");
        assert_ne!(config["app"]["withGlobalTauri"], true);
        let capability = parsed(include_str!("../capabilities/main.json"));
        assert_eq!(capability["permissions"], Value::Array(Vec::new()));
    }
}
