//! `klstore s3`: an S3 server on a folder.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use klstore_s3_server::{AnonymousAccess, Cors, Credential, Server};
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::stop;
use crate::store::variable;

/// Serve S3 from a folder of this machine
///
/// The key pair that clients have to use comes from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
///
/// What was answered survives a crash of the server and, as far as the disk keeps its word, of the machine. One
/// line on stdout says that it is ready; Ctrl-C or SIGTERM stop it when the requests under way are done.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  export AWS_ACCESS_KEY_ID=klstore AWS_SECRET_ACCESS_KEY=choose-a-secret
  klstore s3 --dir ./objects --addr 127.0.0.1:9000 --bucket lists &
  export KLSTORE_ENDPOINT=http://127.0.0.1:9000 KLSTORE_BUCKET=lists
  klstore keyspace create sensors")]
pub struct Arguments {
    /// Folder that keeps the objects; it is created where it is missing
    #[arg(long, value_name = "FOLDER")]
    dir: PathBuf,
    /// Where to listen; port 0 is any free one. Beyond 127.0.0.1 the network can reach the server
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9000")]
    addr: SocketAddr,
    /// Let anyone read and list without keys (never write)
    #[arg(long)]
    anonymous_read: bool,
    /// Let pages of this origin, such as `https://example.org` or `*`, use the server; may be repeated
    #[arg(long, value_name = "ORIGIN")]
    cors_origin: Vec<String>,
    /// Answer to this host name too, that of a proxy in front, say; may be repeated
    #[arg(long, value_name = "NAME")]
    host_name: Vec<String>,
}

pub async fn run(arguments: Arguments, bucket: Option<&str>, output: &Output) -> Result<(), Failure> {
    let mut server = Server::builder()
        .folder(&arguments.dir)
        .address(arguments.addr)
        .credential(credential()?)
        .cors(Cors { origins: arguments.cors_origin, ..Cors::default() });
    if let Some(bucket) = bucket {
        server = server.bucket(bucket);
    }
    if arguments.anonymous_read {
        server = server.anonymous_everywhere(AnonymousAccess { get: true, list: true });
    }
    for name in arguments.host_name {
        server = server.host_name(name);
    }
    // Before the ready line: whoever read it may stop the server.
    let stop = stop::requested()?;
    let running = server.start().await?;
    let endpoint = running.endpoint();
    let folder = arguments.dir.display().to_string();
    let of_bucket = bucket.map(|name| format!(", bucket {name}")).unwrap_or_default();
    output.answer(
        &json!({ "endpoint": endpoint, "bucket": bucket, "dir": folder }),
        &format!("S3 is ready at {endpoint}{of_bucket}, folder {folder}"),
    )?;
    stop.await;
    tracing::info!("stopping: finishing the requests under way");
    running.shutdown().await;
    Ok(())
}

fn credential() -> Result<Credential, Failure> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let (Some(access_key), Some(secret_key)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) else {
        return Err(Failure::new(
            Kind::Access,
            "the server has no key pair: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not both set",
        )
        .advice(
            "set them here and where you use the server:\n  export AWS_ACCESS_KEY_ID=klstore\n  \
             export AWS_SECRET_ACCESS_KEY=choose-a-secret",
        ));
    };
    let credential = Credential::new(access_key, secret_key);
    Ok(match set("AWS_SESSION_TOKEN") {
        Some(token) => credential.session_token(token),
        None => credential,
    })
}
