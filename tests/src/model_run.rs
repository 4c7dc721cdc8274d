//! Many lists in a store in memory, worked on by random operations one after the other, each compared with a vector.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use futures::executor::block_on;
use klstore_format::names::{ListName, Prefix};
use klstore_format::plan::metadata::read_key_metadata;
use klstore_format::plan::read::{PageRequest, read_page};
use klstore_format::plan::{
    AppendOutcome, Compaction, Garbage, Plan, Retention, Session, SessionOptions, TrimOutcome, TrimTo, Trimmed,
    collect, sweep_commits, sweep_objects,
};
use klstore_format::wire::identity::SessionId;
use klstore_format::{FormatError, Item, ItemFilter, IterationOrder};
use rand::RngExt;

use crate::read_back::{Expected, Wanted};
use crate::seeded::{self, Random, percent};
use crate::vec_model::{self, VecModel};
use crate::workload::{self, Profile};
use crate::world::{Actor, NOW, World};

/// Writers of each list: they take turns, so that the list is handed over again and again.
const WRITERS: usize = 2;

/// Lists of each profile, and how often of 1,000 operations one of them is chosen.
const LISTS: [(Profile, usize, u32); 5] = [
    (Profile::Small, 150, 350),
    (Profile::Mixed, 40, 300),
    (Profile::Complete, 2, 200),
    (Profile::Default, 10, 147),
    (Profile::Large, 2, 3),
];

/// What a run did.
#[derive(Debug, Default)]
pub struct ModelTally {
    /// By the operations' names.
    pub operations: BTreeMap<&'static str, u64>,
    /// Items in all lists.
    pub items: u64,
    /// Insertions dropped for their nonces.
    pub duplicates: u64,
    /// Items read and compared.
    pub items_read: u64,
    /// Continuations whose object was gone.
    pub misses: u64,
    /// Items that trims, deletions and the retention took away.
    pub trimmed: u64,
    /// Items that continuations missed because they had been trimmed.
    pub missed_items: u64,
    /// Commits of other writers that came first.
    pub conflicts: u64,
    /// Appends that had to wait for a compaction.
    pub waited: u64,
    /// Values of 8 MiB in all lists.
    pub large_values: usize,
    /// Indexes published.
    pub publications: u64,
    /// Full leaves in all indexes at the end.
    pub leaves: u64,
}

struct List {
    name: ListName,
    profile: Profile,
    retention: Retention,
    expected: Expected,
    writers: [Option<Session>; WRITERS],
    /// Collections that have not been carried out yet.
    garbage: Vec<Garbage>,
}

/// The lists, their models, and the store.
pub struct ModelRun {
    random: Random,
    world: World,
    lists: Vec<List>,
    now: i64,
    tally: ModelTally,
}

/// Does so many random operations.
///
/// # Errors
/// The first difference between a list and its model.
pub fn run(seed: u64, operations: u64) -> Result<ModelTally, String> {
    let mut run = ModelRun::new(seeded::random(seed, 0));
    for operation in 0..operations {
        run.operate().map_err(|error| format!("operation {operation}: {error} (KLSTORE_SEED={seed})"))?;
    }
    run.finish().map_err(|error| format!("at the end: {error} (KLSTORE_SEED={seed})"))?;
    Ok(run.tally)
}

impl ModelRun {
    fn new(mut random: Random) -> Self {
        let prefix = Prefix::new("").expect("a prefix");
        let profiles = LISTS.iter().flat_map(|&(profile, count, _)| (0..count).map(move |number| (profile, number)));
        let lists = profiles.map(|(profile, number)| List {
            name: ListName::new(&prefix, "keyspace", &format!("{profile:?}/{number}")).expect("a name"),
            profile,
            retention: workload::retention(&mut random, profile),
            expected: Expected::default(),
            writers: Default::default(),
            garbage: Vec::new(),
        });
        let lists = lists.collect();
        Self { random, world: World::with_keyspace(), lists, now: NOW, tally: ModelTally::default() }
    }

