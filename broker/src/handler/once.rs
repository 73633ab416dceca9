//! What a request asks for repeatedly is told once: an answer has a bound then.

use std::collections::HashSet;
use std::hash::Hash;

/// Leaves out every item whose key an earlier one had.
pub(super) fn once<T, K: Hash + Eq>(
    items: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> K,
) -> Vec<T> {
    let mut told = HashSet::new();
    let is_new = |item: &T| told.insert(key(item));
    items.into_iter().filter(is_new).collect()
}
