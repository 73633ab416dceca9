//! Signals: the first one drains, the second one does not wait.

use std::path::Path;
use std::thread;

use ottla_tests::serving::{Serving, serve};
use rustix::process::Signal;
use tempfile::TempDir;

const MARKER: &str = "clean-shutdown";

fn is_marked(data: &Path) -> bool {
    data.join(MARKER).exists()
}

#[test]
fn either_signal_stops_the_broker_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let data = TempDir::with_prefix("ottla-stop-").expect("a temporary directory");
        let mut broker = Serving::start(serve(data.path()));
        assert!(!is_marked(data.path()));
        broker.signal(signal);
        assert_eq!(broker.wait(), Some(0));
        assert!(is_marked(data.path()));
    }
}

/// Once, one in thirty waited for ever for producer ids that it had just asked for.
#[test]
fn a_broker_that_is_stopped_as_soon_as_it_listens_ends() {
    let start_and_stop = || {
        let data = TempDir::with_prefix("ottla-stop-").expect("a temporary directory");
        let mut broker = Serving::start(serve(data.path()));
        broker.signal(Signal::TERM);
        assert_eq!(broker.wait(), Some(0));
    };
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..25).for_each(|_| start_and_stop()));
        }
    });
}

#[test]
fn a_second_signal_ends_the_broker_at_once() {
    let data = TempDir::with_prefix("ottla-stop-").expect("a temporary directory");
    let mut broker = Serving::start(serve(data.path()));
    // Both reach it at the same moment.
    broker.signal(Signal::STOP);
    broker.signal(Signal::TERM);
    broker.signal(Signal::INT);
    broker.signal(Signal::CONT);
    let code = broker.wait().expect("an exit of its own");
    let second = [Signal::TERM, Signal::INT].map(|signal| 128 + signal.as_raw());
    assert!(second.contains(&code), "{code}");
    assert!(!is_marked(data.path()));
    Serving::start(serve(data.path()));
}
