//! `list_files` and `search_files` on trees with ignored, hidden, hostile and endless things in them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::{Value, json};

use crate::workbench::Workbench;

fn list(bench: &Workbench, arguments: &Value) -> Value {
    bench.call("list_files", arguments)
}

fn search(bench: &Workbench, arguments: &Value) -> Value {
    bench.call("search_files", arguments)
}

fn message(result: &Value) -> &str {
    result["message"].as_str().unwrap_or_default()
}

fn project() -> Workbench {
    let bench = Workbench::new()
        .file(".gitignore", "target/\n*.log\n!keep.log\n/build\n")
        .file(".github/ci.yml", "needle")
        .file(".git/config", "needle")
        .file("b.rs", "// needle\n")
        .file("a.log", "needle")
        .file("keep.log", "needle")
        .file("build/out", "needle")
        .file("src/build/in.rs", "needle")
        .file("src/.gitignore", "*.tmp\n!/important.log\n")
        .file("src/x.tmp", "needle")
        .file("src/important.log", "needle")
        .file("target/debug/y.rs", "needle");
    fs::create_dir_all(bench.code().join("empty")).unwrap();
    bench
}

#[test]
fn a_list_is_sorted_and_leaves_out_what_git_ignores() {
    let files = list(&project(), &json!({}))["files"].clone();
    let expected = [
        ".github/ci.yml",
        ".gitignore",
        "b.rs",
        "empty/",
        "keep.log",
        "src/.gitignore",
        "src/build/in.rs",
        "src/important.log",
    ];
    assert_eq!(files, json!(expected));
}

#[test]
fn a_list_ends_at_its_depth_and_its_limit() {
    let bench = project();
    let result = list(&bench, &json!({ "depth": 1 }));
    assert_eq!(result["files"], json!([".github/", ".gitignore", "b.rs", "empty/", "keep.log", "src/"]));
    let bench = project();
    let result = list(&bench, &json!({ "limit": 2 }));
    assert_eq!(result["files"], json!([".github/ci.yml", ".gitignore"]));
    assert!(message(&result).contains("cut after 2 paths"), "{result}");
}

#[test]
fn rules_from_above_count_beneath_and_an_ignored_folder_can_be_asked_for() {
    let bench = project().file("src/deep/z.log", "").file("src/deep/z.tmp", "").file("src/deep/z.rs", "");
    assert_eq!(list(&bench, &json!({ "path": "src/deep" }))["files"], json!(["src/deep/z.rs"]));
    let bench = project();
    assert_eq!(list(&bench, &json!({ "path": "./target" }))["files"], json!(["target/debug/y.rs"]));
}

#[test]
fn links_are_named_and_never_followed() {
    let bench = Workbench::new().file("real/a.txt", "needle");
    fs::write(bench.run().join("secret"), "needle").unwrap();
    let code = bench.code();
    symlink(bench.run(), code.join("out")).unwrap();
    symlink(bench.run().join("secret"), code.join("out.txt")).unwrap();
    symlink("real", code.join("in")).unwrap();
    symlink("..", code.join("real/up")).unwrap();
    let files = list(&bench, &json!({}))["files"].clone();
    assert_eq!(files, json!(["in (link)", "out (link)", "out.txt (link)", "real/a.txt", "real/up (link)"]));
}

#[test]
fn a_search_reads_nothing_through_a_link_that_leads_out() {
    for (path, reason) in [("out", "leads out"), ("out.txt", "leads out"), ("..", "leads out"), ("/etc", "outside")] {
        let bench = Workbench::new().file("real/a.txt", "needle");
        fs::write(bench.run().join("secret"), "needle").unwrap();
        symlink(bench.run(), bench.code().join("out")).unwrap();
        symlink(bench.run().join("secret"), bench.code().join("out.txt")).unwrap();
        let arguments = json!({ "pattern": "needle", "path": path });
        let result = search(&bench, &arguments);
        assert_eq!(result["status"], "failure", "{path}: {result}");
        assert!(message(&result).contains(reason), "{path}: {result}");
    }
    let bench = Workbench::new().file("real/a.txt", "needle");
    symlink("real", bench.code().join("in")).unwrap();
    let result = search(&bench, &json!({ "pattern": "needle", "path": "in" }));
    assert_eq!(result["matches"], json!(["in/a.txt:1:needle"]), "a link inside that was asked for is a folder");
}

