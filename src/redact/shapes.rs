//! Secrets of other people, known only by their looks. They may stand in a repository or in what a command printed.
//!
//! The table has forms that their makers document. What is not in it but looks like a secret can only be suspected.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use regex::Regex;

/// Name and form. A group `secret` is the part to take out; without one it is the whole.
pub(super) const SHAPES: &[(&str, &str)] = &[
    // A block that was cut off goes to the end of the text.
    (
        "private key",
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(?s:.*?)(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
    ("PuTTY key", r"PuTTY-User-Key-File-\d(?s:.*?)(?:Private-MAC: [0-9a-f]+|\z)"),
    ("AWS key id", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
    (
        "AWS secret key",
        r#"(?i)aws_?(?:secret)?_?(?:access)?_?key(?:_id)?["']?\s*[:=]\s*["']?(?P<secret>[A-Za-z0-9/+]{40})\b"#,
    ),
    ("Azure storage key", r"(?i)AccountKey=(?P<secret>[A-Za-z0-9/+]{86}==)"),
    ("Google API key", r"\bAIza[A-Za-z0-9_-]{35}"),
    ("Google OAuth token", r"\bya29\.[A-Za-z0-9_-]{20,}"),
    ("Atelier token", r"\batl_[A-Za-z0-9_-]{43}"),
    ("GitHub token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})"),
    ("GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas)-[A-Za-z0-9_.-]{20,}"),
    ("OpenAI or Anthropic key", r"\bsk-[A-Za-z0-9_-]{20,}"),
    ("Slack token", r"\bxox[abeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}"),
    ("Slack webhook", r"https://hooks\.slack\.com/(?:services|workflows|triggers)/(?P<secret>[A-Za-z0-9+/]{20,})"),
    ("Discord webhook", r"https://discord(?:app)?\.com/api/webhooks/(?P<secret>\d+/[A-Za-z0-9_-]{60,})"),
    ("Stripe key", r"\b(?:[rs]k_(?:live|test)|whsec)_[A-Za-z0-9]{16,}"),
    ("npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("PyPI token", r"\bpypi-AgEI[A-Za-z0-9_-]{50,}"),
    ("crates.io token", r"\bcio[A-Za-z0-9]{32}\b"),
    ("Hugging Face token", r"\bhf_[A-Za-z0-9]{30,}\b"),
    ("SendGrid key", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    ("Twilio key", r"\bSK[0-9a-f]{32}\b"),
    ("DigitalOcean token", r"\bdo[oprt]_v1_[a-f0-9]{64}\b"),
    ("Telegram token", r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("JSON web token", r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    (
        "authorization header",
        r#"(?i)\bauthorization["']?\s*[:=]\s*["']?(?:bearer|basic|token)\s+(?P<secret>[A-Za-z0-9._~+/=-]{8,})"#,
    ),
    ("password in a URL", r#"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'<>]*:(?P<secret>[^\s/@"'<>]+)@"#),
];

/// A name that speaks of a secret, and a value that might be one.
const ASSIGNMENT: &str = r#"(?i)(?:api_?-?key|secret|token|passw(?:or)?d|passphrase|credential)[A-Za-z0-9_.-]*["']?\s*(?::=|=>|[:=])\s*["'`]?(?P<value>[A-Za-z0-9+/_=.~-]{16,})"#;
/// Random text of letters and digits has four bits and more a character; words and paths have less.
const RANDOM_BITS: f64 = 3.7;
/// Hexadecimal digits have at most four; so many of them are no word either.
const HEX_DIGITS: usize = 32;

static RULES: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| compiled(SHAPES));
static ASSIGNMENTS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| compiled(&[("", ASSIGNMENT)]));

/// All of them can be compiled: a test says so.
fn compiled(table: &[(&'static str, &str)]) -> Vec<(&'static str, Regex)> {
    table.iter().filter_map(|(name, form)| Some((*name, Regex::new(form).ok()?))).collect()
}

/// The text with `[removed: NAME]` in the place of every secret of a known form, and how many there were.
pub(crate) fn without_known_secrets(text: &str) -> (Cow<'_, str>, u64) {
    let mut clean = Cow::Borrowed(text);
    let mut removed = 0;
    for (name, rule) in RULES.iter() {
        let mut next = String::new();
        let mut at = 0;
        for found in rule.captures_iter(&clean) {
            let Some(secret) = found.name("secret").or(found.get(0)) else { continue };
            if secret.as_str() == super::MASK || secret.as_str().starts_with('[') {
                continue;
            }
            next.push_str(&clean[at..secret.start()]);
            next.extend(["[removed: ", name, "]"]);
            at = secret.end();
            removed += 1;
        }
        if at > 0 {
            next.push_str(&clean[at..]);
            clean = Cow::Owned(next);
        }
    }
    (clean, removed)
}

/// What in a text without known secrets looks like one all the same.
pub(crate) fn suspicion(text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY-----") {
        return Some("a part of a private key");
    }
    let random = |found: regex::Captures<'_>| {
        let Some(value) = found.name("value") else { return false };
        // A call is code that gets a secret from somewhere.
        let is_call = text[value.end()..].starts_with('(');
        !is_call && looks_random(value.as_str())
    };
    let suspected = ASSIGNMENTS.iter().any(|(_, rule)| rule.captures_iter(text).any(random));
    suspected.then_some("a random value under a name that speaks of a secret")
}

fn looks_random(value: &str) -> bool {
    let has = |kind: fn(&char) -> bool| value.chars().any(|c| kind(&c));
    let is_hex = value.len() >= HEX_DIGITS && !has(|c| !c.is_ascii_hexdigit());
    has(char::is_ascii_digit) && has(char::is_ascii_alphabetic) && (is_hex || bits_a_character(value) >= RANDOM_BITS)
}

/// Shannon's entropy of its characters.
#[expect(clippy::cast_precision_loss, reason = "lengths are far below 2^52")]
fn bits_a_character(value: &str) -> f64 {
    let mut counts = HashMap::<char, usize>::new();
    for character in value.chars() {
        *counts.entry(character).or_default() += 1;
    }
    let length = value.chars().count() as f64;
    counts.values().map(|count| *count as f64 / length).map(|share| -share * share.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Put together here, so that nobody who scans this source finds a secret in it.
    fn samples() -> Vec<(&'static str, String)> {
        let random = "Zk3vQ9xLr7TbW2mNc8YpH4sDf6GjK1aEuRi5oXwVqMzStBnCyPlJhUgFdOeAkIxZ";
        let upper = "QZXV3NRTB7KMWL2D";
        vec![
            ("private key", format!("-----BEGIN RSA {0}-----\nMIIE\n-----END RSA {0}-----", "PRIVATE KEY")),
            ("private key", format!("-----BEGIN OPENSSH {}-----\nb3Bl", "PRIVATE KEY")),
            ("AWS key id", format!("AKIA{}", upper.replace(['0', '1', '8', '9'], "A"))),
            ("AWS secret key", format!("aws_secret_access_key = {}", &random[..40])),
            ("Google API key", format!("AIza{}", &random[..35])),
            ("GitHub token", format!("ghp_{}", &random[..36])),
            ("GitHub token", format!("github_pat_{}", &random[..40])),
            ("GitLab token", format!("glpat-{}", &random[..20])),
            ("OpenAI or Anthropic key", format!("sk-proj-{}", &random[..40])),
            ("OpenAI or Anthropic key", format!("sk-ant-api03-{}", &random[..40])),
            ("Slack token", format!("xoxb-{}", &random[..24])),
            ("Slack webhook", format!("https://hooks.slack.com/services/{}", &random[..44])),
            ("Stripe key", format!("sk_live_{}", &random[..24])),
            ("npm token", format!("npm_{}", &random[..36])),
            ("Hugging Face token", format!("hf_{}", &random[..34])),
            ("JSON web token", format!("eyJ{0}.eyJ{0}.{0}", &random[..30])),
            ("authorization header", format!("-H 'Authorization: Bearer {}'", &random[..30])),
            ("password in a URL", format!("postgres://app:{}@db.example.org/app", &random[..12])),
        ]
    }

    #[test]
    fn every_form_can_be_compiled() {
        assert_eq!((RULES.len(), ASSIGNMENTS.len()), (SHAPES.len(), 1));
    }

    #[test]
    fn secrets_of_known_forms_are_taken_out() {
        for (name, text) in samples() {
            let around = format!("before {text} after");
            let (clean, removed) = without_known_secrets(&around);
            assert_eq!(removed, 1, "{name}: {clean}");
            assert!(clean.contains(&format!("[removed: {name}]")), "{name}: {clean}");
            assert_eq!(suspicion(&clean), None, "{clean}");
            assert_eq!(without_known_secrets(&clean).1, 0, "{clean}");
        }
    }

    #[test]
    fn what_only_looks_like_one_is_suspected_and_code_is_not() {
        for text in ["API_KEY=Zk3vQ9xLr7TbW2mNc8Yp", "\"client_secret\": \"9f86d081884c7d659a2feaa0c55ad015\""] {
            assert!(suspicion(text).is_some(), "{text}");
        }
        for text in [
            "token = get_token_from_environment_2(name)",
            "password: changeme-please-now",
            "let secret = std::env::var(\"X\")",
            "API_KEY=***",
            "commit 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
            "tokens: 1234567890123456",
            "http://localhost:8080/@user",
        ] {
            assert_eq!(suspicion(text), None, "{text}");
            assert_eq!(without_known_secrets(text).1, 0, "{text}");
        }
    }
}
