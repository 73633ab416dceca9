//! kcat: librdkafka as shells use it. It has a command line of its own, so its tests stand apart.

use std::fs;
use std::process::Command;

use ottla_tests::client::KCAT;
use ottla_tests::{Broker, Deadline, Line, Program};
use tempfile::TempDir;

use crate::scenarios::unique;

fn start(broker: &Broker, arguments: &[&str]) -> Program {
    let mut command = KCAT.command();
    command.args(["-b", broker.bootstrap()]).args(arguments);
    Program::start("kcat", command)
}

/// Runs kcat with `input` on stdin and returns what it prints.
fn run(broker: &Broker, arguments: &[&str], input: &[&str]) -> Vec<String> {
    let mut program = start(broker, arguments);
    for line in input {
        program.send_text(line);
    }
    program.finish().into_iter().filter_map(text).collect()
}

fn text(line: Line) -> Option<String> {
    if let Line::Text(text) = line {
        Some(text)
    } else {
        None
    }
}

#[test]
fn every_codec_returns_keys_values_nulls_and_headers() {
    if !KCAT.is_here() {
        return;
    }
    let broker = Broker::start();
    for codec in KCAT.codecs {
        let topic = unique(&KCAT, codec);
        let produce = [
            "-P",
            "-t",
            &topic,
            "-z",
            codec,
            "-K:",
            "-Z",
            "-H",
            "from=kcat",
            "-X",
            "enable.idempotence=true",
        ];
        run(
            &broker,
            &produce,
            &["one:first", ":no key", "null:", "zwei:größe"],
        );
        // Key and value with their lengths: -1 is null.
        let format = "%p %o %K:%k %S:%s %h\\n";
        let printed = run(
            &broker,
            &[
                "-C",
                "-t",
                &topic,
                "-o",
                "beginning",
                "-c",
                "4",
                "-e",
                "-f",
                format,
            ],
            &[],
        );
        assert_eq!(
            printed,
            [
                "0 0 3:one 5:first from=kcat",
                "0 1 -1: 6:no key from=kcat",
                "0 2 4:null -1: from=kcat",
                "0 3 4:zwei 7:größe from=kcat",
            ],
            "{codec}"
        );
    }
}

#[test]
fn a_file_of_nearly_the_greatest_size_is_one_record() {
    if !KCAT.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&KCAT, "file");
    let directory = TempDir::new().expect("a temporary directory");
    let path = directory.path().join("record");
    // Every byte but the newline, which ends lines of what kcat prints.
    let bytes: Vec<u8> = (0..=255)
        .filter(|byte| *byte != b'\n')
        .cycle()
        .take(1_000_000)
        .collect();
    fs::write(&path, &bytes).expect("the file is written");
    let path = path.to_str().expect("a path in UTF-8");
    run(
        &broker,
        &["-P", "-t", &topic, "-X", "message.max.bytes=1048588", path],
        &[],
    );

    let mut command: Command = KCAT.command();
    command.args([
        "-b",
        broker.bootstrap(),
        "-C",
        "-q",
        "-t",
        &topic,
        "-o",
        "beginning",
        "-c",
        "1",
        "-f",
        "%s",
    ]);
    let output = command.output().expect("kcat runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        output.stdout == bytes,
        "{} other bytes",
        output.stdout.len()
    );
}

#[test]
fn a_group_continues_where_it_stopped() {
    if !KCAT.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&KCAT, "continued");
    let group = format!("{topic}-group");
    // -c ends kcat after so many records; leaving the group commits.
    let consume = [
        "-X",
        "auto.offset.reset=earliest",
        "-c",
        "2",
        "-G",
        &group,
        &topic,
    ];
    run(&broker, &["-P", "-t", &topic], &["one", "two"]);
    assert_eq!(run(&broker, &consume, &[]), ["one", "two"]);
    run(&broker, &["-P", "-t", &topic], &["three", "four"]);
    assert_eq!(run(&broker, &consume, &[]), ["three", "four"]);
}

#[test]
fn metadata_and_offsets_by_timestamp_are_printed() {
    if !KCAT.is_here() {
        return;
    }
    let broker = Broker::start();
    let topic = unique(&KCAT, "queried");
    run(&broker, &["-P", "-t", &topic], &["one", "two"]);
    let listed = run(&broker, &["-L", "-t", &topic], &[]);
    assert!(
        listed
            .iter()
            .any(|line| line.contains(&format!("topic \"{topic}\" with 1 partitions"))),
        "{listed:?}"
    );
    let offset = |timestamp: &str| {
        run(
            &broker,
            &["-Q", "-t", &format!("{topic}:0:{timestamp}")],
            &[],
        )
        .join("\n")
    };
    assert_eq!(offset("1"), format!("{topic} [0] offset 0"));
    assert_eq!(offset("-1"), format!("{topic} [0] offset 2"));
}

#[test]
fn a_follower_goes_on_when_the_broker_restarts() {
    if !KCAT.is_here() {
        return;
    }
    let Some(mut broker) = Broker::start_restartable("kcat") else {
        return;
    };
    let topic = unique(&KCAT, "followed");
    run(&broker, &["-P", "-t", &topic], &["before"]);
    let mut follower = start(
        &broker,
        &["-C", "-E", "-u", "-t", &topic, "-o", "beginning"],
    );
    let mut next = || loop {
        let line = follower.next(Deadline::generous()).expect("kcat goes on");
        if let Some(text) = text(line) {
            return text;
        }
    };
    assert_eq!(next(), "before");
    broker.stop();
    broker.start_again();
    run(&broker, &["-P", "-t", &topic], &["after"]);
    assert_eq!(next(), "after");
}
