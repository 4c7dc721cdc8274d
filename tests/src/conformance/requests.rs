//! What klstore needs of the store's requests themselves.

use std::net::SocketAddr;

use aws_sdk_s3::Client;
use futures::future::join_all;
use klstore_format::IterationOrder;
use klstore_reader::{HttpTransport, S3StoreReader, Signing, StoreReader};

use super::{Failure, KEY, KEYSPACE, Outcome, Store, check_whole, equal, fill, holds};
use crate::servers::plain_client;

const ROUNDS: usize = 40;
const RACING: usize = 16;

/// The compare-and-swap that everything rests on.
pub(super) async fn one_of_racing_conditional_puts_wins(store: Store) -> Outcome {
    // A client each, so that no connection puts them in a row.
    let clients: Vec<Client> = (0..RACING).map(|_| plain_client(&store)).collect();
    for round in 0..ROUNDS {
        let name = format!("{}/race/{round:03}", store.prefix);
        let puts = clients.iter().enumerate().map(|(racer, client)| {
            let (client, bucket, name) = (client.clone(), store.bucket.clone(), name.clone());
            tokio::spawn(async move { (racer, put_if_absent(&client, &bucket, &name, racer).await) })
        });
        let mut winners = Vec::new();
        for put in join_all(puts).await {
            let (racer, won) = put?;
            if won? {
                winners.push(racer);
            }
        }
        equal(&format!("winners of round {round}"), winners.len(), 1)?;
        let got = clients[0].get_object().bucket(&store.bucket).key(&name).send().await?;
        let body = got.body.collect().await?.into_bytes();
        equal("what the winner wrote", body, racer_body(winners[0]).into())?;
    }
    Ok(())
}

/// Whether this PUT created the object. 409 is no answer: send the same again.
async fn put_if_absent(client: &Client, bucket: &str, name: &str, racer: usize) -> Result<bool, Failure> {
    for _ in 0..100 {
        let put = client.put_object().bucket(bucket).key(name).if_none_match("*").body(racer_body(racer).into());
        match put.send().await {
            Ok(_) => return Ok(true),
            Err(error) => match error.raw_response().map(|response| response.status().as_u16()) {
                Some(412) => return Ok(false),
                Some(409) => {}
                _ => return Err(format!("a conditional PUT: {error:?}").into()),
            },
        }
    }
    Err("100 times 409".into())
}

fn racer_body(racer: usize) -> Vec<u8> {
    format!("racer {racer} ").repeat(1_000 + racer).into_bytes()
}

pub(super) async fn header_and_query_signatures(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let model = fill(&writer, KEY, 30, 4).await?;
    for signing in [Signing::Headers, Signing::BROWSER] {
        let reader = S3StoreReader::builder(store.config()).signing(signing).build().await?;
        check_whole(&reader, KEY, &model.items, 7).await?;
        equal("the keys", reader.list_keys(KEYSPACE, "", None, None).await?.keys, vec![KEY.to_owned()])?;
    }
    Ok(())
}

/// `BUCKET.localhost`: resolved by the client here, since not every machine resolves it.
pub(super) async fn virtual_hosted_style(store: Store) -> Outcome {
    let writer = store.writer_with_keyspace().await?;
    let model = fill(&writer, KEY, 12, 5).await?;
    let address: SocketAddr = store.endpoint.trim_start_matches("http://").parse()?;
    let host = format!("{}.localhost", store.bucket);
    for signing in [Signing::Headers, Signing::BROWSER] {
        let client = reqwest::Client::builder().no_proxy().resolve(&host, address).build()?;
        let mut config = store.config();
        config.endpoint = Some(format!("http://localhost:{}", address.port()));
        config.path_style = false;
        let reader = S3StoreReader::builder(config).transport(HttpTransport::with_client(client)).signing(signing);
        let reader = reader.build().await?;
        check_whole(&reader, KEY, &model.items, 5).await?;
        equal("the keys", reader.list_keys(KEYSPACE, "", None, None).await?.keys, vec![KEY.to_owned()])?;
    }
    Ok(())
}

/// Details that the protocol relies on: order of listings, `start-after`, ETags in listings, ranges at and beyond ends.
pub(super) async fn ranges_and_listings(store: Store) -> Outcome {
    let client = plain_client(&store);
    let name = |number: u32| format!("{}/o/{number:02}", store.prefix);
    for number in [7, 3, 9, 1] {
        let body = vec![number as u8; 100];
        client.put_object().bucket(&store.bucket).key(name(number)).body(body.into()).send().await?;
    }
    let list = || client.list_objects_v2().bucket(&store.bucket).prefix(format!("{}/o/", store.prefix));
    let first = list().max_keys(1).send().await?;
    equal("the first name", first.contents().first().and_then(|object| object.key()), Some(name(1).as_str()))?;
    holds("the listing says that more follow", first.is_truncated() == Some(true))?;
    let after = list().start_after(name(4)).send().await?;
    let after: Vec<_> = after.contents().iter().filter_map(|object| object.key()).collect();
    equal("names after one that does not exist", after, vec![&name(7), &name(9)])?;

    let get = |range: &str| client.get_object().bucket(&store.bucket).key(name(3)).range(range).send();
    let part = get("bytes=90-199").await?;
    let listed = list().send().await?;
    let etag = listed.contents().get(1).and_then(|object| object.e_tag());
    equal("the ETag of object and listing", part.e_tag().map(bare), etag.map(bare))?;
    equal("a range over the end", part.body.collect().await?.into_bytes().len(), 10)?;
    let beyond = get("bytes=100-199").await;
    let status = beyond.err().and_then(|error| error.raw_response().map(|response| response.status().as_u16()));
    equal("the status of a range beyond the end", status, Some(416))?;
    // The reader's own view of a store with foreign objects beside it.
    let reader = store.reader().await?;
    equal("keyspaces", reader.list_keyspaces(None, None).await?.keyspaces.len(), 0)?;
    let page = reader.read_page("o", "07", IterationOrder::Forwards, None, None, None).await;
    holds("a folder is no keyspace", page.is_err())
}

fn bare(etag: &str) -> &str {
    etag.trim_start_matches("W/").trim_matches('"')
}