    fn operate(&mut self) -> Result<(), String> {
        self.now += self.random.random_range(0..20);
        let list = self.draw_list();
        let (operation, outcome) = match self.random.random_range(0..1_000) {
            0..340 => ("append", self.append(list)),
            340..590 => ("page", self.read_start(list)),
            590..830 => ("next page", self.read_on(list)),
            830..850 => ("metadata", self.metadata(list)),
            850..860 => self.shorten(list),
            860..900 => ("compact", self.compact(list)),
            900..920 => ("publish", self.publish(list)),
            920..950 => ("collect", self.collect(list)),
            950..965 => ("sweep commits", self.sweep(list, sweep_commits)),
            965..980 => ("sweep objects", self.sweep(list, sweep_objects)),
            _ => ("reopen", self.reopen(list)),
        };
        *self.tally.operations.entry(operation).or_default() += 1;
        outcome.map_err(|error| format!("{operation} of {}: {error}", self.lists[list].name))
    }

    fn draw_list(&mut self) -> usize {
        let mut ticket = self.random.random_range(0..1_000);
        let mut first = 0;
        for (_, count, weight) in LISTS {
            if ticket < weight {
                return first + self.random.random_range(0..count);
            }
            ticket -= weight;
            first += count;
        }
        0
    }

    /// The session of either writer, freshly opened where it has none.
    fn session(&mut self, list: usize) -> Result<(usize, Session), String> {
        // Mostly the first writer, so that there are commits that are no handovers.
        let writer = usize::from(percent(&mut self.random, 15));
        if let Some(session) = self.lists[list].writers[writer].take() {
            return Ok((writer, session));
        }
        let id = SessionId(self.random.random());
        let options = self.options(list, self.lists[list].profile);
        let session = self.run(Session::open(self.lists[list].name.clone(), id, options))?;
        Ok((writer, session))
    }

    fn options(&mut self, list: usize, profile: Profile) -> Arc<SessionOptions> {
        let retention = self.lists[list].retention;
        Arc::new(SessionOptions { retention, ..workload::options(&mut self.random, profile) })
    }

    fn run<T>(&mut self, plan: Plan<Result<T, FormatError>>) -> Result<T, String> {
        let ended = Actor::new(plan).try_finish(&mut self.world).ok_or("the plan does not end")?;
        ended.map_err(|error| error.to_string())
    }

    fn append(&mut self, list: usize) -> Result<(), String> {
        let (writer, mut session) = self.session(list)?;
        let (model, profile, now) = (&self.lists[list].expected.model, self.lists[list].profile, self.now);
        let mut insertions = workload::batch(&mut self.random, model, profile, now);
        let offered = insertions.len() as u64;
        let expected = self.lists[list].expected.model.append(&insertions, now);
        let appended = loop {
            let (back, outcome) = self.run(session.append(insertions, now))?;
            session = back;
            match outcome {
                AppendOutcome::Appended(appended) => break appended,
                AppendOutcome::EndsElsewhere { .. } => return Err("refused where no end was expected".into()),
                AppendOutcome::AwaitsCompaction { insertions: refused } => {
                    self.tally.waited += 1;
                    insertions = refused;
                    self.prepare(list, &mut session)?;
                }
            }
        };
        let dropped = offered - (expected.end - expected.start);
        // A batch of duplicates alone is acknowledged without a request, from what the writer knows: nowhere.
        let placed = appended.offsets == expected || (expected.is_empty() && appended.offsets.is_empty());
        if !placed || appended.duplicate_count() != dropped {
            return Err(format!("acknowledged {appended:?}, expected {expected:?} and {dropped} duplicates"));
        }
        let allowed = expected.start.min(self.allowed_begin(list));
        self.check_begin(list, &session, appended.trimmed, allowed)?;
        self.tally.duplicates += dropped;
        self.tally.conflicts += appended.conflicts;
        if session.compaction_due() && self.compacts(list) && percent(&mut self.random, 50) {
            self.prepare(list, &mut session)?;
        }
        self.give_back(list, writer, session);
        Ok(())
    }

