//! Taking secrets out of what leaves as training data. What still looks like one keeps its record back.

use serde_json::Value;

use crate::redact;

/// Why a record is left out. It says where, never what.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unfit(pub(super) String);

/// The value with every text in it cleaned, names too.
pub(super) fn clean(value: &Value, place: &str) -> Result<Value, Unfit> {
    Ok(match value {
        Value::String(text) => Value::String(clean_text(text, place)?),
        Value::Array(items) => items.iter().map(|item| clean(item, place)).collect::<Result<_, _>>()?,
        Value::Object(object) => {
            let entries = object.iter().map(|(name, value)| Ok((clean_text(name, place)?, clean(value, place)?)));
            Value::Object(entries.collect::<Result<_, Unfit>>()?)
        }
        other => other.clone(),
    })
}

fn clean_text(text: &str, place: &str) -> Result<String, Unfit> {
    let masked = redact::mask(text);
    let (clean, _) = redact::without_known_secrets(&masked);
    match redact::suspicion(&clean) {
        None => Ok(clean.into_owned()),
        Some(what) => Err(Unfit(format!("{place} still holds {what}"))),
    }
}

/// The last look at what is about to be written.
pub(super) fn check_line(line: &str) -> Result<(), Unfit> {
    let leaks = redact::holds_secret(line.as_bytes()) || redact::without_known_secrets(line).1 > 0;
    if leaks { Err(Unfit("the finished line still holds a secret".to_owned())) } else { Ok(()) }
}
