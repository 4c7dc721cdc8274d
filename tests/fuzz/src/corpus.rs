//! The corpora in the repository: for each target one file of inputs that together reach what is known to be reachable,
//! and a folder of inputs that once failed.
//!
//! Hundreds of files of a few bytes would be hard to look at and to merge: `corpus/TARGET` holds them one after the
//! other, each behind its length in 4 bytes, little-endian. `script/fuzz` unpacks and packs it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The folder of this crate's corpora.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The inputs in a packed corpus.
///
/// # Errors
///
/// A file that is cut.
pub fn unpack(packed: &[u8]) -> io::Result<Vec<&[u8]>> {
    let cut = || io::Error::new(io::ErrorKind::UnexpectedEof, "the corpus is cut");
    let (mut inputs, mut rest) = (Vec::new(), packed);
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk().ok_or_else(cut)?;
        let (input, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
        inputs.push(input);
        rest = after;
    }
    Ok(inputs)
}

/// The corpus with these inputs, in the order of their lengths and bytes.
pub fn pack(mut inputs: Vec<Vec<u8>>) -> Vec<u8> {
    inputs.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
    inputs.dedup();
    inputs.iter().flat_map(|input| [&(input.len() as u32).to_le_bytes()[..], input].concat()).collect()
}

/// Every input of a target in the repository, with what to call it.
///
/// # Errors
///
/// Files that cannot be read.
pub fn inputs(target: &str) -> io::Result<Vec<(String, Vec<u8>)>> {
    let packed = fs::read(folder().join(target))?;
    let mut all: Vec<_> = unpack(&packed)?
        .into_iter()
        .zip(0..)
        .map(|(input, at)| (format!("{target}, input {at}"), input.to_vec()))
        .collect();
    let failed = folder().join("once-failed").join(target);
    if failed.is_dir() {
        for entry in fs::read_dir(failed)? {
            let path = entry?.path();
            all.push((path.display().to_string(), fs::read(&path)?));
        }
    }
    Ok(all)
}
