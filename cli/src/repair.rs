//! `ottla repair`: makes a damaged partition, or a damaged directory, one that is served again.

use std::fmt::Write as _;
use std::io::Write as _;

use std::sync::Arc;

use ottla_storage::disk::{Disk, OsDisk};
use ottla_storage::repair::{JournalRepaired, Repaired, repair as mend, repair_journal};

use crate::args::RepairArguments;
use crate::failure::Failure;
use crate::inspect::check_directory;

/// Repairs a partition and prints what became of it, and where the files are that were replaced.
pub(crate) fn repair(arguments: &RepairArguments) -> Result<(), Failure> {
    let RepairArguments { dir, partition } = arguments;
    check_directory(dir)?;
    let text = match partition {
        Some(partition) => describe(partition, &mend(&OsDisk::new(), dir, partition)?),
        None => {
            let disk: Arc<dyn Disk> = Arc::new(OsDisk::new());
            describe_journal(&repair_journal(&disk, dir)?)
        }
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::Output)
}

fn describe_journal(repaired: &JournalRepaired) -> String {
    let mut text = String::from("the directory can be opened\n");
    // Writing to a string cannot fail.
    for found in &repaired.quarantined {
        let _ = writeln!(
            text,
            "  {} is not served: {}",
            found.directory, found.reason
        );
    }
    let kept = repaired.kept_in.display();
    let _ = writeln!(text, "  journal and checkpoint as they were are in {kept}");
    text
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
