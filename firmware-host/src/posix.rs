//! What the standard library has no name for: waiting on a descriptor, descriptors that never block, pseudo-terminals.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

/// What to wait for.
#[derive(Clone, Copy)]
pub(crate) enum Ready {
    Read,
    Write,
}

/// Waits until `fd` can be read or written, or is hung up; false when `patience` ends first.
pub(crate) fn wait(fd: BorrowedFd<'_>, ready: Ready, patience: Duration) -> io::Result<bool> {
    let events = match ready {
        Ready::Read => libc::POLLIN,
        Ready::Write => libc::POLLOUT,
    };
    let mut polled = libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 };
    let limit = libc::timespec {
        tv_sec: libc::time_t::try_from(patience.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(patience.subsec_nanos().cast_signed()),
    };
    // SAFETY: one valid entry, a valid time, no signal mask; nothing is kept.
    match unsafe { libc::ppoll(&raw mut polled, 1, &raw const limit, std::ptr::null()) } {
        -1 => {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted { Ok(false) } else { Err(error) }
        }
        ready => Ok(ready > 0),
    }
}

/// Makes reads and writes on the open file behind `fd` return at once.
pub(crate) fn never_block(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: flags of a descriptor that is borrowed, so it is open.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
    Ok(())
}

/// Another descriptor of the open file behind `fd`.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<File> {
    // SAFETY: the caller's port is alive, so its descriptor is open.
    unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().map(File::from)
}

/// A pseudo-terminal: what is written to one end is read at the other, byte by byte as it is.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// The device's end; never blocks.
    pub(crate) master: File,
    /// The host's end, kept open so that the line survives hosts that come and go.
    pub(crate) slave: OwnedFd,
    /// What the host opens.
    pub(crate) path: PathBuf,
}

impl Terminal {
    pub(crate) fn open() -> io::Result<Self> {
        let (mut master, mut slave) = (-1, -1);
        let mut name = [0; 128];
        // SAFETY: both descriptors are written on success; no name, settings or size are passed.
        check(unsafe {
            libc::openpty(
                &raw mut master,
                &raw mut slave,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        })?;
        // SAFETY: fresh descriptors that nobody else owns.
        let (master, slave) = unsafe { (File::from_raw_fd(master), OwnedFd::from_raw_fd(slave)) };
        for fd in [master.as_raw_fd(), slave.as_raw_fd()] {
            // SAFETY: an open descriptor. A child of ours must not keep the line open.
            check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
        }
        // SAFETY: a buffer of the length that is told.
        match unsafe { libc::ptsname_r(master.as_raw_fd(), name.as_mut_ptr(), name.len()) } {
            0 => {}
            code => return Err(io::Error::from_raw_os_error(code)),
        }
        // SAFETY: `ptsname_r` ended the name with a zero.
        let path = PathBuf::from(unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned());
        raw(slave.as_fd())?;
        never_block(master.as_fd())?;
        Ok(Self { master, slave, path })
    }
}

/// Bytes as they are: no echo, no lines, no signals.
fn raw(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: all zeros is a value of this plain structure; it is written before it is used.
    let mut settings: libc::termios = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor and a structure to write to.
    check(unsafe { libc::tcgetattr(fd.as_raw_fd(), &raw mut settings) })?;
    // SAFETY: changes the structure only.
    unsafe { libc::cfmakeraw(&raw mut settings) };
    // SAFETY: an open descriptor and settings that came from it.
    check(unsafe { libc::tcsetattr(fd.as_raw_fd(), libc::TCSANOW, &raw const settings) })?;
    Ok(())
}

fn check(code: libc::c_int) -> io::Result<libc::c_int> {
    if code == -1 { Err(io::Error::last_os_error()) } else { Ok(code) }
}

/// Processor time of this thread so far.
pub(crate) fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a structure to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
