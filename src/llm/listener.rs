//! What a person should know while an answer is awaited.

use std::fmt;

/// Hears sentences for people, such as why a request waits. The default hears nothing.
#[derive(Clone, Copy, Default)]
pub(crate) struct Listener<'a>(Option<&'a (dyn Fn(String) + Send + Sync)>);

impl<'a> Listener<'a> {
    pub(crate) fn new(hear: &'a (dyn Fn(String) + Send + Sync)) -> Self {
        Self(Some(hear))
    }

    pub(super) fn tell(self, sentence: String) {
        if let Some(hear) = self.0 {
            hear(sentence);
        }
    }
}

impl fmt::Debug for Listener<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Listener")
    }
}
