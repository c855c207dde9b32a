//! Memory that two processes see.

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr::{NonNull, null_mut};

/// A stretch of memory that the other side may write to at any time: bytes are copied in and out, never lent.
pub(super) struct Area {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: an address of this process, reached through `&self` and `&mut self` alone.
unsafe impl Send for Area {}

impl Area {
    /// New memory, and the descriptor by which another process can have it too. Neither side can change its size: whoever
    /// makes it smaller would end the other at its next touch.
    pub(super) fn new(bytes: usize) -> io::Result<(Self, OwnedFd)> {
        // SAFETY: the name ends with a zero; nothing else is pointed to.
        let fd =
            unsafe { libc::memfd_create(c"doorframe-decoder".as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just gave this descriptor to nobody else.
        let file = unsafe { File::from_raw_fd(fd) };
        file.set_len(bytes as u64)?;
        let seals = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_SEAL;
        // SAFETY: takes plain numbers.
        if unsafe { libc::fcntl(fd, libc::F_ADD_SEALS, seals) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let fd = OwnedFd::from(file);
        Ok((Self::map(std::os::fd::AsFd::as_fd(&fd), bytes)?, fd))
    }

    /// The memory behind a descriptor that the other side made by [`Area::new`].
    pub(super) fn of(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        if File::from(fd.try_clone_to_owned()?).metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::map(fd, bytes)
    }

    fn map(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, where the kernel wants it.
        let start = unsafe { libc::mmap(null_mut(), bytes, protection, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(start.cast()).map(|start| Self { start, bytes }).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// Where `count` bytes at `at` begin, if there are as many.
    fn place(&self, at: usize, count: usize) -> Option<NonNull<u8>> {
        let end = at.checked_add(count)?;
        // SAFETY: inside of the mapping, or one past its end.
        (end <= self.bytes).then(|| unsafe { self.start.add(at) })
    }

    /// Copies `from` to `at`; `None` if it does not fit.
    pub(super) fn write(&mut self, at: usize, from: &[u8]) -> Option<()> {
        let to = self.place(at, from.len())?;
        // SAFETY: as many bytes of the mapping as `place` found; no slice of it is ever lent, so they lie apart.
        unsafe { to.as_ptr().copy_from_nonoverlapping(from.as_ptr(), from.len()) };
        Some(())
    }

    /// Fills `to` from `at`; `None` if there is not as much. What it reads may change meanwhile: any byte is a sample.
    pub(super) fn read(&self, at: usize, to: &mut [u8]) -> Option<()> {
        let from = self.place(at, to.len())?;
        // SAFETY: as many bytes of the mapping as `place` found; no slice of it is ever lent, so they lie apart.
        unsafe { from.as_ptr().copy_to_nonoverlapping(to.as_mut_ptr(), to.len()) };
        Some(())
    }
}

impl Drop for Area {
    fn drop(&mut self) {
        // SAFETY: mapped once, unmapped once, not used after.
        unsafe { libc::munmap(self.start.as_ptr().cast::<c_void>(), self.bytes) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn what_one_side_writes_the_other_reads_and_nobody_reads_beyond() {
        let (mut ours, fd) = Area::new(10_000).unwrap();
        let theirs = Area::of(fd.as_fd(), 10_000).unwrap();
        assert_eq!(ours.write(9_995, b"abcde"), Some(()));
        let mut bytes = [0; 5];
        assert_eq!(theirs.read(9_995, &mut bytes), Some(()));
        assert_eq!(&bytes, b"abcde");
        assert_eq!(theirs.read(9_996, &mut bytes), None);
        assert_eq!(ours.write(usize::MAX, b"a"), None);
        assert!(Area::of(fd.as_fd(), 10_001).is_err());
    }

    #[test]
    fn its_size_stays_as_it_is() {
        let (_area, fd) = Area::new(10_000).unwrap();
        let file = File::from(fd);
        assert_eq!(file.set_len(0).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        assert_eq!(file.set_len(20_000).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
