//! The sessions that a writer keeps between appends: one slot a key, the least recently used dropped first.
//!
//! A session may be dropped at any time: the next append draws a fresh one and loads anew (PROTOCOL rule 1).

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use klstore_format::names::ListName;
use klstore_format::plan::Session;
use klstore_format::wire::identity::ListHash;
use lru::LruCache;

use crate::background::RunningCompaction;
use crate::in_doubt::InDoubt;
use crate::sync::{AsyncMutex, AtomicUsize, Care, Mutex, MutexGuard, Ordering, OwnedMutexGuard, PoisonError, kept};

/// What is kept of one key.
#[derive(Default)]
pub(crate) struct KeyState {
    /// Taken out while a plan owns it; `None` afterwards means that the plan was abandoned, and the session with it.
    pub(crate) session: Option<Session>,
    /// An append that was given up and may be taken up again.
    pub(crate) in_doubt: Option<InDoubt>,
    pub(crate) compaction: Option<RunningCompaction>,
    /// When the last append ended, by the clock's `elapsed`.
    pub(crate) last_append: Duration,
    /// When a duty cycle last looked at what the retention allows, by the same clock.
    pub(crate) last_retention: Duration,
    /// A trim came while a compaction ran that had begun before it: what it cut off waits for another one.
    pub(crate) trim_waits: bool,
    /// After a failed compaction: not before then.
    pub(crate) compact_not_before: Duration,
}

struct Slot {
    list: ListName,
    state: Arc<AsyncMutex<KeyState>>,
    /// Bytes of this key in [`Cache::held_bytes`].
    held_bytes: AtomicUsize,
}

/// The slots of all keys in memory.
pub(crate) struct Sessions {
    cache: Mutex<Cache>,
    max_keys: usize,
    max_held_bytes: usize,
}

struct Cache {
    slots: LruCache<ListHash, Arc<Slot>>,
    /// The keys that hold bytes, so that finding who sheds some takes no walk over all keys.
    holders: LruCache<ListHash, ()>,
    held_bytes: usize,
}

/// Exclusive use of a key's state. When it is dropped, finished or not, the memory of the key is settled.
pub(crate) struct Lease {
    pub(crate) state: OwnedMutexGuard<KeyState>,
    slot: Arc<Slot>,
    sessions: Arc<Sessions>,
}

impl Sessions {
    /// Room for `max_keys` keys whose carries and recent items take at most `max_held_bytes` together.
    pub(crate) fn new(max_keys: NonZeroUsize, max_held_bytes: usize) -> Self {
        let cache = Cache { slots: LruCache::unbounded(), holders: LruCache::unbounded(), held_bytes: 0 };
        Self { cache: Mutex::new(cache), max_keys: max_keys.get(), max_held_bytes }
    }

    /// Waits until nobody else uses the key.
    pub(crate) async fn lease(self: &Arc<Self>, list: &ListName) -> Lease {
        let slot = self.slot(list);
        let state = slot.state.clone().lock_owned().await;
        Lease { state, slot, sessions: self.clone() }
    }

    /// The same for a key that is in memory.
    pub(crate) async fn lease_cached(self: &Arc<Self>, list: &ListName) -> Option<Lease> {
        let slot = self.cache().slots.peek(&list.hash())?.clone();
        let state = slot.state.clone().lock_owned().await;
        Some(Lease { state, slot, sessions: self.clone() })
    }

    /// Every key in memory.
    pub(crate) fn lists(&self) -> Vec<ListName> {
        self.cache().slots.iter().map(|(_, slot)| slot.list.clone()).collect()
    }

    /// The same unless somebody uses the key just now.
    pub(crate) fn try_lease(self: &Arc<Self>, list: &ListName) -> Option<Lease> {
        let slot = self.cache().slots.peek(&list.hash())?.clone();
        let state = slot.state.clone().try_lock_owned().ok()?;
        Some(Lease { state, slot, sessions: self.clone() })
    }

