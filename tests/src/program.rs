//! A client's program while it runs: JSON lines in, JSON lines out.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::thread;

use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::broker::signal;
use crate::deadline::Deadline;
use crate::record::Consumed;

/// What a program says about what happened, one JSON object with one field for each line.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// A record of a partition.
    Record(Consumed),
    /// The broker acknowledged the record of this index.
    Ack(Ack),
    /// The client gave up on the record of this index.
    Failed { index: u64, error: String },
    /// The partitions that this member holds from now on.
    Assignment(Vec<i32>),
    /// The partitions that this member just gave back, from clients that tell them apart.
    Revoked(Vec<i32>),
    /// The next offsets of this member are committed.
    Committed(bool),
    /// The offsets of one partition.
    Offsets(Offsets),
    /// What the broker says of groups.
    Groups(Groups),
    /// A step of a program that checks its steps itself.
    Checked(String),
    /// A line of a program that prints for people.
    #[serde(skip)]
    Text(String),
}

/// An acknowledged record.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Ack {
    pub index: u64,
    pub partition: i32,
    pub offset: i64,
}

/// The offsets of a partition; `at` is that of the first record at or after the time asked for, -1 for none.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub struct Offsets {
    pub partition: i32,
    pub earliest: i64,
    pub latest: i64,
    pub at: i64,
}

/// The ids of all groups, and one group in detail.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Groups {
    pub listed: Vec<String>,
    pub group: String,
    pub state: String,
    /// The partitions of each member.
    pub members: Vec<Vec<i32>>,
}

/// A running program. Dropping it kills it.
pub struct Program {
    name: String,
    child: Child,
    /// What a thread writes to the program: a program that waits for a broker reads nothing, and must not stop
    /// the test that would start the broker.
    input: Option<Sender<String>>,
    lines: Receiver<Line>,
    errors: NamedTempFile,
}

impl Program {
    /// Starts `command`, with `name` for messages.
    pub fn start(name: &str, mut command: Command) -> Self {
        let errors = NamedTempFile::with_prefix("ottla-client-").expect("a temporary file");
        let log = File::options()
            .append(true)
            .open(errors.path())
            .expect("the temporary file");
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut stdin = child.stdin.take().expect("a piped stdin");
        let (input, unwritten) = channel::<String>();
        thread::spawn(move || {
            for text in unwritten {
                if stdin.write_all(text.as_bytes()).is_err() {
                    return;
                }
            }
        });
        let output = BufReader::new(child.stdout.take().expect("a piped stdout"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for text in output.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&text).unwrap_or(Line::Text(text));
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            name: name.to_string(),
            child,
            input: Some(input),
            lines,
            errors,
        }
    }

    /// Writes one line to the program and does not wait for it to be read.
    pub fn send(&mut self, line: &impl Serialize) {
        self.send_text(&serde_json::to_string(line).expect("a line of JSON"));
    }

    /// Writes one line to a program that does not read JSON.
    pub fn send_text(&mut self, line: &str) {
        let text = format!("{line}\n");
        // Fails only for a program that has ended; then reading from it tells why.
        let _ = self.input.as_ref().expect("an open stdin").send(text);
    }

    /// The next line, or `None` when the program has closed its output.
    pub fn next(&mut self, deadline: Deadline) -> Option<Line> {
        match self.lines.recv_timeout(deadline.left()) {
            Ok(Line::Failed { index, error }) => self.fail(&format!("record {index}: {error}")),
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => self.fail("says nothing more"),
        }
    }

    /// A line that is already there.
    pub fn try_next(&mut self) -> Option<Line> {
        match self.lines.try_recv() {
            Ok(line) => Some(line),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => self.fail("has ended"),
        }
    }

    /// Reads lines until `pick` takes one, and drops the others.
    pub fn wait_for<T>(&mut self, what: &str, mut pick: impl FnMut(Line) -> Option<T>) -> T {
        let deadline = Deadline::generous();
        loop {
            match self.next(deadline) {
                Some(line) => {
                    if let Some(found) = pick(line) {
                        return found;
                    }
                }
                None => self.fail(&format!("ended before {what}")),
            }
        }
    }

    /// The next `count` records; other lines are dropped.
    pub fn records(&mut self, count: usize) -> Vec<Consumed> {
        let what = format!("{count} records were read");
        (0..count)
            .map(|_| {
                self.wait_for(&what, |line| match line {
                    Line::Record(record) => Some(record),
                    _ => None,
                })
            })
            .collect()
    }

    /// The next `count` acknowledgements; other lines are dropped.
    pub fn acks(&mut self, count: usize) -> Vec<Ack> {
        let what = format!("{count} records were acknowledged");
        (0..count)
            .map(|_| {
                self.wait_for(&what, |line| match line {
                    Line::Ack(ack) => Some(ack),
                    _ => None,
                })
            })
            .collect()
    }

    /// Closes the input, which asks the program to end; returns the lines it still says, after it has ended well.
    pub fn finish(&mut self) -> Vec<Line> {
        self.input = None;
        let deadline = Deadline::generous();
        let mut rest = Vec::new();
        while let Some(line) = self.next(deadline) {
            rest.push(line);
        }
        self.expect_success();
        rest
    }

    /// Asks the program to end by SIGTERM, as a terminal or a supervisor would, and waits for its end.
    pub fn terminate(mut self) {
        signal(&self.child, Signal::TERM);
        let deadline = Deadline::generous();
        while self.next(deadline).is_some() {}
        self.child.wait().expect("the end of the program");
    }

    /// Kills the program without a warning.
    pub fn kill(mut self) {
        self.child.kill().expect("SIGKILL reaches the program");
    }

    fn expect_success(&mut self) {
        let status = Deadline::generous().poll(|| self.child.try_wait().expect("a status"));
        match status {
            Some(status) if status.success() => {}
            Some(status) => self.fail(&format!("ended with {status}")),
            None => self.fail("does not end"),
        }
    }

    fn fail(&mut self, what: &str) -> ! {
        let errors = fs::read_to_string(self.errors.path()).unwrap_or_default();
        let skipped = errors.lines().count().saturating_sub(40);
        let tail: Vec<&str> = errors.lines().skip(skipped).collect();
        panic!(
            "{} {what}; end of its stderr:\n{}",
            self.name,
            tail.join("\n")
        );
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
