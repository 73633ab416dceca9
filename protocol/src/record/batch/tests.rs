use super::*;

fn header() -> BatchHeader {
    BatchHeader {
        base_offset: 7,
        batch_length: 49,
        partition_leader_epoch: 3,
        crc: 0,
        attributes: Attributes::default().with_compression(Compression::Lz4),
        last_offset_delta: 4,
        base_timestamp: 1_000,
        max_timestamp: 2_000,
        producer_id: 9,
        producer_epoch: 1,
        base_sequence: i32::MAX - 1,
        record_count: 5,
    }
}

#[test]
fn a_header_survives_the_round_trip() {
    let header = header();
    assert_eq!(BatchHeader::decode(&header.encode()), Ok(header));
}

#[test]
fn sequences_wrap_to_zero() {
    assert_eq!(header().last_sequence(), 2);
}

#[test]
fn a_flipped_bit_behind_the_crc_is_seen() {
    let mut header = header();
    header.crc = header.compute_crc(&[]);
    let mut bytes = header.encode();
    assert_eq!(header.verify_crc(&bytes), Ok(()));
    bytes[30] ^= 1;
    assert_eq!(header.verify_crc(&bytes), Err(HeaderError::Crc));
}

#[test]
fn an_old_message_set_is_named_even_when_it_is_shorter_than_a_v2_head() {
    let mut bytes = [0_u8; 34];
    bytes[16] = 1;
    assert_eq!(BatchHeader::decode(&bytes), Err(HeaderError::Magic(1)));
    bytes[16] = 2;
    assert_eq!(BatchHeader::decode(&bytes), Err(HeaderError::Truncated));
}
