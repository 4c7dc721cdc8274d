//! What a scenario is: a few threads that use one writer, and what must hold of them in whatever order they come. One
//! that waits for ever fails too: shuttle sees that nobody is left to go on.

pub mod batching;
pub mod closing;
pub mod s3;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use klstore_format::Insertion;
use shuttle::thread::JoinHandle;

use crate::batching::{BatchingStoreWriter, BatchingStoreWriterConfig};
use crate::environment::RandomSource;
use crate::error::WriterError;
use crate::inner::{Inner, Lists};
use crate::receipt::AppendReceipt;
use crate::sync::{AtomicU64, Ordering};
use crate::time::{self, Stepwise};
use crate::writer::StoreWriter;

/// Bytes of an append of one short value, as the budget counts them.
pub(crate) const APPEND_BYTES: u64 = 710;
/// Seven eighths of it hold two appends.
const BUDGET: u64 = 1_700;

pub(crate) type Writer = BatchingStoreWriter<Inner>;

/// A batching writer and the lists that it appends to.
pub(crate) struct Bench {
    pub(crate) lists: Arc<Lists>,
    pub(crate) writer: Writer,
}

/// What was taken in, by its list: the value, and the receipt of it.
pub(crate) type Taken = (&'static str, String, AppendReceipt);

/// A writer with two lanes that sends each append at once and holds two of them; time stands still.
pub(crate) fn bench(change: impl FnOnce(&mut BatchingStoreWriterConfig)) -> Bench {
    time::begin(false);
    bench_around(Lists::new(0), change)
}

pub(crate) fn bench_around(lists: Arc<Lists>, change: impl FnOnce(&mut BatchingStoreWriterConfig)) -> Bench {
    let mut config = BatchingStoreWriterConfig {
        writer_thread_count: 2,
        batch_flush_item_count_threshold: 1,
        max_buffered_bytes: BUDGET,
        ..BatchingStoreWriterConfig::default()
    };
    change(&mut config);
    let builder = BatchingStoreWriter::builder(Inner(lists.clone()), config)
        .clock(Arc::new(Stepwise))
        .random(Arc::new(Numbers::default()))
        .flush_deadline(time::FOR_EVER);
    Bench { lists, writer: builder.build().unwrap() }
}

/// A caller on a thread of its own.
pub(crate) fn caller<F>(body: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    shuttle::thread::spawn(move || shuttle::future::block_on(body))
}

/// The other caller's result; its panic is this one's.
pub(crate) fn joined<T>(caller: JoinHandle<T>) -> T {
    caller.join().unwrap()
}

pub(crate) use shuttle::future::block_on;

pub(crate) async fn append(writer: &Writer, key: &'static str, value: String) -> Result<Taken, WriterError> {
    let receipt = writer.append_list("ks", key, vec![Insertion::new(value.clone())]).await?;
    Ok((key, value, receipt))
}

/// Appends `caller 0`, `caller 1` and so on, to the keys in turn.
pub(crate) async fn append_some(writer: &Writer, caller: &str, keys: &[&'static str], count: usize) -> Vec<Taken> {
    let mut taken = Vec::new();
    for number in 0..count {
        taken.push(append(writer, keys[number % keys.len()], format!("{caller} {number}")).await.unwrap());
    }
    taken
}

impl Bench {
    /// What callers of these names have appended, by [`append_some`].
    pub(crate) fn appended_by<const N: usize>(
        &self,
        names: [&'static str; N],
        keys: &'static [&'static str],
        count: usize,
    ) -> Vec<Taken> {
        let callers = names.map(|name| {
            let writer = self.writer.clone();
            caller(async move { append_some(&writer, name, keys, count).await })
        });
        callers.into_iter().flat_map(joined).collect()
    }

    /// Flushes; then [`Bench::check`].
    pub(crate) fn flush_and_check(&self, taken: Vec<Taken>) {
        block_on(async {
            self.writer.flush_all().await.unwrap();
            self.check(taken).await;
        });
    }

    /// Everything that was taken in is in its list once, where its receipt says, in the order of its caller, and nothing
    /// else is; nothing is in memory, and the statistics say so.
    pub(crate) async fn check(&self, taken: Vec<Taken>) {
        let count = taken.len();
        self.check_lists(taken).await;
        assert_eq!(self.lists.item_count(), count);
        let told = self.writer.statistics();
        assert_eq!((told.buffered_bytes, told.buffered_item_count, told.batch_count), (0, 0, 0), "{told:?}");
        assert_eq!((told.in_flight_count, told.failing_key_count, told.oldest_age_millis), (0, 0, None), "{told:?}");
        assert_eq!((told.appended_count, told.duplicate_count, told.conflict_count), (count as u64, 0, 0), "{told:?}");
        assert!(told.put_count - told.retry_count <= count as u64, "{told:?}");
    }

    /// The same of these items alone.
    pub(crate) async fn check_lists(&self, taken: Vec<Taken>) {
        let mut last_of: HashMap<(&str, String), u64> = HashMap::new();
        for (key, value, receipt) in taken {
            let appended = receipt.await.unwrap();
            assert_eq!(appended.appended_count, 1);
            let offset = appended.first_offset.unwrap();
            let values = self.lists.values(key);
            assert_eq!(values[offset as usize], value, "where the receipt says");
            assert_eq!(values.iter().filter(|other| **other == value).count(), 1, "once");
            let caller = value.split(' ').next().unwrap().to_owned();
            let before = last_of.insert((key, caller), offset);
            assert!(before.is_none_or(|before| before < offset), "in the order of the calls");
        }
    }
}

/// Numbers that nobody has drawn before, and jitter.
#[derive(Default)]
pub(crate) struct Numbers(AtomicU64);

impl RandomSource for Numbers {
    fn next(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)) * 0x9e37_79b9_7f4a_7c15
    }
}

/// Long enough for others to come in between, in some orders.
pub(crate) async fn a_while() {
    for _ in 0..shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..4) {
        shuttle::future::yield_now().await;
    }
}

/// Longer than any lane waits.
pub(crate) const LONG: Duration = Duration::from_secs(100);
