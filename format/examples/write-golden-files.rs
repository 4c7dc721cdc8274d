//! Writes the golden files of the current format version: once, when a version is made. Files of a released version are
//! never written again.
//!
//! `cargo run -p klstore-format --example write-golden-files -- format/tests/golden/v1`

use std::error::Error;
use std::path::PathBuf;

#[path = "../tests/golden/list.rs"]
#[allow(dead_code, clippy::unwrap_used)] // the test uses all of it; made-up values are known to be good
mod list;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("say into which folder")?);
    for (name, bytes) in list::objects(None) {
        let path = folder.join(name);
        if path.exists() {
            if std::fs::read(&path)? == bytes {
                continue;
            }
            return Err(format!("{} is there already: golden files are not rewritten", path.display()).into());
        }
        std::fs::create_dir_all(path.parent().ok_or("a name without a folder")?)?;
        std::fs::write(&path, bytes)?;
        println!("{}", path.display());
    }
    Ok(())
}
