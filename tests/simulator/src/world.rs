//! A store in memory, and actors whose plans are turned request by request: paused, lost, late, abandoned.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use klstore_format::names::{KeyspaceName, ListName, Prefix};
use klstore_format::plan::read::{PageRequest, read_page};
use klstore_format::plan::{
    Answer, AppendOutcome, Compaction, Listed, Listing, Object, Plan, PutKind, Request, Session, SessionOptions, Step,
    collect,
};
use klstore_format::wire::identity::SessionId;
use klstore_format::wire::keyspace::KeyspaceObject;
use klstore_format::{Insertion, ItemFilter, IterationOrder};

/// Steps after which an actor that does not finish counts as stuck.
const MAX_STEPS: usize = 20_000;

/// S3 without a network: linearizable objects, strongly consistent LIST, conditional PUT.
#[derive(Debug, Clone, Default)]
pub struct World {
    objects: BTreeMap<String, (Bytes, u64)>,
    versions: u64,
    ids: u128,
}

impl World {
    /// A store with the keyspace in which the lists are.
    pub fn with_keyspace() -> Self {
        let mut world = Self::default();
        let keyspace = KeyspaceName::new("keyspace").expect("a name");
        world.put(list().keyspace_object(), KeyspaceObject::encode(&keyspace, NOW, 1));
        world
    }

    /// Lets a request take effect now.
    pub fn apply(&mut self, request: &Request) -> Answer {
        match request {
            Request::List { prefix, start_after, max_keys, delimiter } => {
                self.list(prefix, start_after.as_deref(), *max_keys as usize, *delimiter)
            }
            Request::Get { name, range, .. } => self.read(name, range.map(|range| (range.start, range.end))),
            Request::Put { name, kind: PutKind::Create, .. } if self.objects.contains_key(name) => Answer::Exists,
            Request::Put { name, body, .. } => {
                self.versions += 1;
                self.objects.insert(name.clone(), (body.clone(), self.versions));
                Answer::Done { etag: Some(self.versions.to_string()) }
            }
            Request::Delete { names } => {
                names.iter().for_each(|name| drop(self.objects.remove(name)));
                Answer::Done { etag: None }
            }
        }
    }

    fn list(&self, prefix: &str, after: Option<&str>, max_keys: usize, delimiter: bool) -> Answer {
        assert!(!delimiter, "the protocol's plans list without delimiter");
        let from = after.map_or(Bound::Included(prefix), |after| Bound::Excluded(after.max(prefix)));
        let matching = self.objects.range::<str, _>((from, Bound::Unbounded));
        let mut objects: Vec<Listed> = matching
            .take_while(|(name, _)| name.starts_with(prefix))
            .take(max_keys + 1)
            .map(|(name, (body, version))| Listed {
                name: name.clone(),
                etag: version.to_string(),
                size: body.len() as u64,
            })
            .collect();
        let truncated = objects.len() > max_keys;
        objects.truncate(max_keys);
        Answer::Listed(Listing { objects, common_prefixes: Vec::new(), truncated })
    }

    fn read(&self, name: &str, range: Option<(u64, u64)>) -> Answer {
        let Some((body, version)) = self.objects.get(name) else { return Answer::Missing };
        let size = body.len() as u64;
        let (start, end) = range.map_or((0, size), |(start, end)| (start, end.min(size)));
        if range.is_some() && start >= size && size > 0 {
            return Answer::Missing;
        }
        let body = body.slice(start.min(size) as usize..end as usize);
        Answer::Got(Object { body, etag: Some(version.to_string()), size: Some(size) })
    }

    /// A number that is used once.
    pub fn draw(&mut self) -> u128 {
        self.ids += 1;
        self.ids << 32
    }

    /// The names of all objects that contain `part`.
    pub fn names(&self, part: &str) -> Vec<String> {
        self.objects.keys().filter(|name| name.contains(part)).cloned().collect()
    }

    /// The bytes of an object.
    pub fn object(&self, name: &str) -> Option<&Bytes> {
        self.objects.get(name).map(|(body, _)| body)
    }

