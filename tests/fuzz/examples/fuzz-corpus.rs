//! The corpora of the repository, between their packed form and the folders that a fuzzer works in; for `script/fuzz`.
//!
//! `fuzz-corpus unpack TARGET FOLDER` writes the corpus of the repository, what once failed, and the seeds;
//! `fuzz-corpus pack TARGET FOLDER` makes the corpus of the repository of a folder's files.

use std::error::Error;
use std::fs;
use std::path::Path;

use klstore_fuzz::{corpus, seeds};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [action, target, folder] = &arguments[..] else { return Err("usage: unpack|pack TARGET FOLDER".into()) };
    let folder = Path::new(folder);
    let packed = corpus::folder().join(target);
    match action.as_str() {
        "unpack" => {
            let mut inputs = seeds::of(target);
            if packed.exists() {
                inputs.extend(corpus::inputs(target)?.into_iter().map(|(_, input)| input));
            }
            fs::create_dir_all(folder)?;
            for input in inputs {
                fs::write(folder.join(format!("{:08x}-{}", crc32c::crc32c(&input), input.len())), input)?;
            }
        }
        "pack" => {
            let paths: Result<Vec<_>, _> = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect();
            let inputs: Result<Vec<_>, _> = paths?.into_iter().map(fs::read).collect();
            fs::write(packed, corpus::pack(inputs?))?;
        }
        _ => return Err("either unpack or pack".into()),
    }
    Ok(())
}
