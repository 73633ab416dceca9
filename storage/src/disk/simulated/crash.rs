//! What a disk may hold after the power is gone.
//!
//! Pure. A sync orders what is before it and what is after it, and nothing else does: each sector of
//! a file keeps some version from the last sync on, its length likewise, and each change of a
//! directory has happened or not.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::SimulatedDisk;
use super::node::{DirNode, FileChange, FileNode, Image};

/// The unit in which a disk writes, and may tear a longer write, in bytes.
pub const SECTORS: [usize; 2] = [512, 4096];

/// What becomes of the changes that no sync has covered. Numbers count them in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// None is lost, and none is durable: the process was killed and the machine goes on.
    Nothing,
    /// All are lost.
    Everything,
    /// The first so many survive.
    After(usize),
    /// All survive but this one; what was written later to the same sectors is lost as well.
    Without(usize),
    /// Only this one survives, with what was written earlier to the same sectors.
    Only(usize),
    /// Those before survive, and of this one only some sectors.
    Torn {
        /// Which change.
        change: usize,
        /// Bytes of a sector.
        sector: usize,
        /// The sectors before this one survive; with `tail`, those from this one on.
        at: usize,
        /// See `at`.
        tail: bool,
    },
    /// Files have their newest length and their oldest bytes.
    Lengths,
    /// Each sector, length and directory entry by itself.
    Random {
        /// Of the choice.
        seed: u64,
        /// Bytes of a sector.
        sector: usize,
    },
}

/// A disk at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(super) image: Image,
}

impl Snapshot {
    /// The disk as it is found after `loss`.
    #[must_use]
    pub fn crash(&self, loss: Loss) -> SimulatedDisk {
        SimulatedDisk::with_image(self.image.crash(loss))
    }

    /// Ways in which the unsynced changes may be lost, at most `limit`, that lead to different disks.
    /// First the systematic ones, from which `seed` chooses when there are too many, then random ones.
    #[must_use]
    pub fn losses(&self, limit: usize, seed: u64) -> Vec<Loss> {
        let mut random = Random(seed);
        let mut seen = HashSet::new();
        let mut losses = vec![Loss::Nothing];
        let mut take = |loss: Loss, losses: &mut Vec<Loss>| {
            if losses.len() < limit && seen.insert(self.image.crash(loss).fingerprint(&self.image))
            {
                losses.push(loss);
            }
        };
        take(Loss::Everything, &mut losses);
        take(Loss::Lengths, &mut losses);
        let mut systematic = self.systematic();
        // At most half, so that there are random ones in every choice.
        let mut wanted = systematic.len().min(limit / 2);
        while wanted > 0 && !systematic.is_empty() {
            let at = random.below(systematic.len());
            take(systematic.swap_remove(at), &mut losses);
            wanted -= 1;
        }
        // Where little is unsynced there are few different ones.
        for attempt in 0..2 * limit {
            if losses.len() >= limit {
                break;
            }
            let loss = Loss::Random {
                seed: random.next(),
                sector: SECTORS[attempt % SECTORS.len()],
            };
            take(loss, &mut losses);
        }
        losses
    }

    fn systematic(&self) -> Vec<Loss> {
        let numbers = self.image.unsynced();
        let mut losses = Vec::new();
        for at in 0..numbers.len() {
            losses.extend([Loss::After(at + 1), Loss::Without(at), Loss::Only(at)]);
        }
        for (number, change) in self.image.files.iter().flat_map(|file| &file.unsynced) {
            let FileChange::Write { at, bytes } = change else {
                continue;
            };
            let Ok(change) = numbers.binary_search(number) else {
                continue;
            };
            for sector in SECTORS {
                let first = at / sector;
                let last = (at + bytes.len().saturating_sub(1)) / sector;
                for at in [first + 1, first.midpoint(last) + 1, last] {
                    for tail in [false, true] {
                        losses.push(Loss::Torn {
                            change,
                            sector,
                            at,
                            tail,
                        });
                    }
                }
            }
        }
        losses
    }
}

/// How many of a file's unsynced changes survive: for its length, and for each sector.
struct Survivors<'a> {
    sector: usize,
    len: usize,
    bytes: Box<dyn Fn(usize) -> usize + 'a>,
}

impl Image {
    pub(super) fn crash(&self, loss: Loss) -> Self {
        if loss == Loss::Nothing {
            return self.clone();
        }
        let numbers = self.unsynced();
        let files = (0..).zip(&self.files).map(|(id, file)| {
            if file.unsynced.is_empty() {
                return file.settled(Arc::clone(&file.durable));
            }
            let survivors = survivors(file, id, loss, &numbers);
            file.settled(Arc::new(file.survive(&survivors)))
        });
        let dirs = self.dirs.iter().map(|dir| dir.survive(loss, &numbers));
        Self {
            files: files.collect(),
            dirs: dirs.collect(),
            next_change: self.next_change,
        }
    }

