//! What is logged to stderr.

use tracing_subscriber::EnvFilter;

use crate::output::coloured;

/// Starts logging: warnings of klstore itself, and with each `-v` more. Other crates' logs stay above the level at
/// which they show headers, as these hold signatures and session tokens. (To s3s, each request that is refused is an
/// error of its own.)
pub fn start(verbose: u8, json: bool) {
    // A target stands for all that begin with it: klstore_reader, klstore_writer...
    let filter = match verbose {
        0 => "error,s3s=off,klstore=warn",
        1 => "warn,s3s=off,klstore=info",
        2 => "info,klstore=debug",
        _ => "info,klstore=trace",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .with_ansi(coloured());
    if json { subscriber.json().init() } else { subscriber.init() }
}
