//! A desktop portal for tests: what the X screen `DISPLAY` shows becomes a PipeWire node, and
//! `org.freedesktop.portal.ScreenCast` hands that node to whoever asks, without a dialog.
//!
//! Needs a session bus, PipeWire and a session manager. Prints `portal ready` once it answers. usage: portal-stub [FPS]

#[cfg(target_os = "linux")]
mod portal;
#[cfg(target_os = "linux")]
mod screen_node;

#[cfg(target_os = "linux")]
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let frame_rate = std::env::args().nth(1).map_or(Ok(30), |text| text.parse())?;
    let screen = screen_node::Screen::open()?;
    let size = screen.size();
    let (found, node) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        if let Err(error) = screen.serve(frame_rate, found) {
            eprintln!("the screen's node ended: {error:#}");
            std::process::exit(1);
        }
    });
    let _connection = portal::serve(node.await?, size).await?;
    println!("portal ready");
    std::future::pending().await
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("the portal is a thing of Linux desktops");
}
