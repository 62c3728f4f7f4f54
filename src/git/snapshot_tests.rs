//! Snapshots of hostile trees, and patches that the real `git apply` has to take.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::git_server::git;
use super::patch::Patch;
use super::snapshot::{SkipReason, Snapshot, SnapshotError, SnapshotLimits, Snapshots};
use crate::domain::patch::{ChangeStatus, DiffSummary};

struct Case {
    folder: TempDir,
    snapshots: Snapshots,
    limits: SnapshotLimits,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("code")).unwrap();
        let snapshots = Snapshots::create(&folder.path().join("git")).unwrap();
        Self { folder, snapshots, limits: SnapshotLimits::default() }
    }

    fn path(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.folder.path().join("code").join(OsStr::from_bytes(name.as_ref()))
    }

    fn write(&self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn executable(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), Permissions::from_mode(mode)).unwrap();
    }

    fn take(&self, base: Option<&Snapshot>) -> Snapshot {
        self.snapshots.take(&self.folder.path().join("code"), base, &self.limits).unwrap()
    }

    fn names(&self, snapshot: &Snapshot) -> Vec<String> {
        let listing = self.snapshots.list(snapshot).unwrap();
        listing.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    /// The patch from `s0` to now, after `git apply` has turned a clean checkout of `s0` into what is here now.
    fn applied_patch(&self, s0: &Snapshot) -> Patch {
        let end = self.take(Some(s0));
        let patch = self.snapshots.patch(s0, s0, &end).unwrap();
        assert_eq!(self.apply(s0, &patch).tree, end.tree, "{}", String::from_utf8_lossy(&patch.bytes));
        patch
    }

    /// Applies with git and takes a snapshot of the result.
    fn apply(&self, s0: &Snapshot, patch: &Patch) -> Snapshot {
        let checkout = tempfile::tempdir_in(self.folder.path()).unwrap();
        for (path, file) in self.snapshots.list(s0).unwrap() {
            let content = self.snapshots.blob(s0, &path).unwrap().unwrap();
            let target = checkout.path().join(OsStr::from_bytes(&path));
            fs::create_dir_all(target.parent().unwrap()).unwrap();
            if file.mode == 0o120_000 {
                symlink(OsStr::from_bytes(&content), target).unwrap();
            } else {
                fs::write(&target, content).unwrap();
                fs::set_permissions(target, Permissions::from_mode(file.mode & 0o777)).unwrap();
            }
        }
        git(checkout.path(), &["init", "--quiet"]);
        git(checkout.path(), &["add", "--all", "--force"]);
        git(checkout.path(), &["commit", "--quiet", "--allow-empty", "-m", "S0"]);
        let file = self.folder.path().join("diff.patch");
        fs::write(&file, &patch.bytes).unwrap();
        if !patch.bytes.is_empty() {
            git(checkout.path(), &["apply", "--index", "--whitespace=nowarn", file.to_str().unwrap()]);
            assert_eq!(git(checkout.path(), &["diff", "--stat"]), "", "the index says the same as the files");
        }
        self.snapshots.take(checkout.path(), None, &self.limits).unwrap()
    }
}

fn lines(count: usize) -> String {
    (0..count).flat_map(|number| ["line ".to_owned(), number.to_string(), "\n".to_owned()]).collect()
}

