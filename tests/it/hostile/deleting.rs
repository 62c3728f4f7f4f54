//! Trees that an agent made in order not to be deleted (R44, R47): they go, and the server stays.

use std::process::Command;

use super::{disk_use, obeying, stdout};
use crate::harness::{Settings, Zip};

/// Folders within folders, beneath the current one.
fn dig(depth: u32) -> String {
    format!("python3 -c 'import os\nfor _ in range({depth}): os.mkdir(\"d\"); os.chdir(\"d\")'\n")
}

const SETUP: &str = "#!/bin/sh\nset -e\n\
    mkdir -p /app/code/kept/secret /app/output/secret junk\n\
    touch kept/secret/f /app/output/secret/f\n\
    chmod 000 kept/secret /app/output/secret kept\n\
    python3 -c 'for n in range(20000): open(f\"junk/{n}\", \"w\").close()'\n";

async fn deep_and_closed_trees_go(depth: u32, settings: Settings) {
    let deep = format!("cd /app/output; {}cd /app/code; {}echo made", dig(300), dig(depth));
    let (atelier, _model) = obeying(&[&deep], settings).await;
    let before = disk_use(&atelier.data_dir());
    let zip = Zip::new().executable("setup.sh", SETUP).file(".gitignore", "junk/\n");
    let task = atelier.submit_zip(zip, "Dig.", &[]).await;

    let ended = task.completed().await;

    assert_eq!(stdout(&task.tool_results().await[0]), "made\n", "{ended}");
    assert_eq!(atelier.workspaces(), [""; 0]);
    assert!(disk_use(&atelier.data_dir()) < before + 5_000_000, "the disk is as it was");
    assert_eq!(atelier.get_json("/readyz").await["leaks"], 0);
}

#[tokio::test]
async fn r44_r47_deep_and_closed_trees_go_and_the_server_stays() {
    // More than any recursive function survives. In memory, for a real disk takes half a minute to forget them.
    deep_and_closed_trees_go(15_000, Settings::new().small_disk(500)).await;
}

#[tokio::test]
async fn r47_a_server_that_is_not_root_deletes_them_as_well() {
    deep_and_closed_trees_go(2_000, Settings::new().without_root().small_disk(500)).await;
}

/// A folder that not even its owner can empty, until it is let go.
struct Stuck(std::path::PathBuf);

impl Stuck {
    fn hold(folder: &std::path::Path) -> Self {
        let stuck = Self(folder.to_owned());
        // Root may do anything but change what is immutable.
        stuck.change(if rustix::process::geteuid().is_root() { "chattr +i" } else { "chmod 500" });
        stuck
    }

    fn change(&self, command: &str) {
        let line = format!("{command} '{}'", self.0.display());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success(), "{line}");
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.change(if rustix::process::geteuid().is_root() { "chattr -i" } else { "chmod 700" });
    }
}

#[tokio::test]
async fn r47_a_folder_that_cannot_be_removed_is_told_and_removed_at_the_next_start() {
    let wait = "mkdir /app/output/stuck; touch /app/output/stuck/f; until [ -e /app/output/go ]; do sleep 0.05; done";
    let (mut atelier, _model) = obeying(&[wait], Settings::new()).await;
    let id = atelier.submit_zip(Zip::new().file("a", "a"), "Wait.", &[]).await.id;
    let output = atelier.data_dir().join(format!("tasks/{id}/output"));
    while !output.join("stuck/f").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let stuck = Stuck::hold(&output.join("stuck"));
    std::fs::write(output.join("go"), "").unwrap();

    atelier.task(&id).completed().await;

    let ready = atelier.get("/readyz").await;
    assert_eq!(ready.status(), 200, "the server can work all the same");
    assert_eq!(ready.json::<serde_json::Value>().await.unwrap()["leaks"], 1);
    let page = atelier.get("/").await.text().await.unwrap();
    assert!(page.contains("could not be removed") && page.contains(&format!("{id}/output")), "{page}");

    drop(stuck);
    atelier.kill_and_start_again().await;
    // It answers while it still asks Docker whether it is there, and tidies up after that.
    loop {
        let ready = atelier.get("/readyz").await;
        if ready.status() == 200 && ready.json::<serde_json::Value>().await.unwrap()["leaks"] == 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(atelier.workspaces(), [""; 0]);
}
