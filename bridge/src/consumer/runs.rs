//! A map for keys that come in runs: the one asked for last is found again without its hash.

use std::collections::HashMap;
use std::hash::Hash;

/// Entries in the order in which they came.
pub(super) struct Runs<K, V> {
    entries: Vec<(K, V)>,
    places: HashMap<K, usize>,
    /// The entry that was added to last.
    last: usize,
}

impl<K, V> Default for Runs<K, V> {
    fn default() -> Self {
        Self { entries: Vec::new(), places: HashMap::new(), last: 0 }
    }
}

impl<K: Hash + Eq + Clone, V> Runs<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.entries.get(self.place(key)?).map(|(_, value)| value)
    }

    /// The key's value, which is made where there is none.
    pub(super) fn entry(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.last = match self.place(&key) {
            Some(place) => place,
            None => {
                self.places.insert(key.clone(), self.entries.len());
                self.entries.push((key, make()));
                self.entries.len() - 1
            }
        };
        &mut self.entries[self.last].1
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    fn place(&self, key: &K) -> Option<usize> {
        match self.entries.get(self.last) {
            Some((last, _)) if last == key => Some(self.last),
            _ => self.places.get(key).copied(),
        }
    }
}

impl<K, V> IntoIterator for Runs<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map_in_the_order_of_its_first_keys() {
        let mut runs = Runs::default();
        for key in [3, 3, 1, 3, 2, 2, 1] {
            let before = runs.get(&key).copied();
            let count: &mut u32 = runs.entry(key, || 0);
            assert_eq!(before.unwrap_or_default(), *count, "{key}");
            *count += 1;
        }
        assert_eq!((runs.len(), runs.get(&4)), (3, None));
        assert_eq!(runs.into_iter().collect::<Vec<_>>(), [(3, 3), (1, 2), (2, 2)]);
    }
}
