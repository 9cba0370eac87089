//! Firefox's Marionette: JSON over TCP, each message behind its length in digits and a colon.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::process::Deadline;

/// Octets of a message, at most: pictures are long.
const MOST: usize = 64 << 20;
const ASKED: u64 = 0;
const ANSWERED: u64 = 1;

/// A connection to Firefox, which takes one at a time.
pub(super) struct Marionette {
    stream: TcpStream,
    last: u64,
    deadline: Deadline,
}

impl Marionette {
    /// Takes a connection and hears who is there.
    pub(super) fn new(stream: TcpStream, deadline: Deadline) -> Self {
        let mut marionette = Self {
            stream,
            last: 0,
            deadline,
        };
        let greeting = marionette.hear();
        assert_eq!(greeting["marionetteProtocol"], 3, "{greeting}");
        marionette
    }

    /// Asks, and waits for the answer; the kind of error and its message, if it is one.
    pub(super) fn try_call(&mut self, name: &str, parameters: Value) -> Result<Value, String> {
        self.last += 1;
        let message = vec![ASKED.into(), self.last.into(), name.into(), parameters];
        let message = Value::Array(message).to_string();
        let framed = format!("{}:{message}", message.len());
        self.stream.write_all(framed.as_bytes()).unwrap();
        let answer = self.hear();
        assert_eq!(
            (&answer[0], &answer[1]),
            (&ANSWERED.into(), &self.last.into()),
            "{answer}"
        );
        match &answer[2] {
            Value::Null => Ok(answer[3].clone()),
            error => Err(format!("{name}: {} {}", error["error"], error["message"])),
        }
    }

    fn hear(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut octet = [0];
            self.fill(&mut octet);
            match octet[0] {
                b':' => break,
                digit => length = length * 10 + usize::from(digit - b'0'),
            }
            assert!(length <= MOST, "{length} octets");
        }
        let mut octets = vec![0; length];
        self.fill(&mut octets);
        serde_json::from_slice(&octets).unwrap()
    }

    fn fill(&mut self, mut octets: &mut [u8]) {
        while !octets.is_empty() {
            let left = self.deadline.left();
            assert!(!left.is_zero(), "Firefox does not answer in time");
            self.stream.set_read_timeout(Some(left)).unwrap();
            match self.stream.read(octets) {
                Ok(0) => panic!("Firefox hung up"),
                Ok(count) => octets = &mut octets[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
