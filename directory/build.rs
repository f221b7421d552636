//! Sees to it that there is a folder of pages to embed, and that changed pages are embedded anew.

use std::{error::Error, fs, path::Path};

const PAGES: &str = "../ui/dist";

const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
  <meta charset=\"utf-8\" />
  <title>Dead Streaming</title>
  <p>The pages were not built. Build them with <code>npm ci &amp;&amp; npm run build</code> in <code>ui</code>.</p>
</html>
";

fn main() -> Result<(), Box<dyn Error>> {
    let pages = Path::new(PAGES);
    let index = pages.join("index.html");
    if !index.exists() {
        fs::create_dir_all(pages)?;
        fs::write(index, PLACEHOLDER)?;
    }
    // Every file by name: a folder's own time does not change when a file in it does.
    println!("cargo::rerun-if-changed=build.rs");
    tell(pages)
}

fn tell(path: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", path.display());
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            tell(&entry?.path())?;
        }
    }
    Ok(())
}
