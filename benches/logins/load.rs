//! The load: one thread, several sockets, a fixed number open (closed) or by the clock (open).

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::RETRANSMIT;
use crate::peers::Server;

/// Sockets; each has 256 identifiers.
const SOCKETS: usize = 16;
/// What is not answered by then is lost.
const GIVE_UP: Duration = Duration::from_secs(15);

/// What one pass saw.
#[derive(Default)]
pub struct Pass {
    /// From the first request to the last answer.
    pub took: Duration,
    /// CPU of the server process meanwhile.
    pub cpu: Duration,
    /// Access-Accepts.
    pub accepted: usize,
    /// Other answers.
    pub refused: usize,
    /// No answer.
    pub lost: usize,
    latencies: Vec<Duration>,
}

impl Pass {
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.took.as_secs_f64()
    }

    pub fn cpu_per_thousand(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.accepted as f64
    }

    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// Milliseconds within which this share was answered.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies
            .get(at)
            .map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }
}

/// A request that is open.
#[derive(Clone, Copy)]
struct Open {
    packet: usize,
    since: Instant,
    sent: Instant,
}

/// The sockets and what is open on each identifier.
struct Nas<'a> {
    sockets: Vec<UdpSocket>,
    open: Vec<Option<Open>>,
    packets: &'a [Vec<u8>],
    pass: Pass,
}

impl<'a> Nas<'a> {
    fn new(server: &dyn Server, packets: &'a [Vec<u8>]) -> Self {
        let sockets = (0..SOCKETS)
            .map(|_| {
                let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                socket.connect(server.address()).unwrap();
                socket.set_nonblocking(true).unwrap();
                socket
            })
            .collect();
        Self {
            sockets,
            open: vec![None; SOCKETS * 256],
            packets,
            pass: Pass::default(),
        }
    }

    /// Sends packet `number`. Its identifier is fixed by its signature; the socket is chosen so that
    /// the identifier is free there.
    fn send(&mut self, number: usize, since: Instant) -> bool {
        let identifier = usize::from(self.packets[number][1]);
        let Some(socket) =
            (0..SOCKETS).find(|socket| self.open[socket * 256 + identifier].is_none())
        else {
            return false;
        };
        self.open[socket * 256 + identifier] = Some(Open {
            packet: number,
            since,
            sent: Instant::now(),
        });
        let _full = self.sockets[socket].send(&self.packets[number]);
        true
    }

    /// Takes every answer that is there, waiting for one at most so long.
    fn receive(&mut self, wait: Duration) -> usize {
        {
            let mut waiting: Vec<PollFd<'_>> = self
                .sockets
                .iter()
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
                .collect();
            let millis = u16::try_from(wait.as_millis()).unwrap_or(u16::MAX);
            let _ready = poll(&mut waiting, PollTimeout::from(millis));
        }
        let mut answered = 0;
        let mut octets = [0; 4096];
        for socket in 0..SOCKETS {
            while let Ok(count) = self.sockets[socket].recv(&mut octets) {
                if count < 20 {
                    continue;
                }
                if let Some(open) = self.open[socket * 256 + usize::from(octets[1])].take() {
                    answered += 1;
                    self.pass.latencies.push(open.since.elapsed());
                    if octets[0] == 2 {
                        self.pass.accepted += 1;
                    } else {
                        self.pass.refused += 1;
                    }
                }
            }
        }
        answered
    }

    /// Sends again what waits long; gives up on what waits too long. Gives the number given up.
    fn retransmit(&mut self) -> usize {
        let mut lost = 0;
        for slot in 0..self.open.len() {
            let Some(open) = &mut self.open[slot] else {
                continue;
            };
            if open.since.elapsed() > GIVE_UP {
                self.open[slot] = None;
                lost += 1;
            } else if open.sent.elapsed() > RETRANSMIT {
                open.sent = Instant::now();
                let _full = self.sockets[slot / 256].send(&self.packets[open.packet]);
            }
        }
        self.pass.lost += lost;
        lost
    }
}

/// Keeps `window` requests open until all are answered.
pub fn closed(server: &dyn Server, packets: &[Vec<u8>], window: usize) -> Pass {
    let mut nas = Nas::new(server, packets);
    let (cpu, begun) = (server.cpu(), Instant::now());
    let (mut next, mut outstanding, mut looked) = (0, 0, begun);
    while next < packets.len() || outstanding > 0 {
        while outstanding < window && next < packets.len() && nas.send(next, Instant::now()) {
            next += 1;
            outstanding += 1;
        }
        outstanding -= nas.receive(Duration::from_millis(50));
        if looked.elapsed() > Duration::from_millis(500) {
            looked = Instant::now();
            outstanding -= nas.retransmit();
        }
    }
    finish(nas, server, cpu, begun)
}

/// Sends at a fixed rate; latencies count from when a request should have been sent.
pub fn open(server: &dyn Server, packets: &[Vec<u8>], rate: f64) -> Pass {
    let mut nas = Nas::new(server, packets);
    let (cpu, begun) = (server.cpu(), Instant::now());
    let (mut next, mut outstanding, mut looked) = (0, 0_usize, begun);
    while next < packets.len() || outstanding > 0 {
        let mut wait = Duration::from_millis(50);
        while next < packets.len() {
            let due = begun + Duration::from_secs_f64(next as f64 / rate);
            let now = Instant::now();
            if due > now {
                wait = wait.min(due - now);
                break;
            }
            if !nas.send(next, due) {
                break;
            }
            next += 1;
            outstanding += 1;
        }
        outstanding -= nas.receive(wait);
        if looked.elapsed() > Duration::from_millis(500) {
            looked = Instant::now();
            outstanding -= nas.retransmit();
        }
    }
    finish(nas, server, cpu, begun)
}

fn finish(nas: Nas<'_>, server: &dyn Server, cpu: Duration, begun: Instant) -> Pass {
    let mut pass = nas.pass;
    pass.took = begun.elapsed();
    pass.cpu = server.cpu() - cpu;
    pass.latencies.sort();
    pass
}
