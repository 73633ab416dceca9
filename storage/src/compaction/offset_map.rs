//! The newest offset of each key, in a fixed number of bytes, whatever the keys.
//!
//! Pure. Open addressing over the first 16 bytes of the key's SHA-256: keys that collide would be
//! taken for one, so the hash must hold against someone who chooses keys.

use sha2::{Digest as _, Sha256};

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = size_of::<Slot>();

/// An offset that no record has.
const EMPTY: i64 = -1;

/// Slots of which this many in ten may be taken: fuller ones make searches long.
const LOAD_IN_TEN: usize = 9;

/// What stands for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHash([u64; 2]);

impl KeyHash {
    pub(crate) fn of(key: &[u8]) -> Self {
        let digest = Sha256::digest(key);
        let (words, _) = digest.as_slice().as_chunks::<8>();
        let word = |at: usize| words.get(at).map_or(0, |word| u64::from_le_bytes(*word));
        Self([word(0), word(1)])
    }
}

#[derive(Clone, Copy)]
struct Slot {
    hash: KeyHash,
    offset: i64,
}

/// The map has no room for one more key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

/// See the module.
pub(crate) struct OffsetMap {
    slots: Vec<Slot>,
    keys: usize,
    most_keys: usize,
}

impl OffsetMap {
    /// A map for `keys` different keys, or as many as fit `most_bytes`; for one in any case.
    pub(crate) fn new(keys: u64, most_bytes: usize) -> Self {
        let affordable = most_bytes / SLOT_BYTES;
        let wanted = usize::try_from(keys).unwrap_or(usize::MAX);
        let wanted = wanted.saturating_mul(10) / LOAD_IN_TEN;
        let slots = wanted.saturating_add(1).min(affordable).max(2);
        let empty = Slot {
            hash: KeyHash([0; 2]),
            offset: EMPTY,
        };
        Self {
            slots: vec![empty; slots],
            keys: 0,
            most_keys: (slots.saturating_mul(LOAD_IN_TEN) / 10).max(1),
        }
    }

    /// Forgets all keys.
    pub(crate) fn clear(&mut self) {
        for slot in &mut self.slots {
            slot.offset = EMPTY;
        }
        self.keys = 0;
    }

    /// Notes that the newest record of a key, so far, has this offset.
    pub(crate) fn put(&mut self, hash: KeyHash, offset: i64) -> Result<(), Full> {
        let at = self.find(hash);
        let is_new = self.slots.get(at).is_none_or(|slot| slot.offset == EMPTY);
        if is_new && self.keys >= self.most_keys {
            return Err(Full);
        }
        self.keys += usize::from(is_new);
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = Slot { hash, offset };
        }
        Ok(())
    }

    /// The newest offset of a key.
    pub(crate) fn get(&self, hash: KeyHash) -> Option<i64> {
        let slot = self.slots.get(self.find(hash))?;
        (slot.offset != EMPTY).then_some(slot.offset)
    }

    /// The slot of this key, or the empty one where it goes. There is always an empty one.
    fn find(&self, hash: KeyHash) -> usize {
        let slots = self.slots.len();
        let [low, _] = hash.0;
        let width = u64::try_from(slots).unwrap_or(u64::MAX);
        let mut at = usize::try_from(low % width).unwrap_or(0);
        while let Some(slot) = self.slots.get(at)
            && slot.offset != EMPTY
            && slot.hash != hash
        {
            at = if at + 1 == slots { 0 } else { at + 1 };
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn hash(key: u16) -> KeyHash {
        KeyHash::of(&key.to_be_bytes())
    }

    proptest! {
        #[test]
        fn the_map_answers_as_a_map_of_its_keys(
            puts in proptest::collection::vec(0..300_u16, 0..400),
            bytes in 0..8_000_usize,
        ) {
            let mut map = OffsetMap::new(1_000, bytes);
            let mut model = HashMap::new();
            for (offset, key) in (0_i64..).zip(&puts) {
                match map.put(hash(*key), offset) {
                    Ok(()) => {
                        model.insert(*key, offset);
                    }
                    Err(Full) => prop_assert!(!model.contains_key(key)),
                }
            }
            prop_assert!(puts.is_empty() || !model.is_empty());
            for key in 0..300 {
                prop_assert_eq!(map.get(hash(key)), model.get(&key).copied());
            }
            map.clear();
            prop_assert!((0..300).all(|key| map.get(hash(key)).is_none()));
        }
    }

    #[test]
    fn the_map_takes_no_more_than_it_was_given() {
        let map = OffsetMap::new(u64::MAX, 24_000);
        assert_eq!(SLOT_BYTES, 24);
        assert_eq!((map.slots.len(), map.most_keys), (1_000, 900));
    }

    #[test]
    fn the_map_takes_no_more_than_it_needs_and_has_room_for_that() {
        let mut map = OffsetMap::new(100, usize::MAX);
        assert!(map.slots.len() <= 112, "{}", map.slots.len());
        for key in 0..100 {
            assert_eq!(map.put(hash(key), i64::from(key)), Ok(()));
        }
    }
}
