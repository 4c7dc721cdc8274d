//! The rules of `docs/PROTOCOL.md` that tests can switch off, one at a time, to prove that they notice.
//!
//! Without the `mutants` feature [`kept`] is a constant `true` and no switch exists; a release build with the
//! feature does not compile.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the `mutants` feature switches protocol rules off: it is for tests, never for a release build");

/// A rule of the protocol, named by its number and by what is left out when it is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Rule 1: a fresh session after an abandoned PUT.
    FreshSession,
    /// Rule 1: a put id is new for every payload of its session.
    NewPutId,
    /// Rule 1: ids of segments and index pages are never used twice.
    FreshObjectIds,
    /// Rules 1 and 3: without a definite answer the identical bytes are sent again, and nothing else.
    RepeatIdentical,
    /// Rule 2: the GET's ETag is the LIST's.
    LoadComparesEtag,
    /// Rule 3: `If-None-Match: *`.
    ConditionalPut,
    /// Rule 3: no answer is no success.
    NoAnswerProvesNothing,
    /// Rule 3: a commit that follows another session's is a handover.
    HandoverBit,
    /// Rule 3: what is in the list already is dropped.
    DropDuplicates,
    /// Rule 3: duplicates are judged anew where S has moved.
    JudgeAgain,
    /// Rule 3: nothing in a carry lies below `start`.
    CarryAboveStart,
    /// Rule 3: a carry is rebuilt or dropped when S changes through another session.
    CarryFollowsChain,
    /// Rule 3: items enter the carry's memory only when acknowledged.
    CarryAcknowledged,
    /// Rule 4: a handover PUT answered 200 is resolved all the same (commits with items).
    ResolveHandover,
    /// Rule 4: the same for metadata-only commits.
    ResolveMetadataHandover,
    /// Rule 4: a 412 is resolved through the chain.
    ResolveRefused,
    /// Rule 4: decided by session and put id, not by equal content.
    ResolveByIdentity,
    /// Rule 4: the handover ledger decides below C.
    ResolveByLedger,
    /// Rule 4: a missing page of the ledger means start over, never 'not committed'.
    LedgerMissingPage,
    /// Rule 5: a duplicate is acknowledged only from S.
    DuplicateFromSnapshot,
    /// Rule 6: `start` is the maximum of the wish and S.start.
    StartNeverFalls,
    /// Rule 6: a trim ends at S.next offset.
    TrimWithinList,
    /// Rule 6: that there is nothing to delete is believed only after a Load.
    DeleteLoads,
    /// Rule 7: only segments below B.start are left out.
    DropBelowStart,
    /// Rule 7: X is strictly above B.C.
    CoverMore,
    /// Rule 8: publish only after the index was answered with success.
    IndexBeforePublish,
    /// Rule 8: publish only after the segments were answered with success.
    SegmentsBeforePublish,
    /// Rule 8: a prepared index is thrown away at every Load.
    DiscardPrepared,
    /// Rule 9: collect only after the publication is acknowledged.
    CollectAfterAcknowledge,
    /// Rule 9: a collected handover commit becomes a stub.
    StubHandover,
    /// Rule 9: a complete commit that the index refers to is spared.
    CollectSparesComplete,
    /// Rule 9: a dropped complete handover commit becomes a stub.
    StubDroppedHandover,
    /// Rule 9: dropped pages and segments only after the acknowledgement.
    DropAfterAcknowledge,
    /// Rule 9: a leaf that the new root still names is kept.
    KeepSharedLeaf,
    /// Rule 10: the sweeper stubs handover commits.
    SweepStubsHandover,
    /// Rule 10: the sweeper keeps stubs.
    SweepKeepsStubs,
    /// Rule 10: the sweeper spares complete commits that the index refers to.
    SweepSparesComplete,
    /// Rule 10: a swept commit's number is that of its name.
    SweepChecksNumber,
    /// Rule 10: what cannot be read is left and reported.
    SweepLeavesUnreadable,
    /// Rules 10 and 11: a missing index page means start over.
    SweepMissingPage,
    /// Rule 11: only X <= C is swept.
    SweepCoveredOnly,
    /// Rule 11: only what is not referenced is swept.
    SweepUnreferencedOnly,
    /// Rule 11: leaves, and segments below leaves, count as reachable.
    SweepReachesLeaves,
    /// Rule 12: a missing object means start over.
    ReadMissing,
    /// Rule 12: start over from Load, not just the GET again.
    ReadRestartsFromLoad,
    /// Rule 12: a commit must match its table entry.
    ReadMatchesTable,
    /// Rule 12: a complete commit must match its index entry.
    ReadMatchesIndex,
    /// Rule 12: items are delivered from `start` on.
    ReadFromStart,
    /// Rule 13: a followed commit is of the same session and no handover.
    FollowSameSession,
    /// Rule 13: a 404 proves nothing.
    FollowMissing,
    /// An object's list is checked.
    ListIdentity,
    /// A header's checksum is checked.
    HeaderChecksum,
    /// A block's checksum is checked.
    BlockChecksum,
    /// A block's owner is checked.
    BlockOwner,
    /// An index page's own id is checked.
    PageIdentity,
    /// The number in a loaded commit is that of its name.
    CommitNumber,
    /// A continuation's checksum is checked.
    TokenChecksum,
    /// A table has no more entries than the format allows.
    TableBound,
    /// A leaf has no more entries than the format allows.
    LeafBound,
    /// A head page has no more handovers than the format allows.
    LedgerBound,
    /// A page has no more items than were asked for.
    PageSize,
    /// The writer tries reads, deletions and PUTs of immutable objects again.
    WriterRetries,
    /// The reader tries again.
    ReaderRetries,
    /// The writer compares a body's length with what was announced.
    WriterBodyLength,
    /// The reader compares a body's length with what was announced.
    ReaderBodyLength,
    /// A LIST's status 200 with an error in its body is an error.
    ErrorInSuccess,
    /// An answer to a LIST without names may say that more follow.
    ListGoesOn,
}

