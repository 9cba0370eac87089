//! Logins per second, CPU per login and latency, beside FreeRADIUS on the same slapd in the same run.
//!
//! `cargo bench --bench logins` (needs Debian's slapd, freeradius, freeradius-ldap). Makes a
//! directory of 100,000 people with {SSHA} passwords, enrols a TOTP for each, and lets both servers
//! judge password and code of people in random order, nobody twice in a pass. Five rounds; in each,
//! one server after the other:
//!
//! 1. *saturated*: a fixed number of requests always open;
//! 2. *again*: the same people within 60 s, with their next code;
//! 3. *half*: other people at half of the rate just reached, sent by the clock.
//!
//! The CPU is the server process's own (user + system). Everything shares the machine's cores.

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
#![expect(unreachable_pub, reason = "nothing leaves a binary")]

mod load;
mod peers;
mod people;

use std::time::Duration;

use load::{Pass, closed, open};
use peers::{FreeRadius, Sekisho, Server, Slapd, enrol};
use people::People;

/// Rounds whose medians are told.
const ROUNDS: usize = 5;

/// What one server did in one round.
#[derive(Default)]
struct Round {
    saturated: Pass,
    again: Pass,
    half: Pass,
}

/// One number of a round.
type Figure = fn(&Round) -> f64;

fn main() {
    let count = env_or("SEKISHO_BENCH_PEOPLE", 100_000);
    let rounds = env_or("SEKISHO_BENCH_ROUNDS", ROUNDS);
    let window = env_or("SEKISHO_BENCH_WINDOW", 128);
    let folder = tempfile::tempdir().expect("a folder");
    eprintln!("making {count} people …");
    let people = People::new(count);
    let slapd = Slapd::start(folder.path(), &people);
    let ours = Sekisho::start(folder.path(), &slapd, "code = [\"appended\"]\n", |file| {
        enrol(file, &people);
    });
    let alone = std::env::var_os("SEKISHO_BENCH_ALONE").is_some();
    let conf = include_str!("freeradius.conf");
    let theirs = (!alone).then(|| FreeRadius::start(folder.path(), &slapd, conf));
    let per_round = count / rounds;
    let (mut us, mut them) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let range = round * per_round..(round + 1) * per_round;
        let theirs = theirs
            .as_ref()
            .map(|theirs| (theirs as &dyn Server, &mut them));
        for (server, rounds) in [(&ours as &dyn Server, &mut us)].into_iter().chain(theirs) {
            let result = one_round(server, &people, range.clone(), window);
            eprintln!(
                "round {} {:<10} saturated {:>6.0}/s {:.3} s/1000 again {:>6.0}/s {:.3} half p99 {:>5.1} ms {:.3} refused {} lost {}",
                round + 1,
                server.name(),
                result.saturated.rate(),
                result.saturated.cpu_per_thousand(),
                result.again.rate(),
                result.again.cpu_per_thousand(),
                result.half.p99(),
                result.half.cpu_per_thousand(),
                result.saturated.refused + result.again.refused + result.half.refused,
                result.saturated.lost + result.again.lost + result.half.lost,
            );
            rounds.push(result);
        }
    }
    if !alone {
        report(&us, &them);
    }
}

fn one_round(
    server: &dyn Server,
    people: &People,
    range: std::ops::Range<usize>,
    window: usize,
) -> Round {
    let middle = range.start + range.len() * 6 / 10;
    let codes = |range, steps| {
        people::await_young_step(PASS);
        people.packets(range, steps)
    };
    let first = codes(range.start..middle, 0);
    let saturated = closed(server, &first, window);
    // FreeRADIUS does not know that a code was used, and knows no code of the future.
    let next = codes(range.start..middle, server.next_code());
    let again = closed(server, &next, window);
    let rest = codes(middle..range.end, 0);
    let half = open(server, &rest, saturated.rate() / 2.0);
    Round {
        saturated,
        again,
        half,
    }
}

fn report(us: &[Round], them: &[Round]) {
    println!("| | sekisho | FreeRADIUS | ratio |\n|---|---|---|---|");
    let rows: [(&str, Figure); 8] = [
        ("saturated, CPU s per 1,000 logins", |r| {
            r.saturated.cpu_per_thousand()
        }),
        ("saturated, logins/s", |r| r.saturated.rate()),
        ("saturated, p99 ms", |r| r.saturated.p99()),
        ("again within 60 s, CPU s per 1,000", |r| {
            r.again.cpu_per_thousand()
        }),
        ("again within 60 s, logins/s", |r| r.again.rate()),
        ("half load, CPU s per 1,000", |r| r.half.cpu_per_thousand()),
        ("half load, p50 ms", |r| r.half.quantile(0.5)),
        ("half load, p99 ms", |r| r.half.p99()),
    ];
    for (name, figure) in rows {
        let (ours, theirs) = (median(us, figure), median(them, figure));
        let ratios: Vec<f64> = us
            .iter()
            .zip(them)
            .map(|(a, b)| figure(a) / figure(b))
            .collect();
        println!(
            "| {name} | {ours:.3} | {theirs:.3} | {:.2} |",
            middle(ratios)
        );
    }
    let failed = |rounds: &[Round]| -> usize {
        rounds
            .iter()
            .flat_map(|r| [&r.saturated, &r.again, &r.half])
            .map(|pass| pass.refused + pass.lost)
            .sum()
    };
    println!(
        "\nnot accepted: sekisho {}, FreeRADIUS {}",
        failed(us),
        failed(them)
    );
}

fn median(rounds: &[Round], figure: Figure) -> f64 {
    middle(rounds.iter().map(figure).collect())
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn env_or(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// What a pass may take. FreeRADIUS takes a code in its own step alone, and waits for a second with each refusal: one pass that
/// outlives its codes would not end for minutes.
const PASS: Duration = Duration::from_secs(12);
/// How long a request may stay unanswered before it is sent again.
const RETRANSMIT: Duration = Duration::from_secs(3);