    /// Trims, deletes, or keeps the retention.
    fn shorten(&mut self, list: usize) -> (&'static str, Result<(), String>) {
        match self.random.random_range(0..10) {
            0 if matches!(self.lists[list].profile, Profile::Small | Profile::Mixed) => ("delete", self.delete(list)),
            1 | 2 if !self.lists[list].retention.is_unlimited() => ("retain", self.retain(list)),
            _ => ("trim", self.trim(list)),
        }
    }

    fn trim(&mut self, list: usize) -> Result<(), String> {
        let model = &self.lists[list].expected.model;
        let (begin, end) = (model.begin, model.next_offset());
        let live = end - begin;
        // Mostly a part of what is live, but of long lists little, so that they stay long.
        let most =
            if matches!(self.lists[list].profile, Profile::Small | Profile::Mixed) { live + 2 } else { live / 64 };
        let offset = begin.saturating_sub(1) + self.random.random_range(0..=most);
        let (to, wish) = match model.items.get(offset as usize) {
            Some(item) if percent(&mut self.random, 30) => {
                let timestamp = item.timestamp;
                let filter = ItemFilter { start_timestamp: Some(timestamp), ..ItemFilter::default() };
                let position =
                    vec_model::start(&self.lists[list].expected.model.items, IterationOrder::Forwards, &filter);
                (TrimTo::Timestamp(timestamp), position)
            }
            _ => (TrimTo::Offset(offset), offset),
        };
        let begins = begin.max(wish.min(end));
        self.raise_start(list, begins..=begins, move |session| session.trim(to))
            .map_err(|error| format!("{to:?}: {error}"))
    }

    fn delete(&mut self, list: usize) -> Result<(), String> {
        let end = self.lists[list].expected.model.next_offset();
        self.raise_start(list, end..=end, Session::delete)
    }

    fn retain(&mut self, list: usize) -> Result<(), String> {
        let begins = self.lists[list].expected.model.begin..=self.allowed_begin(list);
        let now = self.now;
        self.raise_start(list, begins, move |session| session.retain(now))
    }

    fn raise_start(
        &mut self,
        list: usize,
        begins: RangeInclusive<u64>,
        plan: impl Fn(Session) -> Plan<Result<(Session, TrimOutcome), FormatError>>,
    ) -> Result<(), String> {
        let (writer, mut session) = self.session(list)?;
        let trimmed = loop {
            let (back, outcome) = self.run(plan(session))?;
            session = back;
            match outcome {
                TrimOutcome::Trimmed(trimmed) => break trimmed,
                TrimOutcome::AwaitsCompaction => self.prepare(list, &mut session)?,
            }
        };
        let Trimmed { start, items, conflicts } = trimmed;
        self.tally.conflicts += conflicts;
        let begun = self.lists[list].expected.model.begin;
        let allowed = *begins.end();
        // A writer that has nothing to trim need not know what another one has trimmed.
        if items == 0 && start < begun && begins.contains(&begun) {
            self.give_back(list, writer, session);
            return Ok(());
        }
        if !begins.contains(&start) || items != start - begun {
            return Err(format!("{trimmed:?}, expected to begin at {begins:?} after {begun}"));
        }
        self.check_begin(list, &session, items, allowed)?;
        if session.trim_left_space() && self.compacts(list) && percent(&mut self.random, 50) {
            self.prepare(list, &mut session)?;
        }
        self.give_back(list, writer, session);
        Ok(())
    }

    /// Where a list may begin at most by its retention. Never more is trimmed; a little less, for age and bytes are
    /// judged by whole commits and segments.
    fn allowed_begin(&self, list: usize) -> u64 {
        let List { retention, expected, .. } = &self.lists[list];
        let VecModel { items, begin, .. } = &expected.model;
        let by_items = retention.max_items.map_or(0, |most| (items.len() as u64).saturating_sub(most));
        let by_age = retention.max_age_millis.map_or(0, |age| {
            let oldest = self.now.saturating_sub_unsigned(age);
            let filter = ItemFilter { start_timestamp: Some(oldest), ..ItemFilter::default() };
            vec_model::start(items, IterationOrder::Forwards, &filter)
        });
        let by_bytes = retention.max_bytes.map_or(0, |most| {
            let mut bytes = 0;
            let stays = items.iter().rev().take_while(|item| {
                let more = bytes < most;
                bytes += item.value.len() as u64;
                more
            });
            (items.len() - stays.count()) as u64
        });
        by_items.max(by_age).max(by_bytes).max(*begin)
    }

