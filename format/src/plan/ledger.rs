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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::item::Insertion;
    use crate::plan::read::test_list::{create_keyspace, list_name};
    use crate::plan::test_store::{Counts, TestStore};
    use crate::plan::{Plan, Session, SessionOptions};
    use crate::wire::commit::IndexReference;
    use crate::wire::head::HeadPage;
    use crate::wire::ledger::{LedgerPage, LedgerReference};
    use crate::wire::run::Run;

    const HEAD: ObjectId = ObjectId { x: 30, id: 1 };

    /// Whose the list was from each of these commits on.
    fn handovers(of: &[(u64, u128)]) -> Vec<Handover> {
        of.iter().map(|&(seq, session)| Handover { seq, session: SessionId(session) }).collect()
    }

    /// A newest commit whose index has two ledger pages and a handover in its head page.
    fn written() -> (TestStore, CommitHeader) {
        let (mut store, list) = (TestStore::default(), list_name());
        create_keyspace(&mut store);
        let session = store.run(Session::open(list.clone(), SessionId(1), Arc::new(SessionOptions::default())));
        let append = session.unwrap().append(vec![Insertion::new("value")], 0);
        let (session, _) = store.run(append).unwrap();

        let mut ledger_pages = Vec::new();
        for (id, of) in [(2, &[(3, 11), (7, 12)][..]), (3, &[(10, 13)])] {
            let id = ObjectId { x: 20, id };
            let page = LedgerPage { list: list.hash(), id, handovers: handovers(of) };
            let body = page.encode().unwrap();
            let (length, first_seq, count) = (body.len() as u64, of[0].0, of.len() as u32);
            ledger_pages.push(LedgerReference { id, length, first_seq, count });
            store.objects.insert(list.index_page(id), body);
        }
        let (before, handovers) = (Run::empty(0, i64::MIN, 0), handovers(&[(20, 14)]));
        let head =
            HeadPage { list: list.hash(), id: HEAD, before, leaves: vec![], open: vec![], ledger_pages, handovers };
        let body = head.encode().unwrap();
        let index = Some(IndexReference { id: HEAD, length: body.len() as u64 });
        store.objects.insert(list.index_page(HEAD), body);
        (store, CommitHeader { index, ..session.newest().unwrap().clone() })
    }

    fn found(store: &mut TestStore, newest: &CommitHeader, seq: u64) -> Found {
        let newest = newest.clone();
        store.forget();
        store.run(Plan::new(|port| async move { last_handover(&port, &list_name(), &newest, seq).await })).unwrap()
    }

    #[test]
    fn a_commit_is_of_the_session_that_took_over_last() {
        let (mut store, newest) = written();
        let mut check = |seq, session: Option<u128>, gets| {
            let found = found(&mut store, &newest, seq);
            assert!(matches!(found, Found::Session(of) if of == session.map(SessionId)), "commit {seq}");
            assert_eq!(store.counts(), Counts { gets, ..Counts::default() }, "commit {seq}");
        };
        check(29, Some(14), 1);
        check(20, Some(14), 1);
        check(19, Some(13), 2);
        check(10, Some(13), 2);
        check(9, Some(12), 2);
        check(7, Some(12), 2);
        check(6, Some(11), 2);
        check(3, Some(11), 2);
        check(2, None, 1);
        let without_index = CommitHeader { index: None, ..newest.clone() };
        assert!(matches!(found(&mut store, &without_index, 9), Found::Session(None)));
    }

    #[test]
    fn a_page_that_is_gone_is_named_and_says_nothing() {
        let (mut store, newest) = written();
        let page = ObjectId { x: 20, id: 2 };
        store.objects.remove(&list_name().index_page(page));
        assert!(matches!(found(&mut store, &newest, 9), Found::PageMissing(id) if id == page));
        assert!(matches!(found(&mut store, &newest, 10), Found::Session(Some(SessionId(13)))));
        store.objects.remove(&list_name().index_page(HEAD));
        assert!(matches!(found(&mut store, &newest, 10), Found::PageMissing(HEAD)));
    }
}
