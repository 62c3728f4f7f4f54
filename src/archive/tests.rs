//! Archives as people, forges and attackers make them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use zip::write::SimpleFileOptions;

use super::raw_zip::{RawEntry, zip_bytes};
use super::unpack::{UnpackLimits, Unpacked, inspect, unpack};

const LIMITS: UnpackLimits = UnpackLimits { max_files: 1000, max_bytes: 1_000_000 };

/// A folder with `upload.zip` in it, gone when dropped.
struct Upload {
    folder: tempfile::TempDir,
}

impl Upload {
    fn new(bytes: &[u8]) -> Self {
        let upload = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(upload.zip(), bytes).unwrap();
        upload
    }

    fn of(entries: &[RawEntry]) -> Self {
        Self::new(&zip_bytes(entries))
    }

    fn zip(&self) -> PathBuf {
        self.folder.path().join("upload.zip")
    }

    fn code(&self) -> PathBuf {
        self.folder.path().join("code")
    }
}

/// Refused at submit and at unpacking alike, and nothing is left of it.
fn assert_refused(upload: &Upload, kind: &str) {
    assert_eq!(inspect(&upload.zip(), &LIMITS).unwrap_err().kind(), kind);
    let error = unpack(&upload.zip(), &upload.code(), &LIMITS).unwrap_err();
    assert_eq!(error.kind(), kind, "{error}");
    assert_eq!(fs::read_dir(upload.folder.path()).unwrap().count(), 1, "only the upload is there");
}

fn refused(entries: &[RawEntry], kind: &str) {
    assert_refused(&Upload::of(entries), kind);
}

fn unpacked(entries: &[RawEntry]) -> Upload {
    let upload = Upload::of(entries);
    let inspected = inspect(&upload.zip(), &LIMITS).unwrap();
    assert_eq!(unpack(&upload.zip(), &upload.code(), &LIMITS).unwrap(), inspected);
    upload
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode()
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for name in ["../evil", "a/../../evil", "..\\evil", "/tmp/ABS_EVIL", "C:\\evil", "a/../b", "nul\0"] {
        refused(&[RawEntry::file("good", "x"), RawEntry::file(name, "x")], "zip_unsafe_path");
    }
    refused(&[RawEntry::file("d/".repeat(2000) + "x", "x")], "zip_unsafe_path");
    refused(&[RawEntry::file("n".repeat(300), "x")], "zip_unsafe_path");
}

#[test]
fn links_stay_inside() {
    let out = [("l", "/etc/passwd"), ("l", "../x"), ("d/l", "../../x"), ("l", "a/../../x"), ("l", "")];
    for (name, target) in out {
        refused(&[RawEntry::file("f", "x"), RawEntry::link(name, target)], "zip_unsafe_link");
    }
    // One link up to the root of the archive, another through it: each alone looks harmless.
    let chain = [RawEntry::link("a/b/up", "../.."), RawEntry::link("l", "a/b/up/../x"), RawEntry::file("f", "x")];
    refused(&chain, "zip_unsafe_link");
    refused(&[RawEntry::link("l", "."), RawEntry::file("l/evil", "x")], "zip_ambiguous");
    refused(&[RawEntry::file("f", "x"), RawEntry::link("l", &"t".repeat(5000))], "zip_unsafe_link");

    let upload =
        unpacked(&[RawEntry::link("a/l", "../f"), RawEntry::file("f", "x"), RawEntry::link("gone", "nowhere")]);
    assert_eq!(fs::read_link(upload.code().join("a/l")).unwrap(), Path::new("../f"));
    assert_eq!(fs::read_link(upload.code().join("gone")).unwrap(), Path::new("nowhere"));
}

