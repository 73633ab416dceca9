use super::super::tests::{Plain, build, one, read};
use super::*;

#[test]
fn markers_survive_the_round_trip() {
    for result in [TransactionResult::Abort, TransactionResult::Commit] {
        let marker = EndTransactionMarker {
            result,
            coordinator_epoch: 12,
        };
        let batch = one(&marker.build(4_000, 3, 1_234));
        let header = batch.header();
        assert_eq!(batch.verify_crc(), Ok(()));
        assert!(header.attributes.is_control() && header.attributes.is_transactional());
        assert_eq!((header.producer_id, header.producer_epoch), (4_000, 3));
        assert_eq!((header.base_sequence, header.record_count), (-1, 1));
        let record = &read(&batch)[0];
        assert_eq!(record.timestamp, 1_234);
        assert_eq!(EndTransactionMarker::parse(record), Ok(Some(marker)));
    }
}

#[test]
fn other_control_records_are_skipped_and_malformed_ones_refused() {
    let marker = |key: &[u8], value: &[u8]| {
        let record = Plain {
            timestamp: 0,
            key: Some(key.to_vec()),
            value: Some(value.to_vec()),
            headers: Vec::new(),
        };
        EndTransactionMarker::parse(&read(&one(&build(BatchOptions::default(), &[record])))[0])
    };
    let leader_change = marker(&[0, 0, 0, 2], &[]);
    assert_eq!(leader_change, Ok(None));
    let newer = marker(&[0, 1, 0, 1, 9], &[0, 1, 0, 0, 0, 5, 9]);
    assert_eq!(newer.unwrap().unwrap().coordinator_epoch, 5);
    for (key, value) in [
        (&[0, 0, 0][..], &[0, 0, 0, 0, 0, 0][..]),
        (&[0, 0, 0, 1], &[0, 0, 0, 0, 0]),
        (&[255, 255, 0, 1], &[0, 0, 0, 0, 0, 0]),
        (&[], &[]),
    ] {
        assert_eq!(marker(key, value), Err(RecordError::Control));
    }
}
