//! Records that were fetched together, sorted by list: one append for each list.

use std::sync::Arc;

use bytes::Bytes;
use klstore_writer::{Insertion, Source as ListSource};

use super::runs::Runs;
use super::state::State;
use crate::checkpoint::Checkpoint;
use crate::judge::Judge;
use crate::parser::NumberParser;
use crate::pipeline::{Job, Source, Work};

/// What an item and a call are taken to need in memory beside values and names.
const ITEM_OVERHEAD: u64 = 192;
const CALL_OVERHEAD: u64 = 512;

#[derive(Default)]
pub(super) struct Chunk {
    /// By assignment.
    partitions: Runs<u64, PartitionChunk>,
    pub(super) records: usize,
    pub(super) bytes: u64,
}

struct PartitionChunk {
    topic: Arc<str>,
    partition: i32,
    first: i64,
    last: i64,
    lists: Runs<(String, String), ListChunk>,
    letters: Vec<(String, Bytes)>,
}

#[derive(Default)]
struct ListChunk {
    first: i64,
    last: i64,
    /// Of dead letters; the records of other lists are judged where they are duplicates.
    of_letters: bool,
    insertions: Vec<Insertion>,
    bytes: u64,
}

/// Whose record it is.
pub(super) struct Origin<'a> {
    pub(super) topic: &'a str,
    pub(super) partition: i32,
    pub(super) assignment: u64,
    pub(super) offset: i64,
    pub(super) checkpoint: Checkpoint,
    /// Where lists note how far they have been fed from it.
    pub(super) source: Option<&'a ListSource>,
}

impl Chunk {
    /// Whether this chunk has the record already.
    pub(super) fn has(&self, origin: &Origin<'_>) -> bool {
        self.partitions.get(&origin.assignment).is_some_and(|chunk| origin.offset <= chunk.last)
    }

    /// Whether the list has a record in this chunk: its names are checked then.
    pub(super) fn knows(&self, origin: &Origin<'_>, list: &(String, String)) -> bool {
        self.partitions.get(&origin.assignment).is_some_and(|chunk| chunk.lists.get(list).is_some())
    }

    pub(super) fn append(&mut self, origin: &Origin<'_>, list: (String, String), insertion: Insertion) {
        self.add(origin, list, insertion, false);
    }

    /// A dead letter for a list of such.
    pub(super) fn append_letter(&mut self, origin: &Origin<'_>, list: (String, String), insertion: Insertion) {
        self.add(origin, list, insertion, true);
    }

    fn add(&mut self, origin: &Origin<'_>, list: (String, String), insertion: Insertion, of_letters: bool) {
        let bytes = insertion.value.len() as u64 + ITEM_OVERHEAD;
        let call_bytes = (list.0.len() + list.1.len()) as u64 + CALL_OVERHEAD;
        let chunk = self.record(origin).lists.entry(list, || ListChunk {
            first: origin.offset,
            last: origin.offset,
            of_letters,
            insertions: Vec::new(),
            bytes: call_bytes,
        });
        chunk.last = origin.offset;
        chunk.insertions.push(insertion);
        chunk.bytes += bytes;
        self.bytes += bytes;
    }

    /// A dead letter for the topic of such.
    pub(super) fn produce(&mut self, origin: &Origin<'_>, key: String, letter: Bytes) {
        self.bytes += letter.len() as u64;
        self.record(origin).letters.push((key, letter));
    }

    /// A record of which nothing has to become durable.
    pub(super) fn skip(&mut self, origin: &Origin<'_>) {
        self.record(origin);
    }

    fn record(&mut self, origin: &Origin<'_>) -> &mut PartitionChunk {
        self.records += 1;
        let chunk = self.partitions.entry(origin.assignment, || PartitionChunk {
            topic: origin.topic.into(),
            partition: origin.partition,
            first: origin.offset,
            last: origin.offset,
            lists: Runs::default(),
            letters: Vec::new(),
        });
        chunk.last = origin.offset;
        chunk
    }

    /// Takes the chunk up in the frontiers and sends it off.
    pub(super) fn dispatch(self, state: &mut State) {
        let now = state.now();
        for (assignment, chunk) in self.partitions {
            let partition = state.partition(&chunk.topic, chunk.partition);
            // Given back since: whoever has the partition now reads the records again.
            let Some(partition) = partition.filter(|partition| partition.assignment == assignment) else { continue };
            let parts = chunk.lists.len() + chunk.letters.len();
            let (judged_by, epoch) = (partition.source.clone(), partition.checkpoint.epoch);
            let ticket = partition.frontier.take(chunk.first, chunk.last, parts, now);
            let source = Source { topic: chunk.topic, partition: chunk.partition, assignment, ticket };
            for ((keyspace, key), list) in chunk.lists {
                let nonce = &state.config.parser.nonce;
                let judge = (nonce.is_offset() && !list.of_letters).then(|| Judge {
                    epoch: (*nonce == NumberParser::RecordOffset).then_some(epoch),
                    source: judged_by.clone(),
                    last: u64::try_from(list.last).unwrap_or_default(),
                });
                let work = Work::Append { keyspace, key, insertions: list.insertions, judge };
                let job = Job { source: source.clone(), bytes: list.bytes, first: list.first, work };
                state.backpressure.add(job.bytes);
                state.pipeline.send(job);
            }
            for (key, letter) in chunk.letters {
                let bytes = letter.len() as u64 + CALL_OVERHEAD;
                let work = Work::Produce { key, letter };
                state.backpressure.add(bytes);
                state.pipeline.send(Job { source: source.clone(), bytes, first: chunk.first, work });
            }
        }
    }
}
