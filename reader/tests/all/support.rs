//! A running server, and lists written into its store by the writer's own plans without HTTP.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use klstore_format::names::{KeyspaceName, ListName, Prefix, keyspace_object};
use klstore_format::plan::{
    Answer, AppendOutcome, Listed, Listing, Object, Plan, PutKind, Request, Session, SessionOptions, Step,
};
use klstore_format::wire::identity::SessionId;
use klstore_format::wire::keyspace::KeyspaceObject;
use klstore_format::{Insertion, S3StoreConfig};
use klstore_reader::{Environment, NativeEnvironment, RetryPolicy, S3StoreReader};
use klstore_s3_server::{
    ByteRange, Credential, ListRequest, ListStart, ObjectMetadata, Precondition, RunningServer, Server, ServerBuilder,
    StoreError,
};

pub const BUCKET: &str = "lists";
pub const ACCESS_KEY: &str = "AKREADER";
pub const SECRET_KEY: &str = "reader-secret";
pub const KEYSPACE: &str = "flights";
/// When the test's keyspaces were created.
pub const CREATED: i64 = 1_357_034_400_000;

/// A server with one bucket and one credential.
pub fn server() -> ServerBuilder {
    Server::builder().bucket(BUCKET).credential(Credential::new(ACCESS_KEY, SECRET_KEY))
}

pub fn config(server: &RunningServer) -> S3StoreConfig {
    let mut config = S3StoreConfig::new(BUCKET);
    config.endpoint = Some(server.endpoint());
    config.access_key = Some(ACCESS_KEY.into());
    config.secret_key = Some(SECRET_KEY.into());
    config.object_prefix = "test".into();
    config
}

/// Patience enough for a busy machine, pauses too short to wait for.
pub fn quick() -> RetryPolicy {
    RetryPolicy {
        attempts: 3,
        base_delay: Duration::from_millis(1),
        max_delay: Duration::from_millis(5),
        ..RetryPolicy::default()
    }
}

pub async fn reader(server: &RunningServer) -> S3StoreReader {
    S3StoreReader::builder(config(server)).retry_policy(quick()).build().await.expect("a reader")
}

pub fn prefix() -> Prefix {
    Prefix::new("test").expect("a prefix")
}

pub fn create_keyspace(server: &RunningServer, keyspace: &str) {
    let name = KeyspaceName::new(keyspace).expect("a keyspace");
    put(server, &keyspace_object(&prefix(), &name), KeyspaceObject::encode(&name, CREATED, 1));
}

pub fn put(server: &RunningServer, name: &str, body: Bytes) {
    server.store().put(BUCKET, name, body, ObjectMetadata::default(), &Precondition::None).expect("a PUT");
}

/// Writes one list, commit by commit.
pub struct ListWriter {
    server: Arc<RunningServer>,
    session: Option<Session>,
}

impl ListWriter {
    pub fn open(server: &Arc<RunningServer>, keyspace: &str, key: &str, session: u128) -> Self {
        let list = ListName::new(&prefix(), keyspace, key).expect("a list");
        let options = SessionOptions { carry_bytes: 0, ..SessionOptions::default() };
        let session = run(server, Session::open(list, SessionId(session), Arc::new(options))).expect("a session");
        Self { server: server.clone(), session: Some(session) }
    }

    /// Appends a commit.
    pub fn append(&mut self, insertions: Vec<Insertion>) {
        let session = self.session.take().expect("a session");
        let (session, outcome) = run(&self.server, session.append(insertions, CREATED)).expect("an append");
        assert!(matches!(outcome, AppendOutcome::Appended(_)), "{outcome:?}");
        self.session = Some(session);
    }

    /// Appends `commits` commits of `items` items each: values `v0`, `v1`, ..., a second apart.
    pub fn append_numbered(&mut self, commits: u64, items: u64) {
        for _ in 0..commits {
            let first = self.session.as_ref().map_or(0, Session::next_offset);
            self.append((first..first + items).map(insertion).collect());
        }
    }
}

/// Item `offset` of a numbered list.
pub fn insertion(offset: u64) -> Insertion {
    Insertion::new(format!("v{offset}")).with_nonce(u128::from(offset)).with_timestamp(CREATED + offset as i64 * 1_000)
}

fn run<T>(server: &RunningServer, mut plan: Plan<T>) -> T {
    let mut answers = Vec::new();
    loop {
        match plan.step(answers) {
            Step::Done(output) => return output,
            Step::Send(requests) => answers = requests.into_iter().map(|request| answer(server, request)).collect(),
        }
    }
}

fn answer(server: &RunningServer, request: Request) -> Answer {
    let store = server.store();
    match request {
        Request::List { prefix, start_after, max_keys, delimiter } => {
            let mut list = ListRequest::prefix(prefix);
            list.max_keys = max_keys as usize;
            list.delimiter = if delimiter { "/".into() } else { String::new() };
            if let Some(name) = start_after {
                list.start = ListStart::After(name);
            }
            let page = store.list(BUCKET, &list).expect("a LIST");
            let objects = page.objects.into_iter().map(|object| Listed {
                name: object.key,
                etag: bare(object.etag),
                size: object.size,
            });
            let truncated = page.next.is_some();
            Answer::Listed(Listing { objects: objects.collect(), common_prefixes: page.common_prefixes, truncated })
        }
        Request::Get { name, range, .. } => {
            let range = range.map_or(ByteRange::All, |range| ByteRange::FromTo(range.start, range.end - 1));
            match store.get(BUCKET, &name, range) {
                Ok(got) => Answer::Got(Object { body: got.body, etag: Some(bare(got.etag)), size: Some(got.size) }),
                Err(StoreError::NoSuchKey { .. } | StoreError::RangeNotSatisfiable { .. }) => Answer::Missing,
                Err(error) => panic!("{error}"),
            }
        }
        Request::Put { name, body, kind } => {
            let precondition = if kind == PutKind::Create { Precondition::Absent } else { Precondition::None };
            match store.put(BUCKET, &name, body, ObjectMetadata::default(), &precondition) {
                Ok(put) => Answer::Done { etag: Some(bare(put.etag)) },
                Err(StoreError::PreconditionFailed { .. }) => Answer::Exists,
                Err(error) => panic!("{error}"),
            }
        }
        Request::Delete { names } => {
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            store.delete(BUCKET, &names).expect("a DELETE");
            Answer::Done { etag: None }
        }
    }
}

fn bare(etag: impl std::fmt::Display) -> String {
    etag.to_string().trim_matches('"').to_owned()
}

/// The native environment with a clock that is wrong by some hours.
pub struct WrongClock(pub u64);

#[async_trait]
impl Environment for WrongClock {
    fn now(&self) -> SystemTime {
        NativeEnvironment.now() + Duration::from_secs(3_600 * self.0)
    }

    async fn sleep(&self, duration: Duration) {
        NativeEnvironment.sleep(duration).await;
    }

    fn random(&self) -> u64 {
        NativeEnvironment.random()
    }
}
