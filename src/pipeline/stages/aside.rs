//! What the agent wrote is put aside while `setup.sh` runs once more in a new container: nothing the agent made may be
//! there while there is a network, and setup finds the source as it found it the first time.
//!
//! A tree is in one of three states, told apart by names alone, so that a kill at any moment loses nothing:
//! - `code`: that is the work.
//! - `code.kept`: that is the work; whatever is in `code` is not.
//! - `code.returning`: the work is what is in there and in `code` together.
//!
//! The last one is there because a container has `code` itself mounted: its content can be exchanged, the folder cannot.

use std::{fs, io, path::Path};

use anyhow::Context;

use crate::{
    blocking,
    data_dir::{TaskDir, kept, returning},
    domain::task::Task,
    pipeline::Pipeline,
    remove_tree::remove_tree,
    sandbox::Ownership,
};

/// Makes room for a fresh `code` and `output`, once whatever was put aside before is back. No container may be running.
pub(super) fn put_aside(pipeline: &Pipeline, task: &Task) -> anyhow::Result<()> {
    let folder = pipeline.data_dir.task(&task.id);
    for tree in trees(&folder) {
        fs::rename(&tree, kept(&tree)).with_context(|| format!("put aside {}", tree.display()))?;
    }
    Ok(())
}

/// Puts everything back without a container. Nothing put aside is fine.
pub(crate) async fn take_back(pipeline: &Pipeline, task: &Task) -> anyhow::Result<()> {
    let folder = pipeline.data_dir.task(&task.id);
    for tree in trees(&folder) {
        if returning(&tree).exists() {
            own(pipeline, task, &[&tree, &returning(&tree)]).await?;
            move_content(&tree).await?;
        } else if kept(&tree).exists() {
            own(pipeline, task, &[&tree]).await?;
            remove_tree(&tree).await?;
            fs::rename(kept(&tree), &tree)?;
        }
    }
    Ok(())
}

/// Exchanges the content of the mounted folders for what was put aside. The network is cut by now.
pub(super) async fn return_into(pipeline: &Pipeline, task: &Task) -> anyhow::Result<()> {
    let folder = pipeline.data_dir.task(&task.id);
    for tree in trees(&folder) {
        own(pipeline, task, &[&tree, &kept(&tree)]).await?;
        for entry in fs::read_dir(&tree)? {
            remove_tree(&entry?.path()).await?;
        }
        fs::rename(kept(&tree), returning(&tree))?;
        move_content(&tree).await?;
        pipeline.give(&task.id, vec![tree], Ownership::Agent).await?;
    }
    Ok(())
}

fn trees(folder: &TaskDir) -> [std::path::PathBuf; 2] {
    [folder.code(), folder.output()]
}

/// A server that is not root can move only what it owns.
async fn own(pipeline: &Pipeline, task: &Task, trees: &[&Path]) -> anyhow::Result<()> {
    let trees = trees.iter().filter(|tree| tree.exists()).map(|tree| (*tree).to_owned()).collect();
    Ok(pipeline.give(&task.id, trees, Ownership::Server).await?)
}

async fn move_content(tree: &Path) -> anyhow::Result<()> {
    let tree = tree.to_owned();
    let moved = blocking::run(move || -> io::Result<()> {
        let from = returning(&tree);
        for entry in fs::read_dir(&from)? {
            let entry = entry?;
            fs::rename(entry.path(), tree.join(entry.file_name()))?;
        }
        fs::remove_dir(&from)
    });
    moved.await?.context("put the work of the agent back")
}
