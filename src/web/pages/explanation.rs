//! The explanation as the page shows it: its light formatting, and its references as links or marked as wrong.

use super::links::TaskLinks;
use crate::domain::{
    explanation::{self, Block, Span},
    reference::CheckedReference,
};

#[derive(Debug)]
pub(super) struct Explanation {
    pub(super) links: TaskLinks,
    pub(super) blocks: Vec<Block>,
    references: Vec<CheckedReference>,
}

impl Explanation {
    pub(super) fn new(links: TaskLinks, text: &str, references: Vec<CheckedReference>) -> Self {
        let known = |path: &str| references.iter().any(|checked| checked.reference.path == path);
        Self { links, blocks: explanation::parse(text, &known), references }
    }

    /// What became of the reference of a span; none for one that was never looked up.
    pub(super) fn checked(&self, span: &Span) -> Option<&CheckedReference> {
        let reference = span.reference.as_ref()?;
        self.references.iter().find(|checked| checked.reference == *reference)
    }
}