#[test]
fn git_applies_every_kind_of_change() {
    let case = Case::new();
    for (name, content) in [
        ("text", lines(50)),
        ("no newline", "last line".to_owned()),
        ("gains newline", "x".to_owned()),
        ("loses newline", "x\n".to_owned()),
        ("crlf", "a\r\nb\r\n".to_owned()),
        ("to-crlf", "a\nb\n".to_owned()),
        ("deleted", lines(5)),
        ("deleted empty", String::new()),
        ("old name", lines(30)),
        ("old name changed", lines(60)),
        ("mode", "#!/bin/sh\n".to_owned()),
        ("mode and text", "#!/bin/sh\n".to_owned()),
        ("not executable any more", "x\n".to_owned()),
        ("becomes empty", lines(3)),
        ("was empty", String::new()),
        ("file to folder", lines(3)),
        ("folder to file/a", lines(3)),
        ("folder to file/b/c", lines(4)),
        ("file to link", "target".to_owned()),
        ("quo\"ted\tand\nbroken\\name", lines(3)),
        ("naïve/文件.txt", lines(3)),
        ("trailing space ", lines(3)),
        (" leading", lines(3)),
        ("-option", lines(3)),
        ("a b/b a", lines(3)),
        ("one line", "x".repeat(100_000)),
    ] {
        case.write(name, content);
    }
    case.write("binary", [0, 159, 146, 150, 10, 13]);
    case.write("big binary", (0..100_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    case.write("binary deleted", [0; 1000]);
    case.write("binary to text", [0, 1, 2]);
    case.write("text to binary", "text\n");
    case.write(b"not utf-8 \xff\xfe", "x\n");
    case.executable("not executable any more", 0o755);
    symlink("old target", case.path("link")).unwrap();
    symlink("gone", case.path("link deleted")).unwrap();
    symlink("content", case.path("link to file")).unwrap();
    let s0 = case.take(None);

    case.write("text", lines(50).replace("line 7\n", "changed\n").replace("line 40\n", ""));
    case.write("no newline", "last line changed");
    case.write("gains newline", "x\n");
    case.write("loses newline", "x");
    case.write("crlf", "a\r\nchanged\r\nb\r\n");
    case.write("to-crlf", "a\r\nb\r\n");
    for name in ["deleted", "deleted empty", "binary deleted", "link deleted", "file to folder", "file to link", "link"]
    {
        fs::remove_file(case.path(name)).unwrap();
    }
    fs::rename(case.path("old name"), case.path("new name")).unwrap();
    fs::remove_file(case.path("old name changed")).unwrap();
    case.write("sub dir/new \"name\" changed", lines(60).replace("line 30\n", "changed\n"));
    case.executable("mode", 0o755);
    case.write("mode and text", "#!/bin/sh\necho\n");
    case.executable("mode and text", 0o755);
    case.executable("not executable any more", 0o644);
    case.write("becomes empty", "");
    case.write("was empty", "x\n");
    case.write("file to folder/inside", lines(3));
    fs::remove_dir_all(case.path("folder to file")).unwrap();
    case.write("folder to file", lines(3));
    symlink("target", case.path("file to link")).unwrap();
    symlink("new target", case.path("link")).unwrap();
    fs::remove_file(case.path("link to file")).unwrap();
    case.write("link to file", "content");
    for name in ["quo\"ted\tand\nbroken\\name", "naïve/文件.txt", "trailing space ", " leading", "-option", "a b/b a"]
    {
        case.write(name, lines(3) + "more\n");
    }
    case.write("one line", "y".repeat(100_000));
    case.write("binary", [0, 159, 146, 150, 10, 13, 0]);
    case.write("big binary", (0..100_001_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>());
    case.write("binary to text", "text\n");
    case.write("text to binary", [0, 1, 2]);
    case.write(b"not utf-8 \xff\xfe", "y\n");
    case.write("new file", lines(2));
    case.write("new empty", "");
    case.write("new binary", [0; 3]);
    case.write("new\ttab", "x");
    case.write("new executable", "x");
    case.executable("new executable", 0o755);
    symlink("anywhere", case.path("new link")).unwrap();
    case.write("--- a/text", "--- a/text\n+++ b/text\n@@ -1 +1 @@\n");

    let patch = case.applied_patch(&s0);
    let renamed: Vec<_> = patch.files.iter().filter(|file| file.status == ChangeStatus::Renamed).collect();
    assert_eq!(renamed.iter().filter(|file| file.old_path.as_deref() == Some("old name")).count(), 1);
    assert!(patch.files.iter().any(|file| file.path == "big binary" && file.binary));
    let text = patch.files.iter().find(|file| file.path == "text").unwrap();
    assert_eq!((text.insertions, text.deletions, text.binary), (1, 2, false));
}

#[test]
fn git_applies_what_chance_makes() {
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let names =
        ["a", "b c", "d/e", "d/f g", "d/h/i", "\"q\"", "ü", "t\tt", "n\nn", "j.bin", "k\\l", "m ", "o", "p", "p/q"];
    let contents: [&[u8]; 9] =
        [b"", b"x", b"x\n", b"x\ny\n", b"\n\n", b"x\r\n", b"\0\x01", b"- \n+ \n \n", b"a\nb\nc\nd\ne\nf\ng\nh\n"];
    for _ in 0..20 {
        let case = Case::new();
        let mut scramble = |case: &Case| {
            for name in names {
                let path = case.path(name);
                // "p" and "p/q" take turns: whatever is in the way goes.
                let _ = fs::remove_dir_all(&path);
                let parent = path.parent().unwrap();
                if fs::symlink_metadata(parent).is_ok_and(|parent| !parent.is_dir()) {
                    fs::remove_file(parent).unwrap();
                }
                match random(6) {
                    0 => drop(fs::remove_file(path)),
                    1 if path.parent().unwrap().exists() && !path.exists() => {
                        let _ = symlink("to where", path);
                    }
                    2 if path.is_file() => {
                        let mode = if random(2) == 0 { 0o755 } else { 0o644 };
                        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
                    }
                    3 => {}
                    _ => {
                        let _ = fs::remove_file(&path);
                        let content = contents[usize::try_from(random(9)).unwrap()];
                        case.write(name, content.repeat(usize::try_from(1 + random(3)).unwrap()));
                    }
                }
            }
        };
        scramble(&case);
        let s0 = case.take(None);
        scramble(&case);
        case.applied_patch(&s0);
    }
}

#[test]
fn the_patch_holds_the_agents_work_and_not_that_of_setup() {
    let case = Case::new();
    case.write("config", "a\nb\nc\n");
    case.write("other", "x\n");
    let s0 = case.take(None);
    case.write("config", "a\nb\nc\nfrom setup\n");
    case.write("other", "from setup\n");
    case.write("made by setup", "x\n");
    let s1 = case.take(Some(&s0));
    case.write("config", "from agent\na\nb\nc\nfrom setup\n");
    case.write("new", "x\n");
    let end = case.take(Some(&s0));
    let patch = case.snapshots.patch(&s0, &s1, &end).unwrap();
    let paths: Vec<_> = patch.files.iter().map(|file| file.path.as_str()).collect();
    // Written against S0, so that it applies: what setup did to a file that the agent changed is in it.
    assert_eq!(paths, ["config", "new"]);
    assert_eq!(patch.summary, DiffSummary { files: 2, insertions: 3, deletions: 0 });
    case.apply(&s0, &patch);
    assert!(case.snapshots.patch(&s0, &end, &end).unwrap().bytes.is_empty());
}

#[test]
fn ignore_rules_of_the_source_hold_and_those_of_the_agent_do_not() {
    let case = Case::new();
    case.write(".gitignore", "*.log\nbuild/\n");
    case.write("build/kept", "tracked though ignored\n");
    case.write("node_modules/kept/index.js", "x\n");
    let s0 = case.take(None);
    case.write("x.log", "");
    case.write("build/new", "");
    case.write("build/kept", "changed\n");
    case.write("node_modules/kept/index.js", "changed\n");
    case.write("sub/node_modules/x", "");
    case.write("__pycache__/x.pyc", "");
    case.write("crate/Cargo.toml", "");
    case.write("crate/target/debug/out", "");
    case.write("target/wanted", "");
    case.write(".git/config", "[core]\nfsmonitor = touch /tmp/canary\n");
    case.write("sub/.git/HEAD", "x");
    case.write(".gitignore", "*\n");
    case.write(".gitattributes", "* -diff\n");
    case.write("hidden?", "no\n");
    let end = case.take(Some(&s0));
    let names = [
        ".gitattributes",
        ".gitignore",
        "build/kept",
        "crate/Cargo.toml",
        "hidden?",
        "node_modules/kept/index.js",
        "target/wanted",
    ];
    assert_eq!(case.names(&end), names);
    let patch = case.snapshots.patch(&s0, &s0, &end).unwrap();
    assert_eq!(patch.files.len(), names.len());
    assert!(patch.files.iter().all(|file| !file.binary));
}

#[test]
fn hostile_trees_are_read_without_harm() {
    let mut case = Case::new();
    case.limits.max_file_bytes = 1000;
    case.write("ok", "x");
    case.write("grows", "x");
    let s0 = case.take(None);
    symlink("/etc/passwd", case.path("passwd")).unwrap();
    symlink("/", case.path("root")).unwrap();
    symlink(".", case.path("self")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        case.path("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(case.path("socket")).unwrap();
    fs::File::create(case.path("sparse")).unwrap().set_len(1 << 40).unwrap();
    case.write("grows", "x".repeat(2000));
    case.write(".GIT/config", "x");
    let deep = case.path("deep");
    fs::create_dir_all(deep.join("d/".repeat(300))).unwrap();
    fs::write(deep.join("d/".repeat(300)).join("f"), "x").unwrap();

    let end = case.take(Some(&s0));
    assert_eq!(case.names(&end), ["ok", "passwd", "root", "self"]);
    assert_eq!(case.snapshots.blob(&end, b"passwd").unwrap().unwrap(), b"/etc/passwd");
    let mut reasons: Vec<_> = end
        .skipped
        .iter()
        .map(|skipped| {
            (String::from_utf8_lossy(&skipped.path[..skipped.path.len().min(6)]).into_owned(), skipped.reason)
        })
        .collect();
    reasons.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(
        reasons,
        [
            (".GIT".to_owned(), SkipReason::ReservedName),
            ("deep/d".to_owned(), SkipReason::TooDeep),
            ("fifo".to_owned(), SkipReason::Special),
            ("grows".to_owned(), SkipReason::TooLarge),
            ("socket".to_owned(), SkipReason::Special),
            ("sparse".to_owned(), SkipReason::TooLarge),
        ]
    );
    // What could not be read is not said to be deleted.
    let patch = case.snapshots.patch(&s0, &s0, &end).unwrap();
    assert_eq!(patch.files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["passwd", "root", "self"]);
}

#[test]
fn limits_end_a_first_snapshot_and_only_shorten_a_later_one() {
    let mut case = Case::new();
    for number in 0..10 {
        case.write(format!("f{number}"), "x");
    }
    let s0 = case.take(None);
    case.limits.max_files = 12;
    for number in 0..10 {
        case.write(format!("a{number}"), "x");
    }
    let end = case.take(Some(&s0));
    assert!(end.is_truncated);
    assert!((0..10).all(|number| case.names(&end).contains(&format!("f{number}"))));
    let too_many = case.snapshots.take(&case.path(""), None, &case.limits);
    assert!(matches!(too_many, Err(SnapshotError::TooManyFiles { limit: 12 })));
    case.limits = SnapshotLimits { max_bytes: 5, ..SnapshotLimits::default() };
    let too_large = case.snapshots.take(&case.path(""), None, &case.limits);
    assert!(matches!(too_large, Err(SnapshotError::TooManyBytes { limit: 5 })));
}

#[test]
fn edits_of_the_same_size_in_the_same_moment_are_seen() {
    let case = Case::new();
    case.write("f", "0000");
    let mut last = case.take(None);
    for number in 1..300 {
        case.write("f", format!("{number:04}"));
        let next = case.take(None);
        assert_ne!(last.tree, next.tree, "edit {number}");
        last = next;
    }
    // Once things have settled nothing is read again, and a change with the old modification time is seen all the same.
    std::thread::sleep(Duration::from_millis(60));
    case.take(None);
    let modified = fs::metadata(case.path("f")).unwrap().modified().unwrap();
    case.write("f", "abcd");
    fs::File::options().write(true).open(case.path("f")).unwrap().set_modified(modified).unwrap();
    let seen = case.take(None);
    assert_eq!(case.snapshots.blob(&seen, b"f").unwrap().unwrap(), b"abcd");
}

#[test]
fn a_file_of_a_snapshot_is_read_by_its_path() {
    let case = Case::new();
    case.write("d/AGENTS.md", "be kind\n");
    let taken = case.take(None);
    let snapshots = Snapshots::open(&case.folder.path().join("git")).unwrap();
    assert_eq!(snapshots.blob(&taken, b"d/AGENTS.md").unwrap().unwrap(), b"be kind\n");
    assert_eq!(snapshots.blob(&taken, b"d").unwrap(), None);
    assert_eq!(snapshots.blob(&taken, b"d/AGENTS.md/x").unwrap(), None);
    assert!(Snapshots::open(Path::new("/nowhere")).is_err());
}

#[test]
fn a_glance_sees_what_is_there_and_leaves_no_trace_for_later_snapshots() {
    let case = Case::new();
    case.write("a", "one\n");
    let s0 = case.take(None);
    let cache = case.folder.path().join("git/stat-cache");
    let before = fs::read(&cache).unwrap();
    case.write("a", "two\n");
    case.write("new", "three\n");

    let now = case.snapshots.glance(&case.folder.path().join("code"), &s0, &case.limits).unwrap();

    assert_eq!(case.names(&now), ["a", "new"]);
    assert_eq!(case.snapshots.patch(&s0, &s0, &now).unwrap().summary.files, 2);
    assert_eq!(fs::read(&cache).unwrap(), before);
    assert_eq!(case.take(Some(&s0)).tree, now.tree);
}
