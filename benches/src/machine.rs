//! The machine that was measured, in a few words.

use std::fs;
use std::process::Command;

/// Processor, memory, kernel and file system.
#[must_use]
pub fn describe() -> Vec<(String, String)> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let processor = read("/proc/cpuinfo");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let target = ottla_tests::workspace().join("target");
    vec![
        (
            "Processor".to_owned(),
            format!("{}, {cores} cores", field(&processor, "model name")),
        ),
        (
            "Memory".to_owned(),
            field(&read("/proc/meminfo"), "MemTotal"),
        ),
        (
            "Kernel".to_owned(),
            output(Command::new("uname").arg("-sr")),
        ),
        (
            "File system".to_owned(),
            output(Command::new("stat").args(["-f", "-c", "%T"]).arg(target)),
        ),
        ("Java".to_owned(), java()),
    ]
}

/// The commit of the work tree.
#[must_use]
pub fn commit() -> String {
    output(
        Command::new("git")
            .current_dir(ottla_tests::workspace())
            .args(["rev-parse", "--short", "HEAD"]),
    )
}

fn java() -> String {
    output(Command::new("java").arg("--version"))
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn output(command: &mut Command) -> String {
    let output = command
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}
