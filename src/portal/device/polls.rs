//! Polls that wait for news. A device that asks for more than its places is answered at once, as everybody is when all are taken.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Places of all devices: each is a connection.
const PLACES: usize = 2048;
/// Places of one device: its page in two windows, and what a lost connection leaves behind.
const OF_ONE: usize = 4;

/// Who waits.
#[derive(Debug, Default)]
pub(in crate::portal) struct Polls {
    waiting: Mutex<HashMap<i64, usize>>,
}

/// A place; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place<'a> {
    polls: &'a Polls,
    device: i64,
}

impl Polls {
    /// A place for a device, if there is one.
    pub(super) fn wait(&self, device: i64) -> Option<Place<'_>> {
        let mut waiting = self.hold();
        let own = waiting.get(&device).copied().unwrap_or_default();
        if own >= OF_ONE || waiting.values().sum::<usize>() >= PLACES {
            return None;
        }
        waiting.insert(device, own + 1);
        drop(waiting);
        Some(Place {
            polls: self,
            device,
        })
    }

    fn hold(&self) -> MutexGuard<'_, HashMap<i64, usize>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut waiting = self.polls.hold();
        match waiting.get_mut(&self.device) {
            Some(own) if *own > 1 => *own -= 1,
            _ => {
                waiting.remove(&self.device);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_device_takes_all_places() {
        let polls = Polls::default();
        let mut places: Vec<_> = (0..10).filter_map(|_| polls.wait(7)).collect();
        assert_eq!(places.len(), OF_ONE);
        places.pop();
        assert!(polls.wait(7).is_some(), "one was given back");
        let others: Vec<_> = (100..5000)
            .filter_map(|device| polls.wait(device))
            .collect();
        assert_eq!(others.len(), PLACES - OF_ONE + 1);
        drop((places, others));
        assert!(polls.hold().is_empty());
    }
}