#[test]
fn what_is_no_file_is_passed_by() {
    let bench = Workbench::new().file("a.txt", "needle").file("b.bin", b"needle\0needle");
    assert!(Command::new("mkfifo").arg(bench.code().join("fifo")).status().unwrap().success());
    let huge = fs::File::create(bench.code().join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    let result = search(&bench, &json!({ "pattern": "needle" }));
    assert_eq!(result["matches"], json!(["a.txt:1:needle"]));
    assert!(message(&result).contains("skipped 1 files"), "{result}");
}

#[test]
fn a_search_respects_what_git_ignores() {
    let matches = search(&project(), &json!({ "pattern": "needle" }))["matches"].clone();
    let expected = [
        ".github/ci.yml:1:needle",
        "b.rs:1:// needle",
        "keep.log:1:needle",
        "src/build/in.rs:1:needle",
        "src/important.log:1:needle",
    ];
    assert_eq!(matches, json!(expected));
}

#[test]
fn matches_come_with_numbers_and_context_as_grep_prints_them() {
    let bench = Workbench::new().file("a.txt", "1\n2\nx one\n4\n5\n6\n7\nx two\n").file("b.txt", "x three\r\nend\r\n");
    let result = search(&bench, &json!({ "pattern": "x \\w+$", "context": 1 }));
    let expected = [
        "a.txt-2-2",
        "a.txt:3:x one",
        "a.txt-4-4",
        "--",
        "a.txt-7-7",
        "a.txt:8:x two",
        "--",
        "b.txt:1:x three",
        "b.txt-2-end",
    ];
    assert_eq!(result["matches"], json!(expected));
    assert_eq!(result.get("message"), None);
}

#[test]
fn a_search_can_be_narrowed() {
    let tree = || Workbench::new().file("a.rs", "Needle").file("sub/b.ts", "needle").file("sub/c.tsx", "needle");
    let found = |arguments: Value| search(&tree(), &arguments)["matches"].clone();
    assert_eq!(found(json!({ "pattern": "needle", "glob": "*.rs" })), json!([]));
    assert_eq!(
        found(json!({ "pattern": "needle", "glob": "*.rs", "case_insensitive": true })),
        json!(["a.rs:1:Needle"])
    );
    assert_eq!(found(json!({ "pattern": "needle", "glob": "sub/*.{ts,js}" })), json!(["sub/b.ts:1:needle"]));
    assert_eq!(found(json!({ "pattern": "needle", "glob": "!*.ts" })), json!(["sub/c.tsx:1:needle"]));
    assert_eq!(found(json!({ "pattern": "needle", "path": "sub/b.ts" })), json!(["sub/b.ts:1:needle"]));
}

#[test]
fn a_search_is_cut_by_matches_bytes_and_length_of_lines() {
    let bench = Workbench::new().file("a.txt", "x\n".repeat(10)).file("b.txt", "x");
    let result = search(&bench, &json!({ "pattern": "x", "limit": 3 }));
    assert_eq!(result["matches"], json!(["a.txt:1:x", "a.txt:2:x", "a.txt:3:x"]));
    assert!(message(&result).contains("cut after 3 matching lines, there are more matches: narrow"), "{result}");

    let bench = Workbench::new().file("a.txt", "x\n".repeat(3));
    let result = search(&bench, &json!({ "pattern": "x", "limit": 3 }));
    assert_eq!(result.get("message"), None, "exactly as many as asked for are not cut");

    let bench = Workbench::new().file("a.txt", format!("{}\n", "y".repeat(250)).repeat(1000));
    let result = search(&bench, &json!({ "pattern": "y", "limit": 1000 }));
    assert!(
        result.to_string().len() < 60_000 && message(&result).contains("at most 50000 bytes"),
        "{}",
        message(&result)
    );

    let bench = Workbench::new().file("min.js", format!("{}needle{}", "é".repeat(5000), "z".repeat(5000)));
    let line = search(&bench, &json!({ "pattern": "needle" }))["matches"][0].as_str().unwrap().to_owned();
    assert!(line.len() < 400 && line.contains("éneedlez") && line.contains("bytes]"), "{line}");
}

#[test]
fn what_cannot_be_searched_for_is_explained() {
    for (tool, arguments, reason) in [
        ("search_files", json!({ "pattern": "(" }), "pattern: "),
        ("search_files", json!({ "pattern": "a\nb" }), "pattern: "),
        ("search_files", json!({ "pattern": "a", "glob": "{" }), "glob: "),
        ("search_files", json!({ "pattern": "a", "limit": 0 }), "limit counts from 1"),
        ("search_files", json!({ "pattern": "a", "path": "nowhere" }), "no such file"),
        ("list_files", json!({ "path": "a.txt" }), "is not a directory"),
        ("list_files", json!({ "depth": 0 }), "count from 1"),
    ] {
        let result = Workbench::new().file("a.txt", "b").call(tool, &arguments);
        assert_eq!(result["status"], "failure", "{arguments}");
        assert!(message(&result).contains(reason), "{arguments}: {result}");
    }
    let result = search(&Workbench::new().file("a.txt", "b"), &json!({ "pattern": "nothing" }));
    assert_eq!((&result["matches"], message(&result)), (&json!([]), "no match in 1 files"));
}
