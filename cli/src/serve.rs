//! `ottla serve`: starts a broker, says where it is, and stops it on a signal.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use ottla_broker::Broker;
use ottla_broker::config::{BrokerConfig, Endpoint};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::address;
use crate::args::ServeArguments;
use crate::failure::Failure;
use crate::logs;
use crate::settings::{Settings, gather};

/// Runs until the first signal, which lets it end what it has begun. A second one ends it at once.
pub(crate) fn serve(arguments: &ServeArguments) -> Result<(), Failure> {
    let Settings { config, warnings } = gather(&arguments.options, std::env::vars_os())?;
    address::check(&config.listener, arguments.insecure)?;
    let data = std::path::absolute(&config.log_dir).map_err(Failure::CurrentDirectory)?;
    logs::start(arguments.log_format, &arguments.log_level)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    raise_file_limit();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = Builder::new_multi_thread()
        .worker_threads(cores.max(2))
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    runtime.block_on(run(config, data))
}

/// Takes all the file descriptors that this process may have: a partition needs one, a connection
/// another, and the usual limit is meant for programs that use `select`.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "the limit on open files stays as it is");
    }
}

async fn run(config: BrokerConfig, data: PathBuf) -> Result<(), Failure> {
    let mut signals = Signals::new().map_err(Failure::Signals)?;
    let broker = tokio::select! {
        broker = start(config, &data) => broker?,
        code = signals.next() => exit(code),
    };
    announce(&broker, &data);
    let code = signals.next().await;
    tracing::info!(signal = code - SIGNAL_EXIT, "stopping");
    tokio::select! {
        stopped = broker.shutdown() => Ok(stopped?),
        code = signals.next() => exit(code),
    }
}

async fn start(config: BrokerConfig, data: &Path) -> Result<Broker, Failure> {
    let listen = config.listener.to_bind();
    let advertise = config.advertised_listener.clone();
    let mut builder = Broker::builder()
        .config(config)
        .data_dir(data)
        .listen(listen);
    if let Some(endpoint) = advertise {
        builder = builder.advertise(endpoint);
    }
    Ok(builder.start().await?)
}

/// The one line on standard output, for whoever waits for the broker to be there.
fn announce(broker: &Broker, data: &Path) {
    let listening = broker
        .local_addr()
        .map(|address| address.to_string())
        .unwrap_or_default();
    let line = announcement(&listening, broker.advertised(), data);
    // Whoever closed standard output does not want to know.
    let _ = writeln!(std::io::stdout(), "{line}");
    tracing::info!(%listening, data = %data.display(), "started");
}

fn announcement(listening: &str, advertised: Option<&Endpoint>, data: &Path) -> String {
    let advertised = advertised
        .map(ToString::to_string)
        .filter(|advertised| advertised != listening)
        .map(|advertised| format!(", advertised as {advertised}"))
        .unwrap_or_default();
    format!(
        "ottla is listening on {listening}{advertised}, data in {}",
        data.display()
    )
}

/// What a shell adds to the number of the signal that ended a program.
const SIGNAL_EXIT: i32 = 128;

/// Ends without waiting for anything. What was acknowledged is on disk already.
fn exit(code: i32) -> ! {
    std::process::exit(code)
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self {
            interrupt,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The exit code of the next signal.
    async fn next(&mut self) -> i32 {
        let kind = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        SIGNAL_EXIT + kind.as_raw_value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announcement_names_an_advertised_address_only_if_it_is_another_one() {
        let data = Path::new("/data");
        let endpoint = |text: &str| text.parse::<Endpoint>().ok();
        let same = announcement("[::1]:9092", endpoint("[::1]:9092").as_ref(), data);
        assert_eq!(same, "ottla is listening on [::1]:9092, data in /data");
        let advertised = endpoint("broker.example:19092");
        let other = announcement("0.0.0.0:9092", advertised.as_ref(), data);
        assert_eq!(
            other,
            "ottla is listening on 0.0.0.0:9092, advertised as broker.example:19092, data in /data"
        );
    }
}
