//! What is known of a run of consecutive items without reading them.

use super::Malformed;
use super::cursor::{Reader, Write};
use crate::item::Item;

/// A run of consecutive items.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Offset of the first item.
    pub first: u64,
    /// Items.
    pub count: u64,
    /// Bytes of their values.
    pub value_bytes: u64,
    /// Lowest timestamp; `i64::MAX` where there is no item.
    pub min_timestamp: i64,
    /// Highest timestamp; `i64::MIN` where there is no item.
    pub max_timestamp: i64,
    /// Highest timestamp of all items of the list up to the end of the run; `i64::MIN` where there is none.
    pub running_max_timestamp: i64,
    /// The list's next nonce at the end of the run.
    pub next_nonce: u128,
}

impl Run {
    /// A run without items, at offset `first` of a list whose items up to there have this highest timestamp and next
    /// nonce. `Run::empty(0, i64::MIN, 0)` is the begin of every list.
    pub fn empty(first: u64, running_max_timestamp: i64, next_nonce: u128) -> Self {
        Self {
            first,
            count: 0,
            value_bytes: 0,
            min_timestamp: i64::MAX,
            max_timestamp: i64::MIN,
            running_max_timestamp,
            next_nonce,
        }
    }

    /// A run without items where this one ends.
    pub fn after(&self) -> Self {
        Self::empty(self.end(), self.running_max_timestamp, self.next_nonce)
    }

    /// One after the offset of the last item.
    pub fn end(&self) -> u64 {
        self.first.saturating_add(self.count)
    }

    /// Extends the run by the item that follows it.
    pub fn push(&mut self, item: &Item) {
        self.count += 1;
        self.value_bytes += item.value.len() as u64;
        self.min_timestamp = self.min_timestamp.min(item.timestamp);
        self.max_timestamp = self.max_timestamp.max(item.timestamp);
        self.running_max_timestamp = self.running_max_timestamp.max(item.timestamp);
        if let Some(nonce) = item.nonce {
            self.next_nonce = self.next_nonce.max(nonce.saturating_add(1));
        }
    }

    /// Extends the run by the run that follows it.
    pub fn join(&mut self, next: &Run) {
        self.count = self.count.saturating_add(next.count);
        self.value_bytes = self.value_bytes.saturating_add(next.value_bytes);
        self.min_timestamp = self.min_timestamp.min(next.min_timestamp);
        self.max_timestamp = self.max_timestamp.max(next.max_timestamp);
        self.running_max_timestamp = self.running_max_timestamp.max(next.running_max_timestamp);
        self.next_nonce = self.next_nonce.max(next.next_nonce);
    }

    /// A state that the run can be written after, where the true one before it is not known: it says nothing of the list.
    pub(super) fn reference(&self) -> Self {
        let running = if self.count > 0 && self.running_max_timestamp <= self.max_timestamp {
            self.min_timestamp
        } else {
            self.running_max_timestamp
        };
        Self::empty(self.first, running, if self.count > 0 { 0 } else { self.next_nonce })
    }

    /// Writes where the run stands: offset, highest timestamp so far, next nonce. What [`Run::write_after`] builds on.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) {
        out.put_varint(self.end());
        out.put_signed(self.running_max_timestamp);
        out.put_wide_varint(self.next_nonce);
    }

    pub(super) fn read_state(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self::empty(reader.varint()?, reader.signed()?, reader.wide_varint()?))
    }

    /// Writes the run as what it adds to `before`, where it begins.
    pub(super) fn write_after(&self, before: &Run, out: &mut Vec<u8>) {
        out.put_varint(self.count);
        if self.count == 0 {
            return;
        }
        out.put_varint(self.value_bytes);
        out.put_signed(self.min_timestamp.wrapping_sub(before.running_max_timestamp));
        out.put_varint(self.max_timestamp.wrapping_sub(self.min_timestamp) as u64);
        out.put_wide_varint(self.next_nonce.wrapping_sub(before.next_nonce));
    }

    pub(super) fn read_after(before: &Run, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut run = before.after();
        run.count = reader.varint()?;
        run.first.checked_add(run.count).ok_or(Malformed::Corrupt("its offsets go beyond 2^64"))?;
        if run.count == 0 {
            return Ok(run);
        }
        run.value_bytes = reader.varint()?;
        run.min_timestamp = before.running_max_timestamp.wrapping_add(reader.signed()?);
        run.max_timestamp = run.min_timestamp.wrapping_add(reader.varint()? as i64);
        if run.max_timestamp < run.min_timestamp {
            return Err(Malformed::Corrupt("its timestamps go beyond 64 bits"));
        }
        run.running_max_timestamp = before.running_max_timestamp.max(run.max_timestamp);
        run.next_nonce = before
            .next_nonce
            .checked_add(reader.wide_varint()?)
            .ok_or(Malformed::Corrupt("its nonces go beyond 2^128"))?;
        Ok(run)
    }
}

#[cfg(test)]
mod tests {
    use super::super::arbitrary::{items_after_any_state, runs, state};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_come_back_after_the_true_state_and_after_their_reference(
            (before, runs) in state().prop_flat_map(|before| (Just(before), runs(before, 0, 1..9)))
        ) {
            let mut out = Vec::new();
            before.write_state(&mut out);
            let mut last = before;
            for run in &runs {
                run.write_after(&last, &mut out);
                run.reference().write_state(&mut out);
                run.write_after(&run.reference(), &mut out);
                last = *run;
            }
            let mut reader = Reader::new(&out);
            let mut last = Run::read_state(&mut reader).unwrap();
            prop_assert_eq!(last, before);
            for run in runs {
                last = Run::read_after(&last, &mut reader).unwrap();
                prop_assert_eq!(last, run);
                let reference = Run::read_state(&mut reader).unwrap();
                prop_assert_eq!(Run::read_after(&reference, &mut reader).unwrap(), run);
            }
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn pushing_items_is_joining_their_runs((before, items) in items_after_any_state(0..40), cut in 0..40usize) {
            let (one, other) = items.split_at(cut.min(items.len()));
            let mut whole = before;
            items.iter().for_each(|item| whole.push(item));
            let mut joined = before;
            one.iter().for_each(|item| joined.push(item));
            let mut next = joined.after();
            other.iter().for_each(|item| next.push(item));
            prop_assert_eq!(next.first, joined.end());
            joined.join(&next);
            prop_assert_eq!(joined, whole);
            prop_assert_eq!(whole.min_timestamp, items.iter().map(|item| item.timestamp).min().unwrap_or(i64::MAX));
        }
    }

    #[test]
    fn a_run_without_items_comes_back_after_its_reference() {
        for running_max in [i64::MIN, -1, i64::MAX] {
            for next_nonce in [0, 9, u128::MAX] {
                let run = Run::empty(5, running_max, next_nonce);
                let mut out = Vec::new();
                run.reference().write_state(&mut out);
                run.write_after(&run.reference(), &mut out);
                let mut reader = Reader::new(&out);
                let reference = Run::read_state(&mut reader).unwrap();
                assert_eq!(Run::read_after(&reference, &mut reader), Ok(run));
            }
        }
    }
}
