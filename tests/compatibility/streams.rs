//! Kafka Streams' word count with `exactly_once_v2`.

use std::collections::BTreeMap;

use ottla_tests::client::JAVA;
use ottla_tests::record::Bytes;
use ottla_tests::wire::Connection;
use ottla_tests::{Broker, Line, Program};
use tempfile::TempDir;

const LINES: [&str; 3] = [
    "all streams lead to ottla",
    "hello kafka streams",
    "join ottla summit",
];
/// Words of all lines.
const WORDS: usize = 11;

struct Counter {
    broker: Broker,
    state: TempDir,
}

impl Counter {
    /// The application, once it runs.
    fn start(&self) -> Program {
        let state = self.state.path().to_str().expect("a path of text");
        let arguments = ["--topic", "lines", "--output", "counts", "--state", state];
        let mut program = JAVA.run(&self.broker, "word-count", &arguments);
        program.wait_for("it runs", |line| {
            matches!(line, Line::Checked(_)).then_some(())
        });
        program
    }

    fn send(&self, rounds: usize) {
        let mut connection = Connection::open(self.broker.bootstrap());
        for line in LINES.iter().cycle().take(rounds * LINES.len()) {
            let partition = i32::from(line.len() % 2 == 0);
            let sent = connection.produce("lines", partition, line.as_bytes());
            sent.expect("an acknowledgement");
        }
    }

    /// The counts of each word in order, after so many rounds of lines.
    fn counts(&self, rounds: usize) -> BTreeMap<String, Vec<u64>> {
        let count = (rounds * WORDS).to_string();
        let committed = ["--set", "isolation.level=read_committed"];
        let arguments = [&["--topic", "counts", "--count", &count], &committed[..]].concat();
        let mut counts: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for line in JAVA.run(&self.broker, "consume", &arguments).finish() {
            let Line::Record(record) = line else { continue };
            let text =
                |bytes: Bytes| String::from_utf8(bytes.0.expect("not null")).expect("a text");
            let count = text(record.record.value).parse().expect("a number");
            counts
                .entry(text(record.record.key))
                .or_default()
                .push(count);
        }
        counts
    }
}

#[test]
fn every_word_is_counted_once_through_a_kill_of_the_application_and_a_restart_of_the_broker() {
    if !JAVA.is_here() {
        return;
    }
    let mut counter = Counter {
        broker: Broker::start_own(&[]),
        state: TempDir::with_prefix("ottla-streams-").expect("a temporary directory"),
    };
    JAVA.create_topic(&counter.broker, "lines", 2);
    JAVA.create_topic(&counter.broker, "counts", 2);

    let running = counter.start();
    counter.send(20);
    counter.counts(10);
    running.kill();
    counter.send(20);
    let mut running = counter.start();
    counter.counts(40);
    counter.broker.stop();
    counter.broker.start_again();
    counter.send(20);

    let counts = counter.counts(60);
    assert_eq!(counts.len(), 9, "words: {counts:?}");
    for (word, counts) in counts {
        let per_round = LINES
            .iter()
            .flat_map(|line| line.split(' '))
            .filter(|one| *one == word);
        let last = 60 * u64::try_from(per_round.count()).expect("few");
        assert_eq!(counts, Vec::from_iter(1..=last), "{word}");
    }
    running.finish();
}
