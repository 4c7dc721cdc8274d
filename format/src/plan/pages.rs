//! Getting the pages of the index.

use std::sync::Arc;

use super::{Answer, ByteRange, Cache, Port, Request};
use crate::error::FormatError;
use crate::names::ListName;
use crate::wire::commit::IndexReference;
use crate::wire::head::{HeadPage, LeafReference};
use crate::wire::leaf::LeafPage;

/// Reads the head page; `None` where it is gone.
pub(super) async fn head(
    port: &Port,
    list: &ListName,
    index: IndexReference,
) -> Result<Option<Arc<HeadPage>>, FormatError> {
    let name = list.index_page(index.id);
    let range = Some(ByteRange::new(0, index.length));
    match port.send_one(Request::Get { name: name.clone(), range, cache: Cache::Immutable }).await {
        Answer::Got(object) => match HeadPage::decode(&object.body, &list.hash(), index.id) {
            Ok(head) => Ok(Some(Arc::new(head))),
            Err(malformed) => Err(malformed.of(&name)),
        },
        _ => Ok(None),
    }
}

/// Reads a full leaf; `None` where it is gone.
pub(super) async fn leaf(port: &Port, list: &ListName, leaf: &LeafReference) -> Result<Option<LeafPage>, FormatError> {
    let name = list.index_page(leaf.id);
    let range = Some(ByteRange::new(0, leaf.length));
    match port.send_one(Request::Get { name: name.clone(), range, cache: Cache::Immutable }).await {
        Answer::Got(object) => {
            LeafPage::decode(&object.body, &list.hash(), leaf.id).map(Some).map_err(|malformed| malformed.of(&name))
        }
        _ => Ok(None),
    }
}
