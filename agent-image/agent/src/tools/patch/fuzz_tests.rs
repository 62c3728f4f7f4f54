//! Any text at all as a patch. `dev/fuzz` runs this for as long as it is told to, each run of the tests for a moment.

use std::time::Duration;

use super::apply_hunks::apply_hunks;
use super::file_patch::Action;
use super::misfit::explain;
use super::parse_envelope::{is_envelope, parse_envelope};
use super::parse_unified::parse_unified;
use super::unwrap::unwrap;

const TEXTS: [&str; 4] = ["", "x", "x\ny\n  x\n\nx\r\n", "fn main() {\n    call(1);\n}\n"];

#[test]
fn any_text_is_read_or_refused_and_what_does_not_fit_is_explained() {
    bolero::check!(name = "patch").with_test_time(Duration::from_secs(1)).for_each(|bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        let lines = unwrap(&text);
        let files = if is_envelope(&lines) { parse_envelope(&lines) } else { parse_unified(&lines) };
        for file in files.unwrap_or_default() {
            let Action::Update { hunks, .. } = file.action else { continue };
            for text in TEXTS {
                if let Err(misfit) = apply_hunks(&hunks, text) {
                    assert!(!explain(&misfit, &hunks[misfit.position], text).is_empty());
                }
            }
        }
    });
}
