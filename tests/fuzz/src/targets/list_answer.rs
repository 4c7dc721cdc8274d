//! What a store answers to a LIST, read by a reader over its transport: an error of few words, or keys that are in the
//! answer, in order and no more than asked for.
//!
//! The first byte is 0 for a 200 with the rest as its body, 255 for names of which an answer is made, and else a status.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt;
use klstore_format::names::{KeyName, escape};
use klstore_reader::transport::{Body, HttpRequest, HttpResponse, Transport, TransportError};
use klstore_reader::{Environment, KeyList, ReaderError, S3StoreConfig, S3StoreReader, StoreReader};

use super::drawn;

/// Names asked for.
const MAX_NAMES: u32 = 5;
/// A reader asks on where an answer is empty, and behind names that are not klstore's.
const MAX_REQUESTS: usize = 64 * 101;
/// Characters of an error, with what it quotes of the store.
const MAX_ERROR_CHARACTERS: usize = 2_000;
const STATUSES: [u16; 12] = [400, 403, 404, 301, 503, 416, 206, 500, 204, 307, 401, 100];

/// The target.
pub fn run(data: &[u8]) {
    let Some((&how, rest)) = data.split_first() else { return };
    match how {
        255 => {
            if let Some(listing) = super::read::<Listed>(rest) {
                comes_back(listing);
            }
        }
        0 => bounded(200, rest),
        status => bounded(STATUSES[usize::from(status) % STATUSES.len()], rest),
    }
}

fn bounded(status: u16, body: &[u8]) {
    match keys(status, body.to_vec().into()) {
        Ok(list) => {
            assert!(list.keys.len() <= MAX_NAMES as usize);
            let escaped: Vec<String> = list.keys.iter().map(|key| escape(key) + "/").collect();
            assert!(escaped.is_sorted_by(|one, next| one < next), "keys out of order: {:?}", list.keys);
            let text = String::from_utf8_lossy(body);
            for key in &list.keys {
                // Whatever stands in it as a reference or in percent signs is another matter.
                assert!(
                    text.contains('&')
                        || text.contains('%')
                        || text.contains("<!")
                        || text.contains('\r')
                        || text.contains(&escape(key)),
                    "{key} is not in the answer"
                );
            }
        }
        Err(error) => {
            let words = error.to_string();
            assert!(words.chars().count() <= MAX_ERROR_CHARACTERS, "{} characters", words.chars().count());
        }
    }
}

#[derive(Debug)]
struct Listed {
    keys: Vec<String>,
    url_encoded: bool,
    truncated: bool,
}

drawn!('a, Listed { keys, url_encoded, truncated });

/// Keys, listed as S3 lists them.
fn comes_back(Listed { keys, url_encoded, truncated }: Listed) {
    let keys = keys.into_iter().filter_map(|key| KeyName::new(&key).ok());
    let mut keys: Vec<(String, String)> =
        keys.map(|key| (format!("flights/lists/{}/", key.escaped()), key.as_str().to_owned())).collect();
    keys.sort();
    keys.dedup();
    keys.truncate(MAX_NAMES as usize);
    let folders: String =
        keys.iter().map(|(folder, _)| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")).collect();
    let encoding = if url_encoded { "<EncodingType>url</EncodingType>" } else { "" };
    // As some servers write them: `/` and `~` in percent signs.
    let folders = if url_encoded { folders.replace("s/lists/", "s%2Flists%2F").replace('~', "%7e") } else { folders };
    let answer = format!(
        "<?xml version=\"1.0\"?><ListBucketResult>{encoding}<IsTruncated>{truncated}</IsTruncated>{folders}</ListBucketResult>"
    );
    match keys_of(answer) {
        Ok(list) => {
            assert_eq!(list.keys, keys.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>());
            assert_eq!(list.continuation, list.keys.last().cloned().filter(|_| truncated));
        }
        // No key, and no keyspace either: every other request is answered with 404.
        Err(error) => assert!(keys.is_empty() && matches!(error, ReaderError::KeyspaceNotFound { .. }), "{error}"),
    }
}

fn keys_of(answer: String) -> Result<KeyList, ReaderError> {
    keys(200, answer.into())
}

/// The keys that a reader finds where every LIST is answered so.
fn keys(status: u16, body: Bytes) -> Result<KeyList, ReaderError> {
    let requests = Arc::new(AtomicUsize::new(0));
    let mut config = S3StoreConfig::new("bucket");
    config.endpoint = Some("http://127.0.0.1:9000".to_owned());
    (config.path_style, config.anonymous) = (true, true);
    let builder = S3StoreReader::builder(config).environment(StandingClock);
    let builder = builder.transport(Answers { status, body, requests: requests.clone() }).cache_bytes(0);
    let reader = builder.build().now_or_never().expect("no waiting").expect("a reader");
    let keys = reader.list_keys("flights", "", Some(MAX_NAMES), None).now_or_never().expect("nothing waits");
    assert!(requests.load(Ordering::Relaxed) <= MAX_REQUESTS);
    keys
}

struct Answers {
    status: u16,
    body: Bytes,
    requests: Arc<AtomicUsize>,
}

#[async_trait]
impl Transport for Answers {
    async fn execute(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let is_list = request.url.contains("list-type=2");
        let (status, body) = if is_list { (self.status, self.body.clone()) } else { (404, Bytes::new()) };
        let received = body.len() as u64;
        Ok(HttpResponse { status, headers: Vec::new(), body: Body::from(body), received })
    }
}

/// Time that stands still, and pauses that are over at once.
struct StandingClock;

#[async_trait]
impl Environment for StandingClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_357_034_400)
    }

    async fn sleep(&self, _: Duration) {}

    fn random(&self) -> u64 {
        7
    }
}
