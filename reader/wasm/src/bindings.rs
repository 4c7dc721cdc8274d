//! What JavaScript calls.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use klstore_reader::transport::HttpRequest;
use klstore_reader::{
    FollowStart, ItemFilter, IterationOrder, ReaderError, RetryPolicy, S3StoreConfig, S3StoreReader, Signing,
    StoreReader, Tail, TimelineWindow,
};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::host::Host;
use crate::mailbox::{Errand, What};
use crate::outcome;
use crate::task::{Outcome, Task, time};

/// How long a signed URL is valid beyond its quantum.
const VALIDITY: Duration = Duration::from_secs(300);

#[wasm_bindgen]
extern "C" {
    /// What carries errands out. Nothing of it may call back into the operation at once.
    pub type JsHost;

    #[wasm_bindgen(method)]
    fn fetch(this: &JsHost, id: u32, url: &str, start: Option<f64>, end: Option<f64>, reload: bool);
    #[wasm_bindgen(method)]
    fn list(this: &JsHost, id: u32, prefix: &str, start_after: Option<String>, max_keys: u32, delimiter: bool);
    #[wasm_bindgen(method)]
    fn get(this: &JsHost, id: u32, name: &str, start: Option<f64>, end: Option<f64>, reload: bool);
    #[wasm_bindgen(method)]
    fn credentials(this: &JsHost, id: u32);
    #[wasm_bindgen(method)]
    fn sleep(this: &JsHost, id: u32, milliseconds: f64);
    #[wasm_bindgen(method)]
    fn cancel(this: &JsHost, id: u32);
}

/// A store; starts operations.
#[wasm_bindgen]
pub struct Store {
    reader: S3StoreReader,
    host: Host,
}

#[wasm_bindgen]
impl Store {
    /// A store on S3; `signed` where the host gives keys.
    ///
    /// # Errors
    ///
    /// Of options that are not usable: code and message.
    pub fn bucket(
        names: Vec<String>,
        path_style: bool,
        signed: bool,
        quantum: f64,
        bounds: Vec<f64>,
    ) -> Result<Store, JsValue> {
        Self::on_bucket(names, path_style, signed, quantum, bounds).map_err(|error| outcome::error(&error))
    }

    /// A store on the host's own list and get.
    ///
    /// # Errors
    ///
    /// Of options that are not usable: code and message.
    pub fn source(prefix: String, bounds: Vec<f64>) -> Result<Store, JsValue> {
        Self::on_source(prefix, bounds).map_err(|error| outcome::error(&error))
    }

    /// Reads a page; `max_items` is 0 where nothing was said.
    #[wasm_bindgen(js_name = readPage)]
    #[expect(clippy::too_many_arguments, reason = "JavaScript hands over each option by itself")]
    pub fn read_page(
        &self,
        names: Vec<String>,
        backwards: bool,
        max_items: f64,
        start_offset: Option<u64>,
        start_timestamp: Option<i64>,
        start_nonce: Option<u128>,
        continuation: Option<String>,
    ) -> Operation {
        let filter = ItemFilter { start_offset, start_timestamp, start_nonce };
        let order = if backwards { IterationOrder::Backwards } else { IterationOrder::Forwards };
        let max_size = (max_items > 0.0).then_some(max_items as u64);
        self.start(|reader| async move {
            let [keyspace, key] = pair(names)?;
            reader.read_page(&keyspace, &key, order, max_size, Some(filter), continuation).await.map(Outcome::Page)
        })
    }

    /// What is known of a keyspace, or of a key where two names are given.
    pub fn stat(&self, names: Vec<String>) -> Operation {
        self.start(|reader| async move {
            match &names[..] {
                [keyspace] => reader.read_keyspace_metadata(keyspace).await.map(Outcome::Keyspace),
                [keyspace, key] => reader.read_key_metadata(keyspace, key).await.map(Outcome::Key),
                _ => Err(mistake()),
            }
        })
    }