#[test]
fn special_files_are_refused_and_modes_are_tamed() {
    for kind in [0o010_644, 0o020_644, 0o060_644, 0o140_644] {
        refused(&[RawEntry::file("f", "").mode(kind)], "zip_special_file");
    }
    let upload = unpacked(&[
        RawEntry::file("setuid", "x").mode(0o106_777),
        RawEntry::file("secret", "x").mode(0o100_000),
        RawEntry::file("script", "x").mode(0o100_755),
        RawEntry::folder("sticky/").mode(0o041_777),
    ]);
    assert_eq!(mode(&upload.code().join("setuid")), 0o100_755);
    assert_eq!(mode(&upload.code().join("secret")), 0o100_600);
    assert_eq!(mode(&upload.code().join("script")), 0o100_755);
    assert_eq!(mode(&upload.code().join("sticky")), 0o040_755);
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let f = RawEntry::file("f", "x");
    refused(&[f.clone(), f.clone()], "zip_invalid");
    refused(&[f.clone(), RawEntry::file("./f", "x")], "zip_ambiguous");
    refused(&[f.clone(), RawEntry::file("f/g", "x")], "zip_ambiguous");
    refused(&[RawEntry::file("f/g", "x"), f.clone()], "zip_ambiguous");
    refused(&[f.clone(), RawEntry::folder("f/")], "zip_ambiguous");
    refused(&[RawEntry { local_name: Some(b"other".to_vec()), ..f.clone() }], "zip_invalid");
    // The second entry lies within the data of the first, as in a bomb without nested zips.
    let inner = RawEntry::file("inner", "x".repeat(100));
    let outer = RawEntry::file("outer", inner.local());
    refused(&[outer, RawEntry { offset: Some(35), ..inner }], "zip_invalid");
}

#[test]
fn sizes_are_what_they_claim_to_be_and_bounded() {
    let f = RawEntry::file("f", "x".repeat(1000));
    for declared in [2, 999] {
        let lie = RawEntry { local_size: Some(declared), listed_size: Some(declared), ..f.clone() };
        assert_refused(&Upload::of(&[lie]), "zip_invalid");
        refused(&[RawEntry { listed_size: Some(declared), ..f.clone() }], "zip_invalid");
    }
    refused(&[RawEntry { listed_size: Some(5000), ..f.clone() }], "zip_invalid");
    refused(&[RawEntry { local_size: Some(u32::MAX - 1), listed_size: Some(u32::MAX - 1), ..f }], "zip_invalid");

    let mut bomb = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    bomb.start_file("zeros", SimpleFileOptions::default()).unwrap();
    bomb.write_all(&vec![0; 2_000_000]).unwrap();
    let bomb = bomb.finish().unwrap().into_inner();
    assert!(bomb.len() < 10_000);
    assert_refused(&Upload::new(&bomb), "zip_too_large");
    // The same with a directory that declares less than there is.
    let size = 2_000_000_u32.to_le_bytes();
    let mut liar = bomb;
    while let Some(at) = liar.windows(4).position(|window| window == size) {
        liar[at..at + 4].copy_from_slice(&5000_u32.to_le_bytes());
    }
    assert_refused(&Upload::new(&liar), "zip_invalid");
}

#[test]
fn floods_are_refused_from_the_directory() {
    let many: Vec<_> = (0..1001).map(|n| RawEntry::file(n.to_string(), "")).collect();
    refused(&many, "zip_too_many_files");
    // Folders that are only implied count as well.
    let deep: Vec<_> = (0..100).map(|n| RawEntry::file(format!("{n}/{}", "d/".repeat(50)), "")).collect();
    let deep: Vec<_> = deep.into_iter().map(|entry| entry.mode(0o040_755)).collect();
    refused(&deep, "zip_too_many_files");
    let huge: Vec<_> = (0..60_000).map(|n| RawEntry::file(format!("{n:0200}"), "")).collect();
    let started = std::time::Instant::now();
    refused(&huge, "zip_too_many_files");
    assert!(started.elapsed() < std::time::Duration::from_secs(2));
}

#[test]
fn broken_and_encrypted_archives_are_refused_with_a_reason() {
    refused(&[RawEntry::file("f", "x").encrypted()], "zip_encrypted");
    refused(&[RawEntry { method: 12, ..RawEntry::file("f", "x") }], "zip_unsupported");
    refused(&[], "zip_invalid");
    refused(&[RawEntry::folder("d/")], "zip_invalid");
    let good = zip_bytes(&[RawEntry::file("f", "x".repeat(1000))]);
    for bytes in [&b""[..], b"garbage", &[0; 10_000], &good[..good.len() / 2], &good[10..]] {
        assert_refused(&Upload::new(bytes), "zip_invalid");
    }
    let mut flipped = good;
    flipped[100] ^= 1;
    assert_refused(&Upload::new(&flipped), "zip_invalid");
}

