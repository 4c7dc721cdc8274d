//! A list of a few small numbers, kept in place: states are copied and hashed by the million.

use std::hash::{Hash, Hasher};

/// Up to `N` small numbers. What does not fit is a mistake in the bounds and sets [`ShortList::overflowed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortList<const N: usize> {
    length: u8,
    overflowed: bool,
    items: [u8; N],
}

impl<const N: usize> Default for ShortList<N> {
    fn default() -> Self {
        Self { length: 0, overflowed: false, items: [0; N] }
    }
}

impl<const N: usize> Hash for ShortList<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_slice().hash(state);
    }
}

impl<const N: usize> ShortList<N> {
    /// The numbers.
    pub fn as_slice(&self) -> &[u8] {
        &self.items[..usize::from(self.length)]
    }

    /// The numbers by value.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u8> + '_ {
        self.as_slice().iter().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The last one.
    pub fn last(&self) -> Option<u8> {
        self.as_slice().last().copied()
    }

    /// Whether more was pushed than fits.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Adds one at the end.
    pub fn push(&mut self, item: u8) {
        match self.items.get_mut(usize::from(self.length)) {
            Some(slot) => {
                *slot = item;
                self.length += 1;
            }
            None => self.overflowed = true,
        }
    }

    /// Takes the last one off.
    pub fn pop(&mut self) -> Option<u8> {
        let last = self.last()?;
        self.length -= 1;
        self.items[usize::from(self.length)] = 0;
        Some(last)
    }

    /// Takes the first one off.
    pub fn take_first(&mut self) -> Option<u8> {
        let first = self.as_slice().first().copied()?;
        let rest: Vec<u8> = self.iter().skip(1).collect();
        *self = Self::default();
        rest.into_iter().for_each(|item| self.push(item));
        Some(first)
    }
}
