//! Wakes the step client the moment the server puts its socket into place, instead of polling through a long setup.

use std::io;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe;

/// A watch on the directory of the socket. An inotify descriptor is read like a pipe, and tokio's pipe takes any
/// descriptor safely; its `AsyncFd` wants `unsafe` for the same.
#[derive(Debug)]
pub(crate) struct SocketWatch(pipe::Receiver);

impl SocketWatch {
    /// Must be called inside a tokio runtime.
    pub(crate) fn new(socket: &Path) -> io::Result<Self> {
        let directory = socket.parent().unwrap_or(Path::new("/"));
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // ATTRIB: a server opens the mode of its socket only after it bound it.
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB;
        inotify::add_watch(&watch, directory, flags)?;
        Ok(Self(pipe::Receiver::from_owned_fd_unchecked(watch)?))
    }

    /// Returns when something changed in the directory since the last call.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        let mut events = [0; 4096];
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut events) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read.map(|_| ()),
            }
        }
    }
}
