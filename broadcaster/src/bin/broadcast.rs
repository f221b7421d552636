//! The `broadcast` command: goes live without a window.

fn main() {
    broadcaster::capture_helper::run_if_asked();
}
