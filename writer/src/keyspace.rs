//! Creating and opening keyspaces, and the proof that the store keeps `If-None-Match`.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use klstore_format::FormatError;
use klstore_format::names::{KeyspaceName, Prefix, keyspace_object};
use klstore_format::plan::{Answer, Cache, Plan, Port, PutKind, Request};
use klstore_format::wire::keyspace::KeyspaceObject;
use lru::LruCache;

use crate::driver::Driver;
use crate::error::WriterError;
use crate::sync::{Mutex, OnceCell, PoisonError};

/// Keyspaces that are remembered as existing.
const MAX_KNOWN_KEYSPACES: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// A keyspace that was just created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedKeyspace {
    /// Its name.
    pub keyspace: String,
    /// When it was created, in milliseconds since 1970 by the writer's clock.
    pub created_timestamp: i64,
}

/// What a writer knows of keyspaces: which exist, and whether the store is safe.
pub(crate) struct Keyspaces {
    prefix: Prefix,
    known: Mutex<LruCache<String, Arc<OnceCell<()>>>>,
    probed: OnceCell<()>,
}

impl Keyspaces {
    pub(crate) fn new(prefix: Prefix) -> Self {
        let known = Mutex::new(LruCache::new(MAX_KNOWN_KEYSPACES));
        Self { prefix, known, probed: OnceCell::new() }
    }

    /// Makes sure, once for each keyspace, that it exists, and once for all that the store is safe.
    pub(crate) async fn ensure(&self, driver: &Driver, keyspace: &str) -> Result<(), WriterError> {
        let cell = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get_or_insert_ref(keyspace, Arc::default).clone()
        };
        // Callers that come meanwhile wait for the one check; a failed one leaves the cell empty for the next.
        cell.get_or_try_init(|| self.open(driver, keyspace)).await.copied()
    }

    async fn open(&self, driver: &Driver, keyspace: &str) -> Result<(), WriterError> {
        let name = KeyspaceName::new(keyspace)?;
        let object = keyspace_object(&self.prefix, &name);
        let plan = Plan::new({
            let object = object.clone();
            |port| async move { read(&port, &object).await }
        });
        let Some(body) = run(driver, keyspace, plan).await? else {
            return Err(WriterError::KeyspaceNotFound { keyspace: keyspace.to_owned() });
        };
        KeyspaceObject::decode(&body, &name, &object)?;
        let probe = || self.probe(driver, keyspace, object, body);
        self.probed.get_or_try_init(probe).await.copied()
    }

    /// PUTs an existing object's own bytes again: harmless, and a safe store answers 412.
    async fn probe(&self, driver: &Driver, keyspace: &str, object: String, body: Bytes) -> Result<(), WriterError> {
        let plan = Plan::new({
            let object = object.clone();
            |port| async move {
                // Should the first be accepted because the object was just deleted, the second must be refused.
                !create(&port, &object, &body).await.created || !create(&port, &object, &body).await.created
            }
        });
        match run(driver, keyspace, plan).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(WriterError::UnsafeStore {
                reason: format!("it accepted a PUT of `{object}` with If-None-Match although the object exists"),
            }),
            Err(error) => Err(error),
        }
    }

    /// Creates a keyspace.
    pub(crate) async fn create(
        &self,
        driver: &Driver,
        keyspace: &str,
        now: i64,
    ) -> Result<CreatedKeyspace, WriterError> {
        let name = KeyspaceName::new(keyspace)?;
        let object = keyspace_object(&self.prefix, &name);
        let body = KeyspaceObject::encode(&name, now, driver.random.next());
        let plan = Plan::new({
            let (object, body) = (object.clone(), body.clone());
            |port| async move { create_keyspace(&port, &name, &object, &body).await }
        });
        if !run(driver, keyspace, plan).await?? {
            return Err(WriterError::KeyspaceAlreadyExists { keyspace: keyspace.to_owned() });
        }
        let probe = || self.probe(driver, keyspace, object.clone(), body);
        let probed = self.probed.get_or_try_init(probe).await;
        if let Err(WriterError::UnsafeStore { .. }) = probed {
            // So that the next call is told of the store, not that the keyspace exists. Where deleting is not allowed it stays.
            drop(run(driver, keyspace, Plan::new(|port| async move { withdraw(&port, object).await })).await);
        }
        probed?;
        Ok(CreatedKeyspace { keyspace: keyspace.to_owned(), created_timestamp: now })
    }
}

async fn run<T>(driver: &Driver, keyspace: &str, plan: Plan<T>) -> Result<T, WriterError> {
    driver.run(plan, driver.policy.deadline).await.map_err(|given_up| match WriterError::given_up(keyspace, given_up) {
        // A store that does not know the condition is not merely one that lacks something.
        WriterError::Store(crate::store::StoreError::NotSupported { reason, action: "PutObject", .. }) => {
            WriterError::UnsafeStore { reason: format!("it answers a PUT with If-None-Match by `{reason}`") }
        }
        other => other,
    })
}

async fn read(port: &Port, object: &str) -> Option<Bytes> {
    let get = Request::Get { name: object.to_owned(), range: None, cache: Cache::Reload };
    match port.send_one(get).await {
        Answer::Got(object) => Some(object.body),
        _ => None,
    }
}

/// Deletes a `keyspace.json` that was just created where nothing else of its keyspace lies: on a store so bad that a GET did
/// not find what was there, lists must not lose theirs.
async fn withdraw(port: &Port, object: String) {
    let Some((folder, _)) = object.rsplit_once('/') else { return };
    let list = Request::List { prefix: format!("{folder}/"), start_after: None, max_keys: 2, delimiter: false };
    let Answer::Listed(listing) = port.send_one(list).await else { return };
    if listing.objects.iter().all(|listed| listed.name == object) && !listing.truncated {
        port.send_one(Request::Delete { names: vec![object] }).await;
    }
}

/// How a conditional PUT went.
struct Created {
    /// 200, not 412.
    created: bool,
    /// Whether an earlier attempt got no answer: a 412 may then be our own doing.
    repeated: bool,
}

async fn create(port: &Port, object: &str, body: &Bytes) -> Created {
    let mut repeated = false;
    loop {
        let put = Request::Put { name: object.to_owned(), body: body.clone(), kind: PutKind::Create };
        match port.send_one(put).await {
            Answer::Done { .. } => return Created { created: true, repeated },
            Answer::Exists => return Created { created: false, repeated },
            _ => repeated = true,
        }
    }
}

/// Whether this call created the keyspace. It is looked for first: a store that ignores the condition would
/// overwrite it before the probe finds out. No other creator's `body` is the same, so that after a lost answer it shows
/// whose the object is.
async fn create_keyspace(port: &Port, name: &KeyspaceName, object: &str, body: &Bytes) -> Result<bool, FormatError> {
    if let Some(existing) = read(port, object).await {
        KeyspaceObject::decode(&existing, name, object)?;
        return Ok(false);
    }
    let outcome = create(port, object, body).await;
    if outcome.created || !outcome.repeated {
        return Ok(outcome.created);
    }
    Ok(read(port, object).await.as_ref() == Some(body))
}
