//! Bytes to and from the other end.

use std::io::{self, ErrorKind, Read, Write};

/// A line to the other end whose reads and writes give up after a while.
///
/// A read that finds nothing, and a write that finds no room, return [`ErrorKind::TimedOut`] after a time of their own
/// or [`ErrorKind::WouldBlock`] at once. Neither blocks for ever.
pub trait Stream: Read + Write + Send {
    /// Another handle on the same line, so that one thread can write while another reads.
    ///
    /// # Errors
    /// What the system says.
    fn split(&self) -> io::Result<Box<dyn Stream>>;
}

impl Stream for Box<dyn Stream> {
    fn split(&self) -> io::Result<Box<dyn Stream>> {
        (**self).split()
    }
}

/// Whether the error is "nothing yet".
pub(crate) fn is_early(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// Whether the other end has left: unplugged, closed, hung up.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::NotFound | ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
    ) || matches!(error.raw_os_error(), Some(libc::EIO | libc::ENXIO | libc::ENODEV))
}
