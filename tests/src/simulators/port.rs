//! A serial port that can be pulled and plugged: a pseudo-terminal behind a link that keeps its name, as udev does.
//!
//! What is sent while nobody has the port open is gone, as on a real line; closing the far end of the pseudo-terminal
//! is what a pulled plug looks like to a program that reads it.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

/// What became of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// They are on the line.
    Taken,
    /// Nobody has the port open, or it is not plugged in.
    Unheard,
    /// The reader is far behind and the line's buffer is full: some or all are gone.
    Overflowed,
}

/// The device's end of a line.
#[derive(Debug)]
pub struct Port {
    link: PathBuf,
    line: Option<File>,
}

impl Port {
    /// A port under this name, not yet plugged in.
    #[must_use]
    pub fn unplugged(link: PathBuf) -> Self {
        Self { link, line: None }
    }

    /// The name that programs open.
    #[must_use]
    pub fn link(&self) -> &Path {
        &self.link
    }

    /// Plugs it in: the name leads to a new line from now on.
    ///
    /// # Errors
    /// If the system has no pseudo-terminal left, or the link cannot be made.
    pub fn plug(&mut self) -> anyhow::Result<()> {
        self.unplug();
        let pair = openpty(None, None).context("no pseudo-terminal")?;
        let mut termios = tcgetattr(&pair.slave)?;
        cfmakeraw(&mut termios);
        tcsetattr(&pair.slave, SetArg::TCSANOW, &termios)?;
        let path = ttyname(&pair.slave)?;
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        // A child that inherits the line would keep it plugged in.
        fcntl(&pair.master, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        let fresh = self.link.with_extension("fresh");
        let _ = std::fs::remove_file(&fresh);
        symlink(&path, &fresh).with_context(|| format!("cannot link {}", fresh.display()))?;
        std::fs::rename(&fresh, &self.link)?;
        // The other end is closed here: only then does the line tell whether somebody has it open.
        drop(pair.slave);
        self.line = Some(File::from(pair.master));
        Ok(())
    }

    /// Pulls the plug.
    pub fn unplug(&mut self) {
        if self.line.take().is_some() {
            let _ = std::fs::remove_file(&self.link);
        }
    }

    /// Whether a program has the port open.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let Some(line) = &self.line else { return false };
        let mut fds = [PollFd::new(line.as_fd(), PollFlags::POLLOUT)];
        let polled = poll(&mut fds, PollTimeout::ZERO);
        polled.is_ok() && !fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }

    /// Sends bytes, never waits.
    pub fn send(&mut self, bytes: &[u8]) -> Sent {
        if !self.is_open() {
            return Sent::Unheard;
        }
        let Some(line) = &mut self.line else { return Sent::Unheard };
        match line.write(bytes) {
            Ok(written) if written == bytes.len() => Sent::Taken,
            Ok(_) => Sent::Overflowed,
            Err(error) if error.kind() == ErrorKind::WouldBlock => Sent::Overflowed,
            Err(_) => Sent::Unheard,
        }
    }

    /// Sends as many bytes as there is room for, never waits; `None` if nobody has the port open, or it is not plugged in.
    pub fn send_some(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.is_open() {
            return None;
        }
        match self.line.as_mut()?.write(bytes) {
            Ok(count) => Some(count),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Some(0),
            Err(_) => None,
        }
    }

    /// What the other side has sent (a command to select a format, say).
    pub fn received(&mut self) -> Vec<u8> {
        let mut buffer = [0; 256];
        let read = self.line.as_mut().and_then(|line| line.read(&mut buffer).ok());
        buffer[..read.unwrap_or(0)].to_vec()
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.unplug();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unheard_bytes_are_gone_and_a_pulled_plug_ends_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut port = Port::unplugged(folder.path().join("oximeter"));
        assert_eq!(port.send(b"a"), Sent::Unheard);
        port.plug().unwrap();
        assert_eq!(port.send(b"b"), Sent::Unheard);
        let mut reader = File::open(port.link()).unwrap();
        let mut termios = tcgetattr(&reader).unwrap();
        cfmakeraw(&mut termios);
        tcsetattr(&reader, SetArg::TCSANOW, &termios).unwrap();
        assert_eq!(port.send(b"c"), Sent::Taken);
        let mut byte = [0];
        reader.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"c");
        port.unplug();
        assert!(!port.link().exists());
        assert!(matches!(reader.read(&mut byte), Ok(0) | Err(_)));
        port.plug().unwrap();
        assert!(port.link().exists());
    }
}