    /// Drops the key unless somebody uses it just now.
    pub(crate) fn forget(&self, list: &ListName) -> bool {
        let mut cache = self.cache();
        let hash = list.hash();
        // A lease, and whoever waits for one, has the slot too.
        let unused = |slot: &Arc<Slot>| Arc::strong_count(slot) == 1 || !kept(Care::UsedKeysStay);
        let idle = cache.slots.peek(&hash).is_some_and(unused);
        if !idle {
            return false;
        }
        if let Some(slot) = cache.slots.pop(&hash) {
            cache.hold(&slot, 0);
        }
        true
    }

    /// Keys in the cache, and bytes that they hold.
    pub(crate) fn usage(&self) -> (usize, usize) {
        let cache = self.cache();
        (cache.slots.len(), cache.held_bytes)
    }

    fn slot(&self, list: &ListName) -> Arc<Slot> {
        let mut cache = self.cache();
        if let Some(slot) = cache.slots.get(&list.hash()) {
            return slot.clone();
        }
        while cache.slots.len() >= self.max_keys && cache.evict_one() {}
        let state = Arc::new(AsyncMutex::new(KeyState::default()));
        let slot = Arc::new(Slot { list: list.clone(), state, held_bytes: AtomicUsize::new(0) });
        cache.slots.put(list.hash(), slot.clone());
        slot
    }

    /// Counts what the key holds now; where all together hold too much, the least recently used shed theirs.
    fn settle(&self, slot: &Slot, session: Option<&mut Session>) {
        let mut cache = self.cache();
        let hash = slot.list.hash();
        let bytes = session.as_deref().map_or(0, Session::memory_bytes);
        let cached = cache.slots.peek(&hash).is_some_and(|cached| std::ptr::eq(cached.as_ref(), slot));
        cache.hold(slot, if cached { bytes } else { 0 });
        while cache.held_bytes > self.max_held_bytes {
            let Some((holder, ())) = cache.holders.pop_lru() else { break };
            if holder == hash {
                break;
            }
            cache.shed(&holder);
        }
        if cache.held_bytes > self.max_held_bytes
            && let Some(session) = session
        {
            session.shed_memory();
            cache.hold(slot, session.memory_bytes());
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cache {
    /// Drops the least recently used key that nobody uses or comes back to; `false` where there is none.
    fn evict_one(&mut self) -> bool {
        let idle = self.slots.iter().rev().find(|(_, slot)| {
            Arc::strong_count(slot) == 1 && slot.state.try_lock().is_ok_and(|state| state.in_doubt.is_none())
        });
        let Some(hash) = idle.map(|(hash, _)| *hash) else { return false };
        if let Some(slot) = self.slots.pop(&hash) {
            self.hold(&slot, 0);
            tracing::debug!(list = %slot.list, "dropped its session to make room");
        }
        true
    }

    fn hold(&mut self, slot: &Slot, bytes: usize) {
        let before = slot.held_bytes.swap(bytes, Ordering::Relaxed);
        self.held_bytes = self.held_bytes.saturating_sub(before).saturating_add(bytes);
        if bytes > 0 {
            self.holders.put(slot.list.hash(), ());
        } else {
            self.holders.pop(&slot.list.hash());
        }
    }

    /// Takes a key's carry and recent items away. One that is in use is left: it settles when it is done.
    fn shed(&mut self, holder: &ListHash) {
        let Some(slot) = self.slots.peek(holder).cloned() else { return };
        let Ok(mut state) = slot.state.try_lock() else { return };
        let bytes = match &mut state.session {
            Some(session) => {
                session.shed_memory();
                session.memory_bytes()
            }
            None => 0,
        };
        if bytes > 0 {
            state.session = None;
        }
        self.hold(&slot, 0);
    }
}

impl Lease {
    /// The list that is leased.
    pub(crate) fn list(&self) -> &ListName {
        &self.slot.list
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.sessions.settle(&self.slot, self.state.session.as_mut());
    }
}
