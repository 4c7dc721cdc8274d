//! Objects in memory, and plans over them.

use std::collections::BTreeMap;

use bytes::Bytes;
use klstore_format::plan::{Answer, Listed, Listing, Object, Plan, PutKind, Request, Step};

/// Objects by their names.
pub type Objects = BTreeMap<String, Bytes>;

/// Requests after which a plan over a small list is said not to end.
const MAX_REQUESTS: usize = 50_000;

/// Runs a plan to its end, which has to come.
pub fn run<T>(objects: &mut Objects, mut plan: Plan<T>) -> T {
    let (mut answers, mut sent) = (Vec::new(), 0);
    loop {
        match plan.step(answers) {
            Step::Done(outcome) => return outcome,
            Step::Send(requests) => {
                sent += requests.len();
                assert!(sent <= MAX_REQUESTS, "a plan does not end; it asks for {requests:?}");
                answers = requests.iter().map(|request| answer(objects, request)).collect();
            }
        }
    }
}

/// What a store with these objects answers.
pub fn answer(objects: &mut Objects, request: &Request) -> Answer {
    match request {
        Request::List { prefix, start_after, max_keys, delimiter } => {
            Answer::Listed(list(objects, prefix, start_after.as_deref(), *max_keys as usize, *delimiter))
        }
        Request::Get { name, range, .. } => {
            let Some(whole) = objects.get(name) else { return Answer::Missing };
            let size = whole.len() as u64;
            let (start, end) = range.map_or((0, size), |range| (range.start, range.end.min(size)));
            if range.is_some() && start >= end {
                return Answer::Missing;
            }
            let body = whole.slice(start as usize..end as usize);
            Answer::Got(Object { body, etag: Some(etag(whole)), size: Some(size) })
        }
        Request::Put { name, kind: PutKind::Create, .. } if objects.contains_key(name) => Answer::Exists,
        Request::Put { name, body, .. } => {
            objects.insert(name.clone(), body.clone());
            Answer::Done { etag: Some(etag(body)) }
        }
        Request::Delete { names } => {
            names.iter().for_each(|name| drop(objects.remove(name)));
            Answer::Done { etag: None }
        }
    }
}

/// The names in order, as S3 lists them.
pub fn list(objects: &Objects, prefix: &str, after: Option<&str>, max_keys: usize, delimiter: bool) -> Listing {
    let mut listing = Listing::default();
    let found = objects.range(prefix.to_owned()..).take_while(|(name, _)| name.starts_with(prefix));
    for (name, body) in found.filter(|(name, _)| after.is_none_or(|after| name.as_str() > after)) {
        let folder =
            name[prefix.len()..].find('/').filter(|_| delimiter).map(|at| name[..=prefix.len() + at].to_owned());
        if folder.is_some() && listing.common_prefixes.last() == folder.as_ref() {
            continue;
        }
        if listing.objects.len() + listing.common_prefixes.len() == max_keys {
            listing.truncated = true;
            break;
        }
        match folder {
            Some(folder) => listing.common_prefixes.push(folder),
            None => {
                listing.objects.push(Listed { name: name.clone(), etag: etag(body), size: body.len() as u64 });
            }
        }
    }
    listing
}

/// Another one for other bytes.
pub fn etag(body: &[u8]) -> String {
    format!("{:08x}-{}", crc32c::crc32c(body), body.len())
}
