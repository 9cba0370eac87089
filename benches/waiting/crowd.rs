//! Those who wait: each login is sent, sent again, and answered in the end.

use std::collections::VecDeque;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use sekisho::secret::Secret;
use sekisho::wire::Query;

use crate::world::{CLIENTS, SECRET, World, station};
use crate::{COPIES, RETRANSMIT};

/// A socket has so many identifiers.
const IDENTIFIERS: usize = 256;

pub(crate) struct Crowd {
    sockets: Vec<UdpSocket>,
    packets: Vec<Vec<u8>>,
    answered: Vec<bool>,
    accepted: usize,
    rate: usize,
}

impl Crowd {
    /// Signs everything beforehand.
    pub(crate) fn new(world: &World, rate: usize) -> Self {
        let count = world.people;
        let sockets = (0..count.div_ceil(IDENTIFIERS))
            .map(|number| socket(number % CLIENTS, world.radius))
            .collect();
        let packets = (0..count).map(|number| packet(world, number)).collect();
        Self {
            sockets,
            packets,
            answered: vec![false; count],
            accepted: 0,
            rate,
        }
    }

    pub(crate) const fn accepted(&self) -> usize {
        self.accepted
    }

    /// Sends everything, and all copies.
    pub(crate) fn wait(&mut self) {
        let begun = Instant::now();
        let mut again: VecDeque<(Instant, usize, u32)> = VecDeque::new();
        let mut next = 0;
        while next < self.packets.len() || !again.is_empty() {
            let now = Instant::now();
            let due = (begun.elapsed().as_secs_f64() * self.rate as f64) as usize;
            while next < self.packets.len().min(due) {
                self.send(next);
                again.push_back((now + RETRANSMIT, next, COPIES));
                next += 1;
            }
            while let Some((_, number, left)) = again.pop_front_if(|(at, ..)| *at <= now) {
                self.send(number);
                if left > 1 {
                    again.push_back((now + RETRANSMIT, number, left - 1));
                }
            }
            self.receive(Duration::from_millis(2));
        }
    }

    /// Takes answers until all have come.
    pub(crate) fn finish(&mut self, patience: Duration) {
        let begun = Instant::now();
        let mut sent = Instant::now();
        while self.accepted < self.packets.len() && begun.elapsed() < patience {
            self.receive(Duration::from_millis(20));
            // As gear goes on doing.
            if sent.elapsed() > RETRANSMIT {
                sent = Instant::now();
                for number in 0..self.packets.len() {
                    if !self.answered[number] {
                        self.send(number);
                    }
                    if number % 500 == 0 {
                        self.receive(Duration::from_millis(5));
                    }
                }
            }
        }
    }

    fn send(&self, number: usize) {
        let _full = self.sockets[number / IDENTIFIERS].send(&self.packets[number]);
    }

    fn receive(&mut self, wait: Duration) {
        {
            let mut waiting: Vec<PollFd<'_>> = self
                .sockets
                .iter()
                .map(|socket| PollFd::new(socket.as_fd(), PollFlags::POLLIN))
                .collect();
            let millis = u16::try_from(wait.as_millis()).unwrap_or(u16::MAX);
            let _ready = poll(&mut waiting, PollTimeout::from(millis));
        }
        let mut octets = [0; 4096];
        for (number, socket) in self.sockets.iter().enumerate() {
            while let Ok(count) = socket.recv(&mut octets) {
                let login = number * IDENTIFIERS + usize::from(octets[1]);
                if count >= 20 && !std::mem::replace(&mut self.answered[login], true) {
                    self.accepted += usize::from(octets[0] == 2);
                }
            }
        }
    }
}

fn socket(client: usize, server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(format!("127.0.{}.1:0", client + 1)).unwrap();
    socket.connect(server).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

fn packet(world: &World, number: usize) -> Vec<u8> {
    let secret = Secret::from(SECRET);
    let station = station(number);
    Query::access((number % IDENTIFIERS) as u8)
        .with(1, world.name(number).as_bytes())
        .with_password(&secret, world.password(number).as_bytes())
        .with(31, station.as_bytes())
        .sign(&secret)
        .octets()
        .to_vec()
}
