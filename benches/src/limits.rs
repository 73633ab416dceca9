//! What the machine can do at the most, measured beside the rest: small probes of one thing each.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::time::Instant;

use anyhow::Result;
use ottla_tests::workspace;

use crate::process::{BROKER_CORE, CLIENT_CORE, pinned, run};

/// Name, value and unit.
pub type Found = (String, f64, String);

const MIB: usize = 1 << 20;

/// Bytes through the loopback device.
const TCP_BYTES: usize = 4 << 30;

/// Bytes of the file that is written.
const FILE_BYTES: usize = 256 * MIB;

/// Measures all limits.
///
/// # Errors
/// As the operating system.
pub fn all() -> Result<Vec<Found>> {
    let program = std::env::current_exe()?;
    let mut tcp = pinned(CLIENT_CORE, &program);
    tcp.arg("tcp-read");
    let mut others = pinned(BROKER_CORE, &program);
    others.arg("local-limits");
    let mut found: Vec<Found> = serde_json::from_str(run(others)?.output.trim())?;
    found.push(serde_json::from_str(run(tcp)?.output.trim())?);
    Ok(found)
}

/// Reads from a writer on the broker's core.
///
/// # Errors
/// As the operating system.
pub fn tcp_read() -> Result<Found> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut writer = pinned(BROKER_CORE, &std::env::current_exe()?);
    writer.args(["tcp-write", &listener.local_addr()?.to_string()]);
    let mut writer = writer.spawn()?;
    let (mut stream, _) = listener.accept()?;
    let mut buffer = vec![0; MIB];
    stream.read_exact(&mut buffer)?;
    let (start, mut total) = (Instant::now(), 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            read => total += read,
        }
    }
    let rate = megabytes(total, start);
    writer.wait()?;
    Ok(("loopback TCP".to_owned(), rate, "MB/s".to_owned()))
}

/// The other side of [`tcp_read`].
///
/// # Errors
/// As the operating system.
pub fn tcp_write(address: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    let buffer = vec![7; MIB];
    for _ in 0..TCP_BYTES / MIB {
        stream.write_all(&buffer)?;
    }
    Ok(())
}

/// All but the network, in this process.
///
/// # Errors
/// As the operating system.
pub fn local() -> Result<Vec<Found>> {
    let per_second = |name: &str, value| (name.to_owned(), value, "MB/s".to_owned());
    let file = tempfile::tempfile_in(workspace().join("target"))?;
    rustix::fs::fallocate(
        &file,
        rustix::fs::FallocateFlags::empty(),
        0,
        FILE_BYTES as u64,
    )?;
    let fresh = write(&file)?;
    let again = write(&file)?;
    let mut found = vec![
        per_second("write into the page cache, first time", fresh),
        per_second("write into the page cache, again", again),
    ];
    file.sync_all()?;
    for (name, size) in [("64 KiB", 64 << 10), ("1 MiB", MIB)] {
        let (rate, each) = write_and_sync(&file, size)?;
        found.push(per_second(&format!("write and fdatasync, {name}"), rate));
        found.push((
            format!("write and fdatasync, {name}"),
            each,
            "us".to_owned(),
        ));
    }
    found.push(per_second("CRC-32C", crc()));
    found.push(per_second("memory copy", copy()));
    Ok(found)
}

fn write(file: &File) -> Result<f64> {
    let buffer = vec![7; MIB];
    let start = Instant::now();
    for at in (0..FILE_BYTES).step_by(MIB) {
        file.write_all_at(&buffer, at as u64)?;
    }
    Ok(megabytes(FILE_BYTES, start))
}

/// MB/s and microseconds each.
fn write_and_sync(file: &File, size: usize) -> Result<(f64, f64)> {
    const TIMES: usize = 200;
    let buffer = vec![7; size];
    let start = Instant::now();
    for step in 0..TIMES {
        file.write_all_at(&buffer, (step * size % FILE_BYTES) as u64)?;
        file.sync_data()?;
    }
    let each = start.elapsed().as_secs_f64() * 1e6 / TIMES as f64;
    Ok((megabytes(size * TIMES, start), each))
}

fn crc() -> f64 {
    let buffer = vec![7; MIB];
    let start = Instant::now();
    let mut sum = 0;
    for _ in 0..2000 {
        sum = crc32c::crc32c_append(sum, &buffer);
    }
    std::hint::black_box(sum);
    megabytes(2000 * MIB, start)
}

fn copy() -> f64 {
    const SIZE: usize = 64 * MIB;
    let (from, mut to) = (vec![7_u8; SIZE], vec![0_u8; SIZE]);
    to.copy_from_slice(&from);
    let start = Instant::now();
    for _ in 0..20 {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&to);
    }
    megabytes(20 * SIZE, start)
}

fn megabytes(bytes: usize, start: Instant) -> f64 {
    bytes as f64 / 1e6 / start.elapsed().as_secs_f64()
}
