//! People who log in, and devices that begin and go away.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sekisho::secret::Secret;

use crate::peers::Server;
use crate::people::{Person, SECRET};
use crate::radio::{Radio, asked, station};
use crate::supplicant::{Ended, Supplicants, identity};

/// Logins in work at once.
const AT_ONCE: usize = 32;
/// Sockets of those who go away; each has 256 identifiers.
const SOCKETS: usize = 32;
/// Between two logins of others.
const EVERY: Duration = Duration::from_millis(100);
const STATE: u8 = 24;
const EAP_MESSAGE: u8 = 79;

/// What one pass saw.
#[derive(Default)]
pub struct Pass {
    pub took: Duration,
    pub cpu: Duration,
    pub full: usize,
    pub resumed: usize,
    pub failed: usize,
    times: Vec<Duration>,
}

impl Pass {
    fn count(&mut self, ended: Ended, took: Duration) {
        match ended {
            Ended::Full => self.full += 1,
            Ended::Resumed => self.resumed += 1,
            Ended::Refused | Ended::Lost => self.failed += 1,
        }
        self.times.push(took);
    }

    pub fn accepted(&self) -> usize {
        self.full + self.resumed
    }

    pub fn rate(&self) -> f64 {
        self.accepted() as f64 / self.took.as_secs_f64()
    }

    pub fn cpu_per_thousand(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.accepted() as f64
    }

    /// Milliseconds within which this share was let in or refused.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.times
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// Logs everybody in, some at once.
pub fn log_in(server: &dyn Server, devices: &Supplicants, people: &[Person]) -> Pass {
    let next = AtomicUsize::new(0);
    let address = server.address();
    let (cpu, begun) = (server.cpu(), Instant::now());
    let mut pass = Pass::default();
    std::thread::scope(|scope| {
        let work = || {
            let mut radio = Radio::new(address);
            let mut own = Vec::new();
            while let Some(number) = Some(next.fetch_add(1, Ordering::Relaxed))
                && let Some(person) = people.get(number)
            {
                radio.tune(number);
                let began = Instant::now();
                own.push((devices.login(&mut radio, person), began.elapsed()));
            }
            own
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        for thread in threads {
            for (ended, took) in thread.join().unwrap() {
                pass.count(ended, took);
            }
        }
    });
    pass.took = begun.elapsed();
    pass.cpu = server.cpu() - cpu;
    pass.times.sort();
    pass
}

/// What came of those who begin and go away.
pub struct Flood {
    pub begun: usize,
    /// How many hellos were answered.
    pub answered: usize,
    /// The most memory that the server had, in MiB, and what it had before.
    pub resident: (u64, u64),
    /// The others.
    pub others: Pass,
}

/// Begins conversations at a rate and sends nothing after the hello, while others log in.
pub fn flood(
    server: &dyn Server,
    devices: &Supplicants,
    people: &[Person],
    (count, rate): (usize, f64),
) -> Flood {
    let stop = AtomicBool::new(false);
    let before = resident(server);
    let address = server.address();
    let hello = devices.hello(&people[0]);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut pass = Pass::default();
            let mut radio = Radio::new(address);
            let mut next = Instant::now();
            for (number, person) in people.iter().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
                next += EVERY;
                radio.tune(number);
                let began = Instant::now();
                pass.count(devices.login(&mut radio, person), began.elapsed());
            }
            pass.times.sort();
            pass
        });
        let most = scope.spawn(|| {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = most.max(resident(server));
                std::thread::sleep(Duration::from_millis(200));
            }
            most
        });
        let answered = Abandoned::new(address, &hello).run(count, rate);
        stop.store(true, Ordering::Relaxed);
        Flood {
            begun: count,
            answered,
            resident: (before, most.join().unwrap()),
            others: others.join().unwrap(),
        }
    })
}

/// MiB of the process in memory.
fn resident(server: &dyn Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|kilo| kilo.parse::<u64>().ok())
        .unwrap_or_default()
        / 1024
}

/// Those who go away, from one thread.
struct Abandoned<'a> {
    sockets: Vec<UdpSocket>,
    secret: Secret,
    hello: &'a [u8],
    /// By socket and identifier: the device, what was asked, and whether it was the hello.
    open: HashMap<(usize, u8), (usize, sekisho::wire::Asked, bool)>,
    answered: usize,
}

impl<'a> Abandoned<'a> {
    fn new(server: std::net::SocketAddr, hello: &'a [u8]) -> Self {
        let socket = |_| {
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.connect(server).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        Self {
            sockets: (0..SOCKETS).map(socket).collect(),
            secret: Secret::from(SECRET),
            hello,
            open: HashMap::new(),
            answered: 0,
        }
    }

    fn run(mut self, count: usize, rate: f64) -> usize {
        let begun = Instant::now();
        let mut next = 0;
        while next < count {
            let due = begun + Duration::from_secs_f64(next as f64 / rate);
            let now = Instant::now();
            if due > now {
                self.receive(due - now);
                continue;
            }
            // What was not answered by the time that its place is wanted again is forgotten.
            let place = (next % SOCKETS, (next / SOCKETS % 128) as u8);
            let asked = asked((place.1, &self.secret), &station(next), None, &identity());
            let _full = self.sockets[place.0].send(asked.octets());
            self.open.insert(place, (next, asked, false));
            next += 1;
        }
        self.receive(Duration::from_secs(1));
        self.answered
    }

    fn receive(&mut self, wait: Duration) {
        {
            let waiting = self.sockets.iter();
            let mut waiting: Vec<PollFd<'_>> = waiting
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
                .collect();
            let millis = u16::try_from(wait.as_millis()).unwrap_or(u16::MAX);
            let _ready = poll(&mut waiting, PollTimeout::from(millis));
        }
        let mut octets = [0; 4096];
        for socket in 0..SOCKETS {
            while let Ok(count) = self.sockets[socket].recv(&mut octets) {
                self.hear(socket, &octets[..count]);
            }
        }
    }

    fn hear(&mut self, socket: usize, octets: &[u8]) {
        let Some((device, asked_before, was_hello)) = self.open.remove(&(socket, octets[1])) else {
            return;
        };
        let Ok(answer) = asked_before.answer(octets, &self.secret) else {
            return;
        };
        if was_hello {
            self.answered += 1;
            return;
        }
        let (Some(state), Some(request)) = (
            answer.attributes(STATE).next(),
            answer.attributes(EAP_MESSAGE).next(),
        ) else {
            return;
        };
        let mut hello = self.hello.to_vec();
        hello[1] = request[1];
        let identifier = octets[1] + 128;
        let asked = asked(
            (identifier, &self.secret),
            &station(device),
            Some(state),
            &hello,
        );
        let _full = self.sockets[socket].send(asked.octets());
        self.open
            .insert((socket, identifier), (device, asked, true));
    }
}
