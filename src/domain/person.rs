//! People: who they are, and whose tasks they see.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of a person; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct PersonId(pub(crate) i64);

impl PersonId {
    /// Whose server it is: there from the first start, and there is one.
    pub(crate) const OWNER: Self = Self(1);
}

/// Somebody who may work here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Person {
    pub(crate) id: PersonId,
    pub(crate) name: String,
}

impl Person {
    pub(crate) fn is_owner(&self) -> bool {
        self.id == PersonId::OWNER
    }

    /// The tasks that are there for this person.
    pub(crate) fn scope(&self) -> Scope {
        if self.is_owner() { Scope::All } else { Scope::Of(self.id) }
    }
}

/// Which tasks a query is about. Whatever reads tasks for somebody has to say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    Of(PersonId),
}

impl Scope {
    pub(crate) fn contains(self, owner: PersonId) -> bool {
        match self {
            Self::All => true,
            Self::Of(person) => person == owner,
        }
    }

    /// The one person whose tasks are meant.
    pub(crate) fn person(self) -> Option<PersonId> {
        match self {
            Self::All => None,
            Self::Of(person) => Some(person),
        }
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a person is called and logs in by: at most 60 characters on one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PersonName(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("give a name of at most {MAX_NAME_CHARS} characters, on one line")]
pub(crate) struct NotAName;

const MAX_NAME_CHARS: usize = 60;

impl TryFrom<&str> for PersonName {
    type Error = NotAName;

    fn try_from(text: &str) -> Result<Self, NotAName> {
        let text = text.trim();
        let fits = (1..=MAX_NAME_CHARS).contains(&text.chars().count());
        if fits && !text.chars().any(char::is_control) { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

impl From<PersonName> for String {
    fn from(name: PersonName) -> Self {
        name.0
    }
}

/// An address of e-mail in lower case, as far as its looks tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Email(String);

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an e-mail address")]
pub(crate) struct NotAnEmail;

const MAX_EMAIL_BYTES: usize = 254;

impl Email {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl TryFrom<&str> for Email {
    type Error = NotAnEmail;

    fn try_from(text: &str) -> Result<Self, NotAnEmail> {
        let text = text.trim().to_lowercase();
        let has_parts = matches!(text.split_once('@'), Some((user, host)) if !user.is_empty() && host.contains('.'));
        let is_plain = !text.chars().any(|c| c.is_whitespace() || c.is_control()) && text.matches('@').count() == 1;
        if has_parts && is_plain && text.len() <= MAX_EMAIL_BYTES { Ok(Self(text)) } else { Err(NotAnEmail) }
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_one_line_of_bounded_length() {
        assert_eq!(String::from(PersonName::try_from("  Anna Li ").unwrap()), "Anna Li");
        for bad in ["", "  ", "a\nb", "a\u{0}", &"x".repeat(61)] {
            assert!(PersonName::try_from(bad).is_err(), "{bad:?}");
        }
        assert_eq!(String::from(Email::try_from("Anna@Example.org").unwrap()), "anna@example.org");
        for bad in ["", "anna", "@example.org", "a@b@c.org", "a b@example.org", "a@localhost"] {
            assert!(Email::try_from(bad).is_err(), "{bad:?}");
        }
    }
}
