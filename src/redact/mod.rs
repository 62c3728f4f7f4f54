//! The masker: secrets of this server do not get into files, the database, pages, logs or the terminal.
//!
//! It is the net, not the wall: no secret is given to a container in the first place, but a provider may repeat the key
//! it was sent, and a repository may hold it. What is masked: the secret as it is, its base64 at every shift, its URL,
//! JSON and XML forms, also broken up by line ends and terminal sequences. The secrets of a process are one set, known to
//! everything in it: a writer that had to be handed the set could be forgotten.

mod cover;
mod forms;
mod patterns;
mod shapes;
mod stream;
mod view;

use std::{
    borrow::Cow,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

pub(crate) use cover::{Covered, cover, cover_bytes, covered};
use patterns::Patterns;
pub(crate) use shapes::{suspicion, without_known_secrets};
pub(crate) use stream::{MaskedStream, MaskedWriter};

/// What stands in the place of a secret.
pub(crate) const MASK: &str = "***";

static PATTERNS: LazyLock<RwLock<Arc<Patterns>>> = LazyLock::new(RwLock::default);

/// Makes a secret known: from now on it is masked wherever it would show. Secrets of up to three characters are not.
pub(crate) fn register(secret: &SecretString) {
    let secret = secret.expose_secret();
    let mut patterns = PATTERNS.write().unwrap_or_else(PoisonError::into_inner);
    if !patterns.knows(secret) {
        *patterns = Arc::new(patterns.with(secret));
    }
}

fn patterns() -> Arc<Patterns> {
    PATTERNS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The bytes without secrets. What was UTF-8 stays UTF-8.
pub(crate) fn mask_bytes(bytes: &[u8]) -> Cow<'_, [u8]> {
    let found = patterns().find(bytes);
    if found.is_empty() {
        return Cow::Borrowed(bytes);
    }
    let mut masked = Vec::with_capacity(bytes.len());
    let mut at = 0;
    for range in found {
        masked.extend_from_slice(&bytes[at..range.start]);
        masked.extend_from_slice(MASK.as_bytes());
        at = range.end;
    }
    masked.extend_from_slice(&bytes[at..]);
    Cow::Owned(masked)
}

pub(crate) fn mask(text: &str) -> Cow<'_, str> {
    match mask_bytes(text.as_bytes()) {
        Cow::Borrowed(_) => Cow::Borrowed(text),
        Cow::Owned(masked) => Cow::Owned(String::from_utf8_lossy(&masked).into_owned()),
    }
}

pub(crate) fn holds_secret(bytes: &[u8]) -> bool {
    !patterns().find(bytes).is_empty()
}

/// As JSON with the texts in it masked. Masking the written JSON could tear its quotes apart.
pub(crate) fn to_json<T: Serialize + DeserializeOwned>(value: &T) -> serde_json::Result<String> {
    let json = serde_json::to_string(value)?;
    if holds_secret(json.as_bytes()) {
        serde_json::to_string(&masked_value::<T>(&serde_json::from_str(&json)?))
    } else {
        Ok(json)
    }
}

/// The value with the texts in it masked.
pub(crate) fn masked<T: Serialize + DeserializeOwned>(value: T) -> serde_json::Result<T> {
    let json = serde_json::to_string(&value)?;
    if holds_secret(json.as_bytes()) {
        serde_json::from_value(masked_value::<T>(&serde_json::from_str(&json)?))
    } else {
        Ok(value)
    }
}

/// Masks so that a `T` can still be read: somebody's key may be `user`, which is also a word of ours.
fn masked_value<T: DeserializeOwned>(value: &Value) -> Value {
    let hide = |text: &str| mask(text).into_owned();
    let strict = mask_value(value, |_| true, hide);
    if T::deserialize(&strict).is_ok() { strict } else { mask_value(value, |text| !is_word(text), hide) }
}

/// Names that are words are those of our own fields. Recursion ends where JSON does: the parser allows 128 levels.
fn mask_value(value: &Value, is_masked: fn(&str) -> bool, hide: fn(&str) -> String) -> Value {
    let below = |value: &Value| mask_value(value, is_masked, hide);
    match value {
        Value::String(text) if is_masked(text) => Value::String(hide(text)),
        Value::Array(items) => items.iter().map(below).collect(),
        Value::Object(object) => {
            let name = |name: &str| if is_word(name) { name.to_owned() } else { hide(name) };
            object.iter().map(|(key, value)| (name(key), below(value))).collect()
        }
        other => other.clone(),
    }
}

fn is_word(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests;