#[test]
fn every_corruption_of_an_archive_ends_in_an_answer() {
    let good = zip_bytes(&[RawEntry::file("d/f", "hello"), RawEntry::link("l", "d/f"), RawEntry::folder("e/")]);
    for at in 0..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut bytes = good.clone();
            bytes[at] ^= change;
            let upload = Upload::new(&bytes);
            let inspected = inspect(&upload.zip(), &LIMITS);
            let unpacked = unpack(&upload.zip(), &upload.code(), &LIMITS);
            assert_eq!(inspected.is_ok(), unpacked.is_ok(), "byte {at}: {inspected:?}, {unpacked:?}");
            let left = usize::from(unpacked.is_ok());
            assert_eq!(fs::read_dir(upload.folder.path()).unwrap().count(), 1 + left, "byte {at}");
        }
    }
}

#[test]
fn a_single_top_folder_is_left_out() {
    let upload = unpacked(&[
        RawEntry::folder("tool-main/"),
        RawEntry::file("tool-main/setup.sh", "x"),
        RawEntry::file("tool-main/src/a", "x"),
        RawEntry::file("__MACOSX/tool-main/._setup.sh", "x"),
    ]);
    assert!(upload.code().join("setup.sh").is_file() && upload.code().join("src/a").is_file());
    assert!(!upload.code().join("__MACOSX").exists());
    let upload = unpacked(&[RawEntry::file("src/a", "x"), RawEntry::file("README", "x")]);
    assert!(upload.code().join("src/a").is_file());
    refused(&[RawEntry::file("top/f", "x"), RawEntry::link("top/l", "../top/f")], "zip_unsafe_link");
}

#[test]
fn odd_but_harmless_archives_are_taken() {
    let upload = unpacked(&[
        RawEntry::file("stream", "hello").streamed(),
        RawEntry::file("Case", "1"),
        RawEntry::file("case", "2"),
        RawEntry::file(b"\xff\xfe", "3"),
        RawEntry::file("line\nbreak", "4"),
        RawEntry::file("e\u{301}", "5"),
        RawEntry::file("\u{e9}", "6"),
        RawEntry::file("d/.git/config", "7"),
    ]);
    assert_eq!(fs::read(upload.code().join("stream")).unwrap(), b"hello");
    assert_eq!(fs::read_dir(upload.code()).unwrap().count(), 8);
    let mut polyglot = b"<html><script>alert(1)</script>".to_vec();
    polyglot.extend(zip_bytes(&[RawEntry::file("f", "x")]));
    let upload = Upload::new(&polyglot);
    let unpacked = unpack(&upload.zip(), &upload.code(), &LIMITS).unwrap();
    assert_eq!(unpacked, Unpacked { files: 1, bytes: 1 });
}

#[test]
fn archives_of_common_tools_are_taken() {
    let source = tempfile::tempdir().unwrap();
    let tree = source.path().join("tree");
    fs::create_dir_all(tree.join("sub dir")).unwrap();
    fs::write(tree.join("sub dir/naïve.txt"), "x".repeat(10_000)).unwrap();
    fs::write(tree.join("run.sh"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("sub dir/naïve.txt", tree.join("link")).unwrap();
    let commands = [
        "zip -qry ../info.zip tree",
        "cd tree && git init -q && git add -A && git -c user.name=a -c user.email=a@b commit -qm x && \
         git archive --format=zip --prefix=tree-main/ HEAD > ../../git.zip && rm -rf .git",
    ];
    let out = tempfile::tempdir().unwrap();
    let inner = out.path().join("inner");
    fs::rename(source.path(), &inner).unwrap();
    for command in commands {
        let status = Command::new("sh").args(["-c", command]).current_dir(&inner).status().unwrap();
        assert!(status.success(), "{command}");
    }
    for name in ["info.zip", "git.zip"] {
        let code = out.path().join("code");
        unpack(&out.path().join(name), &code, &LIMITS).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(fs::read(code.join("sub dir/naïve.txt")).unwrap().len(), 10_000, "{name}");
        assert_eq!(mode(&code.join("run.sh")), 0o100_755, "{name}");
        assert_eq!(fs::read_link(code.join("link")).unwrap(), Path::new("sub dir/naïve.txt"), "{name}");
        fs::remove_dir_all(code).unwrap();
    }
}
