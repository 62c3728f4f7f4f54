//! Secrets that people carry: 256 random bits, of which we keep a hash.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest, Sha256};

use crate::db::SecretHash;

/// How tokens of people begin: they are known by it wherever they turn up.
pub(super) const API_TOKEN_PREFIX: &str = "atl_";

/// A new secret for the one who is to have it, and what we keep of it.
pub(in crate::web) struct Minted {
    pub(in crate::web) secret: String,
    pub(in crate::web) hash: SecretHash,
}

impl Minted {
    /// For a cookie or a link.
    pub(in crate::web) fn new() -> Self {
        Self::with_prefix("")
    }

    pub(in crate::web) fn api_token() -> Self {
        Self::with_prefix(API_TOKEN_PREFIX)
    }

    fn with_prefix(prefix: &str) -> Self {
        let secret = format!("{prefix}{}", BASE64URL_NOPAD.encode(&rand::random::<[u8; 32]>()));
        Self { hash: hash(&secret), secret }
    }
}

pub(in crate::web) fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}
