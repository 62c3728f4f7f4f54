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
