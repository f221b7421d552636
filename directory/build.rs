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
    let index = Path::new(PAGES).join("index.html");
    if !index.exists() {
        fs::create_dir_all(PAGES)?;
        fs::write(index, PLACEHOLDER)?;
    }
    // Cargo looks at everything in the folder, new files included.
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={PAGES}");
    Ok(())
}
