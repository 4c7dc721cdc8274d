//! Writers of the one list, several by mistake: what they call, and what they do when a call fails or they crash.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use klstore_format::{Insertion, Source};
use klstore_writer::{
    Appended, RetryPolicy, S3ObjectStore, S3StoreConfig, S3StoreWriter, StoreWriter, TrimTo, WriterError,
};
use rand::RngExt;

use crate::http::BUCKET;
use crate::judge::{Call, PromisedTrim};
use crate::network::SECOND;
use crate::ports::DirectStore;
use crate::process::Process;
use crate::run::Run;
use crate::seeded::{Random, percent, pick};
use crate::weather::thousandth;
use crate::wire::{ENDPOINT, SdkWire};
use crate::workload::{self, Profile};
use crate::world::NOW;
use crate::{KEY, KEYSPACE};

/// How far wall clocks are set.
const CLOCK_JUMPS: [i64; 6] = [1_000, -1_000, 60_000, -60_000, 86_400_000, -86_400_000];

/// How a writer works, in all its lives.
#[derive(Clone)]
pub(crate) struct WriterPlan {
    pub(crate) numbers: Numbers,
    config: S3StoreConfig,
    policy: RetryPolicy,
    timeout: Duration,
    pauses: [Duration; 2],
    /// By HTTP and the AWS SDK, or past both.
    wire: bool,
}

/// What lets a writer append again what it does not know the outcome of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Nothing: what failed is given up.
    None,
    /// A key for each call, as long as the writer remembers it.
    IdempotencyKeys,
    /// The offset at which the list must end.
    ExpectedEnd,
    /// Nonces, of which this writer alone is the source.
    Nonces,
    /// Offsets in a partition that another writer may read too.
    Records { partition: u32 },
}

/// What a writer's computer knows although it crashes.
struct Memory {
    /// The numbered batch that is not acknowledged yet.
    pending: Option<Vec<Insertion>>,
    next_nonce: u128,
}

impl WriterPlan {
    pub(crate) fn draw(random: &mut Random, numbers: Numbers, wire: bool) -> Self {
        let profile = *pick(random, &[Profile::Small, Profile::Small, Profile::Complete, Profile::Mixed]);
        let options = workload::options(random, profile);
        let retention = workload::retention(random, profile);
        let config = S3StoreConfig {
            endpoint: Some(ENDPOINT.to_owned()),
            path_style: true,
            anonymous: true,
            use_default_credentials: false,
            compact_items_threshold: options.compact_items_threshold,
            compact_objects_threshold: options.compact_objects_threshold,
            carry_bytes: options.carry_bytes,
            codec: options.block.codec,
            // Clocks jump by a day.
            max_future_skew_millis: None,
            retention_max_age_millis: retention.max_age_millis,
            retention_max_items: retention.max_items,
            retention_max_bytes: retention.max_bytes,
            carry_budget_bytes: *pick(random, &[0, 2_000, 1 << 20]),
            ..S3StoreConfig::new(BUCKET)
        };
        let seconds = random.random_range(3..12);
        let policy = RetryPolicy {
            base_delay: Duration::from_millis(20),
            max_delay: Duration::from_millis(random.random_range(200..2_000)),
            deadline: Duration::from_secs(seconds),
            background_deadline: Duration::from_secs(seconds * 3),
        };
        let mut pause = || Duration::from_millis(random.random_range(0..4_000));
        let (pauses, timeout) = ([pause(), pause()], pause() / 2 + Duration::from_millis(500));
        Self { numbers, config, policy, timeout, pauses, wire }
    }

    /// The writer of the crash points: three items and more are complete.
    pub(crate) fn of_crash_points() -> Self {
        let mut plan = Self::draw(&mut crate::seeded::random(0, 1), Numbers::None, false);
        plan.config = S3StoreConfig {
            compact_items_threshold: 5,
            compact_objects_threshold: 100,
            carry_bytes: 60,
            carry_budget_bytes: 1 << 20,
            retention_max_age_millis: None,
            retention_max_items: None,
            retention_max_bytes: None,
            ..plan.config
        };
        plan.policy.deadline = Duration::from_secs(30);
        plan
    }

