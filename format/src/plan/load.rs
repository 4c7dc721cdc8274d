//! Load: the newest commit of a list, with a guarantee that it is the one that the LIST named (PROTOCOL rule 2).

use std::sync::Arc;

use bytes::Bytes;

use super::{Answer, ByteRange, Cache, Port, Request};
use crate::error::FormatError;
use crate::limits::{MAX_HEADER_BYTES, MAX_RESTARTS, WHOLE_COMMIT_BYTES};
use crate::names::ListName;
use crate::rules::{self, Rule};
use crate::wire::Malformed;
use crate::wire::commit::CommitHeader;

/// The newest commit of a list as one Load found it: a consistent view of the whole list.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Its header.
    pub header: Arc<CommitHeader>,
    /// The ETag that LIST and GET agreed on.
    pub etag: String,
    /// The first bytes of the object: at least the header.
    pub body: Bytes,
}

/// How much of the newest commit a Load fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetch {
    /// The header alone: 16 KiB.
    Header,
    /// The whole object where it is small (64 KiB), else the first 16 KiB.
    Small,
}

/// Loads the newest commit; `None` where the list has none.
pub(crate) async fn load(port: &Port, list: &ListName, fetch: Fetch) -> Result<Option<Snapshot>, FormatError> {
    load_by(port, list, fetch, Cache::Etag).await
}

/// The same past all caches: what they have of the newest commit was found to be damaged.
pub(crate) async fn reload(port: &Port, list: &ListName, fetch: Fetch) -> Result<Option<Snapshot>, FormatError> {
    load_by(port, list, fetch, Cache::Reload).await
}

async fn load_by(
    port: &Port,
    list: &ListName,
    fetch: Fetch,
    mut cache: Cache,
) -> Result<Option<Snapshot>, FormatError> {
    let (mut empty, mut start_after) = (None, None);
    for _ in 0..MAX_RESTARTS {
        let listed = match port.send_one(newest(list, start_after.clone())).await {
            Answer::Listed(listing) => listing.objects.into_iter().next(),
            _ => continue,
        };
        let Some(listed) = listed else { return Ok(None) };
        let Some(seq) = list.parse_commit(&listed.name) else {
            // A store may show its own temporary file while a PUT goes on. Passed over where no commit can come before it.
            let before_commits = list.before_commits();
            if listed.name < before_commits && start_after.is_none() {
                start_after = Some(before_commits);
                continue;
            }
            return Err(Malformed::Corrupt("its name is not that of a commit").of(&listed.name));
        };
        // Rule 2: a stub is not the newest commit; what was listed is gone already.
        if listed.size == 0 {
            empty = Some(listed.name);
            continue;
        }
        empty = None;
        let object = match port.send_one(get_commit(listed.name.clone(), listed.size, fetch, cache)).await {
            Answer::Got(object) => object,
            _ => continue,
        };
        let Some(etag) = object.etag.filter(|_| !listed.etag.is_empty()) else {
            return Err(FormatError::HiddenEtag { object: listed.name });
        };
        // Rule 2: the name may have been collected and created again by a late PUT since the LIST.
        if etag != listed.etag && rules::kept(Rule::LoadComparesEtag) {
            cache = Cache::Reload;
            continue;
        }
        let header = match CommitHeader::decode(&object.body, &list.hash()) {
            Ok(header) => header,
            Err(_) if object.body.is_empty() => continue,
            // It may have been damaged on its way, and a cache may have kept it so: once more, past all caches.
            Err(_) if cache != Cache::Reload => {
                cache = Cache::Reload;
                continue;
            }
            Err(malformed) => return Err(malformed.of(&listed.name)),
        };
        if header.commit.seq != seq && rules::kept(Rule::CommitNumber) {
            if cache != Cache::Reload {
                cache = Cache::Reload;
                continue;
            }
            return Err(Malformed::Corrupt("its number is not that of its name").of(&listed.name));
        }
        return Ok(Some(Snapshot { header: Arc::new(header), etag, body: object.body }));
    }
    if let Some(name) = empty {
        return Err(Malformed::Corrupt("it is the list's newest commit and has no bytes").of(&name));
    }
    Err(FormatError::Contended { list: list.to_string(), attempts: MAX_RESTARTS })
}

/// The LIST that finds the newest commit: its name is the first.
pub(super) fn newest(list: &ListName, start_after: Option<String>) -> Request {
    Request::List { prefix: list.commits(), start_after, max_keys: 1, delimiter: false }
}

