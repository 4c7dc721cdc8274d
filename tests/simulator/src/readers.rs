//! Readers of the list, ahead and behind, in both orders, and followers.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use klstore_format::plan::read::Page;
use klstore_format::{Item, ItemFilter, IterationOrder};
use klstore_reader::{
    FollowStart, ReaderError, RetryPolicy, S3StoreConfig, S3StoreReader, StoreReader, Tail, VerifyProgress,
};
use rand::RngExt;

use crate::http::BUCKET;
use crate::judge::Call;
use crate::network::SECOND;
use crate::process::Process;
use crate::run::Run;
use crate::seeded::{Random, percent, pick};
use crate::vec_model::{self, compare, compare_continued};
use crate::weather::thousandth;
use crate::wire::ENDPOINT;
use crate::workload;
use crate::{KEY, KEYSPACE};

/// Continuations that are kept, however old.
const MAX_CURSORS: usize = 6;
/// Polls after which a follower has all that there is, when nothing moves any more.
const MAX_POLLS: usize = 60;

/// How a reader works.
#[derive(Clone)]
pub(crate) struct ReaderPlan {
    cache_bytes: u64,
    policy: RetryPolicy,
    follows: bool,
}

impl ReaderPlan {
    pub(crate) fn draw(random: &mut Random) -> Self {
        Self {
            cache_bytes: *pick(random, &[0, 4_000, 60_000, 64 << 20]),
            policy: RetryPolicy {
                attempts: random.random_range(3..8),
                base_delay: Duration::from_millis(20),
                max_delay: Duration::from_millis(random.random_range(100..1_000)),
                attempt_timeout: Duration::from_millis(random.random_range(1_000..4_000)),
                deadline: Duration::from_secs(random.random_range(6..12)),
            },
            follows: percent(random, 40),
        }
    }

    pub(crate) async fn reader(&self, process: &Process) -> Result<S3StoreReader, String> {
        let config = S3StoreConfig {
            endpoint: Some(ENDPOINT.to_owned()),
            path_style: true,
            anonymous: true,
            ..S3StoreConfig::new(BUCKET)
        };
        let builder = S3StoreReader::builder(config)
            .transport(process.clone())
            .environment(process.clone())
            .retry_policy(self.policy)
            .cache_bytes(self.cache_bytes);
        builder.build().await.map_err(|error| format!("a reader cannot be built: {error}"))
    }
}

/// A continuation, and where it goes on.
struct Cursor {
    order: IterationOrder,
    at: u64,
    /// Its snapshot begins there or later.
    oldest_begin: u64,
    text: String,
}

/// Where a page starts.
enum From {
    Filter(ItemFilter),
    /// A continuation; forwards the next offset, backwards one more.
    At(u64),
}

/// A page that is read.
struct Reading {
    order: IterationOrder,
    max_size: u64,
    from: From,
    oldest_begin: u64,
    text: Option<String>,
}

/// A reader in one of its lives, with what it keeps between calls.
pub(crate) struct Eye<'a> {
    run: &'a Run,
    process: Process,
    plan: ReaderPlan,
    reader: S3StoreReader,
    cursors: Vec<Cursor>,
    tail: Option<Tail>,
    /// Items that the tail has seen.
    followed: u64,
}

/// All lives of a reader until the run ends; at its end it reads all that there is, with the cache that it has by then.
pub(crate) async fn lives(run: Arc<Run>, index: usize, plan: ReaderPlan) {
    loop {
        let process = run.sim.start(index);
        let life = std::pin::pin!(live(&run, &process, &plan));
        let death = std::pin::pin!(process.death());
        match select(life, death).await {
            Either::Left((Ok(()), _)) => return,
            Either::Left((Err(message), _)) => return run.sim.violate(message),
            Either::Right(_) => {}
        }
    }
}

async fn live(run: &Run, process: &Process, plan: &ReaderPlan) -> Result<(), String> {
    let mut eye = Eye::open(run, process.clone(), plan).await?;
    while run.may_go_on() {
        process.sleep_micros(run.think()).await;
        eye.look().await?;
    }
    run.writers_at_rest(process).await;
    eye.see_all().await
}

impl<'a> Eye<'a> {
    pub(crate) async fn open(run: &'a Run, process: Process, plan: &ReaderPlan) -> Result<Self, String> {
        let reader = plan.reader(&process).await?;
        Ok(Self { run, process, plan: plan.clone(), reader, cursors: Vec::new(), tail: None, followed: 0 })
    }

    async fn look(&mut self) -> Result<(), String> {
        let choice = self.run.sim.lock().random.random_range(0..100);
        match choice {
            0..3 => self.metadata().await,
            3..5 => self.verify().await,
            5..8 => self.forged_continuation().await,
            8..40 if self.plan.follows => self.poll().await.map(drop),
            _ => {
                let reading = self.choose_page();
                self.read(reading).await.map(drop)
            }
        }
    }

