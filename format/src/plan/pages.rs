//! Getting the pages of the index.

use std::sync::Arc;

use bytes::Bytes;

use super::{Answer, ByteRange, Cache, Port, Request};
use crate::error::FormatError;
use crate::limits::MAX_PAGE_BYTES;
use crate::names::ListName;
use crate::wire::Malformed;
use crate::wire::commit::IndexReference;
use crate::wire::head::{HeadPage, LeafReference};
use crate::wire::identity::{ListHash, ObjectId};
use crate::wire::leaf::LeafPage;
use crate::wire::ledger::{LedgerPage, LedgerReference};

/// Reads the head page; `None` where it is gone.
pub(super) async fn head(
    port: &Port,
    list: &ListName,
    index: IndexReference,
) -> Result<Option<Arc<HeadPage>>, FormatError> {
    let head = page(port, list, (index.id, index.length), Cache::Immutable, HeadPage::decode).await?;
    Ok(head.map(Arc::new))
}

/// Reads a full leaf; `None` where it is gone.
pub(super) async fn leaf(port: &Port, list: &ListName, leaf: &LeafReference) -> Result<Option<LeafPage>, FormatError> {
    page(port, list, (leaf.id, leaf.length), Cache::Immutable, LeafPage::decode).await
}

/// Reads full leaves, all at once; `None` for one that is gone.
pub(super) async fn leaves(
    port: &Port,
    list: &ListName,
    leaves: &[LeafReference],
) -> Result<Vec<Option<LeafPage>>, FormatError> {
    let get = |leaf: &LeafReference| get(list.index_page(leaf.id), leaf.length, Cache::Immutable);
    let answers = port.send(leaves.iter().map(get).collect()).await;
    let read = |(leaf, answer): (&LeafReference, Answer)| {
        decoded(answer, list, leaf.id, LeafPage::decode).map_err(|malformed| malformed.of(&list.index_page(leaf.id)))
    };
    leaves.iter().zip(answers).map(read).collect()
}

/// Reads a page of the ledger; `None` where it is gone.
pub(super) async fn ledger(
    port: &Port,
    list: &ListName,
    ledger: &LedgerReference,
) -> Result<Option<LedgerPage>, FormatError> {
    page(port, list, (ledger.id, ledger.length), Cache::Immutable, LedgerPage::decode).await
}

/// A page that was gone, and to which a later Load refers all the same: it was not replaced.
pub(super) fn lost(list: &ListName, id: ObjectId) -> FormatError {
    lost_page(&list.index_page(id))
}

/// The same of the page of this name.
pub(super) fn lost_page(name: &str) -> FormatError {
    Malformed::Corrupt("it is missing or empty, though the newest commit refers to it").of(name)
}

/// Reads the page of this id and so many bytes, of the kind that `decode` is for; `None` where it is gone.
pub(super) async fn page<P>(
    port: &Port,
    list: &ListName,
    (id, length): (ObjectId, u64),
    cache: Cache,
    decode: fn(&Bytes, &ListHash, ObjectId) -> Result<P, Malformed>,
) -> Result<Option<P>, FormatError> {
    let name = list.index_page(id);
    let answer = port.send_one(get(name.clone(), length, cache)).await;
    decoded(answer, list, id, decode).map_err(|malformed| malformed.of(&name))
}

fn get(name: String, length: u64, cache: Cache) -> Request {
    // A token's length is not to be trusted.
    Request::Get { name, range: Some(ByteRange::new(0, length.min(MAX_PAGE_BYTES))), cache }
}

fn decoded<P>(
    answer: Answer,
    list: &ListName,
    id: ObjectId,
    decode: fn(&Bytes, &ListHash, ObjectId) -> Result<P, Malformed>,
) -> Result<Option<P>, Malformed> {
    match answer {
        Answer::Got(object) => decode(&object.body, &list.hash(), id).map(Some),
        _ => Ok(None),
    }
}
