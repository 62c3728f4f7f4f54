//! What proves to the server that a request comes from the agent and not from a command it runs. The agent makes it up
//! when it starts, and keeps it in memory that no other process of its user can read; the server goes by whoever spoke
//! first.

use std::fs::File;
use std::io::{self, Read};

use reqwest::header::HeaderValue;

/// A new secret as the value of [`SECRET_HEADER`](crate::wire::SECRET_HEADER). Its `Debug` hides it.
pub(crate) fn make() -> io::Result<HeaderValue> {
    let mut random = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut value = HeaderValue::try_from(format!("{:032x}", u128::from_ne_bytes(random))).map_err(io::Error::other)?;
    value.set_sensitive(true);
    Ok(value)
}
