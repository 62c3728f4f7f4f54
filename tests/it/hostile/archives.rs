//! Zip archives as attackers, and odd but honest tools, make them (R1 to R13).

use std::{
    io::Read,
    time::{Duration, Instant},
};

use super::{disk_use, obeying, refused, stdout};
use crate::{
    harness::{Atelier, Settings, Zip},
    raw_zip::{RawEntry, zip_bytes},
};

async fn refused_zip(atelier: &Atelier, zip: Vec<u8>, kind: &str) {
    refused(atelier.post_zip(zip, "Go.", &[]).await, 422, kind).await;
    atelier.kept_nothing().await;
}

async fn refused_entries(atelier: &Atelier, entries: &[RawEntry], kind: &str) {
    refused_zip(atelier, zip_bytes(entries), kind).await;
}

fn good() -> RawEntry {
    RawEntry::file("good", "good")
}

#[tokio::test]
async fn r1_names_that_lead_out_are_refused() {
    let atelier = Atelier::start().await;
    let names =
        ["../evil", "a/../../evil", "a/../evil", "a\\..\\..\\evil", "\\evil", "/tmp/ABS_EVIL", "C:\\evil", "evil\0"];
    for name in names {
        refused_entries(&atelier, &[good(), RawEntry::file(name, "x")], "zip_unsafe_path").await;
    }
    assert!(!std::path::Path::new("/tmp/ABS_EVIL").exists());
    assert!(!atelier.data_dir().join("evil").exists() && !atelier.data_dir().join("tasks/evil").exists());
}

#[tokio::test]
async fn r2_links_that_lead_out_are_refused_and_those_within_are_kept() {
    let (atelier, _model) = obeying(&["readlink in; cat in"], Settings::new()).await;
    for target in ["/etc/passwd", "../../etc/passwd", "d/../../x", ""] {
        refused_entries(&atelier, &[good(), RawEntry::link("out", target)], "zip_unsafe_link").await;
    }
    // Each of the two alone looks harmless.
    let chain = [RawEntry::file("d/ok", "ok"), RawEntry::link("d/up", ".."), RawEntry::link("out", "d/up/../x")];
    refused_entries(&atelier, &chain, "zip_unsafe_link").await;
    let through = [RawEntry::link("l", "."), RawEntry::file("l/evil", "x")];
    refused_entries(&atelier, &through, "zip_ambiguous").await;

    let task = atelier.submit_zip(Zip::new().file("d/file", "text").link("in", "d/file"), "Look.", &[]).await;
    task.completed().await;
    assert_eq!(stdout(&task.tool_results().await[0]), "d/file\ntext");
}

#[tokio::test]
async fn r3_entries_that_share_their_bytes_are_refused_before_anything_is_unpacked() {
    let atelier = Atelier::start().await;
    let nested = RawEntry::file("inner", "x".repeat(100));
    let outer = RawEntry::file("outer", nested.local());
    refused_entries(&atelier, &[outer, RawEntry { offset: Some(35), ..nested }], "zip_invalid").await;

    let bomb = overlapping_bomb(250, 4_200_000);
    assert!(bomb.len() < 100_000, "a small file that says it holds a gigabyte: {}", bomb.len());
    let before = disk_use(&atelier.data_dir());
    let started = Instant::now();
    refused_zip(&atelier, bomb, "zip_invalid").await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert!(disk_use(&atelier.data_dir()) < before + 1_000_000);
}

/// The construction of Fifield's "better zip bomb": the data of each file is a stored block that quotes the header of
/// the next file, then the data of that file. The last one holds `zeros` zeros, and so do all the others.
fn overlapping_bomb(files: usize, zeros: u32) -> Vec<u8> {
    let deflated = |name: &str, size: u32, data: &[u8]| RawEntry {
        method: 8,
        local_size: Some(size),
        listed_size: Some(size),
        ..RawEntry::file(name, data)
    };
    let mut size = zeros;
    let mut entries = vec![deflated("last", size, &deflated_zeros(zeros))];
    for number in 1..files {
        let next = &entries[number - 1];
        let local = next.local();
        let header = u16::try_from(local.len() - next.data.len()).unwrap();
        let quote = [&[0][..], &header.to_le_bytes(), &(!header).to_le_bytes()].concat();
        size += u32::from(header);
        entries.push(deflated(&number.to_string(), size, &[quote, local].concat()));
    }
    entries.reverse();
    let mut offset = 0;
    for number in 1..files {
        let before = &entries[number - 1];
        // Past its header and the five bytes that begin the quote.
        offset += before.local().len() - before.data.len() + 5;
        entries[number].offset = Some(u32::try_from(offset).unwrap());
    }
    zip_bytes(&entries)
}

fn deflated_zeros(count: u32) -> Vec<u8> {
    let zip = Zip::new().entry("zeros", &vec![0; count as usize], 0o644).bytes();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(zip)).unwrap();
    let mut data = Vec::new();
    archive.by_index_raw(0).unwrap().read_to_end(&mut data).unwrap();
    data
}

