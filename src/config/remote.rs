//! Which server the command line talks to, when it is not the one on this machine.

use std::env;

use secrecy::SecretString;

use crate::redact;

pub(crate) const SERVER_VARIABLE: &str = "ATELIER_SERVER";
pub(crate) const TOKEN_VARIABLE: &str = "ATELIER_TOKEN";

/// The address of a server, from the environment.
pub(crate) fn remote_server() -> Option<String> {
    env::var(SERVER_VARIABLE).ok().map(|url| url.trim().to_owned()).filter(|url| !url.is_empty())
}

/// A token for it. There is no option for it: what stands in a command line every user of the machine can read.
pub(crate) fn remote_token() -> Option<SecretString> {
    let token = env::var(TOKEN_VARIABLE).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty())?;
    let token = SecretString::from(token);
    redact::register(&token);
    Some(token)
}
