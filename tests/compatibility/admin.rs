//! Every call of Java's admin client, against what Apache Kafka answers.

use std::collections::BTreeMap;
use std::fs;

use ottla_tests::client::JAVA;
use ottla_tests::{Broker, Line, workspace};

/// What a call answers, by the name of the call.
type Answers = BTreeMap<String, String>;

fn answers<'a>(lines: impl Iterator<Item = &'a str>) -> Answers {
    let answers: Vec<(&str, &str)> = lines
        .map(|line| line.split_once(": ").expect("a call and its answer"))
        .collect();
    let count = answers.len();
    let own = |(call, answer): (&str, &str)| (call.to_string(), answer.to_string());
    let answers: Answers = answers.into_iter().map(own).collect();
    assert_eq!(answers.len(), count, "each call has its own name");
    answers
}

fn read(file: &str) -> String {
    let path = workspace().join("tests/compatibility").join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the table of differences: call, Kafka's answer, Ottla's.
fn differences(page: &str) -> Vec<[String; 3]> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    rows.skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 6, "{row}");
            assert!(!cells[4].is_empty(), "a reason: {row}");
            [cells[1], cells[2], cells[3]].map(|cell| cell.trim_matches('`').to_string())
        })
        .collect()
}

#[test]
fn the_admin_client_gets_the_answers_of_apache_kafka_but_for_the_listed_differences() {
    if !JAVA.is_here() {
        return;
    }
    let mut expected = answers(read("apache-kafka/admin.txt").lines());
    for [call, kafka, ottla] in differences(&read("differences.md")) {
        let was = expected.insert(call.clone(), ottla);
        assert_eq!(was, Some(kafka), "what is recorded of {call}");
    }

    let broker = Broker::start_own(&[]);
    let lines = JAVA.run(&broker, "admin", &[]).finish();
    let texts: Vec<String> = lines
        .into_iter()
        .map(|line| match line {
            Line::Text(text) => text,
            other => panic!("not an answer: {other:?}"),
        })
        .collect();
    let seen = answers(texts.iter().map(String::as_str));
    let calls: Vec<&String> = expected.keys().chain(seen.keys()).collect();
    let wrong: Vec<String> = calls
        .into_iter()
        .filter(|call| expected.get(*call) != seen.get(*call))
        .map(|call| {
            format!(
                "{call}: {:?} instead of {:?}",
                seen.get(call),
                expected.get(call)
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
