//! Those who log in meanwhile, with a code.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sekisho::clock::Timestamp;
use sekisho::secret::Secret;
use sekisho::wire::Query;

use crate::world::{SECRET, World};

/// Between two logins.
const EVERY: Duration = Duration::from_millis(15);
/// What is not answered by then is lost.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Others {
    pub(crate) times: Vec<Duration>,
    pub(crate) lost: usize,
}

impl Others {
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.times
            .get(at)
            .map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
    }
}

/// Logs in one after the other until it is done.
pub(crate) fn log_in(world: &World, done: &AtomicBool) -> Others {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(world.radius).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut others = Others {
        times: Vec::new(),
        lost: 0,
    };
    let mut number = 0;
    let mut next = Instant::now();
    while !done.load(Ordering::Relaxed) && number < world.others.len() {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        next += EVERY;
        let packet = packet(world, number);
        let sent = Instant::now();
        socket.send(&packet).unwrap();
        let mut octets = [0; 4096];
        match socket.recv(&mut octets) {
            Ok(_) if octets[0] == 2 => others.times.push(sent.elapsed()),
            Ok(_) | Err(_) => others.lost += 1,
        }
        number += 1;
    }
    others.times.sort();
    others
}

fn packet(world: &World, number: usize) -> Vec<u8> {
    let secret = Secret::from(SECRET);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap());
    let (name, totp) = &world.others[number];
    let typed = format!(
        "{}{}",
        world.password(world.people + number),
        totp.code_at(now)
    );
    Query::access((number % 256) as u8)
        .with(1, name.as_bytes())
        .with_password(&secret, typed.as_bytes())
        .with(31, format!("192.0.2.{}", number % 250).as_bytes())
        .sign(&secret)
        .octets()
        .to_vec()
}
