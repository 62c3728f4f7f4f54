//! An answer about code has to say where: its references are looked up before it is taken.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use crate::domain::reference::CheckedReference;

/// Looks up the references of a text in the code the agent sees. Handed in from above, since snapshots are the pipeline's.
#[derive(Clone)]
pub(crate) struct ReferenceCheck(pub(crate) LookUp);

type LookUp = Arc<dyn Fn(String) -> BoxFuture<'static, Result<Vec<CheckedReference>, String>> + Send + Sync>;

impl fmt::Debug for ReferenceCheck {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("ReferenceCheck").finish_non_exhaustive()
    }
}

/// What is wrong with an answer, for people and for the model.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Objection {
    pub(super) to_person: String,
    pub(super) to_model: String,
}

/// How many wrong ones the model is told of.
const MAX_TOLD: usize = 40;

/// None when every reference is right, and there is one.
pub(super) fn objection(references: &[CheckedReference]) -> Option<Objection> {
    if references.is_empty() {
        return Some(Objection {
            to_person: "the answer does not say which lines of the code it speaks of.".to_owned(),
            to_model: "Your answer has no reference to a line of the code. Give the whole answer again, and name the lines \
                       that show what you say as `path:line` or `path:start-end`, with the path from the root of the \
                       repository. Look them up where you do not know them. When no line of the code has to do with the \
                       question, say so and leave the answer as it is."
                .to_owned(),
        });
    }
    let wrong: Vec<String> = references
        .iter()
        .filter_map(|checked| Some(format!("- {}: {}", checked.reference, checked.problem.as_ref()?)))
        .take(MAX_TOLD)
        .collect();
    if wrong.is_empty() {
        return None;
    }
    let list = wrong.join("\n");
    Some(Objection {
        to_person: format!("{} of {} references are wrong.\n{list}", wrong.len(), references.len()),
        to_model: format!(
            "These references of your answer point nowhere:\n\n{list}\n\nLook up the right places, correct what depends on \
             them, and give the whole answer again."
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::reference::Reference;

    fn checked(path: &str, problem: Option<&str>) -> CheckedReference {
        let reference = Reference { path: path.to_owned(), start: 1, end: 2 };
        CheckedReference { reference, problem: problem.map(str::to_owned) }
    }

    #[test]
    fn an_answer_needs_references_and_right_ones() {
        assert_eq!(objection(&[checked("a", None)]), None);
        assert!(objection(&[]).unwrap().to_model.contains("no reference"));
        let partly = objection(&[checked("a", None), checked("b", Some("there is no such file"))]).unwrap();
        assert!(partly.to_person.contains("1 of 2") && partly.to_model.contains("- b:1-2: there is no such file"));
        assert!(!partly.to_model.contains("a:1-2"), "{}", partly.to_model);
    }
}
