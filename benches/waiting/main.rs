//! Many logins that wait for phones at once: what they cost, and what others notice of them.
//!
//! `cargo bench --bench waiting` (needs Debian's slapd). 100,000 people, each with a paired device, log in within some
//! twenty seconds through four clients that wait for an approval; each login is sent again every 5 s, four times. Meanwhile
//! others log in with a code, and their latency is measured. Then every device asks what waits for it and approves, by signed
//! messages to the portal, and every login must be accepted. The CPU is the server process's own (user + system), its memory
//! what is resident.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a measurement that goes wrong ends there"
)]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an index into what was measured"
)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tells a person")]
#![expect(clippy::disallowed_methods, reason = "measures the machine's own time")]

mod crowd;
mod others;
mod phones;
mod world;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crowd::Crowd;
use world::World;

/// Between two copies of a request.
const RETRANSMIT: Duration = Duration::from_secs(5);
/// Copies after the first.
const COPIES: u32 = 4;

fn main() {
    let count = env_or("SEKISHO_BENCH_WAITING", 100_000);
    let rate = env_or("SEKISHO_BENCH_RATE", 4000);
    let folder = tempfile::tempdir().expect("a folder");
    eprintln!("making {count} people with a device each …");
    let world = World::start(folder.path(), count);
    let before = world.resident();
    let begun = (Instant::now(), world.cpu());
    let done = AtomicBool::new(false);
    let mut crowd = Crowd::new(&world, rate);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| others::log_in(&world, &done));
        crowd.wait();
        let waiting = (begun.0.elapsed(), world.cpu() - begun.1);
        let resident = world.resident();
        tell("waiting", count, waiting);
        println!(
            "resident: {:.0} MiB before, {:.0} MiB with {count} waiting: {:.0} octets a login",
            before as f64 / 1024.0,
            resident as f64 / 1024.0,
            (resident - before) as f64 * 1024.0 / count as f64
        );
        let begun = (Instant::now(), world.cpu());
        scope.spawn(|| phones::approve(&world));
        crowd.finish(Duration::from_secs(300));
        tell(
            "approving",
            count,
            (begun.0.elapsed(), world.cpu() - begun.1),
        );
        done.store(true, Ordering::Relaxed);
        let others = others.join().unwrap();
        println!(
            "others meanwhile: {} logins, p50 {:.1} ms, p99 {:.1} ms, longest {:.1} ms, not accepted {}",
            others.times.len(),
            others.quantile(0.5),
            others.quantile(0.99),
            others.quantile(1.0),
            others.lost
        );
    });
    tell("in all", count, (begun.0.elapsed(), world.cpu() - begun.1));
    println!(
        "accepted {} of {count}; resident at the end {:.0} MiB",
        crowd.accepted(),
        world.resident() as f64 / 1024.0
    );
    assert_eq!(crowd.accepted(), count, "none is lost");
}

fn tell(what: &str, count: usize, (took, cpu): (Duration, Duration)) {
    println!(
        "{what}: {:.1} s, CPU {:.3} s per 1,000 logins",
        took.as_secs_f64(),
        cpu.as_secs_f64() * 1000.0 / count as f64
    );
}

fn env_or(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
