//! Paths that try to leave the code directory, and files that are none.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::brain::tool_call;
use crate::workbench::{Workbench, tree};

const SECRET: &str = "canary";

/// Reads and writes each path and expects both to fail for this reason, with nothing written anywhere.
fn refused(bench: &Workbench, paths: &[(&str, &str)]) {
    let before = (tree(&bench.code()), outside(bench));
    let write = |path: &str| tool_call("edit_file", &json!({ "file_path": path, "new_content": "overwritten" }));
    let read = |path: &str| tool_call("read_file", &json!({ "file_path": path }));
    let results = bench.calls(paths.iter().flat_map(|(path, _)| [read(path), write(path)]).collect());
    for (pair, (path, reason)) in results.chunks(2).zip(paths) {
        for result in pair {
            assert_eq!(result["status"], "failure", "{path}: {result}");
            assert!(result["message"].as_str().unwrap().contains(reason), "{path}: {result}");
            assert!(!result.to_string().contains(SECRET), "{path}: {result}");
        }
    }
    assert_eq!((tree(&bench.code()), outside(bench)), before);
}

fn outside(bench: &Workbench) -> Option<String> {
    fs::read_to_string(bench.run().join("secret")).ok()
}

fn bench_beside_a_secret() -> Workbench {
    let bench = Workbench::new().file("sub/a.txt", "a");
    fs::write(bench.run().join("secret"), SECRET).unwrap();
    bench
}

#[test]
fn dots_and_absolute_paths_do_not_lead_out() {
    let bench = bench_beside_a_secret();
    let absolute = bench.run().join("secret");
    let prefix = format!("{}/../run/secret", bench.code().display());
    let sibling = format!("{}-backup/x", bench.code().display());
    refused(
        &bench,
        &[
            ("../run/secret", "leads out"),
            ("sub/../../run/secret", "leads out"),
            ("nowhere/../../run/secret", ""),
            (absolute.to_str().unwrap(), "outside of the code directory"),
            (&prefix, "leads out"),
            (&sibling, "outside of the code directory"),
            ("/etc/passwd", "outside of the code directory"),
            ("", "empty path"),
            ("sub", "is a directory"),
            (".", "is a directory"),
        ],
    );
}

#[test]
fn links_do_not_lead_out_at_any_part_of_the_path() {
    let bench = bench_beside_a_secret();
    let link = |target: &Path, name: &str| symlink(target, bench.code().join(name)).unwrap();
    link(&bench.run().join("secret"), "absolute");
    link(Path::new("../run/secret"), "relative");
    link(Path::new("../run"), "folder");
    link(Path::new("folder/secret"), "twice");
    link(Path::new("/proc/self/root"), "magic");
    link(Path::new("round"), "round");
    refused(
        &bench,
        &[
            ("absolute", "leads out"),
            ("relative", "leads out"),
            ("folder/secret", "leads out"),
            ("folder/new", "leads out"),
            ("twice", "leads out"),
            ("magic/etc/passwd", "leads out"),
            ("round", "symbolic links"),
        ],
    );
}

#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let bench = bench_beside_a_secret();
    assert!(Command::new("mkfifo").arg(bench.code().join("sub/fifo")).status().unwrap().success());
    let _socket = UnixListener::bind(bench.code().join("sub/socket")).unwrap();
    let kinds = [("sub/fifo", "FIFO"), ("sub/socket", "socket")];
    let results = bench.calls(
        kinds
            .iter()
            .flat_map(|(path, _)| {
                [
                    tool_call("read_file", &json!({ "file_path": path })),
                    tool_call("edit_file", &json!({ "file_path": path, "new_content": "x" })),
                ]
            })
            .collect(),
    );
    for (pair, (_, kind)) in results.chunks(2).zip(kinds) {
        for result in pair {
            assert!(result["message"].as_str().unwrap().contains(kind), "{result}");
        }
    }
}

#[test]
fn an_absolute_path_beneath_the_code_is_as_good_as_a_relative_one() {
    let bench = bench_beside_a_secret();
    let path = bench.code().join("sub/./a.txt");
    let result = bench.call("read_file", &json!({ "file_path": path }));
    assert_eq!(result["content"], "a");
}

#[test]
fn a_file_without_end_is_refused_not_read() {
    let bench = bench_beside_a_secret();
    fs::File::create(bench.code().join("huge")).unwrap().set_len(1 << 40).unwrap();
    let result: Value = bench.call("read_file", &json!({ "file_path": "huge" }));
    assert!(result["message"].as_str().unwrap().contains("1099511627776 bytes"), "{result}");
}
