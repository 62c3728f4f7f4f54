//! Any bytes at all as an archive. `dev/fuzz` runs this for as long as it is told to, each run of the tests for a moment.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{UnpackLimits, inspect, unpack};

const LIMITS: UnpackLimits = UnpackLimits { max_files: 100, max_bytes: 100_000 };

#[test]
fn any_bytes_are_judged_alike_twice_and_stay_inside() {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let (zip, code) = (folder.path().join("upload.zip"), folder.path().join("code"));
    bolero::check!(name = "zip").with_test_time(Duration::from_secs(1)).for_each(|bytes: &[u8]| {
        fs::write(&zip, bytes).unwrap();
        let inspected = inspect(&zip, &LIMITS);
        let unpacked = unpack(&zip, &code, &LIMITS);
        assert_eq!(inspected.as_ref().ok(), unpacked.as_ref().ok(), "{inspected:?}, {unpacked:?}");
        assert_eq!(code.exists(), unpacked.is_ok(), "a refused archive leaves nothing");
        if let Ok(unpacked) = unpacked {
            let (files, bytes) = look(&code, &code);
            assert_eq!((files, bytes), (unpacked.files, unpacked.bytes));
            fs::remove_dir_all(&code).unwrap();
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing lies beside the code");
    });
}

/// Files and links, and the bytes of the files. No link leads out, as far as it leads anywhere.
fn look(folder: &Path, root: &Path) -> (usize, u64) {
    let (mut files, mut bytes) = (0, 0);
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            let below = look(&entry.path(), root);
            (files, bytes) = (files + below.0, bytes + below.1);
        } else if kind.is_symlink() {
            files += 1;
            if let Ok(target) = fs::canonicalize(entry.path()) {
                assert!(target.starts_with(fs::canonicalize(root).unwrap()), "{target:?}");
            }
        } else {
            assert!(kind.is_file(), "{entry:?}");
            files += 1;
            bytes += entry.metadata().unwrap().len();
        }
    }
    (files, bytes)
}
