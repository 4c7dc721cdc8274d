//! A map of few entries, in one sorted vector.
//!
//! The reader has it in the place of `BTreeMap`, whose code is a twelfth of the module that a web page downloads.

/// A map in the order of its keys. Lookups are binary searches, an insertion in the middle moves what follows: for maps
/// of some thousand entries at most.
///
/// ```
/// use klstore_format::SortedMap;
///
/// let mut map = SortedMap::default();
/// map.insert(3, "c");
/// map.insert(1, "a");
/// assert_eq!(map.get(&3), Some(&"c"));
/// assert_eq!(map.below(&3), [(1, "a")]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedMap<K, V>(Vec<(K, V)>);

impl<K, V> Default for SortedMap<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> SortedMap<K, V> {
    /// The value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        Some(&self.0.get(self.position(key).ok()?)?.1)
    }

    /// The value of a key, to change it.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let position = self.position(key).ok()?;
        Some(&mut self.0.get_mut(position)?.1)
    }

    /// Gives a key this value, whatever it had before.
    pub fn insert(&mut self, key: K, value: V) {
        match self.position(&key) {
            Ok(position) => self.0[position].1 = value,
            Err(position) => self.0.insert(position, (key, value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let position = self.position(key).ok()?;
        Some(self.0.remove(position).1)
    }

    /// The entries with keys less than this, in order.
    pub fn below(&self, key: &K) -> &[(K, V)] {
        &self.0[..self.first_of(key)]
    }

    /// The entries with this key and greater ones, in order.
    pub fn from(&self, key: &K) -> &[(K, V)] {
        &self.0[self.first_of(key)..]
    }

    /// All entries, in order.
    pub fn entries(&self) -> &[(K, V)] {
        &self.0
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn position(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }

    fn first_of(&self, key: &K) -> usize {
        self.position(key).unwrap_or_else(|position| position)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(changes in prop::collection::vec((0_u8..9, prop::option::of(any::<u16>())), 0..40), key in 0_u8..9) {
            let (mut map, mut model) = (SortedMap::default(), BTreeMap::new());
            for (key, value) in changes {
                match value {
                    Some(value) => {
                        map.insert(key, value);
                        model.insert(key, value);
                    }
                    None => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                }
            }
            let entries = |range: &mut dyn Iterator<Item = (&u8, &u16)>| range.map(|(key, value)| (*key, *value)).collect::<Vec<_>>();
            prop_assert_eq!(map.entries(), entries(&mut model.iter()));
            prop_assert_eq!(map.below(&key), entries(&mut model.range(..key)));
            prop_assert_eq!(map.from(&key), entries(&mut model.range(key..)));
            prop_assert_eq!(map.get(&key), model.get(&key));
            prop_assert_eq!(map.get_mut(&key), model.get_mut(&key));
            prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
            map.clear();
            prop_assert!(map.is_empty());
        }
    }
}
