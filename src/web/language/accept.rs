//! Which of our languages a browser would rather have (RFC 9110, `Accept-Language`).

use super::Language;

/// The best of what it accepts; `None` when it names neither.
pub(super) fn preferred(header: &str) -> Option<Language> {
    let ranges = header.split(',').filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let language = language_of(parts.next()?)?;
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
        (quality > 0.0).then_some((language, quality))
    });
    // Of equals the first counts.
    ranges
        .fold(None, |best: Option<(Language, f32)>, next| match best {
            Some((_, quality)) if quality >= next.1 => best,
            _ => Some(next),
        })
        .map(|(language, _)| language)
}

fn language_of(range: &str) -> Option<Language> {
    let primary = range.split('-').next()?;
    if primary.eq_ignore_ascii_case("zh") {
        Some(Language::Chinese)
    } else if primary.eq_ignore_ascii_case("en") {
        Some(Language::English)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_browser_s_order_counts() {
        for (header, language) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", Some(Language::Chinese)),
            ("en-US,en;q=0.9,zh-CN;q=0.8", Some(Language::English)),
            ("de, zh;q=0.4, en;q=0.7", Some(Language::English)),
            ("de-DE,de", None),
            ("zh;q=0, en;q=0.1", Some(Language::English)),
            ("", None),
            ("zh;q=nonsense", None),
        ] {
            assert_eq!(preferred(header), language, "{header}");
        }
    }
}