    /// Some keyspaces.
    pub fn keyspaces(&self, max_names: u32, continuation: Option<String>) -> Operation {
        self.start(|reader| async move {
            reader.list_keyspaces(Some(max_names), continuation).await.map(Outcome::Keyspaces)
        })
    }

    /// Some keys of a keyspace with a prefix.
    pub fn keys(&self, names: Vec<String>, max_names: u32, continuation: Option<String>) -> Operation {
        self.start(|reader| async move {
            let [keyspace, prefix] = pair(names)?;
            reader.list_keys(&keyspace, &prefix, Some(max_names), continuation).await.map(Outcome::Keys)
        })
    }

    /// The time line of a list.
    pub fn timeline(&self, names: Vec<String>, from: Option<i64>, to: Option<i64>) -> Operation {
        self.start(|reader| async move {
            let [keyspace, key] = pair(names)?;
            reader.read_timeline(&keyspace, &key, TimelineWindow { from, to }).await.map(Outcome::Timeline)
        })
    }

    /// The live tail of a list, from an offset or from its end.
    ///
    /// # Errors
    ///
    /// Of a bad name: code and message.
    pub fn tail(&self, names: Vec<String>, offset: Option<u64>) -> Result<TailHandle, JsValue> {
        self.tail_of(names, offset).map_err(|error| outcome::error(&error))
    }
}

/// The same for callers in Rust, whose errors are no JavaScript values.
impl Store {
    /// See [`bucket`](Self::bucket).
    ///
    /// # Errors
    ///
    /// Of options that are not usable.
    pub fn on_bucket(
        names: Vec<String>,
        path_style: bool,
        signed: bool,
        quantum: f64,
        bounds: Vec<f64>,
    ) -> Result<Self, ReaderError> {
        let [bucket, region, endpoint, prefix] = <[String; 4]>::try_from(names).map_err(|_| mistake())?;
        let mut config = S3StoreConfig::new(bucket);
        config.region = region;
        config.endpoint = Some(endpoint).filter(|endpoint| !endpoint.is_empty());
        config.object_prefix = prefix;
        config.path_style = path_style;
        config.anonymous = !signed;
        let quantum = Duration::from_secs(quantum as u64);
        Self::build(config, bounds, |builder, host| {
            let builder = builder.transport(host.clone()).signing(Signing::Query { validity: VALIDITY, quantum });
            if signed { builder.credentials(host.clone()) } else { builder }
        })
    }

    /// See [`source`](Self::source).
    ///
    /// # Errors
    ///
    /// Of options that are not usable.
    pub fn on_source(prefix: String, bounds: Vec<f64>) -> Result<Self, ReaderError> {
        let mut config = S3StoreConfig::new("source");
        config.object_prefix = prefix;
        Self::build(config, bounds, |builder, host| builder.source(host.clone()))
    }

    /// See [`tail`](Self::tail).
    ///
    /// # Errors
    ///
    /// Of a bad name.
    pub fn tail_of(&self, names: Vec<String>, offset: Option<u64>) -> Result<TailHandle, ReaderError> {
        let start = offset.map_or(FollowStart::End, FollowStart::Offset);
        let tail = pair(names).and_then(|[keyspace, key]| self.reader.tail(&keyspace, &key, start))?;
        Ok(TailHandle { tail: Rc::new(RefCell::new(tail)), host: self.host.clone() })
    }

    fn build(
        config: S3StoreConfig,
        bounds: Vec<f64>,
        reached: impl FnOnce(klstore_reader::S3StoreReaderBuilder, &Host) -> klstore_reader::S3StoreReaderBuilder,
    ) -> Result<Self, ReaderError> {
        let [cache, attempts, attempt_timeout, deadline, seed] = <[f64; 5]>::try_from(bounds).map_err(|_| mistake())?;
        let host = Host::new(time(0.0), seed.to_bits());
        let retry = RetryPolicy {
            attempts: attempts as u32,
            attempt_timeout: Duration::from_millis(attempt_timeout as u64),
            deadline: Duration::from_millis(deadline as u64),
            ..RetryPolicy::default()
        };
        let builder = S3StoreReader::builder(config).environment(host.clone()).retry_policy(retry);
        let builder = reached(builder.cache_bytes(cache as u64), &host);
        match builder.build().now_or_never() {
            Some(Ok(reader)) => Ok(Self { reader, host }),
            Some(Err(error)) => Err(error),
            None => Err(mistake()),
        }
    }

