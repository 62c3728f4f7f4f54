//! Numbers and times as people read them.

use jiff::{SignedDuration, Timestamp};

use crate::{domain::usage::Usage, wall_clock};

/// `4 s`, `1 min 12 s`, `2 h 5 min`, `3 d 4 h`; never negative, whatever the clock did.
pub(super) fn duration(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => tr!("{n} s", n = seconds),
        60..3600 => match seconds % 60 {
            0 => tr!("{n} min", n = minutes),
            seconds => tr!("{minutes} min {seconds} s", minutes = minutes, seconds = seconds),
        },
        3600..86_400 => match minutes % 60 {
            0 => tr!("{n} h", n = hours),
            minutes => tr!("{hours} h {minutes} min", hours = hours, minutes = minutes),
        },
        _ => match hours % 24 {
            0 => tr!("{n} d", n = days),
            hours => tr!("{days} d {hours} h", days = days, hours = hours),
        },
    }
}

/// `3 ms`, `1.8 s`, `12 s`.
pub(super) fn milliseconds(milliseconds: u64) -> String {
    match milliseconds {
        0..100 => tr!("{n} ms", n = milliseconds),
        100..10_000 => tr!("{n} s", n = format_args!("{}.{}", milliseconds / 1000, milliseconds % 1000 / 100)),
        _ => duration(SignedDuration::from_millis(i64::try_from(milliseconds).unwrap_or(i64::MAX))),
    }
}

pub(super) fn between(start: Timestamp, end: Timestamp) -> String {
    duration(end.duration_since(start))
}

/// How long ago it was, to the second; from the milliseconds that the script counts from.
pub(super) fn since(start_ms: i64) -> String {
    duration(SignedDuration::from_millis(wall_clock::now().as_millisecond().saturating_sub(start_ms)))
}

/// `3 min ago`, and the date for what is older than a week.
pub(super) fn ago(at: Timestamp) -> String {
    let seconds = wall_clock::now().duration_since(at).as_secs();
    match seconds {
        ..60 => tr!("just now").to_owned(),
        60..3600 => tr!("{n} min ago", n = seconds / 60),
        3600..86_400 => tr!("{n} h ago", n = seconds / 3600),
        86_400..604_800 => tr!("{n} d ago", n = seconds / 86_400),
        _ => at.strftime("%Y-%m-%d").to_string(),
    }
}

pub(super) fn exact(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `512 B`, `1.4 kB`, `23 MB`.
pub(super) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    // In tenths of the unit, so that no floating point is needed.
    let mut tenths = bytes / 100;
    let mut unit = 0;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        (tenths, unit) = (tenths / 1000, unit + 1);
    }
    let number = if tenths < 100 { format!("{}.{}", tenths / 10, tenths % 10) } else { (tenths / 10).to_string() };
    format!("{number} {}", UNITS[unit])
}

/// `1 204 331`, with thin spaces.
pub(in crate::web) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() * 2);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push('\u{202f}');
        }
        grouped.push(digit);
    }
    grouped
}

/// `$0.0312`; `unknown` when the model has no price in the configuration.
pub(super) fn cost(usage: Usage) -> String {
    match usage.cost_usd {
        Some(cost) if cost < 1.0 => format!("${cost:.4}"),
        Some(cost) => format!("${cost:.2}"),
        None if usage.tokens() == 0 => "$0".to_owned(),
        None => tr!("unknown").to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        let shown = |seconds| duration(SignedDuration::from_secs(seconds));
        assert_eq!(
            [-5, 59, 72, 3600, 7500, 273_600].map(shown),
            ["0 s", "59 s", "1 min 12 s", "1 h", "2 h 5 min", "3 d 4 h"]
        );
        assert_eq!([999, 1400, 23_456_789, u64::MAX].map(bytes), ["999 B", "1.4 kB", "23 MB", "18446744 TB"]);
        assert_eq!(count(1_204_331), "1\u{202f}204\u{202f}331");
        assert_eq!([3, 950, 12_345].map(milliseconds), ["3 ms", "0.9 s", "12 s"]);
    }
}
