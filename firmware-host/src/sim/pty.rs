//! A line for whoever plays a device of another kind.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use crate::posix::{self, Ready, Terminal};
use crate::stream::Stream;

/// The device's end of a pseudo-terminal. Hosts come and go; reads and writes wait for 20 ms at most.
#[derive(Debug)]
pub struct Pty(Terminal);

const PATIENCE: Duration = Duration::from_millis(20);

impl Pty {
    /// A new line.
    ///
    /// # Errors
    /// Where the system gives no pseudo-terminal.
    pub fn open() -> io::Result<Self> {
        Terminal::open().map(Self)
    }

    /// What a host opens.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    fn patiently<T>(&self, ready: Ready, mut act: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        match act() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if posix::wait(self.0.master.as_fd(), ready, PATIENCE)? {
                    act()
                } else {
                    Err(io::ErrorKind::TimedOut.into())
                }
            }
            other => other,
        }
    }
}

impl Read for Pty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut master = &self.0.master;
        self.patiently(Ready::Read, || master.read(buffer))
    }
}

impl Write for Pty {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut master = &self.0.master;
        self.patiently(Ready::Write, || master.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Pty {
    fn split(&self) -> io::Result<Box<dyn Stream>> {
        let terminal = Terminal {
            master: self.0.master.try_clone()?,
            slave: self.0.slave.try_clone()?,
            path: self.0.path.clone(),
        };
        Ok(Box::new(Self(terminal)))
    }
}
