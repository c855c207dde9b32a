//! A [`Port`] that is a serial device, such as `/dev/ttyACM0`.

use crate::host::Port;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, ioctl_tiocexcl, ioctl_tiocnxcl, tcgetattr, tcsetattr};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// An open serial device that nobody else can open.
#[derive(Debug)]
pub struct Serial {
    device: OwnedFd,
    start: Instant,
}

impl Serial {
    /// Opens the device for raw bytes.
    ///
    /// # Errors
    /// If it is not there, not ours to open, open already (`EBUSY`), or no serial device.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = open(path, flags, Mode::empty())?;
        // Root could open it all the same: what is locked is not.
        flock(&device, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => Errno::BUSY,
            error => error,
        })?;
        let mut settings = tcgetattr(&device)?;
        settings.make_raw();
        tcsetattr(&device, OptionalActions::Now, &settings)?;
        ioctl_tiocexcl(&device)?;
        Ok(Self { device, start: Instant::now() })
    }

    /// Whether it can be read from (or written to) before `until`.
    fn ready(&self, flags: PollFlags, until: Duration) -> io::Result<bool> {
        let left = Timespec::try_from(until.saturating_sub(self.now())).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        match poll(&mut [PollFd::new(&self.device, flags)], Some(&left)) {
            Ok(count) => Ok(count > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Serial {
    fn drop(&mut self) {
        // Somebody else may have it open for as long as he likes, and would keep all others out. A line that is gone is nobody's.
        let _ = ioctl_tiocnxcl(&self.device);
    }
}

impl Port for Serial {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn send(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let until = self.now() + Duration::from_secs(1);
        while !bytes.is_empty() {
            match rustix::io::write(&self.device, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::AGAIN) if self.now() < until => {
                    self.ready(PollFlags::OUT, until)?;
                }
                Err(Errno::AGAIN) => return Err(io::Error::new(io::ErrorKind::TimedOut, "it takes no bytes")),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn recv(&mut self, until: Duration, into: &mut [u8]) -> io::Result<usize> {
        while self.now() < until {
            if !self.ready(PollFlags::IN, until)? {
                continue;
            }
            match rustix::io::read(&self.device, &mut *into) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "unplugged")),
                Ok(count) => return Ok(count),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(0)
    }

    fn wait(&mut self, until: Duration) {
        std::thread::sleep(until.saturating_sub(self.now()));
    }
}