    /// Puts an object past all plans.
    pub fn put(&mut self, name: String, body: Bytes) {
        self.versions += 1;
        self.objects.insert(name, (body, self.versions));
    }

    /// Opens a session of the writer with this number.
    pub fn open(&mut self, writer: u128, options: SessionOptions) -> Session {
        let plan = Session::open(list(), SessionId(writer), Arc::new(options));
        Actor::new(plan).finish(self).expect("open")
    }

    /// Appends values without nonce; the session and the first offset.
    pub fn append(&mut self, session: Session, values: &[&str]) -> (Session, u64) {
        let plan = session.append(insertions(values), NOW);
        appended(Actor::new(plan).finish(self).expect("append"))
    }

    /// Appends values without nonce; what went wrong where it fails.
    pub fn try_append(&mut self, session: Session, values: &[&str]) -> Result<(Session, u64), String> {
        let appending = Actor::new(session.append(insertions(values), NOW)).try_finish(self);
        Ok(appended(appending.ok_or("the append is stuck")?.map_err(|error| error.to_string())?))
    }

    /// Appends one commit for each value.
    pub fn append_each(&mut self, mut session: Session, values: &[&str]) -> Session {
        for value in values {
            session = self.append(session, &[value]).0;
        }
        session
    }

    /// Compacts; the session then holds the prepared index.
    pub fn compact(&mut self, mut session: Session) -> Session {
        let prepared = self.prepare(&session);
        assert!(session.accept(prepared), "the index was thrown away");
        session
    }

    /// Prepares an index without giving it to the session.
    pub fn prepare(&mut self, session: &Session) -> klstore_format::plan::Prepared {
        let id = self.draw();
        match Actor::new(session.compact(id)).finish(self).expect("compact") {
            Compaction::Prepared(prepared) => prepared,
            other => panic!("{other:?}"),
        }
    }

    /// Collects what the session's publication replaced.
    pub fn collect(&mut self, mut session: Session) -> Session {
        if let Some(garbage) = session.take_garbage() {
            Actor::new(collect(garbage)).finish(self);
        }
        session
    }

    /// Compacts, publishes with an append of one value, and collects.
    pub fn compact_and_collect(&mut self, session: Session, value: &str) -> Session {
        let session = self.compact(session);
        let session = self.append(session, &[value]).0;
        self.collect(session)
    }

    /// Reads the list from its start, in pages of `page` items.
    pub fn read_all(&mut self, page: u64) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        let mut continuation = None;
        loop {
            let mut actor = Actor::new(read_page(request(page, continuation.take())));
            let read = actor.try_finish(self).ok_or("the reader is stuck")?.map_err(|error| error.to_string())?;
            for item in read.items {
                if item.offset != values.len() as u64 {
                    return Err(format!("offset {} where {} was due", item.offset, values.len()));
                }
                values.push(String::from_utf8_lossy(&item.value).into_owned());
            }
            match read.continuation {
                Some(token) => continuation = Some(token),
                None => return Ok(values),
            }
        }
    }

    /// The list holds exactly these values, in this order.
    pub fn expect(&mut self, values: &[&str]) -> Result<(), String> {
        let read = self.read_all(3)?;
        if read == values { Ok(()) } else { Err(format!("read {read:?}, acknowledged {values:?}")) }
    }
}

/// The time of every append.
pub const NOW: i64 = 1_700_000_000_000;

/// The list that all actors work on.
pub fn list() -> ListName {
    static LIST: LazyLock<ListName> = LazyLock::new(|| {
        let prefix = Prefix::new("").expect("prefix");
        ListName::new(&prefix, "keyspace", "key").expect("list")
    });
    LIST.clone()
}

/// Insertions of these values without nonce.
pub fn insertions(values: &[&str]) -> Vec<Insertion> {
    values.iter().map(|value| Insertion::new((*value).to_owned())).collect()
}

