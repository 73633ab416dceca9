//! Which sealed segments are held open: of all logs together, those that were used last.
//!
//! Shell. Files and indexes of the others are released, and opened again when they are asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Segment;

/// Sealed segments that the logs of a data directory hold open together.
const MOST: usize = 256;

/// See the module.
pub(crate) struct WarmSegments {
    most: usize,
    used: Mutex<Used>,
}

#[derive(Default)]
struct Used {
    /// Rises with each use.
    clock: u64,
    /// By address: when it was used last.
    last: HashMap<usize, u64>,
    by_time: BTreeMap<u64, (usize, Weak<Segment>)>,
}

impl Default for WarmSegments {
    fn default() -> Self {
        Self::with_most(MOST)
    }
}

impl WarmSegments {
    fn with_most(most: usize) -> Self {
        Self {
            most,
            used: Mutex::default(),
        }
    }

    /// Notes that a sealed segment is in use, and releases the one that was not for longest.
    pub(crate) fn used(&self, segment: &Arc<Segment>) {
        let cold = {
            let mut used = self.used.lock();
            used.clock += 1;
            let now = used.clock;
            let address = Arc::as_ptr(segment).addr();
            if let Some(before) = used.last.insert(address, now) {
                used.by_time.remove(&before);
            }
            used.by_time.insert(now, (address, Arc::downgrade(segment)));
            if used.by_time.len() <= self.most {
                return;
            }
            let Some((_, (address, cold))) = used.by_time.pop_first() else {
                return;
            };
            used.last.remove(&address);
            cold
        };
        if let Some(cold) = cold.upgrade() {
            cold.release();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::disk::{Disk as _, MemoryDisk};
    use crate::segment::SegmentHome;

    #[test]
    fn the_segments_that_were_used_last_are_held_open() {
        let disk = MemoryDisk::durable();
        disk.create_dir(Path::new("d")).unwrap();
        let home = SegmentHome {
            disk: Arc::new(disk),
            dir: Path::new("d").into(),
            index_interval_bytes: 4096,
        };
        let segments: Vec<_> = (0..5)
            .map(|base| Arc::new(Segment::create(home.clone(), base).unwrap()))
            .collect();
        let warm = WarmSegments::with_most(3);
        for at in [0, 1, 2, 0, 3, 4] {
            warm.used(&segments[at]);
        }
        let open: Vec<_> = segments.iter().map(|segment| segment.has_index()).collect();
        assert_eq!(open, [true, false, false, true, true]);
        assert_eq!(warm.used.lock().last.len(), 3);
    }
}
