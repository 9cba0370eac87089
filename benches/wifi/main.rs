//! Wi-Fi logins (EAP-TTLS with PAP), full and resumed, and conversations that are begun and abandoned, beside FreeRADIUS on
//! the same slapd, with the same certificate, in the same run.
//!
//! `cargo bench --bench wifi` (needs Debian's slapd, freeradius, freeradius-ldap). For TLS 1.2 and 1.3, in each round, one server
//! after the other: everybody logs in by a full handshake, 32 at once; then everybody again by their session. At last 100,000
//! devices begin at 2,000 a second and send nothing after their hello, while others log in. The CPU is the server process's own
//! (user + system). Everything shares the machine's cores; the peers' half of TLS costs as much as the server's.

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

mod crowd;
#[path = "../logins/peers.rs"]
#[expect(dead_code, reason = "what the other bench needs of it")]
mod peers;
#[path = "../logins/people.rs"]
#[expect(dead_code, reason = "what the other bench needs of it")]
mod people;
mod radio;
mod supplicant;

use std::fs;
use std::path::Path;

use crowd::{Flood, Pass, flood, log_in};
use peers::{FreeRadius, Sekisho, Server, Slapd};
use people::People;
use supplicant::Supplicants;

/// Rounds whose medians are told.
const ROUNDS: usize = 3;

/// What one server did in one round, by one version of TLS.
struct Round {
    full: Pass,
    resumed: Pass,
}

type Figure = fn(&Round) -> f64;

fn main() {
    let count = env_or("SEKISHO_BENCH_PEOPLE", 9_000);
    let rounds = env_or("SEKISHO_BENCH_ROUNDS", ROUNDS);
    let abandoned = env_or("SEKISHO_BENCH_ABANDONED", 100_000);
    let only = std::env::var("SEKISHO_BENCH_ONLY").unwrap_or_default();
    let folder = tempfile::tempdir().expect("a folder");
    let people = People::new(count);
    let slapd = Slapd::start(folder.path(), &people);
    make_certificate(folder.path());
    let mut servers: Vec<Box<dyn Server>> = Vec::new();
    if only != "freeradius" {
        servers.push(Box::new(ours(folder.path(), &slapd)));
    }
    if only != "sekisho" {
        let conf = include_str!("freeradius.conf");
        servers.push(Box::new(FreeRadius::start(folder.path(), &slapd, conf)));
    }
    for (name, version) in [
        ("TLS 1.2", &rustls::version::TLS12),
        ("TLS 1.3", &rustls::version::TLS13),
    ] {
        let mut seen: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
        let per_round = count / rounds;
        for round in 0..rounds {
            let some = &people.0[round * per_round..(round + 1) * per_round];
            for (server, rounds) in servers.iter().zip(&mut seen) {
                let devices = Supplicants::new(version, some.len());
                let full = log_in(&**server, &devices, some);
                let resumed = log_in(&**server, &devices, some);
                tell(name, &**server, &full);
                tell(name, &**server, &resumed);
                rounds.push(Round { full, resumed });
            }
        }
        report(name, &servers, &seen);
    }
    for server in &servers {
        let devices = Supplicants::new(&rustls::version::TLS13, count);
        let flood = flood(&**server, &devices, &people.0, (abandoned, 2000.0));
        tell_flood(&**server, &flood);
    }
}

fn tell(name: &str, server: &dyn Server, pass: &Pass) {
    eprintln!(
        "{name} {:<10} full {:>5} resumed {:>5} failed {:>3}: {:>5.0}/s {:.3} s/1000, p50 {:.1} p99 {:.1} ms",
        server.name(),
        pass.full,
        pass.resumed,
        pass.failed,
        pass.rate(),
        pass.cpu_per_thousand(),
        pass.quantile(0.5),
        pass.quantile(0.99),
    );
}

fn tell_flood(server: &dyn Server, flood: &Flood) {
    let (before, most) = flood.resident;
    println!(
        "{}: {} begun and abandoned, {} hellos answered; resident {before} MiB before, {most} at most; others meanwhile: {} let in, \
         {} not, p50 {:.1} p99 {:.1} ms",
        server.name(),
        flood.begun,
        flood.answered,
        flood.others.accepted(),
        flood.others.failed,
        flood.others.quantile(0.5),
        flood.others.quantile(0.99),
    );
}

fn report(name: &str, servers: &[Box<dyn Server>], seen: &[Vec<Round>]) {
    let rows: [(&str, Figure); 6] = [
        ("full, CPU s per 1,000", |r| r.full.cpu_per_thousand()),
        ("full, logins/s", |r| r.full.rate()),
        ("full, p99 ms", |r| r.full.quantile(0.99)),
        ("resumed, CPU s per 1,000", |r| r.resumed.cpu_per_thousand()),
        ("resumed, logins/s", |r| r.resumed.rate()),
        ("resumed, p99 ms", |r| r.resumed.quantile(0.99)),
    ];
    let names: Vec<&str> = servers.iter().map(|server| server.name()).collect();
    println!("| {name} | {} |", names.join(" | "));
    for (what, figure) in rows {
        let medians = seen.iter().map(|rounds| {
            let mut figures: Vec<f64> = rounds.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            format!("{:.3}", figures[figures.len() / 2])
        });
        println!("| {what} | {} |", medians.collect::<Vec<_>>().join(" | "));
    }
}

fn ours(folder: &Path, slapd: &Slapd) -> Sekisho {
    let place = folder.join("sekisho");
    let place = place.display();
    let further = format!(
        "[eap]\ncertificate-file = \"{place}/certificate.pem\"\nkey-file = \"{place}/key.pem\"\nmethods = [\"ttls\"]\n\
         [[rule]]\nthen = \"password-only\"\n"
    );
    Sekisho::start(folder, slapd, &further, |_| {})
}

/// A CA and a certificate of it (P-256), for both.
fn make_certificate(folder: &Path) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let issuer = rcgen::Issuer::new(ca, &ca_key);
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["radius.bench".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    for home in ["sekisho", "freeradius"] {
        let home = folder.join(home);
        fs::create_dir_all(&home).unwrap();
        let files = [
            ("ca.pem", ca_certificate.pem()),
            ("certificate.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
        ];
        for (name, text) in files {
            let file = home.join(name);
            fs::write(&file, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&file, mode).unwrap();
        }
    }
}

fn env_or(name: &str, default: usize) -> usize {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}
