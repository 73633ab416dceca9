//! Whatever keeps the broker from starting is told in one sentence, and nothing is changed.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ottla_tests::serving::{Serving, refusal, serve, serve_on};
use tempfile::TempDir;

fn scratch() -> TempDir {
    TempDir::with_prefix("ottla-start-").expect("a temporary directory")
}

/// The names in a directory.
fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().into_string())
        .map(|name| name.expect("a name in UTF-8"))
        .collect();
    names.sort();
    names
}

fn with(arguments: &[&str], mut command: Command) -> Command {
    command.args(arguments);
    command
}

/// The refusal of a start on the command line alone, before there is a data directory.
fn refused(arguments: &[&str]) -> String {
    let scratch = scratch();
    let said = refusal(with(arguments, serve(&scratch.path().join("data"))));
    assert_eq!(names(scratch.path()), [""; 0], "what was left behind");
    said
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("its address").to_string();
    let scratch = scratch();
    assert_eq!(
        refusal(serve_on(&address, &scratch.path().join("data"))),
        format!(
            "cannot listen on {address}: Address already in use (os error 98); choose another address with --listen"
        )
    );
    assert_eq!(names(scratch.path()), [""; 0], "what was left behind");
}

#[test]
fn a_directory_that_another_process_uses_is_refused() {
    let scratch = scratch();
    let running = Serving::start(serve(scratch.path()));
    assert_eq!(
        refusal(serve(scratch.path())),
        format!(
            "{} is in use: stop the process that uses it or choose another directory",
            scratch.path().display()
        )
    );
    running.kill();
    Serving::start(serve(scratch.path()));
}

#[test]
fn a_directory_below_a_file_is_refused() {
    let scratch = scratch();
    let file = scratch.path().join("file");
    fs::write(&file, "mine").expect("a file");
    for data in [file.clone(), file.join("data")] {
        assert_eq!(
            refusal(serve(&data)),
            format!(
                "{} is or lies below something that is not a directory: choose another directory",
                data.display()
            )
        );
    }
    assert_eq!(fs::read_to_string(file).expect("the file"), "mine");
}

#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let scratch = scratch();
    // Permissions do not bind root, but nobody makes directories there.
    let data = if rustix::process::geteuid().is_root() {
        PathBuf::from("/sys/ottla-data")
    } else {
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o555))
            .expect("permissions");
        scratch.path().join("data")
    };
    let said = refusal(serve(&data));
    let reason = said
        .strip_prefix(&format!("{} cannot be written (", data.display()))
        .and_then(|rest| rest.strip_suffix("): give this user the right to write there"));
    assert!(reason.is_some(), "{said}");
}

#[test]
fn a_directory_with_other_contents_is_refused_and_left_alone() {
    let scratch = scratch();
    fs::write(scratch.path().join("thesis.tex"), "mine").expect("a file");
    assert_eq!(
        refusal(serve(scratch.path())),
        format!(
            "{} holds `thesis.tex` and no Ottla data: choose an empty directory",
            scratch.path().display()
        )
    );
    assert_eq!(names(scratch.path()), ["thesis.tex"]);
}

#[test]
fn a_directory_of_a_newer_release_is_refused_and_left_alone() {
    let scratch = scratch();
    Serving::start(serve(scratch.path())).kill();
    let meta = scratch.path().join("meta");
    let mut bytes = fs::read(&meta).expect("meta");
    // The version follows magic and kind; the checksum covers it.
    bytes[6..8].copy_from_slice(&7_u16.to_be_bytes());
    let checksum = {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&bytes[4..12]);
        hasher.update(&bytes[16..]);
        hasher.finalize()
    };
    bytes[12..16].copy_from_slice(&checksum.to_be_bytes());
    fs::write(&meta, &bytes).expect("meta");
    let before = names(scratch.path());
    assert_eq!(
        refusal(serve(scratch.path())),
        format!(
            "{} was written by a newer release (format 7, this one knows 1): use that release",
            scratch.path().display()
        )
    );
    assert_eq!(names(scratch.path()), before);
}

#[test]
fn an_unknown_setting_is_refused_with_the_nearest_one() {
    assert_eq!(
        refused(&["--set", "log.retention.hour=1"]),
        "--set: there is no setting `log.retention.hour`; did you mean `log.retention.hours`?"
    );
}

#[test]
fn a_bad_value_is_refused_with_what_it_must_be() {
    assert_eq!(
        refused(&["--set", "num.partitions=many"]),
        "--set: the setting `num.partitions` is `many`, but must be an integer, at least 1"
    );
}

#[test]
fn an_address_for_other_machines_is_refused_without_a_flag() {
    let scratch = scratch();
    let open = || serve_on("0.0.0.0:0", scratch.path());
    assert_eq!(
        refusal(open()),
        "refusing to listen on 0.0.0.0:0, which is not a loopback address: there is no TLS and no authentication \
         yet, so anyone who can reach it could read and change everything; add --insecure if that is what you want"
    );
    assert_eq!(names(scratch.path()), [""; 0], "what was left behind");
    Serving::start(with(&["--insecure"], open()));
}
