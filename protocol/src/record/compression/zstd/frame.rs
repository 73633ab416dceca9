//! The heads of Zstandard frames and blocks, RFC 8878: how much there may be in a stream.
//!
//! What a frame says of its content only ever makes the bound smaller.

/// What a frame begins with, as a little-endian integer.
const MAGIC: u32 = 0xfd2f_b528;

/// What a frame that is skipped begins with, but for the lowest four bits.
const SKIPPABLE_MAGIC: u32 = 0x184d_2a50;

/// The most bytes that a block decompresses to.
const MAX_BLOCK: u64 = 128 << 10;

/// The largest window read: 128 MiB, the most that Kafka and its clients read.
const MAX_WINDOW: u64 = 128 << 20;

const CUT_SHORT: &str = "frame is cut short";

/// Bytes that `input` cannot exceed when it is decompressed: whole blocks, and no more than its
/// frames say they hold.
pub(super) fn content_bound(mut input: &[u8]) -> Result<usize, &'static str> {
    if input.is_empty() {
        return Err("no frame");
    }
    let mut most = 0_u64;
    while !input.is_empty() {
        let magic = u32::from_le_bytes(*take(&mut input)?);
        if magic & !0xf == SKIPPABLE_MAGIC {
            let length = u32::from_le_bytes(*take(&mut input)?);
            skip(&mut input, u64::from(length))?;
        } else if magic == MAGIC {
            most = most.saturating_add(frame(&mut input)?);
        } else {
            return Err("not a frame");
        }
    }
    Ok(usize::try_from(most).unwrap_or(usize::MAX))
}

/// Bytes that the frame behind this magic cannot exceed.
fn frame(input: &mut &[u8]) -> Result<u64, &'static str> {
    let &[descriptor] = take(input)?;
    let is_single_segment = descriptor & 0x20 != 0;
    let has_checksum = descriptor & 0x04 != 0;
    if !is_single_segment {
        let &[window] = take(input)?;
        if window_size(window) > MAX_WINDOW {
            return Err("window of more than 128 MiB");
        }
    }
    let dictionary_length = match descriptor & 0x03 {
        3 => 4,
        length => u64::from(length),
    };
    skip(input, dictionary_length)?;
    let content_size = match descriptor >> 6 {
        0 if is_single_segment => Some(u64::from(u8::from_le_bytes(*take(input)?))),
        0 => None,
        1 => Some(u64::from(u16::from_le_bytes(*take(input)?)) + 256),
        2 => Some(u64::from(u32::from_le_bytes(*take(input)?))),
        _ => Some(u64::from_le_bytes(*take(input)?)),
    };
    let in_blocks = blocks(input)?;
    if has_checksum {
        skip(input, 4)?;
    }
    Ok(content_size.map_or(in_blocks, |size| size.min(in_blocks)))
}

fn window_size(descriptor: u8) -> u64 {
    let base = 1_u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 0x07)
}

/// Bytes that the blocks up to the last one of a frame cannot exceed.
fn blocks(input: &mut &[u8]) -> Result<u64, &'static str> {
    const RAW: u32 = 0;
    const RUN: u32 = 1;
    let mut most = 0_u64;
    loop {
        let &[low, middle, high] = take(input)?;
        let head = u32::from_le_bytes([low, middle, high, 0]);
        let size = u64::from(head >> 3);
        let (length, content) = match (head >> 1) & 0x03 {
            RAW => (size, size),
            RUN => (1, size),
            _ => (size, MAX_BLOCK),
        };
        skip(input, length)?;
        most = most.saturating_add(content.min(MAX_BLOCK));
        if head & 1 != 0 {
            return Ok(most);
        }
    }
}

fn take<'a, const N: usize>(input: &mut &'a [u8]) -> Result<&'a [u8; N], &'static str> {
    let (taken, rest) = input.split_first_chunk().ok_or(CUT_SHORT)?;
    *input = rest;
    Ok(taken)
}

fn skip(input: &mut &[u8], length: u64) -> Result<(), &'static str> {
    let length = usize::try_from(length).map_err(|_| CUT_SHORT)?;
    *input = input.get(length..).ok_or(CUT_SHORT)?;
    Ok(())
}
