//! The hot paths against the clock: `cargo bench --package ottla-benches`.

use divan::Bencher;
use ottla_benches::path::{PATHS, Path};

fn main() {
    divan::main();
}

#[divan::bench(args = PATHS)]
fn hot(bencher: Bencher, path: &Path) {
    bencher.bench_local((path.prepare)());
}
