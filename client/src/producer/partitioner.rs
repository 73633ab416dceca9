//! Pure. Which partition a record goes to.
//!
//! With a key, its hash decides, by Java's rule or by librdkafka's. Without, records stick to one
//! partition for `batch.size` bytes; the next one is drawn at random, and the longer a partition's
//! queue the less likely (KIP-794).

use crate::config::KeyHash;

/// The partition of a key among `count`.
pub(super) fn of_key(hash: KeyHash, key: &[u8], count: usize) -> usize {
    let hash = match hash {
        KeyHash::Murmur2 => murmur2(key) & i32::MAX.cast_unsigned(),
        KeyHash::Crc32 => crc32fast::hash(key),
    };
    usize::try_from(hash).unwrap_or(0) % count.max(1)
}

/// The 32-bit murmur2 hash as Kafka computes it.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    let length = u32::try_from(data.len() & 0xffff_ffff).unwrap_or(0);
    let mut h = SEED ^ length;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word);
        k = k.wrapping_mul(M);
        k ^= k >> 24;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    if !tail.is_empty() {
        for (byte, shift) in tail.iter().zip([0, 8, 16]) {
            h ^= u32::from(*byte) << shift;
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

/// Where the records of a topic without keys go for now.
#[derive(Debug, Default)]
pub(super) struct Sticky {
    partition: Option<usize>,
    bytes: usize,
}

impl Sticky {
    /// The partition for a record of `size` bytes. `queues` has the length of each partition's
    /// queue, or none for a partition without leader; it is asked for only when the partition
    /// changes.
    pub(super) fn next(
        &mut self,
        size: usize,
        batch_size: usize,
        count: usize,
        queues: impl FnOnce() -> Vec<Option<usize>>,
        random: impl FnOnce() -> u64,
    ) -> usize {
        let current = self
            .partition
            .filter(|p| *p < count && self.bytes < batch_size.max(1));
        let partition = current.unwrap_or_else(|| {
            self.bytes = 0;
            draw(&queues(), random())
        });
        self.partition = Some(partition);
        self.bytes = self.bytes.saturating_add(size);
        partition
    }
}

/// Draws a partition. One whose queue is empty is as many times likelier than the one with the
/// longest as that is long, plus one. Partitions without leader are drawn only if there are no
/// others.
fn draw(queues: &[Option<usize>], random: u64) -> usize {
    let longest = queues.iter().flatten().max().copied();
    let weight = |queue: &Option<usize>| match (longest, queue) {
        (Some(longest), Some(queue)) => u64::try_from(longest - queue).unwrap_or(0) + 1,
        (Some(_), None) => 0,
        (None, _) => 1,
    };
    let total: u64 = queues.iter().map(weight).sum();
    let mut left = random % total.max(1);
    for (partition, queue) in queues.iter().enumerate() {
        let weight = weight(queue);
        if left < weight {
            return partition;
        }
        left -= weight;
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_the_java_client() {
        // Values from the tests of Kafka's `Utils.murmur2`.
        let cases: [(&[u8], i32); 6] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (
                b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            (b"abc", 479_470_107),
        ];
        for (key, hash) in cases {
            assert_eq!(murmur2(key).cast_signed(), hash, "{key:?}");
        }
    }

    #[test]
    fn keys_hash_as_in_librdkafka_on_request() {
        // The check value of CRC-32.
        assert_eq!(
            of_key(KeyHash::Crc32, b"123456789", 1000),
            0xcbf4_3926 % 1000
        );
        assert_eq!(of_key(KeyHash::Crc32, b"", 1000), 0);
    }

    #[test]
    fn keyless_records_stick_to_a_partition_for_a_batch() {
        let mut sticky = Sticky::default();
        let mut seed = 0;
        let mut next = || {
            sticky.next(
                100,
                1000,
                3,
                || vec![Some(0); 3],
                || {
                    seed += 1;
                    seed
                },
            )
        };
        let partitions: Vec<usize> = (0..30).map(|_| next()).collect();
        for run in partitions.chunks(10) {
            assert!(run.iter().all(|p| *p == run[0]), "{partitions:?}");
        }
        assert_ne!(partitions[0], partitions[10]);
    }

    #[test]
    fn a_long_queue_is_drawn_less_often() {
        let queues = [Some(0), Some(9)];
        let draws = (0..1100)
            .filter(|random| draw(&queues, *random) == 1)
            .count();
        assert_eq!(draws, 100);
    }

    #[test]
    fn a_partition_without_leader_is_passed_over_unless_all_are() {
        assert!((0..100).all(|random| draw(&[None, Some(3)], random) == 1));
        let both = [None, None];
        assert!((0..2).any(|random| draw(&both, random) == 1));
        assert!((0..2).any(|random| draw(&both, random) == 0));
    }

    #[test]
    fn a_partition_that_is_gone_is_left() {
        let mut sticky = Sticky {
            partition: Some(7),
            bytes: 0,
        };
        assert!(sticky.next(1, 1000, 3, || vec![Some(0); 3], || 1) < 3);
    }
}