#[cfg(feature = "mutants")]
impl Rule {
    /// Every one.
    pub const ALL: [Self; 67] = [
        Self::FreshSession,
        Self::NewPutId,
        Self::FreshObjectIds,
        Self::RepeatIdentical,
        Self::LoadComparesEtag,
        Self::ConditionalPut,
        Self::NoAnswerProvesNothing,
        Self::HandoverBit,
        Self::DropDuplicates,
        Self::JudgeAgain,
        Self::CarryAboveStart,
        Self::CarryFollowsChain,
        Self::CarryAcknowledged,
        Self::ResolveHandover,
        Self::ResolveMetadataHandover,
        Self::ResolveRefused,
        Self::ResolveByIdentity,
        Self::ResolveByLedger,
        Self::LedgerMissingPage,
        Self::DuplicateFromSnapshot,
        Self::StartNeverFalls,
        Self::TrimWithinList,
        Self::DeleteLoads,
        Self::DropBelowStart,
        Self::CoverMore,
        Self::IndexBeforePublish,
        Self::SegmentsBeforePublish,
        Self::DiscardPrepared,
        Self::CollectAfterAcknowledge,
        Self::StubHandover,
        Self::CollectSparesComplete,
        Self::StubDroppedHandover,
        Self::DropAfterAcknowledge,
        Self::KeepSharedLeaf,
        Self::SweepStubsHandover,
        Self::SweepKeepsStubs,
        Self::SweepSparesComplete,
        Self::SweepChecksNumber,
        Self::SweepLeavesUnreadable,
        Self::SweepMissingPage,
        Self::SweepCoveredOnly,
        Self::SweepUnreferencedOnly,
        Self::SweepReachesLeaves,
        Self::ReadMissing,
        Self::ReadRestartsFromLoad,
        Self::ReadMatchesTable,
        Self::ReadMatchesIndex,
        Self::ReadFromStart,
        Self::FollowSameSession,
        Self::FollowMissing,
        Self::ListIdentity,
        Self::HeaderChecksum,
        Self::BlockChecksum,
        Self::BlockOwner,
        Self::PageIdentity,
        Self::CommitNumber,
        Self::TokenChecksum,
        Self::TableBound,
        Self::LeafBound,
        Self::LedgerBound,
        Self::PageSize,
        Self::WriterRetries,
        Self::ReaderRetries,
        Self::WriterBodyLength,
        Self::ReaderBodyLength,
        Self::ErrorInSuccess,
        Self::ListGoesOn,
    ];
}

#[cfg(feature = "mutants")]
mod switch {
    use super::Rule;
    use std::cell::Cell;

    thread_local! {
        static OFF: Cell<Option<Rule>> = const { Cell::new(None) };
    }

    /// Runs `body` with one rule switched off on this thread.
    pub fn without<T>(rule: Rule, body: impl FnOnce() -> T) -> T {
        struct Restore(Option<Rule>);
        impl Drop for Restore {
            fn drop(&mut self) {
                OFF.set(self.0);
            }
        }
        let _restore = Restore(OFF.replace(Some(rule)));
        body()
    }

    /// Whether the rule is kept on this thread.
    pub fn kept(rule: Rule) -> bool {
        OFF.get() != Some(rule)
    }
}

#[cfg(feature = "mutants")]
pub use switch::{kept, without};

/// Whether the rule is kept: always, but in tests that switch it off.
#[cfg(not(feature = "mutants"))]
#[inline(always)]
pub const fn kept(_rule: Rule) -> bool {
    true
}
