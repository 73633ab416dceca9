//! `ottla repair`: makes a damaged partition one that is served again.

use std::fmt::Write as _;
use std::io::Write as _;

use ottla_storage::disk::OsDisk;
use ottla_storage::repair::{Repaired, repair as mend};

use crate::args::RepairArguments;
use crate::failure::Failure;

/// Repairs a partition and prints what became of it, and where the files are that were replaced.
pub(crate) fn repair(arguments: &RepairArguments) -> Result<(), Failure> {
    let RepairArguments { dir, partition } = arguments;
    if !dir.join("meta").is_file() {
        return Err(Failure::NotData(dir.clone()));
    }
    let repaired = mend(&OsDisk::new(), dir, partition)?;
    std::io::stdout()
        .write_all(describe(partition, &repaired).as_bytes())
        .map_err(Failure::Output)
}

fn describe(partition: &str, repaired: &Repaired) -> String {
    let Repaired {
        lost,
        mended,
        offsets,
        kept_in,
    } = repaired;
    let mut text = format!("{partition}: offsets {}..{}\n", offsets.start, offsets.end);
    // Writing to a string cannot fail.
    for lost in lost {
        let _ = writeln!(text, "  offsets {}..{} are lost", lost.start, lost.end);
    }
    if *mended > 0 {
        let _ = writeln!(
            text,
            "  {mended} batches had a damaged head and are whole again"
        );
    }
    match kept_in {
        Some(dir) => {
            let _ = writeln!(text, "  the files as they were are in {}", dir.display());
        }
        None => text.push_str("  it was whole\n"),
    }
    text
}
