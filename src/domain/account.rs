//! Who somebody is elsewhere.

use super::person::Email;

/// Who somebody is elsewhere, proven.
#[derive(Debug)]
pub(crate) struct Account {
    /// The section of the configuration.
    pub(crate) provider: String,
    /// Never changes, never belongs to another.
    pub(crate) subject: String,
    /// The name there, for people to read, and for `login:` where a provider keeps it unique.
    pub(crate) login: String,
    /// What they call themselves.
    pub(crate) name: Option<String>,
    /// Only those the provider has verified.
    pub(crate) emails: Vec<Email>,
    /// Whether the configuration lets them in without an invitation.
    pub(crate) is_allowed: bool,
}
