//! The sweep between setup and agent, in a PID namespace of its own. These tests need root, as the sweep does.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use atelier_agent::ownership::Owned;
use atelier_agent::settle::Report;
use rustix::fs::{Mode, OFlags, mkdirat, openat};
use rustix::process::getuid;

use crate::workbench::{AGENT, Workbench, run_to_end};

const USER: &str = "12345:12346";

fn owner(path: &Path) -> (u32, u32) {
    let metadata = fs::symlink_metadata(path).unwrap();
    (metadata.uid(), metadata.gid())
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn own(folder: &Path) -> Owned {
    let output = run_to_end(Command::new(AGENT).args(["own", "--user", USER]).arg(folder), "");
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn nothing_that_setup_left_survives_and_the_rest_is_reported() {
    if !getuid().is_root() {
        return;
    }
    let bench = Workbench::new().file("a.txt", "a");
    // An ordinary child, one in a session of its own, one of another user, one that has forked away.
    let setup = r#"
        sleep 1000 & setsid sleep 1000 & setpriv --reuid=12345 --clear-groups sleep 1000 &
        sh -c 'sleep 1000 & exit 0'
        "$0" settle --user 12345:12346 "$1"
        grep -hs ^Name $(grep -Ls 'State:.Z' /proc/[0-9]*/status) >&2
        exit 0
    "#;
    let mut container = Command::new("unshare");
    container.args(["--pid", "--net", "--fork", "--mount-proc", "sh", "-c", setup, AGENT]).arg(bench.code());
    let output = run_to_end(&mut container, "");
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert_eq!(stdout.lines().count(), 1, "{stdout}");
    let report: Report = serde_json::from_str(&stdout).unwrap();
    assert_eq!(report.killed, 4);
    assert_eq!(report.processes_left, [""; 0]);
    assert_eq!(report.interfaces, ["lo"]);
    assert_eq!(report.chowned, 2, "the folder and the file");
    assert_eq!(owner(&bench.code().join("a.txt")), (12345, 12346));
    let left = String::from_utf8(output.stderr).unwrap();
    assert_eq!(left, "Name:\tsh\n", "PID 1 alone");
}

#[test]
fn outside_of_a_container_the_sweep_refuses_to_begin() {
    if fs::read_link("/proc/self/ns/pid").unwrap() != Path::new("pid:[4026531836]") {
        return;
    }
    let output = run_to_end(Command::new(AGENT).args(["settle", "--user", USER, "/nowhere"]), "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains("not a container"));
}

#[test]
fn a_tree_changes_hands_without_a_link_being_followed() {
    if !getuid().is_root() {
        return;
    }
    let bench = Workbench::new().file("sub/tool", "#!").file("sub/\n\u{7f}$(x)", "odd");
    let code = bench.code();
    let elsewhere = bench.run().join("elsewhere");
    fs::write(&elsewhere, "").unwrap();
    symlink(&elsewhere, code.join("link")).unwrap();
    symlink(bench.run(), code.join("folder-link")).unwrap();
    fs::set_permissions(code.join("sub/tool"), fs::Permissions::from_mode(0o100)).unwrap();
    fs::set_permissions(code.join("sub"), fs::Permissions::from_mode(0o0)).unwrap();
    assert!(Command::new("mkfifo").arg(code.join("fifo")).status().unwrap().success());

    assert_eq!(own(&code).chowned, 7);
    for name in ["", "sub", "sub/tool", "sub/\n\u{7f}$(x)", "link", "folder-link", "fifo"] {
        assert_eq!(owner(&code.join(name)), (12345, 12346), "{name:?}");
    }
    assert_eq!((owner(&elsewhere), owner(&bench.run())), ((0, 0), (0, 0)));
    assert_eq!((mode(&code.join("sub")), mode(&code.join("sub/tool"))), (0o750, 0o750));

    assert_eq!(own(&code).chowned, 0, "what is right is left alone");
}

#[test]
fn depth_is_no_obstacle() {
    if !getuid().is_root() {
        return;
    }
    let bench = Workbench::new();
    let mut current = fs::File::open(bench.code()).unwrap();
    for _ in 0..3_000 {
        mkdirat(&current, "deep", Mode::RWXU).unwrap();
        current = openat(&current, "deep", OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap().into();
    }
    let chowned = own(&bench.code()).chowned;
    // Deeper than any path the kernel takes, which the folder of the test would be removed by.
    assert!(Command::new("rm").arg("-rf").arg(bench.code().join("deep")).status().unwrap().success());
    assert_eq!(chowned, 3_001);
}

#[test]
fn what_cannot_be_owned_is_named() {
    let output = run_to_end(Command::new(AGENT).args(["own", "--user", USER, "/nowhere/at/all"]), "");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("/nowhere/at/all") && stderr.lines().count() == 1, "{stderr}");
}
