//! `klstore page`: exactly one page, as one JSON object.

use std::io::{self, Write};

use clap::Args;
use klstore_reader::StoreReader;

use crate::failure::Failure;
use crate::output::{ItemListJson, write_json_line};
use crate::page_arguments::PageArguments;
use crate::settings::StoreArguments;
use crate::store;

/// Read one page of a list, as one JSON object
///
/// Pass the page's `continuation` to the next call to read on; it is null at the end. A key that does not exist is
/// an empty page. `stats` says what the page took: LISTs, GETs and bytes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  klstore page flights N14228 --order backwards --max-size 10
  klstore page flights N14228 --start-timestamp 2013-01-20T00:00:00Z | jq -r '.items[].value'

Answer:
  {\"keyspace\", \"key\", \"items\": [ITEM...], \"continuation\", \"stats\"}, an ITEM being
  {\"offset\", \"timestamp\" (ms since 1970), \"nonce\" (decimal string, if any),
   \"value\" (text) or \"value_base64\" (other bytes)}")]
pub struct Arguments {
    #[command(flatten)]
    page: PageArguments,
}

pub async fn run(arguments: &Arguments, store: &StoreArguments) -> Result<(), Failure> {
    let PageArguments { keyspace, key, order, max_size, start } = &arguments.page;
    let reader = store::reader(store).await?;
    let page =
        reader.read_page(keyspace, key, (*order).into(), *max_size, start.filter(), start.continuation.clone()).await?;
    let mut out = io::stdout().lock();
    write_json_line(&mut out, &ItemListJson::from(&page)).and_then(|()| out.flush()).map_err(Failure::output)
}
