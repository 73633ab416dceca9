//! Valid requests with damage done to them. Whatever comes, the broker answers or ends that one
//! connection, never panics, and takes no memory for what is only claimed.

use std::cell::Cell;
use std::sync::Once;

use ottla_protocol::{ApiKey, decode_response, encode_request};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::samples::sample;
use crate::support::{Server, Topic};

/// Bytes that the whole process may ever have held at once.
const MAX_RESIDENT: u64 = 1 << 30;

/// What is put over the bytes at every position: a length that lies by as much as it can, as a
/// four-byte number, as a compact one, or by just a little.
const LIES: [&[u8]; 4] = [
    &[0x7f, 0xff, 0xff, 0xff],
    &[0xff, 0xff, 0xff, 0xff, 0x0f],
    &[0xff],
    &[0x02],
];

thread_local! {
    static PANICS: Cell<u32> = const { Cell::new(0) };
}

/// Counts panics of this thread, on which the broker of a test runs too and where it catches them.
fn count_panics() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            PANICS.set(PANICS.get() + 1);
            before(info);
        }));
    });
    PANICS.set(0);
}

/// A broker with something to ask about.
async fn filled() -> (Server, Topic) {
    let server = Server::start().await;
    let mut client = server.connect().await;
    let topic = client.create_topic("t", 1).await;
    client
        .produce(9, &topic, crate::support::batch(&["a", "b"]))
        .await;
    (server, topic)
}

/// The sample of `key` in `version` as a frame without its length.
fn encoded(key: ApiKey, version: i16, topic: &Topic) -> Vec<u8> {
    let request = sample(key, topic).unwrap_or_else(|| panic!("{key:?} has no sample"));
    let frame = encode_request(&request, version, 7, None).unwrap();
    frame.into_bytes()[4..].to_vec()
}

/// Sends a frame on a connection of its own and reads all that comes back. The client's end of
/// the connection ends whatever would wait.
async fn endure(server: &Server, frame: &[u8]) {
    let mut client = server.connect().await;
    client.send_frame(frame).await;
    client.finish().await;
    while client.frame().await.is_some() {}
    assert_eq!(PANICS.get(), 0, "the broker panicked over {frame:02x?}");
}

/// The most memory that this process ever had, where the system tells.
fn peak_resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes << 10)
}

fn assert_memory_sane() {
    if let Some(peak) = peak_resident() {
        assert!(peak < MAX_RESIDENT, "{} MiB", peak >> 20);
    }
}

fn served() -> impl Iterator<Item = ApiKey> {
    ApiKey::ALL.iter().copied().filter(|key| key.api().served)
}

#[tokio::test]
async fn every_sample_is_valid_in_every_version() {
    let (server, topic) = filled().await;
    for key in served() {
        for version in key.api().versions() {
            let mut client = server.connect().await;
            client.send_frame(&encoded(key, version, &topic)).await;
            let frame = client
                .frame()
                .await
                .unwrap_or_else(|| panic!("{key:?} v{version}"));
            decode_response(key, version, frame).unwrap();
        }
    }
}

#[tokio::test]
async fn a_lie_at_any_position_of_any_request_in_any_version_is_survived() {
    count_panics();
    for key in served() {
        let (server, topic) = filled().await;
        for version in key.api().versions() {
            let whole = encoded(key, version, &topic);
            for at in 8..whole.len() {
                for lie in LIES {
                    let mut frame = whole.clone();
                    let end = frame.len().min(at + lie.len());
                    frame[at..end].copy_from_slice(&lie[..end - at]);
                    endure(&server, &frame).await;
                }
            }
        }
        server.assert_alive().await;
    }
    assert_memory_sane();
}

#[tokio::test]
async fn a_request_cut_off_at_any_position_is_survived() {
    count_panics();
    let (server, topic) = filled().await;
    for key in served() {
        let version = key.api().max;
        let whole = encoded(key, version, &topic);
        for len in 1..whole.len() {
            endure(&server, &whole[..len]).await;
        }
    }
    server.assert_alive().await;
    assert_memory_sane();
}

/// What happens to a valid request on its way.
#[derive(Debug, Clone)]
enum Damage {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Repeat(prop::sample::Index, usize),
}

impl Damage {
    fn any() -> impl Strategy<Value = Self> {
        let index = any::<prop::sample::Index>;
        prop_oneof![
            (index(), any::<u8>()).prop_map(|(at, byte)| Self::Set(at, byte)),
            (index(), any::<u8>()).prop_map(|(at, byte)| Self::Insert(at, byte)),
            index().prop_map(Self::Remove),
            (index(), 1_usize..2_000).prop_map(|(at, count)| Self::Repeat(at, count)),
        ]
    }

    fn apply(&self, frame: &mut Vec<u8>) {
        match self {
            _ if frame.is_empty() => {}
            Self::Set(at, byte) => {
                let at = at.index(frame.len());
                frame[at] = *byte;
            }
            Self::Insert(at, byte) => frame.insert(at.index(frame.len()), *byte),
            Self::Remove(at) => {
                frame.remove(at.index(frame.len()));
            }
            Self::Repeat(at, count) => {
                let at = at.index(frame.len());
                let byte = frame[at];
                frame.splice(at..at, std::iter::repeat_n(byte, *count));
            }
        }
    }
}

#[test]
fn damaged_requests_end_their_own_connection_at_worst() {
    count_panics();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (server, topic) = runtime.block_on(filled());
    let keys: Vec<ApiKey> = served().collect();
    let damage = prop::collection::vec(Damage::any(), 1..6);
    let strategy = (
        prop::sample::select(keys),
        any::<prop::sample::Index>(),
        damage,
    );
    let config = Config {
        failure_persistence: None,
        cases: 1_500,
        ..Config::default()
    };
    let run = TestRunner::new(config).run(&strategy, |(key, version, damage)| {
        let versions: Vec<i16> = key.api().versions().collect();
        let mut frame = encoded(key, versions[version.index(versions.len())], &topic);
        damage.iter().for_each(|damage| damage.apply(&mut frame));
        if !frame.is_empty() {
            runtime.block_on(endure(&server, &frame));
        }
        Ok(())
    });
    run.unwrap();
    runtime.block_on(server.assert_alive());
    assert_memory_sane();
}

#[tokio::test]
async fn random_bytes_are_survived() {
    count_panics();
    let (server, _) = filled().await;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for len in 1..400 {
        let mut frame = Vec::with_capacity(len);
        while frame.len() < len {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            frame.push(state.to_be_bytes()[0]);
        }
        endure(&server, &frame).await;
    }
    server.assert_alive().await;
}
