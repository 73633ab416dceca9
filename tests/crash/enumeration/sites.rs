//! The places in the storage crate that call a disk: as its source shows, and as a call is made.

use std::backtrace::Backtrace;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// A place in the source; a chain of calls may take several lines.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Site {
    /// Below `storage/src`.
    pub(crate) file: String,
    pub(crate) first_line: usize,
    pub(crate) last_line: usize,
    pub(crate) text: String,
}

impl Site {
    /// Without the line.
    pub(crate) fn place(&self) -> String {
        format!("{}: {}", self.file, self.text)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.last_line, self.text)
    }
}

/// Where the storage crate is making a call right now: file and line. `None` when it is not.
pub(crate) fn calling() -> Option<(String, usize)> {
    let trace = Backtrace::force_capture().to_string();
    let mut places = trace.lines().filter_map(|line| {
        let (_, place) = line
            .trim()
            .strip_prefix("at ")?
            .rsplit_once("storage/src/")?;
        let mut parts = place.split(':');
        let file = parts.next()?;
        let is_below = file.starts_with("disk/") || file == "disk.rs";
        (!is_below).then_some((file.to_owned(), parts.next()?.parse().ok()?))
    });
    places.next()
}

/// All places in the source that call a disk or a file of it.
pub(crate) fn all() -> BTreeSet<Site> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../storage/src");
    let mut sites = BTreeSet::new();
    for path in sources(&root) {
        let file = path.strip_prefix(&root).expect("below the root");
        let file = file.to_string_lossy().into_owned();
        // Who looks at a directory or repairs it is no store; see the tests of damage.
        let others = ["disk", "inspect", "repair"];
        let is_other = others.iter().any(|other| file.starts_with(other));
        if is_other || file.contains("tests") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        let text = text.split("\n#[cfg(test)]\nmod tests {").next();
        let lines: Vec<&str> = text.unwrap_or_default().lines().collect();
        for last in 0..lines.len() {
            sites.extend(site(&file, &lines, last));
        }
    }
    sites
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).expect("the sources of the storage crate");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let (dirs, files): (Vec<_>, Vec<_>) = paths.partition(|path| path.is_dir());
    let below = dirs.iter().flat_map(|dir| sources(dir));
    files.into_iter().chain(below).collect()
}

fn site(file: &str, lines: &[&str], last: usize) -> Option<Site> {
    let mut first = last;
    while lines[first].trim_start().starts_with('.') && first > 0 {
        first -= 1;
    }
    let chain: String = lines[first..=last].iter().map(|line| line.trim()).collect();
    let text = lines[last].trim();
    let before = chain.strip_suffix(text).unwrap_or_default();
    let is_comment = text.starts_with("//");
    (!is_comment && calls_a_disk(before, text)).then(|| Site {
        file: file.to_owned(),
        first_line: first + 1,
        last_line: last + 1,
        text: text.to_owned(),
    })
}

/// Whether the last line of a chain of calls is one to a disk. By names: only disks have some of
/// the methods, and what holds a disk or a file of it is called so.
fn calls_a_disk(before: &str, text: &str) -> bool {
    const ONLY_DISKS: [&str; 13] = [
        ".open(",
        ".list(",
        ".create_dir(",
        ".rename(",
        ".sync_dir(",
        ".write_at(",
        ".write_block_at(",
        ".read_at(",
        ".sync()",
        ".lock(&",
        ".size()?",
        "file.size()",
        "file.truncate(",
    ];
    const OF_DISKS: [&str; 3] = [".remove(&", ".reserve(", ".truncate("];
    if ONLY_DISKS.iter().any(|call| text.contains(call)) {
        return true;
    }
    OF_DISKS.iter().any(|call| {
        text.find(call).is_some_and(|at| {
            let receiver = format!("{before}{}", &text[..at]);
            ["disk", "disk()", "file", "file()?", "to"]
                .iter()
                .any(|name| receiver.ends_with(name))
        })
    })
}
