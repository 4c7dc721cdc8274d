//! `klstore key`: list the keys of a keyspace.

use clap::Subcommand;
use klstore_reader::StoreReader;

use crate::failure::Failure;
use crate::output::{Listing, Output};
use crate::settings::StoreArguments;
use crate::store;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// List the keys of a keyspace, one a line, in the order of their names in S3
    Ls {
        /// Keyspace
        keyspace: String,
        /// Only keys that begin so
        #[arg(long, value_name = "PREFIX")]
        prefix: Option<String>,
        /// Keys at most; all if not given
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
        /// What all object names begin with: `--prefix` of the other commands
        // Of the same name as the global flag, so that clap takes the two for one and `--prefix` is free here.
        #[arg(long, env = "KLSTORE_PREFIX", hide_env_values = true, value_name = "PREFIX", help_heading = "Store")]
        object_prefix: Option<String>,
    },
}

pub async fn run(command: Command, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let Command::Ls { keyspace, prefix, limit, object_prefix: _ } = command;
    let reader = store::reader(store).await?;
    let prefix = prefix.unwrap_or_default();
    let mut answer = Listing::begin(output, "keys", Some(&keyspace))?;
    let mut left = limit.unwrap_or(u64::MAX);
    let mut continuation = None;
    loop {
        let page = reader.list_keys(&keyspace, &prefix, None, continuation).await?;
        let taken = page.keys.iter().take(usize::try_from(left).unwrap_or(usize::MAX));
        left = left.saturating_sub(page.keys.len() as u64);
        answer.add(taken.map(String::as_str))?;
        continuation = page.continuation;
        if left == 0 || continuation.is_none() {
            return answer.end();
        }
    }
}
