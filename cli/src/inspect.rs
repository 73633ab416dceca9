//! `ottla inspect`: what is in a data directory, and what of it is damaged.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use ottla_storage::disk::OsDisk;
use ottla_storage::inspect::{Contents, Damage, PartitionContents, inspect as look};

use crate::args::InspectArguments;
use crate::failure::Failure;

/// Prints the directory, its partitions and their segments, and each place that is damaged.
pub(crate) fn inspect(arguments: &InspectArguments) -> Result<(), Failure> {
    let dir = &arguments.dir;
    check_directory(dir)?;
    let contents = look(&OsDisk::new(), dir)?;
    let wanted = |partition: &&PartitionContents| {
        let name = arguments.partition.as_ref();
        name.is_none_or(|name| *name == name_of(partition))
    };
    let partitions: Vec<_> = contents.partitions.iter().filter(wanted).collect();
    if let Some(name) = arguments
        .partition
        .clone()
        .filter(|_| partitions.is_empty())
    {
        let dir = dir.clone();
        return Err(Failure::NoPartition { dir, name });
    }
    let text = describe(dir, &contents, &partitions);
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(Failure::Output)?;
    let damaged = partitions.iter().map(|partition| partition.damage.len());
    match damaged.sum::<usize>() + contents.damage.len() {
        0 => Ok(()),
        1 => Err(Failure::Damaged("one place is damaged".to_owned())),
        places => Err(Failure::Damaged(format!("{places} places are damaged"))),
    }
}

/// Whether there is a data directory that can be looked into.
pub(crate) fn check_directory(dir: &Path) -> Result<(), Failure> {
    match dir.join("meta").try_exists() {
        Ok(true) => Ok(()),
        Ok(false) => Err(Failure::NotData(dir.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            Err(Failure::NotData(dir.to_owned()))
        }
        Err(source) => Err(Failure::DataDirectory {
            dir: dir.to_owned(),
            source,
        }),
    }
}

fn name_of(partition: &PartitionContents) -> String {
    let identity = &partition.identity;
    format!("{}-{}", identity.topic, identity.partition)
}

fn describe(dir: &Path, contents: &Contents, partitions: &[&PartitionContents]) -> String {
    let mut text = String::new();
    let state = if contents.closed {
        "closed"
    } else {
        "in use or not closed: what the journal has is not in the partitions yet"
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{}: cluster {}, leader epoch {}, {state}",
        dir.display(),
        contents.cluster_id,
        contents.leader_epoch
    );
    describe_damage(&mut text, &contents.damage);
    for partition in partitions {
        let _ = writeln!(
            text,
            "{}: offsets {}..{}, {}, topic id {}",
            name_of(partition),
            partition.log_start_offset,
            partition.log_end_offset,
            if partition.journaled {
                "journal"
            } else {
                "page cache"
            },
            partition.identity.topic_id
        );
        for segment in &partition.segments {
            let swap = if segment.is_swap {
                ", compacted: a .swap file, which the next start puts in the place of the segments there"
            } else {
                ""
            };
            let _ = writeln!(
                text,
                "  segment {:020}: offsets {}..{}, {} batches, {} bytes{swap}",
                segment.base_offset,
                segment.base_offset,
                segment.end_offset,
                segment.batches,
                segment.size
            );
        }
        for (epoch, start) in &partition.leader_epochs {
            let _ = writeln!(text, "  leader epoch {epoch} from offset {start}");
        }
        for producer in &partition.producers {
            let _ = writeln!(
                text,
                "  producer {}: epoch {}, last sequence {}",
                producer.producer_id, producer.producer_epoch, producer.last_sequence
            );
        }
        describe_damage(&mut text, &partition.damage);
    }
    text
}

fn describe_damage(text: &mut String, damage: &[Damage]) {
    for Damage {
        file,
        position,
        offsets,
        reason,
    } in damage
    {
        let lost = if offsets.is_empty() {
            "no record is lost".to_owned()
        } else {
            format!("offsets {}..{} are lost", offsets.start, offsets.end)
        };
        let _ = writeln!(
            text,
            "  damaged: {} at {position}: {reason}; {lost}",
            file.display()
        );
    }
}
