//! A batch under another codec, for topics whose `compression.type` is not the producer's.
//!
//! Pure. The records stay the same bytes; only what stands around them changes.

use bytes::Bytes;

use super::batch::{BatchHeader, Compression, HEADER_LEN};
use super::compression::{CompressionError, Compressor, Limits, decompress};
use super::error::RecordError;
use super::view::RecordBatch;

impl RecordBatch {
    /// This batch with its records as `compressor` compresses them.
    ///
    /// # Errors
    /// [`RecordError::Compression`] when the records cannot be decompressed within `limits` or the
    /// codec fails, [`RecordError::Header`] for an unknown codec.
    pub fn recompress(
        &self,
        compressor: &mut Compressor,
        limits: &Limits,
    ) -> Result<Self, RecordError> {
        let before = self.header();
        let body = self.body();
        let records = match before.attributes.compression()? {
            // Compressed, it could not be read again.
            Compression::None if body.len() > limits.max_decompressed => {
                let limit = limits.max_decompressed;
                return Err(CompressionError::TooLarge { limit }.into());
            }
            Compression::None => body,
            compression => Bytes::from(decompress(compression, &body, limits)?),
        };
        let mut bytes = vec![0; HEADER_LEN];
        compressor.compress(&records, &mut bytes)?;
        let body = bytes.get(HEADER_LEN..).unwrap_or_default();
        let growth = i64::try_from(body.len()).unwrap_or(i64::MAX)
            - i64::try_from(self.body().len()).unwrap_or(i64::MAX);
        let length = i64::from(before.batch_length).saturating_add(growth);
        let mut header = BatchHeader {
            batch_length: i32::try_from(length).unwrap_or(i32::MAX),
            attributes: before.attributes.with_compression(compressor.compression()),
            ..*before
        };
        header.crc = header.compute_crc(body);
        if let Some(head) = bytes.first_chunk_mut::<HEADER_LEN>() {
            *head = header.encode();
        }
        Self::parse(bytes.into()).map(|(batch, _)| batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, BatchOptions};
    use proptest::prelude::*;

    const CODECS: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    #[test]
    fn a_batch_that_is_recompressed_beyond_the_ratio_is_read_as_stored() {
        let mut builder = BatchBuilder::new(BatchOptions {
            compression: Compression::Lz4,
            max_size: 4 << 20,
            ..BatchOptions::default()
        })
        .unwrap();
        let value = vec![b'v'; 2_400_000];
        builder.append(0, Some(b"key"), Some(&value), &[]).unwrap();
        let (batch, _) = RecordBatch::parse(builder.build().unwrap()).unwrap();
        let accepted = Limits {
            max_ratio: 300,
            ratio_free: 1 << 20,
            ..Limits::default()
        };
        let mut zstd = Compressor::new(Compression::Zstd, None).unwrap();
        let stored = batch.recompress(&mut zstd, &accepted).unwrap();
        assert!(stored.records(&accepted).is_err());
        let record = stored.records(&Limits::stored()).unwrap().next();
        assert_eq!(record.unwrap().unwrap().value.unwrap(), value);
    }

    #[test]
    fn what_could_not_be_read_again_is_not_compressed() {
        let mut builder = BatchBuilder::new(BatchOptions::default()).unwrap();
        builder.append(0, None, Some(&[0; 1000]), &[]).unwrap();
        let (batch, _) = RecordBatch::parse(builder.build().unwrap()).unwrap();
        let limits = Limits {
            max_decompressed: 1000,
            ..Limits::default()
        };
        let mut zstd = Compressor::new(Compression::Zstd, None).unwrap();
        let limit = 1000;
        assert_eq!(
            batch.recompress(&mut zstd, &limits),
            Err(CompressionError::TooLarge { limit }.into())
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn records_are_the_same_under_every_codec(
            values in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..20),
            from in 0_usize..5,
        ) {
            let options = BatchOptions { compression: CODECS[from], ..BatchOptions::default() };
            let mut builder = BatchBuilder::new(options).unwrap();
            for (at, value) in (0_i64..).zip(&values) {
                builder.append(at, Some(b"key"), Some(value), &[]).unwrap();
            }
            let (batch, _) = RecordBatch::parse(builder.build().unwrap()).unwrap();
            let limits = Limits::default();
            let records = |batch: &RecordBatch| -> Vec<_> {
                batch.records(&limits).unwrap().map(Result::unwrap).collect()
            };
            for to in CODECS {
                let mut compressor = Compressor::new(to, None).unwrap();
                let other = batch.recompress(&mut compressor, &limits).unwrap();
                other.verify_crc().unwrap();
                prop_assert_eq!(other.header().attributes.compression(), Ok(to));
                prop_assert_eq!(other.bytes().len(), other.header().size());
                prop_assert_eq!(records(&other), records(&batch));
            }
        }
    }
}
