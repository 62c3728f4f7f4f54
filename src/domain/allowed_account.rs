//! Which accounts elsewhere may come in without an invitation: `*@example.org`, `anna@example.org`, `login:anna`.

use std::str::FromStr;

use super::person::Email;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowedAccount {
    /// Everybody with a verified address there, in lower case.
    Domain(String),
    /// Who has this verified address.
    Email(String),
    /// Who has this name there, in lower case.
    Login(String),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} names nobody; write *@example.org, anna@example.org or login:anna")]
pub(crate) struct NamesNobody(String);

impl AllowedAccount {
    /// `emails` are verified.
    pub(crate) fn covers(&self, login: Option<&str>, emails: &[Email]) -> bool {
        match self {
            Self::Domain(domain) => emails.iter().any(|email| email.domain() == domain),
            Self::Email(allowed) => emails.iter().any(|email| email.as_str() == allowed),
            Self::Login(allowed) => login.is_some_and(|login| login.to_lowercase() == *allowed),
        }
    }
}

impl FromStr for AllowedAccount {
    type Err = NamesNobody;

    fn from_str(text: &str) -> Result<Self, NamesNobody> {
        let nobody = || NamesNobody(text.to_owned());
        if let Some(login) = text.strip_prefix("login:") {
            let login = login.trim().to_lowercase();
            return if login.is_empty() || login.contains('*') { Err(nobody()) } else { Ok(Self::Login(login)) };
        }
        // The wildcard stands for one whole part, never for a piece of a domain.
        match text.strip_prefix("*@") {
            Some(domain) => {
                let email = Email::try_from(&*format!("x@{domain}")).map_err(|_| nobody())?;
                if domain.contains('*') { Err(nobody()) } else { Ok(Self::Domain(email.domain().to_owned())) }
            }
            None if text.contains('*') => Err(nobody()),
            None => Ok(Self::Email(Email::try_from(text).map_err(|_| nobody())?.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_covered_by_a_whole_domain_an_address_or_a_login() {
        let emails = [Email::try_from("Anna@Example.org").unwrap()];
        let covers = |text: &str| text.parse::<AllowedAccount>().unwrap().covers(Some("Anna-L"), &emails);
        for good in ["*@example.org", "*@EXAMPLE.org", "anna@example.org", "login:anna-l"] {
            assert!(covers(good), "{good}");
        }
        for other in ["*@ample.org", "*@sub.example.org", "bob@example.org", "login:anna", "anna@example.org.evil.net"]
        {
            assert!(!covers(other), "{other}");
        }
        assert!(!"login:anna".parse::<AllowedAccount>().unwrap().covers(None, &emails));
        for bad in ["", "*", "*@*", "*@*.org", "a*@example.org", "login:", "login:*", "example.org"] {
            assert!(bad.parse::<AllowedAccount>().is_err(), "{bad}");
        }
    }
}
