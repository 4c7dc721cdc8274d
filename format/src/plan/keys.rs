//! Listing keyspaces and keys: `LIST delimiter=/`, with the names unescaped.

use super::metadata::{get_keyspace, parse_keyspace, read_existing};
use super::{Answer, Plan, Port, Request};
use crate::error::FormatError;
use crate::item::KeyspaceMetadata;
use crate::limits::MAX_IN_FLIGHT;
use crate::names::{KeyspaceName, Prefix, escape, keyspace_object, lists_prefix, unescape};

/// Names that one LIST may return.
const MAX_LISTED: u32 = 1_000;

/// Some of the keyspaces under a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyspaceList {
    /// The keyspaces, in order of their names as escaped and followed by `/`.
    pub keyspaces: Vec<KeyspaceMetadata>,
    /// Those among them whose `keyspace.json` this release cannot read: damaged ones and newer ones.
    pub unreadable: Vec<UnreadableKeyspace>,
    /// Where more follow: the name to start after.
    pub continuation: Option<String>,
}

/// A keyspace that exists, but of which nothing is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableKeyspace {
    /// Its name, from the name of its object.
    pub keyspace: String,
    /// What is wrong with which object, and what to do.
    pub error: FormatError,
}

/// Some of the keys of a keyspace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyList {
    /// The keys, in order of their names as escaped and followed by `/`.
    pub keys: Vec<String>,
    /// Where more follow: the name to start after.
    pub continuation: Option<String>,
}

/// Lists up to `max` keyspaces (1,000 at most) after the name `start_after`. What has no `keyspace.json` is left out, so
/// that there may be fewer although more follow. What cannot be read is named, and does not keep the others from being
/// listed.
pub fn list_keyspaces(prefix: Prefix, start_after: Option<String>, max: u32) -> Plan<KeyspaceList> {
    Plan::new(|port| async move {
        let folder = prefix.as_str().to_owned();
        let listed = list_folders(&port, &folder, folder.clone(), start_after.as_deref(), max).await;
        let names: Vec<KeyspaceName> = listed.names.iter().filter_map(|name| KeyspaceName::new(name).ok()).collect();
        let mut list = KeyspaceList { continuation: listed.continuation, ..KeyspaceList::default() };
        for some in names.chunks(MAX_IN_FLIGHT) {
            let objects: Vec<String> = some.iter().map(|keyspace| keyspace_object(&prefix, keyspace)).collect();
            let answers = port.send(objects.iter().cloned().map(get_keyspace).collect()).await;
            for ((keyspace, object), answer) in some.iter().zip(&objects).zip(answers) {
                match parse_keyspace(&port, answer, keyspace, object).await {
                    Ok(found) => list.keyspaces.extend(found),
                    Err(error) => {
                        let keyspace = keyspace.as_str().to_owned();
                        list.unreadable.push(UnreadableKeyspace { keyspace, error });
                    }
                }
            }
        }
        list
    })
}

/// Lists up to `max` keys (1,000 at most) that begin with `key_prefix` (may be empty), after the key `start_after`.
///
/// # Errors
/// [`FormatError::KeyspaceNotFound`].
pub fn list_keys(
    prefix: Prefix,
    keyspace: KeyspaceName,
    key_prefix: String,
    start_after: Option<String>,
    max: u32,
) -> Plan<Result<KeyList, FormatError>> {
    Plan::new(|port| async move {
        let folder = lists_prefix(&prefix, &keyspace);
        let mut list = KeyList::default();
        for search in searches(&key_prefix) {
            let room = max.clamp(1, MAX_LISTED).saturating_sub(u32::try_from(list.keys.len()).unwrap_or(u32::MAX));
            if room == 0 {
                list.continuation = list.keys.last().cloned();
                break;
            }
            let from = format!("{folder}{search}");
            let listed = list_folders(&port, &folder, from, start_after.as_deref(), room).await;
            // The second search is for `.` and `..` alone, and finds nothing else.
            let keys = listed.names.into_iter().filter(|key| key.starts_with(&key_prefix));
            list.keys.extend(keys);
            if listed.continuation.is_some() {
                list.continuation = listed.continuation;
                break;
            }
        }
        if list.keys.is_empty() && list.continuation.is_none() {
            read_existing(&port, &keyspace, &keyspace_object(&prefix, &keyspace)).await?;
        }
        Ok(list)
    })
}

/// What the escaped forms of all names with this prefix begin with: escaping is byte by byte, but for the names `.` and
/// `..`, which are escaped whole.
fn searches(key_prefix: &str) -> Vec<String> {
    match key_prefix {
        "." | ".." => vec![key_prefix.to_owned(), escape(key_prefix)],
        _ => vec![escape(key_prefix)],
    }
}

/// LISTs that may find nothing but names of something else.
const MAX_FOREIGN_LISTS: u32 = 64;

struct Folders {
    names: Vec<String>,
    continuation: Option<String>,
}

/// Lists the folders of `folder` whose full names begin with `from`, by their unescaped names.
async fn list_folders(port: &Port, folder: &str, from: String, start_after: Option<&str>, max: u32) -> Folders {
    let max_keys = max.clamp(1, MAX_LISTED);
    // After everything in the folder: what is in there begins with a letter.
    let mut marker = start_after.map(|name| format!("{folder}{}/~", escape(name)));
    let mut prefix = from.clone();
    // Stores that keep paths refuse such a prefix, and such a marker (MinIO). No folder has that name itself: what is
    // wanted follows whatever has a `-`, the byte before it, in place of the last dot.
    if let Some(before) = from.strip_suffix('.').filter(|before| before.ends_with('/') || before.ends_with("/.")) {
        folder.clone_into(&mut prefix);
        marker = marker.max(Some(format!("{before}-~~")));
    }
    let mut names = Vec::new();
    for _ in 0..MAX_FOREIGN_LISTS {
        let request = Request::List { prefix: prefix.clone(), start_after: marker.clone(), max_keys, delimiter: true };
        let Answer::Listed(listing) = port.send_one(request).await else { break };
        for listed in &listing.common_prefixes {
            // Some servers list the folder that a marker points into once more.
            if listed.starts_with(&from) && marker.as_deref().is_none_or(|marker| listed.as_str() > marker) {
                names.extend(listed.strip_prefix(folder).and_then(|name| unescape(name.strip_suffix('/')?)));
            }
        }
        let behind = listing.common_prefixes.last().is_some_and(|last| *last > from && !last.starts_with(&from));
        let truncated = listing.truncated && !behind;
        if !truncated || !names.is_empty() {
            let more = truncated || names.len() > max_keys as usize;
            names.truncate(max_keys as usize);
            return Folders { continuation: names.last().cloned().filter(|_| more), names };
        }
        // Nothing but names that are not klstore's: on behind them.
        let folders = listing.common_prefixes.last().map(|last| format!("{last}~"));
        marker = folders.max(listing.objects.last().map(|last| last.name.clone())).max(marker);
    }
    Folders { names, continuation: None }
}
