//! Remembers for a short while, within a bound.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Values by name, forgotten after a fixed time, the oldest first when there is no room.
pub(super) struct Memory<T> {
    keep: Duration,
    most: usize,
    inner: Mutex<Inner<T>>,
}

struct Inner<T> {
    values: HashMap<Arc<str>, (Instant, T)>,
    /// In the order of their coming, which is that of their going.
    order: VecDeque<(Instant, Arc<str>)>,
}

impl<T: Clone> Memory<T> {
    pub(super) fn new(keep: Duration, most: usize) -> Self {
        Self {
            keep,
            most,
            inner: Mutex::new(Inner {
                values: HashMap::new(),
                order: VecDeque::new(),
            }),
        }
    }

    pub(super) fn recall(&self, name: &str, now: Instant) -> Option<T> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = inner.values.get(name)?;
        (now.duration_since(*since) < self.keep).then(|| value.clone())
    }

    /// The value, if it is not from before a moment.
    pub(super) fn recall_since(&self, name: &str, moment: Instant, now: Instant) -> Option<T> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, value) = inner.values.get(name)?;
        let holds = *since >= moment && now.duration_since(*since) < self.keep;
        holds.then(|| value.clone())
    }

    pub(super) fn remember(&self, name: &str, value: T, now: Instant) {
        if self.keep.is_zero() {
            return;
        }
        let name: Arc<str> = name.into();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.forget_old(now, self.keep, self.most);
        inner.order.push_back((now, name.clone()));
        inner.values.insert(name, (now, value));
    }

    pub(super) fn forget(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.values.clear();
        inner.order.clear();
    }
}

impl<T> Inner<T> {
    /// Makes room for one more.
    fn forget_old(&mut self, now: Instant, keep: Duration, most: usize) {
        while let Some((since, name)) = self.order.front() {
            let is_old = now.duration_since(*since) >= keep;
            if !is_old && self.order.len() < most {
                return;
            }
            // It may have been remembered anew since.
            if self.values.get(name).is_some_and(|(at, _)| at == since) {
                self.values.remove(name);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn values_are_forgotten_in_time() {
        let memory = Memory::new(MINUTE, 10);
        let start = Instant::now();
        memory.remember("taro", 1, start);
        assert_eq!(memory.recall("taro", start + MINUTE / 2), Some(1));
        memory.remember("taro", 2, start + MINUTE / 2);
        assert_eq!(memory.recall("taro", start + MINUTE), Some(2));
        memory.remember("hanako", 3, start + MINUTE);
        assert_eq!(memory.recall("taro", start + MINUTE), Some(2));
        assert_eq!(memory.recall("taro", start + MINUTE * 3 / 2), None);
    }

    #[test]
    fn what_is_from_before_a_moment_is_not_recalled_for_it() {
        let memory = Memory::new(MINUTE, 10);
        let start = Instant::now();
        memory.remember("taro", 1, start);
        assert_eq!(memory.recall_since("taro", start, start), Some(1));
        let later = start + MINUTE / 2;
        assert_eq!(memory.recall_since("taro", later, later), None);
        assert_eq!(memory.recall_since("taro", start, start + MINUTE), None);
    }

    #[test]
    fn there_is_a_bound() {
        let memory = Memory::new(MINUTE, 10);
        let start = Instant::now();
        for number in 0..1000 {
            memory.remember(&(number % 500).to_string(), number, start);
        }
        assert_eq!(memory.recall("499", start), Some(999));
        assert_eq!(memory.recall("480", start), None);
        assert!(memory.inner.lock().unwrap().values.len() <= 10);
        memory.forget();
        assert_eq!(memory.recall("499", start), None);
    }

    #[test]
    fn nothing_is_remembered_for_no_time() {
        let memory = Memory::new(Duration::ZERO, 10);
        let start = Instant::now();
        memory.remember("taro", 1, start);
        assert_eq!(memory.recall("taro", start), None);
    }
}
