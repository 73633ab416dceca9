use ottla_protocol::record::{BatchBuilder, BatchOptions, Compression, ProducerIdentity};

use super::*;

fn reading(limit: usize) -> Reading {
    Reading {
        budget: Budget::new(limit, Default::default()),
        check_crcs: true,
    }
}

/// A batch with these values from `base_offset` on, as a broker stores it.
fn batch(base_offset: i64, options: BatchOptions, values: &[&[u8]]) -> Vec<u8> {
    let mut builder = BatchBuilder::new(options).unwrap();
    for value in values {
        builder.append(0, None, Some(value), &[]).unwrap();
    }
    at(base_offset, &builder.build().unwrap())
}

/// The batch moved to an offset; the checksum does not cover that.
fn at(base_offset: i64, batch: &[u8]) -> Vec<u8> {
    let mut bytes = batch.to_vec();
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[12..16].copy_from_slice(&3_i32.to_be_bytes());
    bytes
}

fn plain() -> BatchOptions {
    BatchOptions::default()
}

fn transactional(producer_id: i64) -> BatchOptions {
    BatchOptions {
        producer: ProducerIdentity {
            producer_id,
            producer_epoch: 0,
            base_sequence: 0,
        },
        transactional: true,
        ..plain()
    }
}

fn marker(offset: i64, producer_id: i64, result: TransactionResult) -> Vec<u8> {
    let marker = EndTransactionMarker {
        result,
        coordinator_epoch: 0,
    };
    at(offset, &marker.build(producer_id, 0, 0))
}

fn chunk(parts: &[Vec<u8>], aborted: &[(i64, i64)]) -> Chunk {
    let aborted = aborted
        .iter()
        .map(|(producer_id, first_offset)| AbortedTransaction {
            producer_id: *producer_id,
            first_offset: *first_offset,
        });
    Chunk::new(Bytes::from(parts.concat()), aborted.collect())
}

fn offsets(piece: &Piece) -> Vec<i64> {
    piece.records.iter().map(|record| record.offset).collect()
}

#[test]
fn records_before_the_position_are_trimmed() {
    let mut chunk = chunk(&[batch(10, plain(), &[b"a", b"b", b"c"])], &[]);
    let piece = chunk.read(11, 100, &reading(1 << 20));
    assert_eq!((offsets(&piece), piece.next_offset), (vec![11, 12], 13));
    assert_eq!(piece.leader_epoch, 3);
}

#[test]
fn a_piece_ends_in_the_middle_of_a_batch_and_goes_on_there() {
    let parts = [
        batch(0, plain(), &[b"a", b"b", b"c"]),
        batch(3, plain(), &[b"d"]),
    ];
    let mut chunk = chunk(&parts, &[]);
    let reading = reading(1 << 20);
    let first = chunk.read(0, 2, &reading);
    assert_eq!((offsets(&first), first.next_offset), (vec![0, 1], 2));
    let second = chunk.read(2, 100, &reading);
    assert_eq!((offsets(&second), second.next_offset), (vec![2, 3], 4));
    assert!(chunk.read(4, 100, &reading).records.is_empty());
}

#[test]
fn offsets_that_compaction_left_out_are_passed_over() {
    // The last offset of a batch outlives its record.
    let mut bytes = batch(0, plain(), &[b"a"]);
    bytes[23..27].copy_from_slice(&9_i32.to_be_bytes());
    let mut chunk = chunk(&[bytes], &[]);
    let mut reading = reading(1 << 20);
    reading.check_crcs = false;
    let piece = chunk.read(0, 100, &reading);
    assert_eq!((offsets(&piece), piece.next_offset), (vec![0], 10));
}

#[test]
fn markers_are_passed_over_and_move_the_position() {
    let parts = [
        batch(0, transactional(7), &[b"a"]),
        marker(1, 7, TransactionResult::Commit),
    ];
    let piece = chunk(&parts, &[]).read(0, 100, &reading(1 << 20));
    assert_eq!((offsets(&piece), piece.next_offset), (vec![0], 2));
    let piece = chunk(&parts[1..], &[]).read(1, 100, &reading(1 << 20));
    assert_eq!((offsets(&piece), piece.next_offset), (vec![], 2));
}

