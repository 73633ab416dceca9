//! Every byte of a directory has a bit turned over, and every file is cut at every length.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use ottla_storage::disk::simulated::{Loss, SimulatedDisk, Snapshot};
use ottla_storage::repair::repair;
use ottla_storage::store::Store;
use parking_lot::Mutex;

use crate::answers::Answers;
use crate::archive::{files, read};
use crate::golden::{DIR, Size, TOPICS, golden, open};
use crate::parallel::in_parallel;

/// Cases of each directory in a usual run.
const CASES: usize = 1_500;

/// What is done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harm {
    /// One bit, counted from the start, is turned over.
    Flip(usize),
    /// It ends after so many bytes.
    Cut(usize),
}

impl Harm {
    /// Whether the journal can look as if the crash had torn its last group.
    fn may_tear(self) -> bool {
        matches!(self, Self::Flip(_))
    }
}

/// How a directory came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Every answer was right.
    Unharmed,
    /// The start was refused, and went well with `repair`.
    Refused,
    /// The last group of the journal was taken for torn.
    Torn,
    /// The partition was quarantined, and repaired.
    Quarantined,
    /// The broker refused to read a batch, and the partition was repaired.
    Unreadable,
    /// A client saw the wrong checksum of a batch, and the partition was repaired.
    Spoiled,
}

/// A directory to be harmed.
pub(crate) struct Subject {
    pub(crate) snapshot: Snapshot,
    pub(crate) expected: Answers,
    pub(crate) closed: bool,
}

impl Subject {
    pub(crate) fn new(size: Size, closed: bool) -> Self {
        let (disk, expected) = golden(size, closed);
        Self {
            snapshot: disk.snapshot(),
            expected,
            closed,
        }
    }

    pub(crate) fn disk(&self) -> SimulatedDisk {
        self.snapshot.crash(Loss::Nothing)
    }

    /// Does harm to a file and looks at what comes of it, repair included.
    pub(crate) fn suffer(&self, path: &Path, harm: Harm) -> Result<Outcome, String> {
        let suffer = || self.suffer_unguarded(path, harm);
        catch_unwind(AssertUnwindSafe(suffer)).unwrap_or_else(|_| Err("it panicked".to_owned()))
    }