    /// Tells this image, made by a crash of `before`, from others made of it.
    fn fingerprint(&self, before: &Self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (file, old) in self.files.iter().zip(&before.files) {
            if !old.unsynced.is_empty() {
                file.current.hash(&mut hasher);
            }
        }
        for (dir, old) in self.dirs.iter().zip(&before.dirs) {
            if !old.unsynced.is_empty() {
                dir.current.hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

fn survivors<'a>(file: &'a FileNode, id: u64, loss: Loss, numbers: &[u64]) -> Survivors<'a> {
    let all = file.unsynced.len();
    let number = |change: usize| numbers.get(change).copied().unwrap_or(u64::MAX);
    let before = |number: u64| {
        let later = |(at, _): &(u64, FileChange)| *at < number;
        file.unsynced.partition_point(later)
    };
    let mut sector = SECTORS[0];
    let (len, bytes): (usize, Box<dyn Fn(usize) -> usize>) = match loss {
        Loss::Nothing => (all, Box::new(move |_| all)),
        Loss::Everything => (0, Box::new(|_| 0)),
        Loss::Lengths => (all, Box::new(|_| 0)),
        Loss::After(count) => {
            let kept = before(number(count));
            (kept, Box::new(move |_| kept))
        }
        Loss::Without(change) => {
            let at = before(number(change));
            let lost = file.change_numbered(number(change));
            let touched =
                move |at_sector| lost.is_some_and(|lost| lost.touches(at_sector, SECTORS[0]));
            (
                all,
                Box::new(move |at_sector| if touched(at_sector) { at } else { all }),
            )
        }
        Loss::Only(change) => {
            let at = before(number(change));
            let kept = file.change_numbered(number(change));
            let len = if kept.is_some() { at + 1 } else { 0 };
            let touched =
                move |at_sector| kept.is_some_and(|kept| kept.touches(at_sector, SECTORS[0]));
            (
                len,
                Box::new(move |at_sector| if touched(at_sector) { at + 1 } else { 0 }),
            )
        }
        Loss::Torn {
            change,
            sector: size,
            at,
            tail,
        } => {
            sector = size;
            let before = before(number(change));
            let is_here = file.change_numbered(number(change)).is_some();
            let with = before + usize::from(is_here);
            let kept = move |at_sector: usize| (at_sector >= at) == tail;
            (
                with,
                Box::new(move |at_sector| if kept(at_sector) { with } else { before }),
            )
        }
        Loss::Random { seed, sector: size } => {
            sector = size;
            let choose = move |what: u64| {
                let mut random = Random(seed ^ id.rotate_left(40) ^ what.rotate_left(20));
                // Often all or nothing, as it is with real disks.
                match random.below(4) {
                    0 => 0,
                    1 => all,
                    _ => random.below(all + 1),
                }
            };
            (
                choose(u64::MAX),
                Box::new(move |at_sector| choose(at_sector as u64)),
            )
        }
    };
    Survivors { sector, len, bytes }
}

impl FileNode {
    /// A file with nothing unsynced.
    fn settled(&self, bytes: Arc<Vec<u8>>) -> Self {
        Self {
            current: Arc::clone(&bytes),
            durable: bytes,
            unsynced: Vec::new(),
            reserved: 0,
        }
    }

    fn change_numbered(&self, number: u64) -> Option<&FileChange> {
        let found = self.unsynced.iter().find(|(at, _)| *at == number);
        found.map(|(_, change)| change)
    }

    fn survive(&self, survivors: &Survivors<'_>) -> Vec<u8> {
        let mut bytes = Vec::clone(&self.durable);
        let mut len = bytes.len();
        for (at, (_, change)) in self.unsynced.iter().enumerate() {
            if at < survivors.len {
                len = change.len_after(len);
            }
            change.apply_sectors(&mut bytes, survivors.sector, |sector| {
                at < (survivors.bytes)(sector)
            });
        }
        bytes.resize(len, 0);
        bytes
    }
}

impl FileChange {
    fn touches(&self, sector: usize, size: usize) -> bool {
        let start = sector * size;
        match self {
            Self::Write { at, bytes } => *at < start + size && start < at + bytes.len(),
            Self::SetLen(len) => start + size > *len,
        }
    }

    /// Applies this change to those sectors of `bytes` that `survives` names.
    fn apply_sectors(&self, bytes: &mut Vec<u8>, size: usize, survives: impl Fn(usize) -> bool) {
        match self {
            Self::Write { at, bytes: written } => {
                let end = at + written.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                for sector in at / size..end.div_ceil(size) {
                    let start = (sector * size).max(*at);
                    let stop = ((sector + 1) * size).min(end);
                    if survives(sector) {
                        bytes[start..stop].copy_from_slice(&written[start - at..stop - at]);
                    }
                }
            }
            // What is cut reads as zeros when the file grows again.
            Self::SetLen(len) => {
                for sector in len / size..bytes.len().div_ceil(size) {
                    let start = (sector * size).max(*len);
                    let stop = ((sector + 1) * size).min(bytes.len());
                    if start < stop && survives(sector) {
                        bytes[start..stop].fill(0);
                    }
                }
            }
        }
    }
}

impl DirNode {
    fn survive(&self, loss: Loss, numbers: &[u64]) -> Self {
        let mut entries = Arc::clone(&self.durable);
        for (number, change) in &self.unsynced {
            let at = numbers.binary_search(number).unwrap_or(usize::MAX);
            let survives = match loss {
                Loss::Nothing => true,
                Loss::Everything | Loss::Lengths => false,
                Loss::After(count) => at < count,
                Loss::Without(change) => at != change,
                Loss::Only(change) => at == change,
                Loss::Torn { change, .. } => at < change,
                Loss::Random { seed, .. } => Random(seed ^ number).below(2) == 0,
            };
            if survives {
                change.apply(Arc::make_mut(&mut entries));
            }
        }
        Self {
            current: Arc::clone(&entries),
            durable: entries,
            unsynced: Vec::new(),
        }
    }
}

/// Numbers that look random, the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is not zero.
    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }
}