#[tokio::test]
async fn r4_what_unpacks_to_too_much_is_refused_and_streamed_zips_are_taken() {
    let settings = Settings::new().set("source.max_unpacked_bytes", 100_000_000);
    let (atelier, _model) = obeying(&["cat a.txt"], settings).await;
    let before = disk_use(&atelier.data_dir());
    let zeros = Zip::new().entry("zeros", &vec![0; 200_000_000], 0o644).bytes();
    let detail = refused(atelier.post_zip(zeros, "Go.", &[]).await, 422, "zip_too_large").await;
    assert!(detail.contains("max_unpacked_bytes"), "{detail}");
    atelier.kept_nothing().await;
    assert!(disk_use(&atelier.data_dir()) < before + 1_000_000);

    // `zip` writes sizes behind the data when it cannot seek back: a data descriptor.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "streamed").unwrap();
    let task = atelier.submit_zip_bytes(python_streamed_zip(folder.path()), "Go.", &[]).await;
    task.completed().await;
    assert_eq!(stdout(&task.tool_results().await[0]), "streamed");
}

/// A zip written to a pipe.
fn python_streamed_zip(folder: &std::path::Path) -> Vec<u8> {
    let program = "import sys, zipfile\n\
        class Pipe:\n    \
            def write(self, data): return sys.stdout.buffer.write(data)\n    \
            def flush(self): sys.stdout.flush()\n\
        with zipfile.ZipFile(Pipe(), 'w', zipfile.ZIP_DEFLATED) as z: z.write('a.txt')\n";
    let output = std::process::Command::new("python3").args(["-c", program]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[tokio::test]
async fn r5_sizes_that_are_not_true_are_refused() {
    let atelier = Atelier::start().await;
    let file = RawEntry::file("f", "x".repeat(1000));
    let huge = Some(u32::MAX - 1);
    for (local_size, listed_size) in [(Some(2), Some(2)), (None, Some(2)), (None, Some(5000)), (huge, huge)] {
        refused_entries(&atelier, &[RawEntry { local_size, listed_size, ..file.clone() }], "zip_invalid").await;
    }
    // A bomb that declares less than comes out of it, in both headers.
    let before = atelier.resident_kib();
    let mut liar = Zip::new().entry("zeros", &vec![0; 300_000_000], 0o644).bytes();
    let size = 300_000_000_u32.to_le_bytes();
    while let Some(at) = liar.windows(4).position(|window| window == size) {
        liar[at..at + 4].copy_from_slice(&5000_u32.to_le_bytes());
    }
    refused_zip(&atelier, liar, "zip_invalid").await;
    let grown = atelier.resident_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
}

#[tokio::test]
async fn r6_a_flood_of_entries_is_refused_from_the_directory() {
    let atelier = Atelier::start().await;
    let many = (0..70_000).fold(Zip::new(), |zip, number| zip.entry(&number.to_string(), b"", 0o644)).bytes();
    let started = Instant::now();
    refused_zip(&atelier, many, "zip_too_many_files").await;
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test]
async fn r7_depth_and_length_of_names_are_bounded() {
    let atelier = Atelier::start().await;
    for name in
        ["d/".repeat(2000) + "x", "d/".repeat(64) + "x", "n".repeat(256), ("n".repeat(200) + "/").repeat(21) + "x"]
    {
        refused_entries(&atelier, &[RawEntry::file(name, "x")], "zip_unsafe_path").await;
    }
    assert_eq!(atelier.get("/healthz").await.status(), 200);
}

#[tokio::test]
async fn r8_special_files_are_refused_and_no_mode_is_dangerous() {
    let find = "find . ! -type f ! -type d ! -type l; find . -perm /6000; stat -c %a setuid";
    let (atelier, _model) = obeying(&[find], Settings::new()).await;
    for kind in [0o010_644, 0o020_644, 0o060_644, 0o140_644] {
        refused_entries(&atelier, &[good(), RawEntry::file("odd", "").mode(kind)], "zip_special_file").await;
    }
    let entries = [RawEntry::file("setuid", "x").mode(0o106_777), RawEntry::folder("sticky/").mode(0o043_777)];
    let task = atelier.submit_zip_bytes(zip_bytes(&entries), "Look.", &[]).await;
    task.completed().await;
    assert_eq!(stdout(&task.tool_results().await[0]), "755\n");
}

#[tokio::test]
async fn r9_what_can_be_read_in_two_ways_is_refused_and_odd_names_are_only_shown_escaped() {
    let file = RawEntry::file("f", "x");
    let other = Some(b"other".to_vec());
    let twice: [(&[RawEntry], &str); 5] = [
        (&[file.clone(), file.clone()], "zip_invalid"),
        (&[file.clone(), RawEntry::file("./f", "x")], "zip_ambiguous"),
        (&[file.clone(), RawEntry::file("f/g", "x")], "zip_ambiguous"),
        (&[file.clone(), RawEntry::folder("f/")], "zip_ambiguous"),
        (&[RawEntry { local_name: other, ..file.clone() }], "zip_invalid"),
    ];
    let (atelier, _model) = obeying(&["for f in *; do echo more >> \"$f\"; done; ls | wc -l"], Settings::new()).await;
    for (entries, kind) in twice {
        refused_entries(&atelier, entries, kind).await;
    }
    let odd: [&[u8]; 8] = [
        b"Case",
        b"case",
        "e\u{301}".as_bytes(),
        "\u{e9}".as_bytes(),
        b"not\xff\xfeutf8",
        "\u{202e}txt.exe".as_bytes(),
        b"<img src=x onerror=alert(1)>",
        b"esc\x1b[31m",
    ];
    let entries: Vec<_> = odd.iter().map(|name| RawEntry::file(name, "x\n")).collect();
    let task = atelier.submit_zip_bytes(zip_bytes(&entries), "Change all.", &[]).await;
    assert_eq!(task.completed().await["diff"]["files"], 8);
    assert_eq!(stdout(&task.tool_results().await[0]), "8\n");
    for path in [format!("/tasks/{}", task.id), format!("/tasks/{}/diff", task.id)] {
        let page = atelier.get(&path).await.text().await.unwrap();
        assert!(page.contains("Change all."), "{path}");
        for raw in ["<img", "\u{202e}", "\u{1b}"] {
            assert!(!page.contains(raw), "{raw:?} on {path}");
        }
    }
}

#[tokio::test]
async fn r10_encrypted_and_unknown_methods_are_named() {
    let atelier = Atelier::start().await;
    let encrypted = atelier.post_zip(zip_bytes(&[good().encrypted()]), "Go.", &[]).await;
    let detail = refused(encrypted, 422, "zip_encrypted").await;
    assert!(detail.contains("encrypted archives are not supported"), "{detail}");
    refused_entries(&atelier, &[RawEntry { method: 12, ..good() }], "zip_unsupported").await;
}

#[tokio::test]
async fn r11_garbage_is_refused_and_a_page_that_is_also_a_zip_is_only_code() {
    let (atelier, _model) = obeying(&[], Settings::new()).await;
    let whole = zip_bytes(&[RawEntry::file("f", "x".repeat(1000))]);
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    let only_end = zip_bytes(&[]);
    for bytes in [&b""[..], b"garbage", &[0; 10_000], &whole[..500], &whole[10..], &only_end, &flipped] {
        refused_zip(&atelier, bytes.to_vec(), "zip_invalid").await;
    }
    refused_entries(&atelier, &[RawEntry::folder("d/")], "zip_invalid").await;

    let polyglot = [b"<html><script>alert(1)</script>".to_vec(), zip_bytes(&[good()])].concat();
    let task = atelier.submit_zip_bytes(polyglot, "Go.", &[]).await;
    let ended = task.completed().await;
    for artifact in ended["artifacts"].as_array().unwrap() {
        let path = format!("/logs/{}/{}", task.id, artifact["name"].as_str().unwrap());
        let response = atelier.get(&path).await;
        assert!(!response.headers()["content-type"].to_str().unwrap().contains("html"), "{artifact}");
    }
}

#[tokio::test]
async fn r13_git_folders_of_an_archive_are_nothing_but_files() {
    let canary = tempfile::tempdir().unwrap();
    let touch = format!("touch {}/canary; touch /app/output/canary", canary.path().display());
    let config = format!(
        "[core]\nrepositoryformatversion = 0\nbare = false\nfsmonitor = \"{touch}\"\nhooksPath = .git/hooks\n\
         [filter \"f\"]\nclean = {touch}; cat\nsmudge = {touch}; cat\n[diff]\nexternal = {touch}\n"
    );
    let mut zip = Zip::new().file("a.py", "one\n").file(".gitattributes", "* filter=f diff=x\n");
    for folder in ["", "vendor/"] {
        zip = zip
            .file(&format!("{folder}.git/config"), &config)
            .file(&format!("{folder}.git/HEAD"), "ref: refs/heads/main\n")
            .executable(&format!("{folder}.git/hooks/post-checkout"), &format!("#!/bin/sh\n{touch}\n"));
    }
    let zip = zip.file("vendor/b.py", "two\n");
    let (atelier, _model) = obeying(&["echo more >> a.py; echo more >> vendor/b.py"], Settings::new()).await;
    let task = atelier.submit_zip(zip, "Change it.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(ended["diff"]["files"], 2, "the two files and nothing of .git: {ended}");
    assert_eq!(atelier.get(&format!("/tasks/{}/diff", task.id)).await.status(), 200);
    assert_eq!(std::fs::read_dir(canary.path()).unwrap().count(), 0, "something of the repository ran on the host");
    let names: Vec<_> =
        ended["artifacts"].as_array().unwrap().iter().map(|artifact| artifact["name"].clone()).collect();
    assert!(!names.contains(&"output/canary".into()), "something of the repository ran in the container: {names:?}");
}
