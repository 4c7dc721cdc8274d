//! What a commit says of the sources that feed its list: how far each has been appended.
//!
//! `names, then for each: length, UTF-8 bytes, partitions, then for each: partition, next offset`. All numbers are
//! varints. Names ascend bytewise, partitions of a name ascend and each is written less the one before it less 1.

use super::Malformed;
use super::cursor::{Reader, Write};
use crate::limits::{MAX_SOURCE_NAME_BYTES, MAX_SOURCES, MAX_SOURCES_BYTES};
use crate::sorted_map::SortedMap;
use crate::source::{Source, SourceOffset};

/// The next offset of each source that has fed a list: what is below it is in the list, or was not meant for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources(SortedMap<Source, u64>);

impl Sources {
    /// The lowest offset of `source` that the list still takes.
    pub fn next_offset(&self, source: &Source) -> u64 {
        self.0.get(source).copied().unwrap_or(0)
    }

    /// Notes that a record is in the list.
    pub fn advance(&mut self, record: &SourceOffset) {
        let next = record.offset.saturating_add(1);
        match self.0.get_mut(&record.source) {
            Some(known) => *known = next.max(*known),
            None => {
                self.0.insert(record.source.clone(), next);
            }
        }
    }

    /// Every source with its next offset, by name and partition.
    pub fn iter(&self) -> impl Iterator<Item = (&Source, u64)> {
        self.0.entries().iter().map(|(source, next)| (source, *next))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no source has fed the list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether they are more than a commit may name, in number or bytes.
    pub fn are_too_many(&self) -> bool {
        let mut written = Vec::new();
        self.write(&mut written);
        self.len() > MAX_SOURCES || written.len() > MAX_SOURCES_BYTES
    }

    /// Of these, whose names and partitions may come in any order.
    #[cfg(test)]
    pub(super) fn of(sources: impl IntoIterator<Item = (Source, u64)>) -> Self {
        let mut found = Self::default();
        sources.into_iter().for_each(|(source, next)| found.0.insert(source, next));
        found
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let sources: Vec<(&Source, u64)> = self.iter().collect();
        let of_one_name = |left: &(&Source, u64), right: &(&Source, u64)| left.0.name() == right.0.name();
        out.put_varint(sources.chunk_by(of_one_name).count() as u64);
        for partitions in sources.chunk_by(of_one_name) {
            let name = partitions.first().map_or("", |(source, _)| source.name());
            out.put_varint(name.len() as u64);
            out.extend_from_slice(name.as_bytes());
            out.put_varint(partitions.len() as u64);
            let mut least = 0;
            for (source, next) in partitions {
                out.put_varint(u64::from(source.partition()).wrapping_sub(least));
                out.put_varint(*next);
                least = u64::from(source.partition()) + 1;
            }
        }
    }

    pub(super) fn read(mut section: Reader<'_>) -> Result<Self, Malformed> {
        const IMPOSSIBLE: Malformed = Malformed::Corrupt("a source of it is impossible");
        if section.remaining() > MAX_SOURCES_BYTES {
            return Err(Malformed::Corrupt("its sources take more bytes than the format allows"));
        }
        let mut sources = SortedMap::default();
        let mut previous: Option<Source> = None;
        for _ in 0..section.count(MAX_SOURCES, 4)? {
            let length = section.count(MAX_SOURCE_NAME_BYTES, 1)?;
            let name = str::from_utf8(section.take(length)?).map_err(|_| IMPOSSIBLE)?;
            if previous.is_some_and(|previous| previous.name() >= name) {
                return Err(Malformed::Corrupt("its sources are not in ascending order"));
            }
            let first = Source::new(name, 0).map_err(|_| IMPOSSIBLE)?;
            let mut least = 0u64;
            let partitions = section.count(MAX_SOURCES, 2)?;
            if partitions == 0 || sources.len() + partitions > MAX_SOURCES {
                return Err(IMPOSSIBLE);
            }
            for _ in 0..partitions {
                let number = section.varint()?.checked_add(least).ok_or(IMPOSSIBLE)?;
                let partition = u32::try_from(number).map_err(|_| IMPOSSIBLE)?;
                let next = section.varint()?;
                sources.insert(first.of_partition(partition), next);
                least = number + 1;
            }
            previous = Some(first);
        }
        section.finish()?;
        Ok(Self(sources))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::arbitrary::sources;
    use proptest::prelude::*;

    fn written(sources: &Sources) -> Vec<u8> {
        let mut out = Vec::new();
        sources.write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn sources_come_back(sources in sources()) {
            prop_assert_eq!(Sources::read(Reader::new(&written(&sources))), Ok(sources));
        }

        #[test]
        fn what_is_forged_is_refused_or_keeps_the_limits(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(read) = Sources::read(Reader::new(&bytes)) {
                prop_assert!(read.len() <= MAX_SOURCES);
                prop_assert_eq!(Sources::read(Reader::new(&written(&read))), Ok(read));
            }
        }
    }

    #[test]
    fn a_source_only_goes_forwards() {
        let source = Source::new("topic", 1).unwrap();
        let at = |offset| SourceOffset { source: source.clone(), offset };
        let mut sources = Sources::default();
        assert_eq!(sources.next_offset(&source), 0);
        sources.advance(&at(7));
        sources.advance(&at(3));
        assert_eq!((sources.next_offset(&source), sources.len()), (8, 1));
    }

    #[test]
    fn there_are_1024_at_most_and_those_of_one_topic_fit() {
        let of = |count: u32, next: u64| {
            Sources::of((0..count).map(|partition| (Source::new("a.topic.of.some.length", partition).unwrap(), next)))
        };
        assert!(!of(1_024, 1 << 41).are_too_many());
        assert!(of(1_025, 0).are_too_many());
        assert!(of(1_024, u64::MAX).are_too_many(), "by their bytes");
        assert!(Sources::read(Reader::new(&written(&of(1_025, 0)))).is_err());
        assert!(Sources::read(Reader::new(&written(&of(1_024, u64::MAX)))).is_err());
    }

    #[test]
    fn they_take_8192_bytes_at_most() {
        // 2 bytes of counts and 20 of name, 2 of partitions; of each 1 of number, and 6 or 7 of next offset.
        let of = |name: &str| {
            let next = |partition| if partition < 24 { 1 << 35 } else { 1 << 42 };
            Sources::of((0..1_024).map(|partition| (Source::new(name, partition).unwrap(), next(partition))))
        };
        let full = of("a.topic.of.20.bytes.");
        assert_eq!(written(&full).len(), MAX_SOURCES_BYTES);
        assert!(!full.are_too_many());
        assert_eq!(Sources::read(Reader::new(&written(&full))), Ok(full));
        let fuller = of("a.topic.of.21.bytes..");
        assert!(fuller.are_too_many());
        let too_long = Malformed::Corrupt("its sources take more bytes than the format allows");
        assert_eq!(Sources::read(Reader::new(&written(&fuller))), Err(too_long));
    }

    #[test]
    fn names_have_partitions_and_1024_together() {
        let of = |counts: [u32; 2]| {
            let partitions = |(name, count): (&'static str, u32)| {
                (0..count).map(move |partition| (Source::new(name, partition).unwrap(), 7))
            };
            Sources::of(["a", "b"].into_iter().zip(counts).flat_map(partitions))
        };
        let read = |sources: &Sources| Sources::read(Reader::new(&written(sources)));
        for counts in [[512, 512], [1, 1_023]] {
            assert_eq!(read(&of(counts)), Ok(of(counts)));
        }
        let impossible = Err(Malformed::Corrupt("a source of it is impossible"));
        for counts in [[512, 513], [2, 1_023], [1_024, 1_024]] {
            assert_eq!(read(&of(counts)), impossible);
        }
        let mut none = written(&of([1, 0]));
        let partitions = none.len() - 3;
        none[partitions] = 0;
        assert_eq!(Sources::read(Reader::new(&none)), impossible);
    }
}
