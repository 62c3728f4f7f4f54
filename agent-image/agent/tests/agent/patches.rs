//! Patches whose files cannot be written: nothing of them stays.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rustix::process::getuid;
use serde_json::json;

use crate::workbench::{Workbench, tree};

const PATCH: &str = "*** Begin Patch
*** Update File: a.txt
@@
-a
+A
*** Add File: new/deep/b.txt
+b
*** Update File: theirs/c.txt
@@
-c
+C
*** Delete File: d.txt
*** End Patch
";

/// In a folder like /tmp nobody replaces the file of somebody else, and only the attempt tells.
#[test]
fn a_write_that_fails_midway_is_undone() {
    if !getuid().is_root() {
        return;
    }
    let bench = Workbench::new().argument("--user=12345:12346");
    let bench = bench.file("a.txt", "a\n").file("theirs/c.txt", "c\n").file("d.txt", "d\n");
    let code = bench.code();
    fs::set_permissions(code.join("a.txt"), fs::Permissions::from_mode(0o754)).unwrap();
    fs::set_permissions(code.join("theirs"), fs::Permissions::from_mode(0o1777)).unwrap();
    let before = tree(&code);
    let result = bench.call("edit_file", &json!({ "diff_patch": PATCH }));
    assert_eq!(result["status"], "failure");
    let message = result["message"].as_str().unwrap();
    assert!(message.contains("theirs/c.txt") && message.contains("nothing was changed"), "{message}");
    assert_eq!(tree(&code), before);
    assert_eq!(fs::metadata(code.join("a.txt")).unwrap().permissions().mode() & 0o7777, 0o754);
    assert!(!code.join("new").exists(), "folders made on the way are gone");
}

#[test]
fn a_folder_that_takes_no_file_stops_a_patch_before_it_begins() {
    if !getuid().is_root() {
        return;
    }
    let bench = Workbench::new().argument("--user=12345:12346");
    let bench = bench.file("a.txt", "a\n").file("theirs/c.txt", "c\n").file("d.txt", "d\n");
    let before = tree(&bench.code());
    let result = bench.call("edit_file", &json!({ "diff_patch": PATCH }));
    let message = result["message"].as_str().unwrap();
    assert!(message.contains("Permission denied") && message.contains("nothing was changed"), "{message}");
    assert_eq!(tree(&bench.code()), before);
    assert!(!bench.code().join("new").exists());
}
