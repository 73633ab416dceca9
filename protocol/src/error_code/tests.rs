use super::*;

#[test]
fn every_code_survives_a_round_trip() {
    for code in i16::MIN..=i16::MAX {
        assert_eq!(ErrorCode::from(code).code(), code);
    }
}

#[test]
fn named_codes_rise_without_gaps_from_minus_one() {
    for (code, error) in (-1_i16..).zip(ErrorCode::NAMED) {
        assert_eq!(error.code(), code);
        assert!(!matches!(ErrorCode::from(code), ErrorCode::Unrecognized(_)));
    }
}

#[test]
fn retriable_errors_are_those_of_kafka() {
    for retriable in [
        ErrorCode::NotLeaderOrFollower,
        ErrorCode::CoordinatorLoadInProgress,
    ] {
        assert!(retriable.is_retriable());
    }
    for fatal in [
        ErrorCode::None,
        ErrorCode::ProducerFenced,
        ErrorCode::Unrecognized(9999),
    ] {
        assert!(!fatal.is_retriable());
    }
}

#[test]
fn errors_show_their_name_and_number() {
    assert_eq!(
        ErrorCode::IllegalGeneration.to_string(),
        "ILLEGAL_GENERATION (22)"
    );
    assert_eq!(ErrorCode::from(9999).to_string(), "UNRECOGNIZED (9999)");
}
