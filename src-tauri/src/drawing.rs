//! How the window draws: with the graphics card where there is one.
//!
//! Without one WebKitGTK does with a software OpenGL what it would do with the card, and a moving picture takes all of two cores and
//! still comes at a fraction of its rate (`docs/decisions/0015-sound-beside-the-picture.md`). Drawn without OpenGL it takes a
//! quarter of one.

use std::{fs, path::Path};

use tauri::{App, Manager as _};
use webkit2gtk::{HardwareAccelerationPolicy, SettingsExt as _, WebViewExt as _};

/// Where Linux shows what can draw.
const CARDS: &str = "/dev/dri";
/// What a card that can draw for whoever asks is called; others only show.
const RENDERER: &str = "renderD";

/// Has the window drawn without OpenGL where that would be done in software.
pub(crate) fn choose(app: &App) -> tauri::Result<()> {
    if has_renderer(Path::new(CARDS)) {
        return Ok(());
    }
    tracing::info!("There is no graphics card: the window is drawn without one.");
    for window in app.webview_windows().values() {
        window.with_webview(|webview| {
            if let Some(settings) = webview.inner().settings() {
                settings.set_hardware_acceleration_policy(HardwareAccelerationPolicy::Never);
            }
        })?;
    }
    Ok(())
}

fn has_renderer(cards: &Path) -> bool {
    let Ok(entries) = fs::read_dir(cards) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(RENDERER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_card_that_renders_is_one_to_draw_with() {
        let folder = std::env::temp_dir().join(format!("dead-streaming-cards-{}", std::process::id()));
        assert!(!has_renderer(&folder), "there is no folder at all");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("card0"), "").unwrap();
        assert!(!has_renderer(&folder), "a card that only shows");
        fs::write(folder.join("renderD128"), "").unwrap();
        assert!(has_renderer(&folder));
        fs::remove_dir_all(&folder).unwrap();
    }
}
