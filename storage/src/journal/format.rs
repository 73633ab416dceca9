//! Pure. The bytes of a journal file: its head, and groups of redo entries. Drawn in FORMAT.md.
//!
//! Every checksum starts from the directory id, so neither the journal of another directory nor
//! record data made up to look like a group can pass for one.

use bytes::Bytes;
use uuid::Uuid;

/// Everything in a journal file starts at a multiple of this, so that it can be written directly.
pub(crate) use crate::disk::BLOCK;

/// The same as a file position.
pub(crate) const BLOCK_BYTES: u64 = BLOCK as u64;

/// Position of the first group.
pub(crate) const FIRST_GROUP: u64 = BLOCK_BYTES;

/// Bytes of a group before its entries.
pub(crate) const GROUP_HEADER_LEN: usize = 32;

/// Bytes of an entry before its data.
pub(crate) const ENTRY_HEADER_LEN: usize = 48;

/// The layout described here.
const FORMAT_VERSION: u16 = 1;

const FILE_MAGIC: [u8; 8] = *b"OTTLAJRN";
const GROUP_MAGIC: [u8; 4] = *b"OTJG";

/// Magic, version, padding, directory id, file sequence, capacity.
const FILE_HEADER_LEN: usize = 44;

/// The first block of a journal file that is, or was, in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileHeader {
    /// Rises by one with each file taken into use; recycled files get a new one.
    pub(crate) sequence: u64,
    /// Bytes of the file, this block included.
    pub(crate) capacity: u64,
}

impl FileHeader {
    /// The block to write at the start of the file.
    pub(crate) fn encode(&self, directory: Uuid, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(&FILE_MAGIC);
        to.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        to.extend_from_slice(&[0; 2]);
        to.extend_from_slice(directory.as_bytes());
        to.extend_from_slice(&self.sequence.to_le_bytes());
        to.extend_from_slice(&self.capacity.to_le_bytes());
        let crc = checksum(directory, to.get(start..).unwrap_or_default());
        to.extend_from_slice(&crc.to_le_bytes());
        to.resize(start + BLOCK, 0);
    }

    /// Reads the first block; `None` when it is not one of this directory in this format.
    pub(crate) fn decode(directory: Uuid, block: &[u8]) -> Option<Self> {
        let (covered, rest) = block.split_at_checked(FILE_HEADER_LEN)?;
        let mut stored = Fields(rest);
        if u32::from_le_bytes(stored.take()?) != checksum(directory, covered) {
            return None;
        }
        let mut fields = Fields(covered);
        let known = fields.take::<8>()? == FILE_MAGIC
            && u16::from_le_bytes(fields.take()?) == FORMAT_VERSION
            && fields.take::<2>()? == [0; 2]
            && fields.take::<16>()? == *directory.as_bytes();
        let header = Self {
            sequence: u64::from_le_bytes(fields.take()?),
            capacity: u64::from_le_bytes(fields.take()?),
        };
        known.then_some(header)
    }
}

/// What a group says about itself before its payload has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupHeader {
    /// Sequence of the file that the group was written to.
    pub(crate) file_sequence: u64,
    /// Rises by one with each group of the directory.
    pub(crate) group_sequence: u64,
    /// Bytes of all entries.
    pub(crate) payload_len: u32,
    /// Number of entries.
    pub(crate) entry_count: u32,
    crc: u32,
}

impl GroupHeader {
    /// Reads the start of a block; `None` when no group starts there.
    pub(crate) fn decode(block: &[u8]) -> Option<Self> {
        let mut fields = Fields(block);
        if fields.take::<4>()? != GROUP_MAGIC {
            return None;
        }
        let crc = u32::from_le_bytes(fields.take()?);
        Some(Self {
            file_sequence: u64::from_le_bytes(fields.take()?),
            group_sequence: u64::from_le_bytes(fields.take()?),
            payload_len: u32::from_le_bytes(fields.take()?),
            entry_count: u32::from_le_bytes(fields.take()?),
            crc,
        })
    }

    /// Bytes of the group with its padding.
    pub(crate) fn padded_len(&self) -> u64 {
        padded(GROUP_HEADER_LEN as u64 + u64::from(self.payload_len))
    }

    /// Bytes of the group without its padding.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.payload_len)
            .unwrap_or(usize::MAX)
            .saturating_add(GROUP_HEADER_LEN)
    }

    /// Checks the whole group, whose bytes without padding are `group`.
    pub(crate) fn verify(&self, directory: Uuid, group: &[u8]) -> bool {
        group.len() == self.len()
            && group
                .get(8..)
                .is_some_and(|covered| checksum(directory, covered) == self.crc)
    }
}

