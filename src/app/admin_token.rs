//! The token of the owner: made at the first start, kept in `<data_dir>/admin-token`.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use data_encoding::BASE64URL_NOPAD;
use secrecy::SecretString;

use crate::redact;

/// The token, and whether it was made just now.
#[derive(Debug)]
pub(crate) struct AdminToken {
    pub(crate) token: SecretString,
    pub(crate) is_new: bool,
}

/// Reads the token; makes one where there is none.
pub(crate) fn load(path: &Path) -> io::Result<AdminToken> {
    let loaded = read_or_create(path)?;
    redact::register(&loaded.token);
    Ok(loaded)
}

fn read_or_create(path: &Path) -> io::Result<AdminToken> {
    match fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(AdminToken { token: text.trim().into(), is_new: false }),
        Ok(_) => create(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path),
        Err(error) => Err(error),
    }
}

fn create(path: &Path) -> io::Result<AdminToken> {
    let random: [u8; 32] = rand::random();
    let token = BASE64URL_NOPAD.encode(&random);
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    Ok(AdminToken { token: token.into(), is_new: true })
}
