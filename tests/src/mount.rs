//! File systems of a test's own, in a mount namespace that only the started program sees.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Mounts a tmpfs with `$1` as its options on `$2` and becomes the rest of the arguments.
const SCRIPT: &str = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;

/// `command` with a tmpfs on `mount_point`; `options` are those of `mount`, such as `size=32m` or `ro`. `None` where
/// this user may not mount anything.
pub fn with_tmpfs(mount_point: &Path, options: &str, command: &Command) -> Option<Command> {
    let (program, arguments) = namespace()?;
    let mut mounting = Command::new(program);
    mounting.args(*arguments);
    mounting.args(["sh", "-c", SCRIPT, "sh", options]);
    mounting.arg(mount_point).arg(command.get_program());
    mounting.args(command.get_args());
    for (variable, value) in command.get_envs() {
        match value {
            Some(value) => mounting.env(variable, value),
            None => mounting.env_remove(variable),
        };
    }
    mounting.stdin(Stdio::null());
    Some(mounting)
}

/// `path` as the process sees it, from outside its namespace.
pub fn seen_by(process: u32, path: &Path) -> PathBuf {
    let below_root = path.strip_prefix("/").expect("an absolute path");
    Path::new("/proc")
        .join(process.to_string())
        .join("root")
        .join(below_root)
}

type Prefix = (&'static str, &'static [&'static str]);

/// What starts a program with mounts of its own here.
fn namespace() -> Option<&'static Prefix> {
    const WAYS: [Prefix; 2] = [
        ("unshare", &["--mount"]),
        ("unshare", &["--user", "--map-root-user", "--mount"]),
    ];
    static FOUND: OnceLock<Option<&'static Prefix>> = OnceLock::new();
    let works = |(program, arguments): &&Prefix| {
        let probe = Command::new(program)
            .args(*arguments)
            .args(["mount", "-t", "tmpfs", "tmpfs", "/mnt"])
            .stdin(Stdio::null())
            .output();
        probe.is_ok_and(|output| output.status.success())
    };
    *FOUND.get_or_init(|| WAYS.iter().find(works))
}
