//! The `ottla` binary: reads arguments, environment and file, and starts what they ask for.

mod address;
mod args;
mod bench;
mod failure;
mod file;
mod inspect;
mod logs;
mod properties;
mod repair;
mod serve;
mod settings;
mod show;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(arguments) => serve::serve(&arguments),
        Command::Config(options) => show::show(&options),
        Command::Inspect(arguments) => inspect::inspect(&arguments),
        Command::Repair(arguments) => repair::repair(&arguments),
        Command::Bench(task) => bench::bench(&task),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nobody is left to tell if standard error is closed.
            let _ = writeln!(std::io::stderr(), "ottla: {failure}");
            ExitCode::FAILURE
        }
    }
}
