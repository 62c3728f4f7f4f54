//! Things read one after the other, told as one line that holds them all.

use super::story::{Block, BlockBody};

/// What is being read, as long as nothing else happens. A model that says nothing between two calls does nothing else.
#[derive(Debug, Default)]
pub(super) struct Readings {
    /// The blocks in a row: calls, and the steps that made them.
    holds: Vec<String>,
    names: Vec<String>,
    calls: u64,
    /// A step that said nothing: it belongs to the reading if it reads.
    quiet_step: Option<String>,
}

/// Names in the line; the others are in what it holds.
const MAX_NAMES: usize = 5;

impl Readings {
    /// The line, when a block makes it longer.
    pub(super) fn note(&mut self, block: &Block) -> Option<Block> {
        match &block.body {
            BlockBody::Asked { .. } => None,
            BlockBody::Said { text: None, .. } => {
                self.quiet_step = Some(block.id.clone());
                None
            }
            BlockBody::Call { call, .. } if call.reads() => {
                if self.holds.contains(&block.id) {
                    return None;
                }
                self.holds.extend(self.quiet_step.take());
                self.holds.push(block.id.clone());
                self.calls += 1;
                if !self.names.contains(&call.subject) {
                    self.names.push(call.subject.clone());
                }
                (self.calls > 1).then(|| self.line(block))
            }
            _ => {
                *self = Self::default();
                None
            }
        }
    }

    fn line(&self, newest: &Block) -> Block {
        let mut names = self.names.iter().take(MAX_NAMES).cloned().collect::<Vec<_>>().join(", ");
        if self.names.len() > MAX_NAMES {
            names.push_str(", …");
        }
        let body = BlockBody::Readings { holds: self.holds.clone(), names, calls: self.calls, blocks: Vec::new() };
        let first = self.holds.first().map_or("", String::as_str);
        Block { id: format!("reading-{first}"), seq: newest.seq, at: newest.at, body }
    }
}

/// Puts what the lines hold into them; a line stands where the first of it stood.
pub(super) fn folded(blocks: Vec<Block>) -> Vec<Block> {
    let mut folded: Vec<Block> = Vec::new();
    let mut loose: Vec<Option<Block>> = blocks.into_iter().map(Some).collect();
    for at in 0..loose.len() {
        let Some(id) = loose[at].as_ref().map(|block| block.id.clone()) else { continue };
        let line = loose.iter().position(
            |other| matches!(other, Some(Block { body: BlockBody::Readings { holds, .. }, .. }) if holds.contains(&id)),
        );
        let Some(mut line) = line.and_then(|line| loose[line].take()) else {
            folded.extend(loose[at].take());
            continue;
        };
        if let BlockBody::Readings { holds, blocks, .. } = &mut line.body {
            for other in &mut loose {
                if other.as_ref().is_some_and(|other| holds.contains(&other.id)) {
                    blocks.extend(other.take());
                }
            }
        }
        folded.push(line);
    }
    folded
}