    /// What a commit has made of the begin: taken over into the model where it is allowed.
    fn check_begin(&mut self, list: usize, session: &Session, trimmed: u64, allowed: u64) -> Result<(), String> {
        let List { expected: Expected { model, .. }, retention, .. } = &mut self.lists[list];
        let begin = session.newest().map_or(0, |newest| newest.start);
        if trimmed == 0 && begin <= model.begin {
            return Ok(());
        }
        let only_items = retention.max_age_millis.is_none() && retention.max_bytes.is_none();
        let exact = only_items && trimmed > 0 && begin != allowed;
        if begin < model.begin || (begin > allowed && begin > model.begin) || exact {
            return Err(format!("begins at {begin}, after {}, allowed is {allowed}", model.begin));
        }
        if begin - model.begin != trimmed {
            return Err(format!("begins at {begin}, after {}, and {trimmed} are said to be trimmed", model.begin));
        }
        self.tally.trimmed += trimmed;
        model.begin = begin;
        Ok(())
    }

    /// Keeps what there is to collect: it is done later, or never, and then found by a sweep.
    fn give_back(&mut self, list: usize, writer: usize, mut session: Session) {
        if let Some(garbage) = session.take_garbage() {
            self.tally.publications += 1;
            if percent(&mut self.random, 80) {
                self.lists[list].garbage.push(garbage);
            }
        }
        self.lists[list].writers[writer] = Some(session);
    }

    fn prepare(&mut self, list: usize, session: &mut Session) -> Result<(), String> {
        let id = self.random.random::<u128>();
        match self.run(session.compact(id))? {
            Compaction::Prepared(prepared) => drop(session.accept(prepared)),
            // The other writer has compacted meanwhile: an append finds that out, or here a new session.
            Compaction::GaveUp { .. } => {
                let options = self.options(list, Profile::Mixed);
                *session = self.run(Session::open(session.list().clone(), SessionId(id), options))?;
            }
            Compaction::NothingToDo => {}
        }
        Ok(())
    }

    /// Lists with the users' thresholds are compacted so seldom that their tables fill up.
    fn compacts(&mut self, list: usize) -> bool {
        self.lists[list].profile != Profile::Default || percent(&mut self.random, 2)
    }

    fn compact(&mut self, list: usize) -> Result<(), String> {
        if !self.compacts(list) {
            return Ok(());
        }
        let (writer, mut session) = self.session(list)?;
        self.prepare(list, &mut session)?;
        self.give_back(list, writer, session);
        Ok(())
    }

    fn publish(&mut self, list: usize) -> Result<(), String> {
        let (writer, session) = self.session(list)?;
        let (session, _) = self.run(session.publish())?;
        self.give_back(list, writer, session);
        Ok(())
    }

    fn collect(&mut self, list: usize) -> Result<(), String> {
        for garbage in std::mem::take(&mut self.lists[list].garbage) {
            Actor::new(collect(garbage)).try_finish(&mut self.world).ok_or("the collection does not end")?;
        }
        Ok(())
    }

    fn sweep<R>(
        &mut self,
        list: usize,
        sweep: impl Fn(ListName) -> Plan<Result<R, FormatError>>,
    ) -> Result<(), String> {
        let plan = sweep(self.lists[list].name.clone());
        self.run(plan).map(drop)
    }

    fn reopen(&mut self, list: usize) -> Result<(), String> {
        let writer = self.random.random_range(0..WRITERS);
        self.lists[list].writers[writer] = None;
        let (writer, session) = self.session(list)?;
        self.give_back(list, writer, session);
        Ok(())
    }

    fn read_start(&mut self, list: usize) -> Result<(), String> {
        let wanted = self.lists[list].expected.draw_start(&mut self.random);
        self.read(list, &wanted)
    }

    fn read_on(&mut self, list: usize) -> Result<(), String> {
        let wanted = self.lists[list].expected.draw_next(&mut self.random);
        self.read(list, &wanted)
    }