    fn suffer_unguarded(&self, path: &Path, harm: Harm) -> Result<Outcome, String> {
        let disk = self.disk();
        disk.damage(path, |bytes| match harm {
            Harm::Flip(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
            Harm::Cut(len) => bytes.truncate(len),
        });
        let hit = TOPICS
            .into_iter()
            .find(|topic| path.starts_with(Path::new(DIR).join(format!("{topic}-0"))));
        let store = match open(&disk, false) {
            Ok(store) => store,
            Err(error) if hit.is_none() => return self.refused(&disk, path, &error.to_string()),
            Err(error) => return Err(format!("not opened: {error}")),
        };
        let may_tear =
            !self.closed && path.to_string_lossy().ends_with(".journal") && harm.may_tear();
        let outcome = self.judge(&store, hit, may_tear)?;
        store.close().map_err(|error| error.to_string())?;
        drop(store);
        disk.kill();
        if is_cache(path) && outcome != Outcome::Unharmed {
            return Err(format!("{outcome:?} although it can be made anew"));
        }
        let Some(topic) = hit.filter(|_| outcome > Outcome::Torn) else {
            return Ok(outcome);
        };
        self.mend(&disk, topic, path, harm)?;
        Ok(outcome)
    }

    /// Compares what a store answers with what it should.
    fn judge(&self, store: &Store, hit: Option<&str>, may_tear: bool) -> Result<Outcome, String> {
        let mut worst = Outcome::Unharmed;
        for (topic, expected) in &self.expected {
            let is_hit = hit == Some(*topic);
            let Some(log) = store.log(topic, 0) else {
                if !is_hit {
                    return Err(format!("{topic} is gone: {:?}", store.quarantined()));
                }
                worst = Outcome::Quarantined;
                continue;
            };
            // An end that only the journal knows goes with its last group.
            if may_tear && log.offsets().high_watermark < expected.end {
                worst = Outcome::Torn;
                continue;
            }
            let told = expected
                .compare(&log)
                .map_err(|error| format!("{topic}: {error}"))?;
            if told.is_whole() {
                continue;
            }
            if !is_hit {
                return Err(format!("{topic} lacks {told:?}"));
            }
            worst = if told.refused.is_empty() {
                Outcome::Spoiled
            } else {
                Outcome::Unreadable
            };
        }
        Ok(worst)
    }

    /// A start that was refused goes well when it is told to go on.
    fn refused(&self, disk: &SimulatedDisk, path: &Path, error: &str) -> Result<Outcome, String> {
        disk.kill();
        if path.ends_with("meta") {
            return Ok(Outcome::Refused);
        }
        let store = open(disk, true).map_err(|again| format!("{error}, and repaired: {again}"))?;
        self.judge(&store, None, false)?;
        Ok(Outcome::Refused)
    }

    fn mend(
        &self,
        disk: &SimulatedDisk,
        topic: &str,
        path: &Path,
        harm: Harm,
    ) -> Result<(), String> {
        let name = format!("{topic}-0");
        let done = repair(disk, Path::new(DIR), &name).map_err(|error| error.to_string())?;
        let store = open(disk, false).map_err(|error| error.to_string())?;
        let log = store.log(topic, 0);
        let log = log.ok_or_else(|| format!("after {done:?}: {:?}", store.quarantined()))?;
        let lost = self.expected[topic].lost_after_repair(&log)?;
        let is_segment = path.extension().is_some_and(|extension| extension == "log");
        let most = match harm {
            Harm::Flip(_) => usize::from(is_segment),
            Harm::Cut(_) if is_segment => usize::MAX,
            Harm::Cut(_) => 0,
        };
        if lost > most {
            return Err(format!("{lost} batches are lost after {done:?}"));
        }
        Ok(())
    }
}

/// Whether a file only has what follows from the batches (L5).
fn is_cache(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(
        extension,
        Some("index" | "timeindex" | "txnindex" | "snapshot")
    )
}

/// Every place of every file: a flip in each byte, a cut at each length.
fn all_cases(disk: &SimulatedDisk) -> Vec<(PathBuf, Harm)> {
    let mut cases = Vec::new();
    for path in files(disk) {
        for at in 0..read(disk, &path).len() {
            let bit = (at * 7 + 3) % 8;
            cases.push((path.clone(), Harm::Flip(at * 8 + bit)));
            cases.push((path.clone(), Harm::Cut(at)));
        }
    }
    cases
}

/// As many of `cases` as wanted, spread over all of them; small files have a part of their own.
fn sample(cases: Vec<(PathBuf, Harm)>, wanted: usize) -> Vec<(PathBuf, Harm)> {
    let mut by_file: BTreeMap<PathBuf, Vec<Harm>> = BTreeMap::new();
    for (path, harm) in cases {
        by_file.entry(path).or_default().push(harm);
    }
    let share = wanted.div_ceil(by_file.len());
    let chosen = by_file.into_iter().flat_map(|(path, harms)| {
        // An odd step takes flips and cuts alike.
        let step = (harms.len() / share) | 1;
        let harms = harms.into_iter().step_by(step);
        harms.map(move |harm| (path.clone(), harm))
    });
    chosen.collect()
}

fn flip_and_cut(size: Size, closed: bool) {
    let subject = Subject::new(size, closed);
    let all = all_cases(&subject.disk());
    let total = all.len();
    let every = std::env::var("OTTLA_FLIPS").is_ok_and(|which| which == "all");
    let cases = if every { all } else { sample(all, CASES) };
    let outcomes: Mutex<BTreeMap<Outcome, usize>> = Mutex::default();
    let failures = AtomicUsize::new(0);
    in_parallel(cases.len(), |number| {
        let (path, harm) = &cases[number];
        match subject.suffer(path, *harm) {
            Ok(outcome) => *outcomes.lock().entry(outcome).or_default() += 1,
            Err(error) => {
                if failures.fetch_add(1, Ordering::Relaxed) < 20 {
                    eprintln!("{harm:?} of {}: {error}", path.display());
                }
            }
        }
    });
    let state = if closed { "closed" } else { "killed" };
    let (count, outcomes) = (cases.len(), outcomes.into_inner());
    eprintln!("{count} of {total} flips and cuts of a {state} directory: {outcomes:?}");
    assert_eq!(failures.into_inner(), 0);
}

#[test]
fn no_flipped_bit_and_no_cut_of_a_closed_directory_goes_unnoticed() {
    flip_and_cut(Size::Large, true);
}

#[test]
fn no_flipped_bit_and_no_cut_of_a_killed_directory_goes_unnoticed() {
    flip_and_cut(Size::Small, false);
}

/// Found by a run of all cases: the newest timestamp, of a batch that no index entry vouches for.
#[test]
fn flips_that_went_unnoticed_once_are_noticed() {
    let subject = Subject::new(Size::Large, true);
    for topic in TOPICS {
        let segment = format!("{topic}-0/00000000000000000590.log");
        let outcome = subject.suffer(&Path::new(DIR).join(segment), Harm::Flip(43_608));
        assert_eq!(outcome, Ok(Outcome::Spoiled));
    }
}
