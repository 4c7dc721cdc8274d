//! The handover ledger: which session held the list at a commit that the index covers already (PROTOCOL rule 4).

use super::{Port, pages};
use crate::error::FormatError;
use crate::names::ListName;
use crate::rules::{self, Rule};
use crate::wire::commit::CommitHeader;
use crate::wire::identity::{ObjectId, SessionId};
use crate::wire::ledger::Handover;

/// What the ledger says.
pub(super) enum Found {
    /// The session of the last handover at or below the commit asked for.
    Session(Option<SessionId>),
    /// This page was gone: the newest commit has been replaced since, or the page is lost.
    PageMissing(ObjectId),
}

/// The last handover with a number <= `seq` in the ledger that `newest` refers to.
pub(super) async fn last_handover(
    port: &Port,
    list: &ListName,
    newest: &CommitHeader,
    seq: u64,
) -> Result<Found, FormatError> {
    let Some(index) = newest.index else { return Ok(Found::Session(None)) };
    let Some(head) = pages::head(port, list, index).await? else {
        let kept = rules::kept(Rule::LedgerMissingPage);
        return Ok(if kept { Found::PageMissing(index.id) } else { Found::Session(None) });
    };
    if let Some(session) = last_at(&head.handovers, seq) {
        return Ok(Found::Session(Some(session)));
    }
    let Some(page) = head.ledger_pages.iter().rev().find(|page| page.first_seq <= seq) else {
        return Ok(Found::Session(None));
    };
    match pages::ledger(port, list, page).await? {
        Some(page) => Ok(Found::Session(last_at(&page.handovers, seq))),
        None if rules::kept(Rule::LedgerMissingPage) => Ok(Found::PageMissing(page.id)),
        None => Ok(Found::Session(None)),
    }
}

fn last_at(handovers: &[Handover], seq: u64) -> Option<SessionId> {
    handovers.iter().rev().find(|handover| handover.seq <= seq).map(|handover| handover.session)
}
