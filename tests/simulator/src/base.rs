//! Lists that runs begin with: mostly none, sometimes one that is about to outgrow a page of its index or its table.

use std::sync::OnceLock;

use klstore_format::plan::SessionOptions;

use crate::history::Witness;
use crate::stage::Stage;
use crate::world::World;

/// What a run finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// No list.
    Empty,
    /// A list whose open leaf and inline ledger are all but full.
    LongIndex,
    /// A list with all but as many commits as a table may hold.
    LongTable,
}

impl Base {
    /// As often as they are found.
    pub const OF_RUNS: [Self; 16] = [
        Self::LongIndex,
        Self::LongTable,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
        Self::Empty,
    ];
}

/// The store that a run begins with. The long ones are written once, with all rules kept: see [`prepare`].
pub fn witness(base: Base) -> Witness {
    let mut witness = match base {
        Base::Empty => Witness::new(World::with_keyspace()),
        Base::LongIndex => long_index().clone(),
        Base::LongTable => long_table().clone(),
    };
    witness.forget_counts();
    witness
}

/// Writes the long lists, before a rule is switched off.
pub fn prepare() {
    long_index();
    long_table();
}

fn long_index() -> &'static Witness {
    static BASE: OnceLock<Witness> = OnceLock::new();
    BASE.get_or_init(|| write_long_index().expect("the list with a long index"))
}

fn long_table() -> &'static Witness {
    static BASE: OnceLock<Witness> = OnceLock::new();
    BASE.get_or_init(|| write_long_table().expect("the list with a long table"))
}

/// 1,021 complete commits in the open leaf; the first 63 by two writers in turn, which makes each a handover.
fn write_long_index() -> Result<Witness, String> {
    let complete = SessionOptions { compact_items_threshold: 1, carry_bytes: 0, ..SessionOptions::default() };
    let mut stage = Stage::unwatched(Witness::new(World::with_keyspace()), 1 << 60);
    let mut sessions = [stage.open(complete)?, stage.open(complete)?];
    let mut commits = 0;
    while commits < 1_021 {
        let turn = if commits < 63 { commits % 2 } else { 0 };
        let [first, second] = sessions;
        let mut session = if turn == 0 { first.clone() } else { second.clone() };
        session = stage.append(session, 1)?;
        commits += 1;
        if commits % 200 == 100 {
            session = stage.compact(session)?;
            session = stage.publish(session)?;
            session = stage.collect(session)?;
        }
        sessions = if turn == 0 { [session, second] } else { [first, session] };
    }
    let [session, _] = sessions;
    let session = stage.compact(session)?;
    let session = stage.publish(session)?;
    stage.collect(session)?;
    Ok(stage.witness)
}

/// 247 small commits that no compaction has covered.
fn write_long_table() -> Result<Witness, String> {
    let small = SessionOptions { carry_bytes: 0, ..SessionOptions::default() };
    let mut stage = Stage::unwatched(Witness::new(World::with_keyspace()), 2 << 60);
    let mut session = stage.open(small)?;
    for _ in 0..247 {
        session = stage.append(session, 1)?;
    }
    Ok(stage.witness)
}
