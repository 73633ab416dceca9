//! The 21 bytes of a batch that its checksum does not cover: what notices a bit that is turned over
//! there, and that a repair loses nothing. The evidence for having no checksum of whole segments.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use ottla_protocol::record::BatchHeader;

use crate::archive::read;
use crate::flips::{Harm, Outcome, Subject};
use crate::golden::{DIR, Size};

const FIELDS: [(&str, Range<usize>); 5] = [
    ("base offset", 0..8),
    ("length", 8..12),
    ("leader epoch", 12..16),
    ("magic", 16..17),
    ("crc", 17..21),
];

/// Where the batches of a segment start.
fn batches(bytes: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut found = Vec::new();
    while let Some(header) = bytes
        .get(at..)
        .and_then(|rest| BatchHeader::decode(rest).ok())
    {
        found.push(at);
        at += header.size();
    }
    found
}

#[test]
fn every_bit_in_front_of_what_the_checksum_covers_is_noticed() {
    let subject = Subject::new(Size::Small, true);
    let path = Path::new(DIR).join("orders-0/00000000000000000000.log");
    let starts = batches(&read(&subject.disk(), &path));
    let mut table: BTreeMap<(&str, Outcome), usize> = BTreeMap::new();
    let middle = starts.len() / 2;
    // The records of the first batches are deleted: nobody can ask for them.
    let chosen = [starts[2], starts[middle], starts[starts.len() - 1]];
    for start in chosen {
        for (field, bytes) in FIELDS {
            for bit in bytes.start * 8..bytes.end * 8 {
                let harm = Harm::Flip(start * 8 + bit);
                let outcome = subject.suffer(&path, harm).unwrap();
                *table.entry((field, outcome)).or_default() += 1;
            }
        }
    }
    for ((field, outcome), count) in &table {
        eprintln!("{field}: {count} {outcome:?}");
    }
    let unnoticed = |(_, outcome): &(&str, Outcome)| *outcome == Outcome::Unharmed;
    assert!(!table.keys().any(unnoticed), "{table:?}");
}