    fn choose_page(&mut self) -> Reading {
        let mut state = self.run.sim.lock();
        let max_size = workload::page_size(&mut state.random);
        if !self.cursors.is_empty() && percent(&mut state.random, 60) {
            let place = state.random.random_range(0..self.cursors.len());
            let Cursor { order, at, oldest_begin, text } = &self.cursors[place];
            let (from, text) = (From::At(*at), Some(text.clone()));
            return Reading { order: *order, max_size, from, oldest_begin: *oldest_begin, text };
        }
        let order = workload::order(&mut state.random);
        let crate::universe::State { random, witness, .. } = &mut *state;
        let filter = workload::filter(random, &witness.items);
        Reading { order, max_size, from: From::Filter(filter), oldest_begin: witness.begin(), text: None }
    }

    async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, ReaderError>>,
    ) -> Option<(Call, Result<T, ReaderError>)> {
        let call = self.run.begin(name, &self.process);
        let patience = {
            let mut state = self.run.sim.lock();
            let chance = state.weather.give_up;
            thousandth(&mut state.random, chance).then(|| state.random.random_range(0..SECOND))
        };
        let work = std::pin::pin!(work);
        let Some(patience) = patience else { return Some((call, work.await)) };
        let limit = std::pin::pin!(self.process.sleep_micros(patience));
        match select(work, limit).await {
            Either::Left((outcome, _)) => Some((call, outcome)),
            Either::Right(_) => {
                self.run.note_failed("given up by the caller");
                None
            }
        }
    }

    fn bear(&self, call: &Call, error: &ReaderError) -> Result<(), String> {
        self.run.judge_reader_error(call, error, &self.plan.policy)
    }

    /// Reads a page; `false` where that failed as it may in bad weather.
    async fn read(&mut self, reading: Reading) -> Result<bool, String> {
        let filter = if let From::Filter(filter) = &reading.from { Some(*filter) } else { None };
        let work =
            self.reader.read_page(KEYSPACE, KEY, reading.order, Some(reading.max_size), filter, reading.text.clone());
        let name = if reading.text.is_some() { "next page" } else { "page" };
        let (call, list) = match self.call(name, work).await {
            Some((call, Ok(list))) => (call, list),
            Some((call, Err(error))) => return self.bear(&call, &error).map(|()| false),
            None => return Ok(false),
        };
        let page = Page {
            items: list.items,
            continuation: list.continuation,
            continuation_misses: list.stats.continuation_miss_count,
            trimmed_items: list.stats.trimmed_item_count,
        };
        let next = self.judge(&call, &reading, &page)?;
        if let (Some(at), Some(text)) = (next, page.continuation) {
            self.keep(Cursor { order: reading.order, at, oldest_begin: reading.oldest_begin, text });
        }
        Ok(true)
    }

    /// Property 2: the page is that of the list at one moment between the read's begin and its end.
    fn judge(&self, call: &Call, reading: &Reading, page: &Page) -> Result<Option<u64>, String> {
        let Reading { order, max_size, from, oldest_begin, .. } = reading;
        let mut state = self.run.sim.lock();
        state.tally.pages += 1;
        state.tally.items_read += page.items.len() as u64;
        state.tally.misses += page.continuation_misses;
        let witness = &state.witness;
        let mut difference = String::new();
        for &(length, begin) in witness.moments[call.moment..].iter().rev() {
            let items: &[Item] = &witness.items[..length];
            let next = match from {
                From::Filter(filter) => {
                    let at = vec_model::start(items, *order, filter);
                    let expected = vec_model::live_page(items, begin, *order, at, *max_size);
                    compare(&expected, &page.items, page.continuation.is_some()).map(|()| expected.next)
                }
                From::At(at) => compare_continued(items, (*oldest_begin, begin), (*order, *at, *max_size), page),
            };
            match next {
                Ok(next) => return Ok(next),
                Err(error) => difference = error,
            }
        }
        let start = match from {
            From::Filter(filter) => format!("{filter:?}"),
            From::At(at) => format!("the continuation at {at}"),
        };
        Err(format!("a page {order:?} from {start}, {max_size} items at most: {difference}"))
    }

    fn keep(&mut self, cursor: Cursor) {
        if self.cursors.len() == MAX_CURSORS {
            let place = self.run.sim.lock().random.random_range(0..MAX_CURSORS);
            self.cursors.swap_remove(place);
        }
        self.cursors.push(cursor);
    }

    /// A continuation with another character in it is refused.
    async fn forged_continuation(&mut self) -> Result<(), String> {
        let forged = {
            let mut state = self.run.sim.lock();
            let Some(cursor) = self.cursors.first() else { return Ok(()) };
            let mut bytes = cursor.text.clone().into_bytes();
            let at = state.random.random_range(0..bytes.len());
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            (cursor.order, String::from_utf8_lossy(&bytes).into_owned())
        };
        let (order, text) = forged;
        let work = self.reader.read_page(KEYSPACE, KEY, order, Some(3), None, Some(text.clone()));
        match self.call("forged continuation", work).await {
            Some((_, Err(ReaderError::InvalidContinuation(_)))) | None => Ok(()),
            Some((_, Ok(page))) => Err(format!("a forged continuation `{text}` brings {:?}", page.items)),
            Some((call, Err(error))) => self.bear(&call, &error),
        }
    }

    async fn metadata(&mut self) -> Result<(), String> {
        match self.call("metadata", self.reader.read_key_metadata(KEYSPACE, KEY)).await {
            Some((call, Ok(metadata))) => {
                let state = self.run.sim.lock();
                let told = metadata.map_or((0, 0), |known| (known.next_offset as usize, known.first_offset));
                match state.witness.moments[call.moment..].contains(&told) {
                    true => Ok(()),
                    false => Err(format!("metadata tell of end and begin {told:?}, which never was since the call")),
                }
            }
            Some((call, Err(error))) => self.bear(&call, &error),
            None => Ok(()),
        }
    }

    async fn verify(&mut self) -> Result<(), String> {
        match self.call("verify", self.reader.verify(KEYSPACE, KEY, Arc::new(VerifyProgress::default()))).await {
            Some((call, Ok(report))) if !report.damages.is_empty() => {
                self.run.judge_damage(&call, &format!("verify finds {:?}", report.damages))
            }
            Some((call, Err(error))) => self.bear(&call, &error),
            _ => Ok(()),
        }
    }

    /// Rule 13: a follower sees the list, item by item. `true` where it has heard something.
    async fn poll(&mut self) -> Result<bool, String> {
        let start = FollowStart::Offset(self.followed);
        let tail = match self.tail.take() {
            Some(tail) => Ok(tail),
            None => self.reader.tail(KEYSPACE, KEY, start),
        };
        let mut tail = tail.map_err(|error| error.to_string())?;
        let polled = self.call("poll", tail.poll()).await;
        self.tail = Some(tail);
        let items = match polled {
            Some((_, Ok(items))) => items,
            Some((call, Err(error))) => return self.bear(&call, &error).map(|()| false),
            None => return Ok(false),
        };
        let mut state = self.run.sim.lock();
        state.tally.items_read += items.len() as u64;
        let witness = &state.witness;
        for item in &items {
            // It passes over what was trimmed, to where the list began at some moment.
            let begins_there = || witness.moments.iter().any(|&(_, begin)| begin == item.offset);
            let follows = item.offset == self.followed || (item.offset > self.followed && begins_there());
            if !follows || witness.items.get(item.offset as usize) != Some(item) {
                let followed = self.followed;
                return Err(format!("a follower saw {items:?} from {followed} on, which is not the list"));
            }
            self.followed = item.offset + 1;
        }
        Ok(!items.is_empty())
    }

    /// Nothing moves any more: the whole list in both orders, from the end of each continuation, and by following.
    pub(crate) async fn see_all(&mut self) -> Result<(), String> {
        let good_weather = |read: bool| if read { Ok(()) } else { Err("a read fails in good weather".to_owned()) };
        let mut begins = vec![];
        for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
            let (max_size, oldest_begin) = {
                let mut state = self.run.sim.lock();
                (state.random.random_range(7..60), state.witness.begin())
            };
            let from = From::Filter(ItemFilter::default());
            begins.push(Reading { order, max_size, from, oldest_begin, text: None });
        }
        // What is left of old continuations, each for a page.
        for Cursor { order, at, oldest_begin, text } in std::mem::take(&mut self.cursors) {
            let reading = Reading { order, max_size: 9, from: From::At(at), oldest_begin, text: Some(text) };
            good_weather(self.read(reading).await?)?;
        }
        for reading in begins {
            self.cursors.clear();
            let max_size = reading.max_size;
            good_weather(self.read(reading).await?)?;
            while let Some(Cursor { order, at, oldest_begin, text }) = self.cursors.pop() {
                let reading = Reading { order, max_size, from: From::At(at), oldest_begin, text: Some(text) };
                good_weather(self.read(reading).await?)?;
            }
        }
        self.follow_to_the_end().await
    }

    async fn follow_to_the_end(&mut self) -> Result<(), String> {
        for _ in 0..MAX_POLLS {
            self.poll().await?;
            let (begin, end) = {
                let state = self.run.sim.lock();
                (state.witness.begin(), state.witness.items.len() as u64)
            };
            // Nothing is to be seen of what was trimmed before.
            if self.followed.max(begin) == end {
                return Ok(());
            }
        }
        Err(format!("a follower stays at {} although the list goes on", self.followed))
    }
}
