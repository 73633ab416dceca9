//! Kafka's text checkpoints: a line with version 0, a line with the number of entries, the entries.
//! Ours end with a line that has their checksum: a digit that has changed would still be a number.
//!
//! Also the one way in which a small file is replaced so that a crash leaves the old or the new.

use std::io::{self, IoSlice};
use std::path::Path;

use crate::disk::{Disk, OpenMode};
use crate::layout::temporary_file;

/// No small file of ours is larger.
const LARGEST_FILE: u64 = 64 << 20;

/// Begins the line with the checksum (CRC-32) of all lines before.
const CHECKSUM: &str = "crc32 ";

/// `text`, which ends with a line break, with its checksum as one more line.
pub(crate) fn seal(mut text: String) -> String {
    let crc = crc32fast::hash(text.as_bytes());
    text.push_str(&format!("{CHECKSUM}{crc:08x}\n"));
    text
}

/// What was sealed, or `None` when it has changed since. A text without a checksum, which Kafka or
/// an older release has written, is as it is.
pub(crate) fn unseal(text: &str) -> Option<&str> {
    let Some((sealed, checksum)) = text.rsplit_once(CHECKSUM) else {
        return Some(text);
    };
    // That was the end of a topic's name, and partition and offset follow.
    if checksum.contains(' ') {
        return Some(text);
    }
    let expected = format!("{:08x}\n", crc32fast::hash(sealed.as_bytes()));
    (sealed.ends_with('\n') && checksum == expected).then_some(sealed)
}

/// The text of a checkpoint with these entries.
pub(crate) fn format(entries: impl ExactSizeIterator<Item = String>) -> String {
    let mut text = format!("0\n{}\n", entries.len());
    for entry in entries {
        text.push_str(&entry);
        text.push('\n');
    }
    seal(text)
}

/// The entries of a checkpoint, or `None` when it is not one or not whole.
pub(crate) fn parse(text: &str) -> Option<Vec<&str>> {
    let mut lines = unseal(text)?.strip_suffix('\n')?.split('\n');
    if lines.next()? != "0" {
        return None;
    }
    let count: usize = lines.next()?.parse().ok()?;
    let entries: Vec<&str> = lines.collect();
    (entries.len() == count).then_some(entries)
}

/// The offset in a checkpoint of one partition: `None` when there is no file, an inner `None` when
/// it is not such a checkpoint.
pub(crate) fn load_offset(disk: &dyn Disk, path: &Path) -> io::Result<Option<Option<i64>>> {
    let Some(bytes) = read_file(disk, path)? else {
        return Ok(None);
    };
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    Ok(Some(match parse(text).as_deref() {
        Some([line]) => line
            .rsplit_once(' ')
            .and_then(|(_, offset)| offset.parse().ok())
            .filter(|offset: &i64| *offset >= 0),
        _ => None,
    }))
}

/// Replaces the checkpoint of one partition durably.
pub(crate) fn store_offset(
    disk: &dyn Disk,
    path: &Path,
    topic: &str,
    partition: i32,
    offset: i64,
) -> io::Result<()> {
    let text = format(std::iter::once(format!("{topic} {partition} {offset}")));
    replace_file(disk, path, text.as_bytes())
}

/// The bytes of a small file, or `None` when it is not there.
pub(crate) fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    read_file_up_to(LARGEST_FILE, disk, path)
}

/// The same of a file of at most `limit` bytes; `InvalidData` when it is larger.
pub(crate) fn read_file_up_to(
    limit: u64,
    disk: &dyn Disk,
    path: &Path,
) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, OpenMode::Existing) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let size = file.size()?;
    if size > limit {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let len = usize::try_from(size).map_err(|_| io::ErrorKind::InvalidData)?;
    file.read_at(0, len).map(|bytes| Some(bytes.to_vec()))
}

/// Replaces the file at `path`: written beside it, synced, renamed, the directory synced.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_file(path);
    let file = disk.open(&temporary, OpenMode::Any)?;
    file.truncate(0)?;
    file.write_at(0, &[IoSlice::new(bytes)])?;
    file.sync()?;
    disk.rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => disk.sync_dir(dir),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::MemoryDisk;

    const UNSEALED: &str = "0\n2\n1 0\n2 10\n";

    fn sealed() -> String {
        format(["1 0".to_owned(), "2 10".to_owned()].into_iter())
    }

    #[test]
    fn a_checkpoint_survives_the_round_trip() {
        assert_eq!(sealed(), format!("{UNSEALED}crc32 2d3305b9\n"));
        assert_eq!(parse(&sealed()), Some(vec!["1 0", "2 10"]));
        assert_eq!(parse("0\n0\n"), Some(vec![]));
    }

    #[test]
    fn one_that_kafka_wrote_has_no_checksum() {
        assert_eq!(parse(UNSEALED), Some(vec!["1 0", "2 10"]));
        assert_eq!(parse("0\n1\nmy-crc32 0 42\n"), Some(vec!["my-crc32 0 42"]));
    }

    #[test]
    fn a_cut_checkpoint_is_refused() {
        for len in (0..sealed().len()).filter(|len| *len != UNSEALED.len()) {
            assert_eq!(parse(&sealed()[..len]), None, "{len}");
        }
        assert_eq!(parse("1\n0\n"), None);
    }

    /// Once, a bit in a stored number was taken for another number: records vanished behind a
    /// later start of their log.
    #[test]
    fn a_changed_checkpoint_is_refused() {
        for bit in 0..sealed().len() * 8 {
            let mut bytes = sealed().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let parsed = std::str::from_utf8(&bytes).ok().and_then(parse);
            assert_eq!(parsed, None, "{bit}");
        }
    }

    #[test]
    fn a_replaced_file_has_the_new_bytes() {
        let disk = MemoryDisk::new();
        let path = Path::new("file");
        assert_eq!(read_file(&disk, path).unwrap(), None);
        replace_file(&disk, path, b"first, longer").unwrap();
        replace_file(&disk, path, b"second").unwrap();
        assert_eq!(read_file(&disk, path).unwrap().unwrap(), b"second");
        assert_eq!(disk.list(Path::new("")).unwrap().len(), 1);
    }
}