    pub(crate) async fn writer(&self, process: &Process) -> Result<S3StoreWriter, WriterError> {
        let [idle, publish] = self.pauses;
        let builder = S3StoreWriter::builder(self.config.clone())
            .clock(Arc::new(process.clone()))
            .random(Arc::new(process.clone()))
            .retry_policy(self.policy)
            .compact_idle_after(idle)
            .publish_after(publish);
        let builder = match self.wire {
            false => builder.store(Arc::new(DirectStore { process: process.clone(), timeout: self.timeout })),
            true => builder.store(Arc::new(self.sdk_store(process).await?)),
        };
        builder.build().await
    }

    /// The store that users have, with the simulation in place of its HTTP client.
    async fn sdk_store(&self, process: &Process) -> Result<S3ObjectStore, WriterError> {
        static SHARED: OnceLock<aws_config::SdkConfig> = OnceLock::new();
        let shared = match SHARED.get() {
            Some(shared) => shared.clone(),
            None => {
                let shared = klstore_credentials::sdk_config(&self.config).await?;
                SHARED.get_or_init(|| shared).clone()
            }
        };
        let (client, sleep, time) = SdkWire(process.clone()).parts();
        let shared = shared.into_builder().http_client(client).sleep_impl(sleep).time_source(time).build();
        Ok(S3ObjectStore::with_sdk_config(&self.config, &shared))
    }
}

/// All lives of a writer, one after the other, until the run ends.
pub(crate) async fn lives(run: Arc<Run>, index: usize, plan: WriterPlan) {
    let mut memory = Memory { pending: None, next_nonce: 1 };
    while !run.is_ending() {
        let process = run.sim.start(index);
        let life = std::pin::pin!(live(&run, &process, &plan, &mut memory));
        let death = std::pin::pin!(process.death());
        let ended = select(life, death).await;
        if let Either::Left((Err(message), _)) = ended {
            return run.sim.violate(message);
        }
        let pause = run.sim.lock().random.random_range(0..3 * SECOND);
        run.nobody.sleep_micros(pause).await;
    }
}

async fn live(run: &Run, process: &Process, plan: &WriterPlan, memory: &mut Memory) -> Result<(), String> {
    let writer = plan.writer(process).await.map_err(|error| format!("a writer cannot be built: {error}"))?;
    let hand = Hand { run, process, plan, writer: &writer };
    {
        // Whichever ends first, the other one's call is dropped: it must not hold the list when the writer is closed.
        let appends = std::pin::pin!(hand.append_on(memory));
        let chores = std::pin::pin!(hand.keep_house());
        match select(appends, chores).await {
            Either::Left((ended, _)) | Either::Right((ended, _)) => ended?,
        }
    }
    // It ends well, or just ends.
    if run.chance(500) {
        hand.close().await?;
    }
    Ok(())
}

/// A writer in one of its lives.
struct Hand<'a> {
    run: &'a Run,
    process: &'a Process,
    plan: &'a WriterPlan,
    writer: &'a S3StoreWriter,
}

