//! Where a device is plugged in: shared by whoever holds it and by what serves it.

use crate::usb::Function;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What can be served on a bus: a [`Board`](crate::Board) or a [`Rig`](crate::Rig).
pub trait Device {
    /// Where it is plugged in.
    fn port(&self) -> Arc<Port>;
}

/// Where a device is plugged in.
pub type Port = Socket<dyn Function>;

/// A device, the time since it was made, and a way to wake whoever serves it.
#[derive(Debug)]
pub struct Socket<F: ?Sized> {
    made: Instant,
    /// Whether there is news since the last wait.
    news: Mutex<bool>,
    wake: Condvar,
    served: Mutex<bool>,
    function: Mutex<F>,
}

impl<F> Socket<F> {
    pub(crate) fn new(function: F) -> Self {
        Self {
            made: Instant::now(),
            news: Mutex::new(false),
            wake: Condvar::new(),
            served: Mutex::new(false),
            function: Mutex::new(function),
        }
    }
}

impl<F: ?Sized> Socket<F> {
    /// Time since the device was made.
    pub(crate) fn now(&self) -> Duration {
        self.made.elapsed()
    }

    /// The device. A panic elsewhere leaves it as it was: its state is whole between any two calls.
    pub(crate) fn lock(&self) -> MutexGuard<'_, F> {
        self.function.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits in [`Self::wait`].
    pub(crate) fn notify(&self) {
        *self.news.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.wake.notify_all();
    }

    /// Waits for news, or until `until`, since the device was made.
    pub(crate) fn wait(&self, until: Option<Duration>) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        while !*news {
            let left = until.map(|until| until.saturating_sub(self.now()));
            match left {
                Some(Duration::ZERO) => return,
                Some(left) => {
                    news = self.wake.wait_timeout(news, left).unwrap_or_else(PoisonError::into_inner).0;
                }
                None => news = self.wake.wait(news).unwrap_or_else(PoisonError::into_inner),
            }
        }
        *news = false;
    }

    /// Takes the only place on the bus; false if it is taken.
    pub(crate) fn occupy(&self) -> bool {
        let mut served = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        !std::mem::replace(&mut *served, true)
    }

    /// Gives the place back.
    pub(crate) fn vacate(&self) {
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }
}
