//! Prepares what the app embeds: the window's configuration, its icons and the built pages.

use std::{fs, io, path::Path, time::SystemTime};

const PAGES: &str = "../ui/dist";

const PLACEHOLDER: &str = "<!doctype html><meta charset=\"utf-8\"><title>Dead Streaming</title>\
    <p>The pages were not built: run <code>npm --prefix ui ci &amp;&amp; npm --prefix ui run build</code>, then build the app again.</p>";

fn main() -> io::Result<()> {
    let pages = Path::new(PAGES);
    let index = pages.join("index.html");
    if !index.exists() {
        fs::create_dir_all(pages)?;
        fs::write(&index, PLACEHOLDER)?;
        // As old as can be, so that a build tool that compares times still builds the real pages.
        fs::File::options().write(true).open(&index)?.set_modified(SystemTime::UNIX_EPOCH)?;
    }
    println!("cargo::rerun-if-changed={PAGES}");
    tauri_build::build();
    Ok(())
}
