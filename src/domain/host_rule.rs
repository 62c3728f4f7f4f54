//! What a proxy lets through: a host, and of plain http the methods.

use std::fmt;

use url::Host;

use super::host_pattern::HostPattern;

/// Over https nobody sees the method: what is judged there is CONNECT, which opens the tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostRule {
    host: HostPattern,
    /// All when not set.
    methods: Option<Vec<String>>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no method: write GET, HEAD, … in capitals, and CONNECT to let https through")]
pub(crate) struct NotAMethod(String);

/// What the rules say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Allowed,
    NotListed,
    /// The host is listed, but not for this method; with the methods that are.
    NotThisMethod(String),
}

impl HostRule {
    pub(crate) fn any_method(host: HostPattern) -> Self {
        Self { host, methods: None }
    }

    pub(crate) fn with_methods(host: HostPattern, methods: Vec<String>) -> Result<Self, NotAMethod> {
        let is_method = |text: &String| !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c == '-');
        match methods.iter().find(|text| !is_method(text)) {
            Some(wrong) => Err(NotAMethod(wrong.clone())),
            None => Ok(Self { host, methods: Some(methods) }),
        }
    }
}

/// An empty list lets nothing through.
pub(crate) fn judge(rules: &[HostRule], host: &Host, port: u16, method: &str) -> Verdict {
    let mut others = Vec::new();
    for rule in rules.iter().filter(|rule| rule.host.covers(host, port)) {
        match &rule.methods {
            Some(methods) if !methods.iter().any(|own| own == method) => others.extend(methods.clone()),
            _ => return Verdict::Allowed,
        }
    }
    if others.is_empty() { Verdict::NotListed } else { Verdict::NotThisMethod(others.join(", ")) }
}

impl fmt::Display for HostRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.host)?;
        self.methods.as_ref().map_or(Ok(()), |methods| write!(formatter, " ({})", methods.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_let_through_where_it_is_listed() {
        let read = HostRule::with_methods("deb.example.org".parse().unwrap(), vec!["GET".to_owned()]).unwrap();
        let all = HostRule::any_method("*.example.net".parse().unwrap());
        let judged =
            |host: &str, method: &str| judge(&[read.clone(), all.clone()], &Host::parse(host).unwrap(), 80, method);
        assert_eq!(judged("deb.example.org", "GET"), Verdict::Allowed);
        assert_eq!(judged("deb.example.org", "POST"), Verdict::NotThisMethod("GET".to_owned()));
        assert_eq!(judged("deb.example.org", "CONNECT"), Verdict::NotThisMethod("GET".to_owned()));
        assert_eq!(judged("a.example.net", "CONNECT"), Verdict::Allowed);
        assert_eq!(judged("example.com", "GET"), Verdict::NotListed);
        assert!(HostRule::with_methods("a.b".parse().unwrap(), vec!["get".to_owned()]).is_err());
    }
}