    fn start<F>(&self, call: impl FnOnce(S3StoreReader) -> F) -> Operation
    where
        F: Future<Output = Result<Outcome, ReaderError>> + 'static,
    {
        Operation { task: Task::new(&self.host, call(self.reader.clone())), outcome: None }
    }
}

/// The live tail of a list. Its polls must not overlap.
#[wasm_bindgen]
pub struct TailHandle {
    tail: Rc<RefCell<Tail>>,
    host: Host,
}

#[wasm_bindgen]
impl TailHandle {
    /// The items since the poll before.
    pub fn poll(&self) -> Operation {
        let shared = self.tail.clone();
        let call = async move {
            // A copy, so that nothing is borrowed while it waits.
            let mut tail = shared.borrow().clone();
            let items = tail.poll().await?;
            *shared.borrow_mut() = tail;
            Ok(Outcome::Items(items))
        };
        Operation { task: Task::new(&self.host, call), outcome: None }
    }

    /// Makes the next poll load the list anew.
    pub fn reload(&self) {
        self.tail.borrow_mut().reload();
    }
}

/// A call under way. Free it once it is through, and once what it came to has been copied.
#[wasm_bindgen]
pub struct Operation {
    pub(crate) task: Task,
    /// Kept while JavaScript copies from it.
    outcome: Option<Outcome>,
}

#[wasm_bindgen]
impl Operation {
    /// Goes on as far as possible: hands errands to the host, and returns what the call came to or, while errands are
    /// under way, `undefined`.
    ///
    /// # Errors
    ///
    /// What the call failed with: code and message.
    pub fn poll(&mut self, host: &JsHost, now: f64) -> Result<JsValue, JsValue> {
        let (polled, errands) = self.turn(now);
        for errand in errands {
            hand_over(host, errand);
        }
        match polled {
            None => Ok(JsValue::UNDEFINED),
            Some(Ok(outcome)) => Ok(outcome::outcome(self.outcome.insert(outcome))),
            Some(Err(error)) => Err(outcome::error(&error)),
        }
    }
}

impl Operation {
    /// Goes on as far as possible, for callers in Rust: what the call came to, unless errands are under way, and the
    /// errands since the last time.
    pub fn turn(&mut self, now: f64) -> (Option<Result<Outcome, ReaderError>>, Vec<Errand>) {
        (self.task.poll(time(now)), self.task.mailbox.errands())
    }
}

fn hand_over(host: &JsHost, errand: Errand) {
    let id = errand.id;
    match errand.what {
        What::Fetch(HttpRequest { url, range, reload, .. }) => {
            let (start, end) = bounds(range);
            host.fetch(id, &url, start, end, reload);
        }
        What::List(list) => host.list(id, &list.prefix, list.start_after, list.max_keys, list.delimiter),
        What::Get(get) => {
            let (start, end) = bounds(get.range);
            host.get(id, &get.name, start, end, get.reload);
        }
        What::Credentials => host.credentials(id),
        What::Sleep(duration) => host.sleep(id, duration.as_millis() as f64),
        What::Cancel => host.cancel(id),
    }
}

fn bounds(range: Option<std::ops::Range<u64>>) -> (Option<f64>, Option<f64>) {
    range.map_or((None, None), |range| (Some(range.start as f64), Some(range.end as f64)))
}

fn pair(names: Vec<String>) -> Result<[String; 2], ReaderError> {
    <[String; 2]>::try_from(names).map_err(|_| mistake())
}

fn mistake() -> ReaderError {
    ReaderError::Internal { reason: "its JavaScript and its WebAssembly do not belong together".to_owned() }
}
