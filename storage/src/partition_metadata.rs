//! `partition.metadata`: which topic a partition's directory belongs to, and how it is made durable.
//!
//! Kafka's file with two lines of ours; Kafka's topic ids are URL-safe base64 without padding.

use std::io;
use std::path::Path;

use uuid::Uuid;

use crate::disk::Disk;
use crate::layout::PARTITION_METADATA;
use crate::text_checkpoint::{read_file, replace_file, seal, unseal};

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Where a partition's acknowledged appends are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredDurability {
    /// In the journal: recovery finds the end of the log there.
    Journal,
    /// In the page cache: recovery scans the tail.
    PageCache,
}

/// The contents of `partition.metadata`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PartitionMetadata {
    pub(crate) topic_id: Uuid,
    pub(crate) durability: StoredDurability,
}

impl PartitionMetadata {
    /// The metadata of the partition in `dir`, or `None` when there is none yet.
    ///
    /// # Errors
    /// `InvalidData` when the file is not intact, else as the disk.
    pub(crate) fn load(disk: &dyn Disk, dir: &Path) -> io::Result<Option<Self>> {
        let Some(bytes) = read_file(disk, &dir.join(PARTITION_METADATA))? else {
            return Ok(None);
        };
        let parsed = std::str::from_utf8(&bytes).ok().and_then(Self::parse);
        parsed.map(Some).ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidData, "partition.metadata is damaged")
        })
    }

    /// Writes the file durably.
    ///
    /// # Errors
    /// As the disk.
    pub(crate) fn store(self, disk: &dyn Disk, dir: &Path) -> io::Result<()> {
        replace_file(
            disk,
            &dir.join(PARTITION_METADATA),
            self.format().as_bytes(),
        )
    }

    fn format(self) -> String {
        let durability = match self.durability {
            StoredDurability::Journal => "journal",
            StoredDurability::PageCache => "page-cache",
        };
        let topic_id = format_topic_id(self.topic_id);
        seal(format!(
            "version: 0\ntopic_id: {topic_id}\ndurability: {durability}\n"
        ))
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = unseal(text)?.strip_suffix('\n')?.split('\n');
        if lines.next()? != "version: 0" {
            return None;
        }
        let topic_id = parse_topic_id(lines.next()?.strip_prefix("topic_id: ")?)?;
        let durability = match lines.next() {
            Some("durability: journal") => StoredDurability::Journal,
            // A directory that Kafka wrote has no such line.
            Some("durability: page-cache") | None => StoredDurability::PageCache,
            Some(_) => return None,
        };
        if lines.next().is_some() {
            return None;
        }
        Some(Self {
            topic_id,
            durability,
        })
    }
}

/// A topic id as Kafka prints it: 22 characters.
pub(crate) fn format_topic_id(id: Uuid) -> String {
    let bits = id.as_u128();
    (0..22_u32)
        .map(|place| {
            // 22 groups of 6 bits hold 132: the last group has 4 bits of padding.
            let group = if place == 21 {
                (bits << 4) & 0x3f
            } else {
                (bits >> (122 - 6 * place)) & 0x3f
            };
            let index = usize::try_from(group).unwrap_or_default();
            char::from(BASE64.get(index).copied().unwrap_or(b'A'))
        })
        .collect()
}

pub(crate) fn parse_topic_id(text: &str) -> Option<Uuid> {
    if text.len() != 22 {
        return None;
    }
    let mut bits = 0_u128;
    for (place, character) in text.bytes().enumerate() {
        let digit = BASE64.iter().position(|known| *known == character)?;
        let digit = u128::try_from(digit).ok()?;
        if place == 21 {
            if digit & 0xf != 0 {
                return None;
            }
            bits = (bits << 2) | (digit >> 4);
        } else {
            bits = (bits << 6) | digit;
        }
    }
    Some(Uuid::from_u128(bits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    #[test]
    fn metadata_survives_the_round_trip() {
        let disk = MemoryDisk::new();
        let dir = Path::new("t-0");
        disk.create_dir(dir).unwrap();
        assert_eq!(PartitionMetadata::load(&disk, dir).unwrap(), None);
        for durability in [StoredDurability::Journal, StoredDurability::PageCache] {
            let metadata = PartitionMetadata {
                topic_id: Uuid::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
                durability,
            };
            metadata.store(&disk, dir).unwrap();
            assert_eq!(PartitionMetadata::load(&disk, dir).unwrap(), Some(metadata));
        }
    }

    #[test]
    fn topic_ids_are_printed_as_kafka_prints_them() {
        assert_eq!(
            format_topic_id(Uuid::from_u128(0)),
            "AAAAAAAAAAAAAAAAAAAAAA"
        );
        assert_eq!(
            format_topic_id(Uuid::from_u128(1)),
            "AAAAAAAAAAAAAAAAAAAAAQ"
        );
        assert_eq!(
            format_topic_id(Uuid::from_u128(u128::MAX)),
            "_____________________w"
        );
        for bits in [0, 1, u128::MAX, 0x8000_0000_0000_0000_0000_0000_0000_0001] {
            let id = Uuid::from_u128(bits);
            assert_eq!(parse_topic_id(&format_topic_id(id)), Some(id));
        }
        assert_eq!(parse_topic_id("AAAAAAAAAAAAAAAAAAAAAB"), None);
    }

    /// Once, a bit in the topic id made the directory that of another topic.
    #[test]
    fn no_changed_bit_makes_another_topic() {
        let metadata = PartitionMetadata {
            topic_id: Uuid::from_u128(0x0123_4567_89ab_cdef_0011_2233_4455_6677),
            durability: StoredDurability::Journal,
        };
        let text = metadata.format();
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let parsed = std::str::from_utf8(&bytes)
                .ok()
                .and_then(PartitionMetadata::parse);
            assert_eq!(parsed, None, "{bit}");
        }
    }

    #[test]
    fn a_file_that_kafka_wrote_is_read() {
        let text = "version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAAAAQ\n";
        let metadata = PartitionMetadata::parse(text).unwrap();
        assert_eq!(metadata.topic_id, Uuid::from_u128(1));
        assert_eq!(metadata.durability, StoredDurability::PageCache);
    }
}
