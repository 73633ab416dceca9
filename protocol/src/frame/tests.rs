use super::*;

#[test]
fn lengths_that_no_frame_has_are_refused() {
    assert!(matches!(
        frame_len(0_i32.to_be_bytes(), 10),
        Err(FrameError::Length(0))
    ));
    assert!(matches!(
        frame_len([0xff; 4], 10),
        Err(FrameError::Length(-1))
    ));
    assert!(matches!(
        frame_len(11_i32.to_be_bytes(), 10),
        Err(FrameError::TooLong { len: 11, limit: 10 })
    ));
    assert_eq!(frame_len(10_i32.to_be_bytes(), 10).unwrap(), 10);
}

#[cfg(feature = "codec")]
mod codec {
    use bytes::{Bytes, BytesMut};
    use tokio_util::codec::{Decoder, Encoder};

    use super::super::*;
    use crate::primitive::Frame;

    const LIMITS: FrameLimits = FrameLimits {
        produce: 100_000_000,
        other: 1_000,
    };

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let mut codec = FrameCodec::new(LIMITS);
        let mut stream = BytesMut::new();
        for payload in [&b"metadata"[..], b"heartbeat"] {
            let frame = Frame::build(|writer| writer.put(payload)).unwrap();
            codec.encode(frame, &mut stream).unwrap();
        }
        let mut arrived = BytesMut::new();
        let mut frames = Vec::new();
        for byte in stream {
            arrived.extend_from_slice(&[byte]);
            frames.extend(codec.decode(&mut arrived).unwrap());
        }
        assert_eq!(
            frames,
            [
                Bytes::from_static(b"metadata"),
                Bytes::from_static(b"heartbeat")
            ]
        );
        assert!(arrived.is_empty());
    }

    #[test]
    fn only_produce_may_exceed_the_common_limit() {
        let mut codec = FrameCodec::new(LIMITS);
        let mut begun = BytesMut::from(&[0, 1, 0, 0][..]);
        assert!(
            codec.decode(&mut begun).unwrap().is_none(),
            "the key has not arrived"
        );
        begun.extend_from_slice(&[0, 0]);
        assert!(codec.decode(&mut begun).unwrap().is_none());

        let mut begun = BytesMut::from(&[0, 1, 0, 0, 0, 1][..]);
        assert!(matches!(
            codec.decode(&mut begun),
            Err(FrameError::TooLong { .. })
        ));
        let mut begun = BytesMut::from(&[0x7f, 0, 0, 0][..]);
        assert!(matches!(
            codec.decode(&mut begun),
            Err(FrameError::TooLong { .. })
        ));

        codec.set_limits(FrameLimits::uniform(1_000));
        let mut begun = BytesMut::from(&[0, 1, 0, 0][..]);
        assert!(matches!(
            codec.decode(&mut begun),
            Err(FrameError::TooLong { .. })
        ));
    }

    #[test]
    fn the_buffer_grows_with_what_arrives() {
        let mut codec = FrameCodec::new(LIMITS);
        let mut buffer = BytesMut::new();
        buffer.extend_from_slice(&90_000_000_i32.to_be_bytes());
        buffer.extend_from_slice(&[0, 0]);
        assert!(codec.decode(&mut buffer).unwrap().is_none());
        assert!(buffer.capacity() < 64 * 1024, "{}", buffer.capacity());
        buffer.extend_from_slice(&vec![0; 500_000]);
        assert!(codec.decode(&mut buffer).unwrap().is_none());
        assert!(buffer.capacity() < 2_100_000, "{}", buffer.capacity());
    }
}
