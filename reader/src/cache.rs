//! A cache of objects' bytes: least recently used objects go first, counted in bytes.

use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use klstore_format::SortedMap;
use klstore_format::plan::Object;
use lru::LruCache;

use crate::source::SourceObject;
use crate::transport::Body;

/// What is counted for an object or an extent beside its bytes.
const OVERHEAD_BYTES: u64 = 256;
/// A piece of a body keeps the whole buffer that it came in (400 KiB natively): smaller ones are copied out.
const COPIED_BYTES: usize = 256 << 10;

/// How names are hashed: natively as anything is.
#[cfg(not(target_arch = "wasm32"))]
type NameHasher = std::hash::RandomState;
/// In a web page by 64-bit FNV-1a, which takes a tenth of the code.
#[cfg(target_arch = "wasm32")]
type NameHasher = std::hash::BuildHasherDefault<fnv::FnvHasher>;

/// Extents (byte ranges) of objects. An object's extents are all of one ETag; never does one answer mix two.
pub(crate) struct ExtentCache {
    capacity: u64,
    state: Mutex<State>,
}

struct State {
    objects: LruCache<String, CachedObject, NameHasher>,
    bytes: u64,
}

#[derive(Default)]
struct CachedObject {
    etag: Option<String>,
    size: Option<u64>,
    /// By their first byte; they do not overlap.
    extents: SortedMap<u64, Bytes>,
    bytes: u64,
}

/// What the cache knows about a range.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lookup {
    /// All of it.
    Hit(Object),
    /// Not these bytes, which together with what is cached make the range.
    Missing(Range<u64>),
}

impl ExtentCache {
    /// Keeps at most `capacity` bytes; 0 keeps nothing.
    pub(crate) fn new(capacity: u64) -> Self {
        Self {
            capacity,
            state: Mutex::new(State { objects: LruCache::unbounded_with_hasher(NameHasher::default()), bytes: 0 }),
        }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.capacity > 0
    }

    /// Looks for `range` of an object.
    pub(crate) fn look_up(&self, name: &str, range: Range<u64>) -> Lookup {
        match self.lock().objects.get(name) {
            Some(object) => object.look_up(range),
            None => Lookup::Missing(range),
        }
    }

    /// Keeps what a GET brought, `start` being its first byte. Extents of another ETag are dropped.
    pub(crate) fn insert(&self, name: &str, start: u64, fetched: &SourceObject) {
        let mut state = self.lock();
        let mut object = state.take(name).filter(|object| object.etag == fetched.etag).unwrap_or_default();
        object.etag.clone_from(&fetched.etag);
        object.size = fetched.size.or(object.size);
        object.add_all(start, &fetched.body);
        if object.cost() > self.capacity {
            object = CachedObject { etag: object.etag, size: object.size, ..CachedObject::default() };
            object.add_all(start, &fetched.body);
        }
        if object.cost() <= self.capacity {
            state.put(name, object);
        }
        while state.bytes > self.capacity && state.drop_oldest() {}
    }

    /// Forgets an object.
    pub(crate) fn remove(&self, name: &str) {
        self.lock().take(name);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ExtentCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let objects = state.objects.len();
        formatter
            .debug_struct("ExtentCache")
            .field("capacity", &self.capacity)
            .field("bytes", &state.bytes)
            .field("objects", &objects)
            .finish()
    }
}

impl State {
    fn take(&mut self, name: &str) -> Option<CachedObject> {
        let object = self.objects.pop(name)?;
        self.bytes -= object.cost() + name.len() as u64;
        Some(object)
    }

    fn put(&mut self, name: &str, object: CachedObject) {
        self.bytes += object.cost() + name.len() as u64;
        self.objects.put(name.to_owned(), object);
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((name, object)) = self.objects.pop_lru() else {
            return false;
        };
        self.bytes -= object.cost() + name.len() as u64;
        true
    }
}

impl CachedObject {
    fn cost(&self) -> u64 {
        self.bytes + OVERHEAD_BYTES * (1 + self.extents.len() as u64)
    }