/// Where the bytes of one entry belong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntryHeader {
    /// Topic of the partition; a topic created anew under an old name has another one.
    pub(crate) topic_id: Uuid,
    /// Partition index.
    pub(crate) partition: i32,
    /// Names the segment file.
    pub(crate) segment_base: i64,
    /// Position in the segment file.
    pub(crate) position: u64,
    /// Log end offset of the partition after these bytes.
    pub(crate) end_offset: i64,
    /// Bytes of data.
    pub(crate) len: u32,
}

/// One entry as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RedoEntry {
    /// Where the bytes belong.
    pub(crate) header: EntryHeader,
    /// What to put there.
    pub(crate) bytes: Bytes,
}

/// Builds a group in a buffer that is used again and again.
#[derive(Debug, Default)]
pub(crate) struct GroupBuilder {
    buffer: Vec<u8>,
    /// Where in the buffer what is written begins.
    origin: usize,
    start: usize,
    entry_count: u32,
}

impl GroupBuilder {
    /// Empties the buffer, keeping at most `keep` bytes of memory, and makes room for `len` bytes that begin at
    /// a multiple of [`BLOCK`] in memory.
    pub(crate) fn clear(&mut self, keep: usize, len: usize) {
        self.buffer.clear();
        self.buffer.shrink_to(keep);
        self.buffer.reserve(len + BLOCK);
        let unaligned = self.buffer.as_ptr().addr() % BLOCK;
        self.origin = (BLOCK - unaligned) % BLOCK;
        self.buffer.resize(self.origin, 0);
        self.start = self.origin;
        self.entry_count = 0;
    }

    /// Puts a file header before the group that follows.
    pub(crate) fn file_header(&mut self, directory: Uuid, header: FileHeader) {
        header.encode(directory, &mut self.buffer);
        self.start = self.buffer.len();
    }

    /// Leaves room for the group header. To be called once, before the first entry.
    pub(crate) fn begin(&mut self) {
        self.buffer.resize(self.start + GROUP_HEADER_LEN, 0);
    }

    /// Adds an entry whose data is `parts`, one after the other.
    pub(crate) fn entry(&mut self, header: &EntryHeader, parts: [&[u8]; 2]) {
        self.buffer.extend_from_slice(header.topic_id.as_bytes());
        self.buffer
            .extend_from_slice(&header.partition.to_le_bytes());
        self.buffer
            .extend_from_slice(&header.segment_base.to_le_bytes());
        self.buffer
            .extend_from_slice(&header.position.to_le_bytes());
        self.buffer
            .extend_from_slice(&header.end_offset.to_le_bytes());
        self.buffer.extend_from_slice(&header.len.to_le_bytes());
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        self.entry_count += 1;
    }

    /// Fills in the group header and pads. What is to be written, aligned at both ends.
    pub(crate) fn finish(
        &mut self,
        directory: Uuid,
        file_sequence: u64,
        group_sequence: u64,
    ) -> &[u8] {
        let payload = self.buffer.len() - self.start - GROUP_HEADER_LEN;
        // The writer keeps a group far below this; a wrong length would fail its checksum.
        let payload_len = u32::try_from(payload).unwrap_or(u32::MAX);
        let mut header = Vec::with_capacity(GROUP_HEADER_LEN);
        header.extend_from_slice(&GROUP_MAGIC);
        header.extend_from_slice(&[0; 4]);
        header.extend_from_slice(&file_sequence.to_le_bytes());
        header.extend_from_slice(&group_sequence.to_le_bytes());
        header.extend_from_slice(&payload_len.to_le_bytes());
        header.extend_from_slice(&self.entry_count.to_le_bytes());
        self.put(self.start, &header);
        let covered = self.buffer.get(self.start + 8..).unwrap_or_default();
        let crc = checksum(directory, covered);
        self.put(self.start + 4, &crc.to_le_bytes());
        let len = self.buffer.len() - self.origin;
        let padded = self.origin + len.next_multiple_of(BLOCK);
        self.buffer.resize(padded, 0);
        self.buffer.get(self.origin..).unwrap_or_default()
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(to) = self.buffer.get_mut(at..at + bytes.len()) {
            to.copy_from_slice(bytes);
        }
    }
}

/// The entries of a verified group; `None` when they do not fill it exactly.
pub(crate) fn decode_entries(header: &GroupHeader, group: &Bytes) -> Option<Vec<RedoEntry>> {
    let mut at = GROUP_HEADER_LEN;
    let mut entries = Vec::new();
    for _ in 0..header.entry_count {
        let mut fields = Fields(group.get(at..)?);
        let entry = EntryHeader {
            topic_id: Uuid::from_bytes(fields.take()?),
            partition: i32::from_le_bytes(fields.take()?),
            segment_base: i64::from_le_bytes(fields.take()?),
            position: u64::from_le_bytes(fields.take()?),
            end_offset: i64::from_le_bytes(fields.take()?),
            len: u32::from_le_bytes(fields.take()?),
        };
        let from = at + ENTRY_HEADER_LEN;
        let to = from.checked_add(usize::try_from(entry.len).ok()?)?;
        if to > group.len() {
            return None;
        }
        entries.push(RedoEntry {
            header: entry,
            bytes: group.slice(from..to),
        });
        at = to;
    }
    (at == group.len()).then_some(entries)
}

