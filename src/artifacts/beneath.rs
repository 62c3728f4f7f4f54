//! Opening what somebody else named: the kernel resolves the path beneath a folder and follows no link.

use std::path::Path;

use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{Mode, OFlags, ResolveFlags, openat2},
    io,
};

/// Opens for reading. Without `NONBLOCK` a FIFO would hold the caller until somebody writes to it; the caller looks at
/// the kind of what it got.
pub(super) fn open_beneath(root: impl AsFd, path: impl AsRef<Path>, more: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | more;
    let resolve =
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
    openat2(root, path.as_ref(), flags, Mode::empty(), resolve)
}