    fn look_up(&self, range: Range<u64>) -> Lookup {
        let end = self.size.map_or(range.end, |size| range.end.min(size));
        // A range beyond the end is the store's to judge.
        if range.start >= end {
            return Lookup::Missing(range);
        }
        match (self.covered_from(range.start), self.covered_to(end)) {
            (from, _) if from >= end => {
                Lookup::Hit(Object { body: self.bytes(range.start..end), etag: self.etag.clone(), size: self.size })
            }
            // Where the last byte is missing, so may be what follows: the caller's end stays.
            (from, to) => Lookup::Missing(from.max(range.start)..if to < end { to } else { range.end }),
        }
    }

    /// The first byte at or after `position` that is not cached.
    fn covered_from(&self, mut position: u64) -> u64 {
        while let Some((start, extent)) = self.extents.below(&position.saturating_add(1)).last() {
            let end = start + extent.len() as u64;
            if end <= position {
                break;
            }
            position = end;
        }
        position
    }

    /// The first byte of those before `position` that are cached without a gap.
    fn covered_to(&self, mut position: u64) -> u64 {
        while let Some((start, extent)) = self.extents.below(&position).last() {
            if start + (extent.len() as u64) < position {
                break;
            }
            position = *start;
        }
        position
    }

    fn bytes(&self, range: Range<u64>) -> Bytes {
        let part = |start: u64, extent: &Bytes| {
            let from = range.start.saturating_sub(start).min(extent.len() as u64);
            let to = (range.end.saturating_sub(start)).min(extent.len() as u64).max(from);
            extent.slice(from as usize..to as usize)
        };
        let first = self.extents.below(&range.start.saturating_add(1)).last().map_or(range.start, |(start, _)| *start);
        let mut parts = self
            .extents
            .below(&range.end)
            .iter()
            .skip_while(|(start, _)| *start < first)
            .map(|(start, extent)| part(*start, extent));
        match (parts.next(), parts.next()) {
            (Some(only), None) => only,
            (None, _) => Bytes::new(),
            (Some(first), Some(second)) => {
                let mut joined = Vec::with_capacity((range.end - range.start) as usize);
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&second);
                parts.for_each(|part| joined.extend_from_slice(&part));
                joined.into()
            }
        }
    }

    fn add_all(&mut self, mut start: u64, body: &Body) {
        for piece in body.pieces() {
            self.add(start, piece.clone());
            start += piece.len() as u64;
        }
    }

    /// Adds an extent; of bytes that are there already the old ones stay.
    fn add(&mut self, start: u64, mut body: Bytes) {
        let mut position = start;
        while !body.is_empty() {
            let covered = (self.covered_from(position) - position).min(body.len() as u64);
            body = body.split_off(covered as usize);
            position += covered;
            let next = self.extents.from(&position).first().map_or(u64::MAX, |(start, _)| *start);
            let fresh = (next - position).min(body.len() as u64);
            let mut extent = body.split_to(fresh as usize);
            if extent.len() < COPIED_BYTES {
                extent = Bytes::copy_from_slice(&extent);
            }
            if !extent.is_empty() {
                self.bytes += extent.len() as u64;
                self.extents.insert(position, extent);
                position += fresh;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OBJECT: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";

    /// In pieces of ten bytes.
    fn got(etag: &str, range: Range<u64>) -> SourceObject {
        let bytes = &OBJECT[range.start as usize..range.end as usize];
        let body: Body = bytes.chunks(10).map(Bytes::from_static).collect();
        SourceObject { received: body.len(), body, etag: Some(etag.into()), size: Some(OBJECT.len() as u64) }
    }

    fn hit(range: Range<u64>) -> Lookup {
        Lookup::Hit(got("e", range).whole())
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let cache = ExtentCache::new(1 << 20);
        assert_eq!(cache.look_up("n", 3..9), Lookup::Missing(3..9));
        cache.insert("n", 10, &got("e", 10..20));
        assert_eq!(cache.look_up("n", 12..18), hit(12..18));
        assert_eq!(cache.look_up("n", 15..25), Lookup::Missing(20..25));
        assert_eq!(cache.look_up("n", 5..15), Lookup::Missing(5..10));
        assert_eq!(cache.look_up("n", 5..25), Lookup::Missing(5..25));
        cache.insert("n", 20, &got("e", 20..25));
        assert_eq!(cache.look_up("n", 11..25), hit(11..25));
        assert_eq!(cache.look_up("other", 11..25), Lookup::Missing(11..25));
    }

    #[test]
    fn the_end_of_the_object_is_known() {
        let cache = ExtentCache::new(1 << 20);
        cache.insert("n", 30, &got("e", 30..36));
        assert_eq!(cache.look_up("n", 33..100), hit(33..36));
        assert_eq!(cache.look_up("n", 36..100), Lookup::Missing(36..100));
        assert_eq!(cache.look_up("n", 25..100), Lookup::Missing(25..30));
    }

    #[test]
    fn another_etag_replaces() {
        let cache = ExtentCache::new(1 << 20);
        cache.insert("n", 0, &got("old", 0..10));
        cache.insert("n", 10, &got("e", 10..20));
        assert_eq!(cache.look_up("n", 5..15), Lookup::Missing(5..10));
        cache.remove("n");
        assert_eq!(cache.look_up("n", 10..15), Lookup::Missing(10..15));
        assert_eq!(cache.lock().bytes, 0);
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = ExtentCache::new(2 * (2 * OVERHEAD_BYTES + 11));
        cache.insert("a", 0, &got("e", 0..10));
        cache.insert("b", 0, &got("e", 0..10));
        assert_eq!(cache.look_up("a", 0..10), hit(0..10));
        cache.insert("c", 0, &got("e", 0..10));
        assert_eq!(cache.look_up("b", 0..10), Lookup::Missing(0..10));
        assert_eq!(cache.look_up("a", 0..10), hit(0..10));
    }

    #[test]
    fn what_does_not_fit_is_not_kept() {
        let cache = ExtentCache::new(2 * OVERHEAD_BYTES + 5);
        cache.insert("n", 0, &got("e", 0..10));
        assert_eq!(cache.look_up("n", 0..10), Lookup::Missing(0..10));
        assert_eq!(cache.lock().bytes, 0);
        let off = ExtentCache::new(0);
        off.insert("n", 0, &got("e", 0..10));
        assert!(!off.is_on() && off.lock().objects.is_empty());
    }

    fn any_range() -> impl Strategy<Value = Range<u64>> {
        (0..36_u64, 1..37_u64).prop_map(|(start, length)| start..(start + length).min(36))
    }

    proptest! {
        #[test]
        fn a_hit_is_the_objects_bytes_and_a_miss_completes_the_range(
            steps in prop::collection::vec((any_range(), any_range()), 1..40),
            capacity in 0_u64..4_000,
        ) {
            let cache = ExtentCache::new(capacity);
            for (fetched, asked) in steps {
                cache.insert("n", fetched.start, &got("e", fetched));
                prop_assert!(cache.lock().bytes <= capacity);
                match cache.look_up("n", asked.clone()) {
                    Lookup::Hit(object) => prop_assert_eq!(&object.body[..], &OBJECT[asked.start as usize..asked.end as usize]),
                    Lookup::Missing(missing) => {
                        prop_assert!(!missing.is_empty() && asked.start <= missing.start && missing.end <= asked.end);
                        let room = ExtentCache::new(1 << 20);
                        std::mem::swap(&mut *room.lock(), &mut *cache.lock());
                        room.insert("n", missing.start, &got("e", missing));
                        prop_assert_eq!(room.look_up("n", asked.clone()), hit(asked));
                        std::mem::swap(&mut *room.lock(), &mut *cache.lock());
                        while cache.lock().bytes > capacity && cache.lock().drop_oldest() {}
                    }
                }
            }
        }
    }
}
