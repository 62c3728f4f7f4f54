//! A copy of the whole database for a backup.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{DbError, thread::BUSY_TIMEOUT};

/// Writes what the database at `from` holds at this moment to the new file `to`, also while a server works with it.
/// Logins and open invitations stay out: who has the copy is not logged in. Returns how many tasks are in it. Blocks.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<u64, DbError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags)?;
    source.busy_timeout(BUSY_TIMEOUT)?;
    source.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    let copy = Connection::open(to)?;
    copy.execute_batch("DELETE FROM sessions; DELETE FROM invites")?;
    Ok(copy.query_row("SELECT count(*) FROM tasks", [], |row| row.get(0))?)
}
