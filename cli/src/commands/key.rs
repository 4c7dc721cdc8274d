//! `klstore key`: list the keys of a keyspace, delete one.

use std::io::{self, IsTerminal, Write};

use clap::Subcommand;
use klstore_reader::StoreReader;

use crate::commands::trim;
use crate::failure::{Failure, Kind};
use crate::keys::no_key;
use crate::output::{Listing, Output, count_text};
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
    /// Take every item of a list away; asks first
    ///
    /// The key stays, without items: it is still listed, and an append goes on at the next offset and nonce.
    Delete {
        /// Keyspace
        keyspace: String,
        /// Key of the list
        key: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

pub async fn run(command: Command, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Ls { keyspace, prefix, limit, object_prefix: _ } => {
            list(&keyspace, &prefix.unwrap_or_default(), limit.unwrap_or(u64::MAX), store, output).await
        }
        Command::Delete { keyspace, key, yes } => delete(&keyspace, &key, yes, store, output).await,
    }
}

async fn delete(keyspace: &str, key: &str, yes: bool, store: &StoreArguments, output: &Output) -> Result<(), Failure> {
    let known = store::reader(store).await?.read_key_metadata(keyspace, key).await?;
    let known = known.ok_or_else(|| no_key(keyspace, key))?;
    if !yes {
        let items = count_text(known.item_count);
        let name = String::from_utf8_lossy(&output.shown(format!("{keyspace}/{key}").as_bytes())).into_owned();
        confirm(&format!("delete all {items} items of {name}?"))?;
    }
    let writer = store::writer(store).await?;
    let trimmed = writer.delete_key(keyspace, key).await?;
    let (json, text) = trim::answer(output, keyspace, key, &trimmed, "deleted");
    let answered = output.answer(&json, &text);
    // Frees the space.
    store::tidy_up_wholly(&writer).await;
    answered
}

/// Asks on the terminal; only a `y` goes on.
fn confirm(question: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(
            Failure::new(Kind::Usage, "nobody is there to confirm the deletion").advice("give --yes if you mean it")
        );
    }
    let mut err = io::stderr().lock();
    let asked = write!(err, "{question} [y/N] ").and_then(|()| err.flush());
    asked.map_err(|error| Failure::io("cannot ask", error))?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| Failure::io("cannot read the answer", error))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Kind::Failed, "not confirmed: nothing was deleted")),
    }
}

async fn list(
    keyspace: &str,
    prefix: &str,
    limit: u64,
    store: &StoreArguments,
    output: &Output,
) -> Result<(), Failure> {
    let reader = store::reader(store).await?;
    let mut answer = Listing::begin(output, "keys", Some(keyspace))?;
    let mut left = limit;
    let mut continuation = None;
    loop {
        let page = reader.list_keys(keyspace, prefix, None, continuation).await?;
        let taken = page.keys.iter().take(usize::try_from(left).unwrap_or(usize::MAX));
        left = left.saturating_sub(page.keys.len() as u64);
        answer.add(taken.map(String::as_str))?;
        continuation = page.continuation;
        if left == 0 || continuation.is_none() {
            return answer.end();
        }
    }
}
