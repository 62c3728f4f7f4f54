//! One server a data directory: a lock for the time it runs, and a name that marks what it makes.

use std::{
    fs::{self, File},
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use data_encoding::BASE32_NOPAD;
use rustix::fs::{FlockOperation, flock};

/// Held while the server runs; the kernel lets go of the lock when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Instance {
    name: String,
    lock: File,
    address: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InstanceError {
    #[error("another Atelier runs on {} already; stop it, or choose another data_dir", .0.display())]
    Taken(PathBuf),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl Instance {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, InstanceError> {
        let lock = fs::OpenOptions::new().create(true).truncate(false).write(true).open(data_dir.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| InstanceError::Taken(data_dir.to_owned()))?;
        let file = data_dir.join("instance");
        let name = match fs::read_to_string(&file) {
            Ok(name) if !name.trim().is_empty() => name.trim().to_owned(),
            _ => {
                let random: [u8; 10] = rand::random();
                let name = BASE32_NOPAD.encode(&random).to_ascii_lowercase();
                // A name that is lost with the power would leave containers nobody knows.
                let mut file = File::create(&file)?;
                file.write_all(name.as_bytes())?;
                file.sync_all()?;
                name
            }
        };
        Ok(Self { name, lock, address: address_file(data_dir) })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Leaves a note for the command line where the server listens.
    pub(crate) fn announce(&self, address: SocketAddr) -> io::Result<()> {
        fs::write(&self.address, address.to_string())
    }
}

/// The address of the server that runs on this data directory, if one does.
pub(crate) fn running_server(data_dir: &Path) -> Option<SocketAddr> {
    let lock = fs::OpenOptions::new().write(true).open(data_dir.join("lock")).ok()?;
    match flock(&lock, FlockOperation::NonBlockingLockShared) {
        Ok(()) => None,
        Err(_) => fs::read_to_string(address_file(data_dir)).ok()?.trim().parse().ok(),
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // The lock says whether somebody runs; the note is only cleared for tidiness.
        let _ = fs::remove_file(&self.address);
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

fn address_file(data_dir: &Path) -> PathBuf {
    data_dir.join("address")
}