/// The GET of a commit's first part.
fn get_commit(name: String, size: u64, fetch: Fetch, cache: Cache) -> Request {
    let end = match fetch {
        Fetch::Small if size <= WHOLE_COMMIT_BYTES => size,
        _ => size.min(MAX_HEADER_BYTES as u64),
    };
    Request::Get { name, range: Some(ByteRange::new(0, end)), cache }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::CorruptObject;
    use crate::plan::Plan;
    use crate::plan::read::test_list::{Layout, list_name};
    use crate::plan::test_store::TestStore;
    use crate::wire::commit::CommitHeader;

    type Loaded = Result<Option<Snapshot>, FormatError>;

    /// A list of five commits without items.
    fn store() -> TestStore {
        let mut store = TestStore::default();
        let layout = Layout {
            indexed: Vec::new(),
            leaf_entries: 0,
            dropped: 0,
            commits: vec![(0, 0); 5],
            start: 0,
            block_bytes: 100,
            generation: 0,
        };
        layout.write(&mut store, &[]);
        store
    }

    fn plan(fetch: Fetch) -> Plan<Loaded> {
        Plan::new(move |port| async move { load(&port, &list_name(), fetch).await })
    }

    /// Loads where the GETs numbered `damaged`, counted from 0, are answered with another object's bytes.
    fn load_damaged(damaged: std::ops::Range<usize>, body: &Bytes) -> (Loaded, Vec<Cache>) {
        let mut caches = Vec::new();
        let loaded = store().run_with(plan(Fetch::Header), |store, request| {
            let answer = store.answer(request);
            let (Request::Get { cache, .. }, Answer::Got(mut object)) = (request, answer.clone()) else {
                return answer;
            };
            caches.push(*cache);
            if damaged.contains(&(caches.len() - 1)) {
                object.body = body.clone();
            }
            Answer::Got(object)
        });
        (loaded, caches)
    }

    fn seq(loaded: Loaded) -> u64 {
        loaded.unwrap().unwrap().header.commit.seq
    }

    fn corrupt(name: String, reason: &'static str) -> FormatError {
        CorruptObject { object: name, reason }.into()
    }

    #[test]
    fn what_was_damaged_on_its_way_is_asked_for_once_more_past_all_caches() {
        let newest = list_name().commit(4);
        let other = store().objects[&list_name().commit(3)].clone();
        assert!(CommitHeader::decode(&other, &list_name().hash()).is_ok());
        for (body, reason) in [
            (Bytes::from_static(b"<html>"), "it does not begin as an object of klstore does"),
            (other, "its number is not that of its name"),
        ] {
            let (loaded, caches) = load_damaged(0..0, &body);
            assert_eq!((seq(loaded), caches), (4, vec![Cache::Etag]));
            let (loaded, caches) = load_damaged(0..1, &body);
            assert_eq!((seq(loaded), caches), (4, vec![Cache::Etag, Cache::Reload]));
            let (loaded, caches) = load_damaged(0..9, &body);
            assert_eq!(loaded.unwrap_err(), corrupt(newest.clone(), reason));
            assert_eq!(caches, [Cache::Etag, Cache::Reload]);
        }
    }

    #[test]
    fn a_commit_of_at_most_64_kib_is_fetched_whole_where_its_items_are_wanted() {
        let name = list_name().commit(4);
        let mut store = store();
        let mut fetched = |size: usize, fetch| {
            let mut body = store.objects[&name].to_vec();
            body.resize(size, 0);
            store.objects.insert(name.clone(), body.into());
            store.run(plan(fetch)).unwrap().unwrap().body.len()
        };
        assert_eq!(fetched(64 << 10, Fetch::Small), 64 << 10);
        assert_eq!(fetched((64 << 10) + 1, Fetch::Small), 16 << 10);
        assert_eq!(fetched(64 << 10, Fetch::Header), 16 << 10);
        assert_eq!(fetched(1_000, Fetch::Header), 1_000);
    }

    #[test]
    fn a_file_of_the_stores_own_is_passed_over_and_a_foreign_one_is_an_error() {
        let listed = |store: &mut TestStore, name: &str| {
            let name = list_name().commits() + name;
            store.objects.insert(name.clone(), Bytes::from_static(b"being written"));
            let loaded = store.run(plan(Fetch::Header));
            (loaded, name, store.counts().lists)
        };
        for temporary in [".part-1", "-1"] {
            let (loaded, _, lists) = listed(&mut store(), temporary);
            assert_eq!((seq(loaded), lists), (4, 2));
        }
        let (loaded, name, lists) = listed(&mut TestStore::default(), "readme");
        assert_eq!((loaded.unwrap_err(), lists), (corrupt(name, "its name is not that of a commit"), 1));
    }
}