#[test]
fn records_of_aborted_transactions_are_passed_over_up_to_their_marker() {
    let parts = [
        batch(0, transactional(7), &[b"aborted"]),
        batch(1, transactional(8), &[b"committed"]),
        batch(2, plain(), &[b"outside"]),
        batch(3, transactional(7), &[b"aborted"]),
        marker(4, 7, TransactionResult::Abort),
        batch(5, transactional(7), &[b"the next one"]),
        marker(6, 8, TransactionResult::Commit),
        batch(7, transactional(8), &[b"aborted later"]),
        marker(8, 8, TransactionResult::Abort),
    ];
    // Not in order, as a broker may send them.
    let mut chunk = chunk(&parts, &[(8, 7), (7, 0)]);
    let piece = chunk.read(0, 100, &reading(1 << 20));
    assert_eq!((offsets(&piece), piece.next_offset), (vec![1, 2, 5], 9));
}

#[test]
fn a_damaged_batch_comes_after_the_records_before_it() {
    let mut damaged = batch(1, plain(), &[b"b"]);
    *damaged.last_mut().unwrap() ^= 1;
    let parts = [batch(0, plain(), &[b"a"]), damaged];
    let piece = chunk(&parts, &[]).read(0, 100, &reading(1 << 20));
    assert_eq!(offsets(&piece), [0]);
    assert!(matches!(
        piece.blocked,
        Some(Blocked::Damaged { offset: 1, .. })
    ));
}

#[test]
fn without_checksums_damage_that_can_be_read_is_not_seen() {
    let mut damaged = batch(0, plain(), &[b"b"]);
    // The last byte counts headers; the one before is the value.
    let at = damaged.len() - 2;
    damaged[at] ^= 1;
    let mut reading = reading(1 << 20);
    reading.check_crcs = false;
    let piece = chunk(&[damaged], &[]).read(0, 100, &reading);
    assert_eq!(piece.records[0].value.as_deref(), Some(&b"c"[..]));
}

#[test]
fn what_is_decompressed_counts_and_waits_for_room() {
    let options = BatchOptions {
        compression: Compression::Zstd,
        ..plain()
    };
    let value = vec![7; 100_000];
    let mut chunk = chunk(&[batch(0, options, &[&value])], &[]);
    let reading = reading(150_000);
    let held = reading.budget.decompressed(100_000);
    let piece = chunk.read(0, 100, &reading);
    assert_eq!(piece.blocked, Some(Blocked::Budget));
    drop(held);
    let piece = chunk.read(0, 100, &reading);
    assert_eq!(offsets(&piece), [0]);
    assert!((100_000..=150_000).contains(&reading.budget.used()));
    drop((piece, chunk));
    assert_eq!(reading.budget.used(), 0);
}

#[test]
fn a_batch_that_was_cut_short_is_left_for_the_next_fetch() {
    let whole = batch(0, plain(), &[b"a"]);
    let cut = batch(1, plain(), &[b"b"]);
    let chunk = chunk(&[whole, cut[..cut.len() - 1].to_vec()], &[]);
    assert_eq!(chunk.end(), Ok(Some((1, 3))));
}

#[test]
fn a_batch_that_compresses_ten_thousandfold_is_read() {
    let options = BatchOptions {
        compression: Compression::Zstd,
        max_size: 64 << 20,
        ..plain()
    };
    let value = vec![0; 32 << 20];
    let bytes = batch(0, options, &[&value]);
    assert!(bytes.len() < value.len() / 10_000, "{}", bytes.len());
    let piece = chunk(&[bytes], &[]).read(0, 1, &reading(64 << 20));
    assert_eq!(offsets(&piece), [0]);
}
