//! Which versions of Docker and runc have known ways out of a container, in the words of a warning.

use super::engine::EngineFacts;

/// The first Engine whose archive calls and copying do not run or follow what a container put there (CVE-2026-41567,
/// CVE-2026-41568, CVE-2026-42306). This server makes none of these calls; others on the machine may.
const ENGINE_FLOOR: [u32; 3] = [29, 5, 1];
/// The first of each line of runc in which CVE-2025-31133, CVE-2025-52565, CVE-2025-52881 and CVE-2026-41579 are mended;
/// newer lines are.
const RUNC_FLOORS: [[u32; 3]; 3] = [[1, 3, 6], [1, 4, 3], [1, 5, 0]];

/// What is older than it should be; empty when nothing is. A version that cannot be read counts as old.
pub(super) fn warnings(facts: &EngineFacts) -> Vec<String> {
    let mut warnings = Vec::new();
    if numbers(&facts.version) < ENGINE_FLOOR {
        warnings.push(format!(
            "Docker Engine {} has known holes (CVE-2026-41567, -41568, -42306); update it to 29.5.1 or newer, and do not use \
             `docker cp` with containers of tasks until then.",
            facts.version
        ));
    }
    // An engine with another runtime says nothing of runc.
    if let Some(runc) = facts.runc.as_deref().filter(|version| !is_mended(numbers(version))) {
        warnings.push(format!(
            "runc {runc} has known ways out of a container (CVE-2025-31133, -52565, -52881, CVE-2026-41579); update it to \
             1.3.6, 1.4.3, 1.5 or newer. A distribution may have mended an older number: its changelog says so."
        ));
    }
    warnings
}

fn is_mended(version: [u32; 3]) -> bool {
    let line = RUNC_FLOORS.iter().find(|floor| floor[..2] == version[..2]);
    line.map_or(version > RUNC_FLOORS[2], |floor| version >= *floor)
}

/// `1.1.5+ds1` is 1.1.5.
fn numbers(version: &str) -> [u32; 3] {
    let mut parts = version.split(['.', '-', '+', '~']).map_while(|part| part.parse().ok());
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(engine: &str, runc: Option<&str>) -> usize {
        let facts = EngineFacts {
            version: engine.to_owned(),
            api_version: String::new(),
            kernel: String::new(),
            runc: runc.map(str::to_owned),
        };
        warnings(&facts).len()
    }

    #[test]
    fn old_versions_are_named_and_new_ones_are_not() {
        for (engine, runc, expected) in [
            ("29.5.1", Some("1.3.6"), 0),
            ("30.0.0", Some("1.5.0"), 0),
            ("29.5.2-rc.1", None, 0),
            ("28.5.2", Some("1.4.3"), 1),
            ("29.5.1", Some("1.3.5"), 1),
            ("29.5.1", Some("1.4.2"), 1),
            ("29.5.1", Some("1.2.8"), 1),
            ("20.10.24+dfsg1", Some("1.1.5+ds1"), 2),
            ("unknown", Some(""), 2),
        ] {
            assert_eq!(warned(engine, runc), expected, "{engine} {runc:?}");
        }
    }
}