/// A forwards page from the beginning or a continuation.
pub fn request(max_size: u64, continuation: Option<String>) -> PageRequest {
    let (order, filter) = (IterationOrder::Forwards, ItemFilter::default());
    PageRequest { list: list(), order, max_size, filter, continuation }
}

/// The session and first offset of an append that went through.
pub fn appended((session, outcome): (Session, AppendOutcome)) -> (Session, u64) {
    match outcome {
        AppendOutcome::Appended(appended) => (session, appended.offsets.start),
        other => panic!("{other:?}"),
    }
}

/// A plan in progress, with the requests that it waits for.
pub struct Actor<T> {
    plan: Plan<T>,
    pending: Vec<Request>,
    done: Option<T>,
}

/// A request that is under way although its sender has given it up.
#[derive(Debug, Clone)]
#[must_use]
pub struct Late(Request);

impl Late {
    /// It takes effect now.
    pub fn arrive(self, world: &mut World) -> Answer {
        world.apply(&self.0)
    }
}

impl<T> Actor<T> {
    /// Starts a plan: its first requests wait.
    pub fn new(plan: Plan<T>) -> Self {
        let mut actor = Self { plan, pending: Vec::new(), done: None };
        actor.step(Vec::new());
        actor
    }

    fn step(&mut self, answers: Vec<Answer>) {
        match self.plan.step(answers) {
            Step::Send(requests) => self.pending = requests,
            Step::Done(output) => {
                self.pending = Vec::new();
                self.done = Some(output);
            }
        }
    }

    /// Serves what waits, once.
    pub fn serve(&mut self, world: &mut World) {
        let answers = self.pending.iter().map(|request| world.apply(request)).collect();
        self.step(answers);
    }

    /// Serves until a request of this kind waits; it has not been sent yet.
    pub fn pause_before(mut self, world: &mut World, kind: impl Fn(&Request) -> bool) -> Self {
        for _ in 0..MAX_STEPS {
            if self.done.is_some() || self.pending.iter().any(&kind) {
                assert!(self.done.is_none(), "it ended before such a request");
                return self;
            }
            self.serve(world);
        }
        panic!("no such request");
    }

    /// What waits is sent and under way; the sender hears nothing.
    pub fn time_out(&mut self) -> Late {
        let late = self.under_way();
        self.step(vec![Answer::Unknown]);
        late
    }

    /// What waits is sent and under way; the sender crashes.
    pub fn crash(self) -> Late {
        self.under_way()
    }

    fn under_way(&self) -> Late {
        assert_eq!(self.pending.len(), 1, "{:?}", self.pending);
        Late(self.pending[0].clone())
    }

    /// Serves to the end; `None` where there is none.
    pub fn try_finish(&mut self, world: &mut World) -> Option<T> {
        for _ in 0..MAX_STEPS {
            if let Some(output) = self.done.take() {
                return Some(output);
            }
            self.serve(world);
        }
        None
    }

    /// Serves to the end.
    pub fn finish(mut self, world: &mut World) -> T {
        self.try_finish(world).expect("the plan does not end")
    }
}

/// A PUT of the commit with this number.
pub fn commit_put(seq: u64) -> impl Fn(&Request) -> bool {
    let commit = list().commit(seq);
    move |request| matches!(request, Request::Put { name, .. } if *name == commit)
}

/// A GET of the commit with this number.
pub fn commit_get(seq: u64) -> impl Fn(&Request) -> bool {
    let commit = list().commit(seq);
    move |request| matches!(request, Request::Get { name, .. } if *name == commit)
}

/// A PUT whose name contains this.
pub fn put_of(part: &'static str) -> impl Fn(&Request) -> bool {
    move |request| matches!(request, Request::Put { name, .. } if name.contains(part))
}

/// A GET whose name contains this.
pub fn get_of(part: &'static str) -> impl Fn(&Request) -> bool {
    move |request| matches!(request, Request::Get { name, .. } if name.contains(part))
}

/// A DELETE.
pub fn any_delete(request: &Request) -> bool {
    matches!(request, Request::Delete { .. })
}