    fn read(&mut self, list: usize, wanted: &Wanted) -> Result<(), String> {
        let Wanted { order, filter, continuation, max_size, .. } = wanted.clone();
        let name = self.lists[list].name.clone();
        let page = self.run(read_page(PageRequest { list: name, order, max_size, filter, continuation }))?;
        self.tally.items_read += page.items.len() as u64;
        self.tally.misses += page.continuation_misses;
        self.tally.missed_items += page.trimmed_items;
        self.lists[list].expected.compare(&mut self.random, wanted, page)?;
        Ok(())
    }

    fn metadata(&mut self, list: usize) -> Result<(), String> {
        let plan = read_key_metadata(self.lists[list].name.clone());
        let found = self.run(plan)?;
        let model = &self.lists[list].expected.model;
        let Some(found) = found else {
            return if model.items.is_empty() { Ok(()) } else { Err("no metadata".to_owned()) };
        };
        let seen = (found.next_offset, found.next_nonce, found.first_offset, found.item_count);
        let end = model.next_offset();
        let expected = (end, model.next_nonce(), model.begin, end - model.begin);
        if seen != expected {
            return Err(format!("{found:?}, expected {expected:?}"));
        }
        let sums = |items: &[Item]| {
            let bytes = items.iter().map(|item| item.value.len() as u64).sum::<u64>();
            let timestamps = || items.iter().map(|item| item.timestamp);
            (bytes, timestamps().min(), timestamps().max())
        };
        let (bytes, earliest, latest) = sums(&model.items[model.begin as usize..]);
        let (all_bytes, first, last) = sums(&model.items);
        let seen = (found.value_bytes, found.min_timestamp, found.max_timestamp);
        if model.begin == 0 || model.begin == end {
            let same = seen == (bytes, earliest, latest);
            return if same { Ok(()) } else { Err(format!("{found:?}, expected {bytes} {earliest:?} {latest:?}")) };
        }
        // Where the list begins in the middle of a commit or segment, that one counts whole.
        let within = (bytes..=all_bytes).contains(&found.value_bytes)
            && (first..=earliest).contains(&found.min_timestamp)
            && (latest..=last).contains(&found.max_timestamp);
        if within { Ok(()) } else { Err(format!("{found:?}, expected {bytes} to {all_bytes} bytes and such")) }
    }

    /// Every list once more from end to end, in both orders, after all that was left over has been swept.
    fn finish(&mut self) -> Result<(), String> {
        for list in 0..self.lists.len() {
            let name = self.lists[list].name.clone();
            self.sweep(list, sweep_commits)?;
            self.sweep(list, sweep_objects)?;
            let expected = std::mem::take(&mut self.lists[list].expected);
            for order in [IterationOrder::Forwards, IterationOrder::Backwards] {
                let compared = expected.compare_whole(order, async |continuation| {
                    let (filter, max_size) = (ItemFilter::default(), self.random.random_range(20..2_000));
                    let request = PageRequest { list: name.clone(), order, max_size, filter, continuation };
                    self.run(read_page(request)).map(|page| (page.items, page.continuation))
                });
                block_on(compared).map_err(|error| format!("{name}: {error}"))?;
            }
            let items = &expected.model.items;
            self.tally.items += items.len() as u64;
            self.tally.large_values += items.iter().filter(|item| item.value.len() == 8 << 20).count();
            self.tally.leaves += self.count_leaves(list)?;
        }
        Ok(())
    }

    fn count_leaves(&mut self, list: usize) -> Result<u64, String> {
        use klstore_format::wire::head::HeadPage;
        self.lists[list].writers = Default::default();
        let (_, session) = self.session(list)?;
        let Some(index) = session.newest().and_then(|newest| newest.index) else { return Ok(0) };
        let name = &self.lists[list].name;
        let object = self.world.object(&name.index_page(index.id)).ok_or("the head page is gone")?;
        let head = HeadPage::decode(object, &name.hash(), index.id).map_err(|error| format!("{error:?}"))?;
        Ok(head.leaves.len() as u64)
    }
}