impl Hand<'_> {
    async fn append_on(&self, memory: &mut Memory) -> Result<(), String> {
        let mut next_record = None;
        while self.run.may_go_on() {
            self.process.sleep_micros(self.run.think()).await;
            self.jump_clock();
            match self.plan.numbers {
                Numbers::None => self.append_once().await?,
                Numbers::IdempotencyKeys => self.append_by_key().await?,
                Numbers::ExpectedEnd => self.append_at().await?,
                Numbers::Nonces => self.append_numbered(memory).await?,
                Numbers::Records { partition } => self.append_records(partition, &mut next_record).await?,
            }
            if self.run.chance(5) {
                break;
            }
        }
        Ok(())
    }

    /// Trims, compacts, sweeps and does what is due.
    async fn keep_house(&self) -> Result<(), String> {
        while self.run.may_go_on() {
            self.process.sleep_micros(self.run.think() * 2).await;
            let choice = self.run.sim.lock().random.random_range(0..100);
            match choice {
                0..12 => self.trim().await?,
                12..40 => self.compact().await?,
                40..60 => self.sweep().await?,
                // It would forget what is in doubt, too.
                60..64 if self.plan.numbers != Numbers::IdempotencyKeys => {
                    self.run.count("forget");
                    self.writer.forget(|_, _| true);
                }
                64..68 => self.retain().await?,
                _ => self.duty().await?,
            }
            if self.run.chance(5) {
                break;
            }
        }
        Ok(())
    }

    fn jump_clock(&self) {
        let mut state = self.run.sim.lock();
        let chance = state.weather.clock_jump;
        if thousandth(&mut state.random, chance) {
            let jump = *pick(&mut state.random, &CLOCK_JUMPS);
            state.processes[self.process.index].skew += jump;
            state.tally.clock_jumps += 1;
        }
    }

    /// Makes a call, or gives it up in the middle: `None` then.
    async fn call<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, WriterError>>,
    ) -> Option<(Call, Result<T, WriterError>)> {
        let call = self.run.begin(name, self.process);
        let patience = {
            let mut state = self.run.sim.lock();
            let chance = state.weather.give_up;
            thousandth(&mut state.random, chance).then(|| state.random.random_range(0..2 * SECOND))
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

    /// What an error may be: the call is over, and it is known that its outcome is not.
    fn bear(&self, call: &Call, error: &WriterError) -> Result<(), String> {
        self.run.judge_writer_error(call, error, self.plan.policy.deadline)
    }

    async fn append_once(&self) -> Result<(), String> {
        let insertions = self.new_insertions();
        let work = async { self.writer.append_list(KEYSPACE, KEY, insertions.clone()).await?.await };
        match self.call("append", work).await {
            Some((call, Ok(appended))) => self.run.judge_appended(&call, &insertions, &appended, false),
            Some((call, Err(error))) => self.bear(&call, &error),
            None => Ok(()),
        }
    }

    async fn append_by_key(&self) -> Result<(), String> {
        let insertions = self.new_insertions();
        let key = self.run.sim.lock().draw();
        for _ in 0..4 {
            let work =
                async { self.writer.append_list_idempotent(KEYSPACE, KEY, insertions.clone(), key).await?.await };
            match self.call("append by key", work).await {
                Some((call, Ok(appended))) => return self.run.judge_appended(&call, &insertions, &appended, false),
                Some((call, Err(error))) => {
                    self.bear(&call, &error)?;
                    // Only a commit in doubt is remembered; and only where it has room.
                    let in_doubt = matches!(error.cause(), WriterError::Unavailable { may_have_appended: true, .. });
                    if !in_doubt || self.plan.config.carry_budget_bytes < 1 << 20 {
                        return Ok(());
                    }
                }
                None => return Ok(()),
            }
            if !self.run.may_go_on() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn append_at(&self) -> Result<(), String> {
        let position = match self.call("position", self.writer.position(KEYSPACE, KEY)).await {
            Some((_, Ok(position))) => position,
            Some((call, Err(error))) => return self.bear(&call, &error),
            None => return Ok(()),
        };
        let insertions = self.new_insertions();
        for _ in 0..4 {
            let work = self.writer.append_list_at(KEYSPACE, KEY, position.next_offset, insertions.clone());
            match self.call("append at", work).await {
                Some((call, Ok(appended))) => {
                    if appended.first_offset != Some(position.next_offset) {
                        return Err(format!("appended at {appended:?}, wanted {}", position.next_offset));
                    }
                    return self.run.judge_appended(&call, &insertions, &appended, false);
                }
                Some((_, Err(WriterError::UnexpectedEnd { .. }))) | None => return Ok(()),
                Some((call, Err(error))) => self.bear(&call, &error)?,
            }
            if !self.run.may_go_on() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What is not acknowledged is appended again, in the next life too.
    async fn append_numbered(&self, memory: &mut Memory) -> Result<(), String> {
        let insertions = match &memory.pending {
            Some(pending) => pending.clone(),
            None => {
                let mut insertions = self.new_insertions();
                for insertion in &mut insertions {
                    insertion.nonce = Some(memory.next_nonce);
                    memory.next_nonce += 1;
                }
                memory.pending = Some(insertions.clone());
                insertions
            }
        };
        let work = async { self.writer.append_list(KEYSPACE, KEY, insertions.clone()).await?.await };
        match self.call("append with nonces", work).await {
            Some((call, Ok(appended))) => {
                memory.pending = None;
                self.run.judge_appended(&call, &insertions, &appended, true)
            }
            Some((call, Err(error))) => self.bear(&call, &error),
            None => Ok(()),
        }
    }

    /// Reads on in a partition from where the list has been fed to, as a Kafka consumer would.
    async fn append_records(&self, partition: u32, next_record: &mut Option<u64>) -> Result<(), String> {
        let source = Source::new("topic", partition).map_err(|error| error.to_string())?;
        let next = match *next_record {
            Some(next) => next,
            None => match self.call("position", self.writer.position(KEYSPACE, KEY)).await {
                Some((_, Ok(position))) => position.sources.next_offset(&source),
                Some((call, Err(error))) => return self.bear(&call, &error),
                None => return Ok(()),
            },
        };
        let count = self.run.sim.lock().random.random_range(1..4);
        let insertions: Vec<Insertion> =
            (next..next + count).map(|record| Insertion::new(format!("p{partition}r{record:x}"))).collect();
        let work = self.writer.append_from(KEYSPACE, KEY, &source, next, insertions.clone());
        match self.call("append records", work).await {
            Some((call, Ok(appended))) => {
                *next_record = Some(next + count);
                self.run.judge_appended(&call, &insertions, &appended, true)
            }
            Some((call, Err(error))) => self.bear(&call, &error),
            None => Ok(()),
        }
    }

    fn new_insertions(&self) -> Vec<Insertion> {
        let mut state = self.run.sim.lock();
        let count = match state.random.random_range(0..40) {
            0 => state.random.random_range(8..40),
            _ => state.random.random_range(1..4),
        };
        let insertions = (0..count).map(|_| {
            let id = state.draw();
            let mut value = format!("s{id:x}");
            if percent(&mut state.random, 5) {
                value.push_str(&"-".repeat(state.random.random_range(1..1_500)));
            }
            let insertion = Insertion::new(Bytes::from(value));
            match percent(&mut state.random, 70) {
                true => insertion,
                false => {
                    let timestamp = NOW + (state.now / 1_000) as i64 + state.random.random_range(-5_000..5_000);
                    insertion.with_timestamp(timestamp)
                }
            }
        });
        insertions.collect()
    }

    async fn trim(&self) -> Result<(), String> {
        let (to, promised) = {
            let mut state = self.run.sim.lock();
            let (begin, end) = (state.witness.begin(), state.witness.items.len() as u64);
            let offset = begin.saturating_sub(2) + state.random.random_range(0..=(end - begin) / 3 + 3);
            let by_time = percent(&mut state.random, 30);
            match state.witness.items.get(offset as usize).map(|item| item.timestamp) {
                _ if percent(&mut state.random, 4) => (None, end),
                Some(timestamp) if by_time => {
                    let first = state.witness.items.iter().position(|item| item.timestamp >= timestamp);
                    (Some(TrimTo::Timestamp(timestamp)), first.map_or(end, |first| first as u64))
                }
                _ => (Some(TrimTo::Offset(offset)), offset.min(end)),
            }
        };
        let work = async {
            match to {
                Some(to) => self.writer.trim(KEYSPACE, KEY, to).await,
                None => self.writer.delete_key(KEYSPACE, KEY).await,
            }
        };
        let name = if to.is_some() { "trim" } else { "delete" };
        match self.call(name, work).await {
            Some((_, Ok(trimmed))) => self.run.judge_trimmed(&PromisedTrim { to, begin: promised }, trimmed.start),
            Some((call, Err(error))) => self.bear(&call, &error),
            None => Ok(()),
        }
    }

    async fn retain(&self) -> Result<(), String> {
        match self.call("apply retention", self.writer.apply_retention(KEYSPACE, KEY)).await {
            Some((_, Ok(trimmed))) => self.run.judge_trimmed(&PromisedTrim { to: None, begin: 0 }, trimmed.start),
            Some((call, Err(error))) => self.bear(&call, &error),
            None => Ok(()),
        }
    }

    async fn compact(&self) -> Result<(), String> {
        match self.call("compact", self.writer.compact(KEYSPACE, KEY)).await {
            Some((call, Err(error))) => self.bear(&call, &error),
            _ => Ok(()),
        }
    }

    async fn sweep(&self) -> Result<(), String> {
        match self.call("sweep", self.writer.sweep(KEYSPACE, KEY)).await {
            Some((call, Ok(report))) if !report.unreadable.is_empty() => {
                self.run.judge_unreadable(&call, &report.unreadable)
            }
            Some((call, Err(error))) => self.bear(&call, &error),
            _ => Ok(()),
        }
    }

    async fn duty(&self) -> Result<(), String> {
        match self.call("duty cycle", self.writer.duty_cycle()).await {
            Some((call, Err(error))) => self.bear(&call, &error),
            _ => Ok(()),
        }
    }

    async fn close(&self) -> Result<(), String> {
        match self.call("close", self.writer.close()).await {
            Some((call, Err(error))) => self.bear(&call, &error),
            _ => Ok(()),
        }
    }
}

/// A writer that finds all in order and does everything once: what it is to do at the end of a run.
pub(crate) async fn one_more(run: &Run, index: usize, wire: bool) -> Result<(), String> {
    let process = run.sim.start(index);
    let plan = {
        let mut state = run.sim.lock();
        WriterPlan::draw(&mut state.random, Numbers::None, wire)
    };
    let config = S3StoreConfig {
        retention_max_age_millis: None,
        retention_max_items: None,
        retention_max_bytes: None,
        ..plan.config.clone()
    };
    // It may have to merge all of a long table first, over a network with slow hours.
    let patience = Duration::from_secs(600);
    let policy = RetryPolicy { deadline: patience, background_deadline: patience, ..plan.policy };
    let plan = WriterPlan { config, policy, ..plan };
    let writer = plan.writer(&process).await.map_err(|error| format!("a writer cannot be built: {error}"))?;
    let hand = Hand { run, process: &process, plan: &plan, writer: &writer };
    let alone = |error: WriterError| format!("a writer alone, in good weather: {error}");
    for _ in 0..3 {
        let insertions = hand.new_insertions();
        let call = run.begin("append", &process);
        let appended: Appended =
            writer.append_list(KEYSPACE, KEY, insertions.clone()).await.map_err(alone)?.await.map_err(alone)?;
        run.judge_appended(&call, &insertions, &appended, true)?;
    }
    run.count("compact");
    writer.compact(KEYSPACE, KEY).await.map_err(alone)?;
    run.count("close");
    writer.close().await.map_err(alone)?;
    run.count("sweep");
    let report = writer.sweep(KEYSPACE, KEY).await.map_err(alone)?;
    match report.unreadable.as_slice() {
        [] => Ok(()),
        unreadable => Err(format!("a sweep alone, in good weather, cannot read {unreadable:?}")),
    }
}