/// The next multiple of the block size.
pub(crate) fn padded(len: u64) -> u64 {
    len.div_ceil(BLOCK_BYTES).saturating_mul(BLOCK_BYTES)
}

fn checksum(directory: Uuid, covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(directory.as_bytes());
    hasher.update(covered);
    hasher.finalize()
}

/// Reads fixed-size fields off the front of a slice.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: Uuid = Uuid::from_u128(7);

    fn entry(partition: i32, len: usize) -> EntryHeader {
        EntryHeader {
            topic_id: Uuid::from_u128(1),
            partition,
            segment_base: 100,
            position: 4711,
            end_offset: 123,
            len: u32::try_from(len).unwrap(),
        }
    }

    fn group() -> (Vec<u8>, Vec<RedoEntry>) {
        let mut builder = GroupBuilder::default();
        builder.clear(0, 0);
        builder.begin();
        let bodies = [vec![1; 10], vec![2; 5000], vec![]];
        let mut entries = Vec::new();
        for (partition, body) in (0..).zip(&bodies) {
            let header = entry(partition, body.len() + 3);
            builder.entry(&header, [b"abc", body]);
            let bytes = Bytes::from([b"abc".as_slice(), body].concat());
            entries.push(RedoEntry { header, bytes });
        }
        (builder.finish(DIRECTORY, 5, 9).to_vec(), entries)
    }

    #[test]
    fn a_group_survives_the_round_trip_and_is_aligned() {
        let (bytes, entries) = group();
        assert_eq!(bytes.len() % BLOCK, 0);
        let header = GroupHeader::decode(&bytes).unwrap();
        assert_eq!((header.file_sequence, header.group_sequence), (5, 9));
        assert_eq!(header.padded_len(), bytes.len() as u64);
        let unpadded = Bytes::from(bytes).slice(..header.len());
        assert!(header.verify(DIRECTORY, &unpadded));
        assert_eq!(decode_entries(&header, &unpadded), Some(entries));
    }

    #[test]
    fn a_group_with_room_lies_at_a_block_in_memory() {
        let mut builder = GroupBuilder::default();
        for len in [0, 1, 3 * BLOCK, 40 * BLOCK] {
            builder.clear(8 * BLOCK, len + GROUP_HEADER_LEN + ENTRY_HEADER_LEN + BLOCK);
            builder.begin();
            builder.entry(&entry(0, len), [&vec![7; len], &[]]);
            let block = builder.finish(DIRECTORY, 1, 1);
            assert_eq!(block.as_ptr().addr() % BLOCK, 0);
            assert_eq!(block.len() % BLOCK, 0);
        }
    }

    #[test]
    fn every_flipped_bit_of_a_group_is_seen() {
        let (bytes, _) = group();
        let len = GroupHeader::decode(&bytes).unwrap().len();
        for at in 0..len {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            let intact = GroupHeader::decode(&flipped).is_some_and(|header| {
                flipped
                    .get(..header.len())
                    .is_some_and(|group| header.verify(DIRECTORY, group))
            });
            assert!(!intact, "byte {at}");
        }
    }

    #[test]
    fn a_group_of_another_directory_is_no_group() {
        let (bytes, _) = group();
        let header = GroupHeader::decode(&bytes).unwrap();
        assert!(!header.verify(Uuid::from_u128(8), &bytes[..header.len()]));
    }

    #[test]
    fn a_file_header_fills_a_block_and_survives_the_round_trip() {
        let header = FileHeader {
            sequence: 3,
            capacity: 8 << 20,
        };
        let mut block = Vec::new();
        header.encode(DIRECTORY, &mut block);
        assert_eq!(block.len(), BLOCK);
        assert_eq!(FileHeader::decode(DIRECTORY, &block), Some(header));
        assert_eq!(FileHeader::decode(Uuid::from_u128(8), &block), None);
        assert_eq!(FileHeader::decode(DIRECTORY, &[0; BLOCK]), None);
        assert_eq!(FileHeader::decode(DIRECTORY, &block[..40]), None);
        block[20] ^= 1;
        assert_eq!(FileHeader::decode(DIRECTORY, &block), None);
    }

    #[test]
    fn entries_that_do_not_fill_their_group_are_refused() {
        let (bytes, _) = group();
        let mut header = GroupHeader::decode(&bytes).unwrap();
        let unpadded = Bytes::from(bytes).slice(..header.len());
        header.entry_count = 2;
        assert_eq!(decode_entries(&header, &unpadded), None);
        header.entry_count = u32::MAX;
        assert_eq!(decode_entries(&header, &unpadded), None);
    }
}
