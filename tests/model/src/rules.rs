//! The rules of PROTOCOL.md that the model can switch off, one at a time, to see that it then fails.

/// A rule by its number and what is left out when it is switched off. The names are those of `klstore_format::rules`
/// where both have the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Rule 1: a fresh session after an abandoned PUT.
    FreshSession,
    /// Rule 2: the GET's ETag is the LIST's.
    LoadComparesEtag,
    /// Rule 3: `If-None-Match: *`.
    ConditionalPut,
    /// Rule 3: the carry's memory is rebuilt or dropped when S changes through another session.
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
    /// Rule 4 over pages: a missing head page means start over from Load.
    ResolveMissingPage,
    /// Rule 4 over pages: so does a missing ledger page.
    ResolveMissingLedger,
    /// Rule 4 over pages: start over from Load, not just the GET again.
    ResolveRestartsFromLoad,
    /// Rule 5: a duplicate is acknowledged only from S.
    DuplicateFromSnapshot,
    /// Rule 6: `start` is the maximum of the wish and S.start.
    StartNeverFalls,
    /// Rule 6 for deletions: one that has nothing to do believes it only after a Load.
    DeletionLoads,
    /// Rule 7: only segments below B.start are left out.
    DropBelowStart,
    /// Rule 7: X is strictly above B.C.
    CoverMore,
    /// Rule 7 over pages: handovers that overflow the head page move to a ledger page.
    LedgerKeepsOverflow,
    /// Rule 8: publish only after the head page was answered with success.
    IndexBeforePublish,
    /// Rule 8: publish only after the segments were answered with success.
    SegmentsBeforePublish,
    /// Rule 8: publish only after the leaf page was answered with success.
    LeafBeforePublish,
    /// Rule 8: publish only after the ledger page was answered with success.
    LedgerBeforePublish,
    /// Rule 8: a prepared index is thrown away where a Load finds that C has moved.
    DiscardPrepared,
    /// Rule 8: thrown away at every change of C, not only when C has reached X.
    DiscardOnAnyChange,
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
    /// Rule 9: a leaf that the new head still names is kept.
    KeepSharedLeaf,
    /// Rule 9: a ledger page that the new head still names is kept.
    KeepSharedLedger,
    /// Rule 10: the sweeper stubs handover commits.
    SweepStubsHandover,
    /// Rule 10: the sweeper keeps stubs.
    SweepKeepsStubs,
    /// Rule 10: the sweeper spares complete commits that the index refers to.
    SweepSparesComplete,
    /// Rules 10 and 11: a missing index page means start over.
    SweepMissingPage,
    /// Rule 11: only X <= C is swept.
    SweepCoveredOnly,
    /// Rule 11: only what is not referenced is swept.
    SweepUnreferencedOnly,
    /// Rule 11: leaves, and segments below leaves, count as reachable.
    SweepReachesLeaves,
    /// Rule 11 over pages: ledger pages count as reachable.
    SweepReachesLedger,
    /// Rule 12: a missing object means start over.
    ReadMissing,
    /// Rule 12: start over from Load, not just the GET again.
    ReadRestartsFromLoad,
    /// Rule 12: a commit must match its table entry.
    ReadMatchesTable,
    /// Rule 12: a complete commit must match its index entry.
    ReadMatchesIndex,
    /// Rule 12 for tokens: a commit read by name has the identity that the token names.
    TokenIdentity,
    /// Rule 13: a followed commit is of the same session and no handover.
    FollowSameSession,
    /// Rule 13: a 404 proves nothing.
    FollowMissing,
}
