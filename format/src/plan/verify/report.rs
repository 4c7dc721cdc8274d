//! What a verification says, and how far it is.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Damages and orphans that are named; more are only counted.
const MAX_NAMED: usize = 1_000;

/// What was found in one list.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct VerifyReport {
    /// Offset of the first live item.
    pub first_offset: u64,
    /// Offset of the next item to be appended.
    pub next_offset: u64,
    /// Live items that were read and checked.
    pub items: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Commits that were read.
    pub commits: u64,
    /// Segments that were read.
    pub segments: u64,
    /// Index pages that were read.
    pub index_pages: u64,
    /// Bytes of all objects that were read.
    pub read_bytes: u64,
    /// What is wrong; up to 1,000 of them.
    pub damages: Vec<Damage>,
    /// How much is wrong.
    pub damage_count: u64,
    /// Objects that nothing refers to, which a collection frees; up to 1,000 of them.
    pub orphans: Vec<Orphan>,
    /// How many there are.
    pub orphan_count: u64,
    /// Their bytes.
    pub orphan_bytes: u64,
    /// Objects in the list's folders whose names are none that klstore gives. A collection leaves them.
    pub foreign_count: u64,
    /// Segments and index pages that a compaction may still publish.
    pub in_preparation: u64,
    /// 0-byte objects that keep the names of collected commits.
    pub stubs: u64,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// What kind of damage.
    pub kind: DamageKind,
    /// The object's full name.
    pub object: String,
    /// What is wrong with it.
    pub reason: Cow<'static, str>,
}

/// Kinds of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DamageKind {
    /// Something refers to the object and it does not exist.
    Missing,
    /// Its bytes are not what its checksums and lengths say, or it is another list's.
    Corrupt,
    /// It is whole, but not what another object says of it.
    Contradiction,
    /// It needs a newer release, or was damaged so that it looks like that.
    Unknown,
}

/// An object that nothing refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Orphan {
    /// Its full name.
    pub object: String,
    /// Its bytes.
    pub bytes: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong. Orphans cost money and do no harm.
    pub fn is_sound(&self) -> bool {
        self.damage_count == 0
    }

    pub(super) fn damage(&mut self, kind: DamageKind, object: String, reason: impl Into<Cow<'static, str>>) {
        let damage = Damage { kind, object, reason: reason.into() };
        if self.damages.last() == Some(&damage) {
            return;
        }
        self.damage_count += 1;
        if self.damages.len() < MAX_NAMED {
            self.damages.push(damage);
        }
    }

    pub(super) fn foreign(&mut self) {
        self.foreign_count += 1;
    }

    pub(super) fn orphan(&mut self, object: String, bytes: u64) {
        self.orphan_count += 1;
        self.orphan_bytes = self.orphan_bytes.saturating_add(bytes);
        if self.orphans.len() < MAX_NAMED {
            self.orphans.push(Orphan { object, bytes });
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            DamageKind::Missing => "missing",
            DamageKind::Corrupt => "corrupt",
            DamageKind::Contradiction => "contradiction",
            DamageKind::Unknown => "unknown",
        };
        write!(formatter, "{kind}: {}: {}", self.object, self.reason)
    }
}

/// How far a verification is, for whoever watches it.
#[derive(Debug, Default)]
pub struct VerifyProgress {
    expected_items: AtomicU64,
    items: AtomicU64,
    objects: AtomicU64,
    bytes: AtomicU64,
}

impl VerifyProgress {
    /// Items that there are to read, once that is known.
    pub fn expected_items(&self) -> u64 {
        self.expected_items.load(Ordering::Relaxed)
    }

    /// Items read so far.
    pub fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }

    /// Objects read so far, those of a pass that had to start over included.
    pub fn objects(&self) -> u64 {
        self.objects.load(Ordering::Relaxed)
    }

    /// Their bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn restart(&self) {
        self.items.store(0, Ordering::Relaxed);
    }

    pub(super) fn expect_items(&self, items: u64) {
        self.expected_items.store(items, Ordering::Relaxed);
    }

    pub(super) fn read_items(&self, items: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
    }

    pub(super) fn read_object(&self, bytes: u64) {
        self.objects.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_damages_and_orphans_are_named_and_all_are_counted() {
        let mut report = VerifyReport::default();
        for number in 0..1_002 {
            report.damage(DamageKind::Missing, number.to_string(), "gone");
            report.orphan(number.to_string(), 3);
        }
        assert_eq!((report.damages.len(), report.damage_count), (1_000, 1_002));
        assert_eq!((report.orphans.len(), report.orphan_count, report.orphan_bytes), (1_000, 1_002, 3_006));
    }

    #[test]
    fn a_damage_says_what_it_is_of_which_object_and_why() {
        let kinds = [DamageKind::Missing, DamageKind::Corrupt, DamageKind::Contradiction, DamageKind::Unknown];
        let text =
            |kind| Damage { kind, object: "space/lists/key/log/ff".to_owned(), reason: "why".into() }.to_string();
        assert_eq!(
            kinds.map(text),
            ["missing", "corrupt", "contradiction", "unknown"]
                .map(|kind| format!("{kind}: space/lists/key/log/ff: why"))
        );
    }

    #[test]
    fn progress_counts_items_anew_and_objects_on_where_a_pass_starts_over() {
        let progress = VerifyProgress::default();
        for _ in 0..2 {
            progress.restart();
            progress.read_items(4);
            progress.read_object(100);
            progress.read_object(50);
        }
        assert_eq!((progress.items(), progress.objects(), progress.bytes()), (4, 4, 300));
    }
}
