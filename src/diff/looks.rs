//! The colours of a language. A hunk is read by itself, as if a file began with it, or with a comment when one ends in it that
//! did not begin there. That is right for almost every hunk, costs no look at the file, and needs none to be kept.

use std::{ops::Range, sync::LazyLock, time::Instant};

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::line::{Line, LineKind};

/// What a word is; the stylesheet says how that looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    Comment,
    Text,
    Keyword,
    Value,
    Function,
    Type,
    Attribute,
}

impl Look {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Comment => "c",
            Self::Text => "s",
            Self::Keyword => "k",
            Self::Value => "v",
            Self::Function => "f",
            Self::Type => "y",
            Self::Attribute => "a",
        }
    }
}

/// Of comments that may have many lines, in most languages that have any.
const COMMENT_BEGINNING: &str = "/*";
const COMMENT_END: &str = "*/";

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(two_face::syntax::extra_newlines);

/// The first that a scope begins with counts.
static SCOPES: LazyLock<Vec<(Scope, Option<Look>)>> = LazyLock::new(|| {
    let named = [
        ("comment", Some(Look::Comment)),
        ("constant.character.escape", Some(Look::Value)),
        ("constant", Some(Look::Value)),
        ("variable.language", Some(Look::Value)),
        ("meta.interpolation", None),
        ("meta.template.expression", None),
        ("string", Some(Look::Text)),
        ("markup.raw", Some(Look::Text)),
        ("keyword.operator.word", Some(Look::Keyword)),
        ("keyword.operator", None),
        ("keyword", Some(Look::Keyword)),
        ("storage", Some(Look::Keyword)),
        ("markup.heading", Some(Look::Keyword)),
        ("entity.name.tag", Some(Look::Keyword)),
        ("entity.name.function", Some(Look::Function)),
        ("support.function", Some(Look::Function)),
        ("variable.function", Some(Look::Function)),
        ("entity.name", Some(Look::Type)),
        ("support.type", Some(Look::Type)),
        ("support.class", Some(Look::Type)),
        ("entity.other.attribute-name", Some(Look::Attribute)),
        ("variable.annotation", Some(Look::Attribute)),
        ("meta.annotation", Some(Look::Attribute)),
        ("source", None),
        ("text", None),
    ];
    named.into_iter().filter_map(|(name, look)| Some((Scope::new(name).ok()?, look))).collect()
});

/// The language of a file, by its name.
pub(super) fn language(path: &str) -> Option<&'static SyntaxReference> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension);
    let syntax = SYNTAXES.find_syntax_by_extension(name);
    syntax.or_else(|| SYNTAXES.find_syntax_by_extension(extension?)).filter(|syntax| syntax.name != "Plain Text")
}

/// Gives the lines of one hunk their colours, as long as there is time.
pub(super) fn give(lines: &mut [Line], language: &SyntaxReference, deadline: Instant) {
    colour(lines, &State::new(language), deadline);
    if ends_a_comment(lines)
        && let Some(state) = State::within_comment(language)
    {
        colour(lines, &state, deadline);
    }
}

fn colour(lines: &mut [Line], state: &State, deadline: Instant) {
    let mut new = state.clone();
    // What was removed goes on from where the lines before it left off, and nothing goes on from there.
    let mut old = None;
    for line in lines {
        if Instant::now() > deadline {
            return;
        }
        let state = match line.kind {
            LineKind::Removed => old.get_or_insert_with(|| new.clone()),
            LineKind::Added => &mut new,
            LineKind::Context => {
                old = None;
                &mut new
            }
        };
        if line.is_cut {
            continue;
        }
        let Some(looks) = state.read(&line.text) else { return };
        line.looks = looks;
    }
}

/// Whether the end of a comment stands where there is none, so that it must have begun above.
fn ends_a_comment(lines: &[Line]) -> bool {
    let is_alone = |line: &Line| {
        let look = |at: usize| line.looks.iter().find(|(range, _)| range.contains(&at)).map(|(_, look)| *look);
        let end = line.text.find(COMMENT_END);
        end.is_some_and(|at| !matches!(look(at), Some(Look::Comment | Look::Text)))
    };
    lines.iter().filter(|line| line.kind != LineKind::Removed).any(is_alone)
}

#[derive(Clone)]
struct State {
    parsing: ParseState,
    scopes: ScopeStack,
}

impl State {
    fn new(language: &SyntaxReference) -> Self {
        Self { parsing: ParseState::new(language), scopes: ScopeStack::new() }
    }

    /// None in a language that has no such comments.
    fn within_comment(language: &SyntaxReference) -> Option<Self> {
        let mut state = Self::new(language);
        state.read(COMMENT_BEGINNING)?;
        (state.look() == Some(Look::Comment)).then_some(state)
    }

    /// None when the grammar has a fault.
    fn read(&mut self, text: &str) -> Option<Vec<(Range<usize>, Look)>> {
        let with_end = format!("{text}\n");
        let operations = self.parsing.parse_line(&with_end, &SYNTAXES).ok()?;
        let mut looks: Vec<(Range<usize>, Look)> = Vec::new();
        let (mut start, mut look) = (0, self.look());
        for (at, operation) in operations {
            let end = at.min(text.len());
            push(&mut looks, start..end, look);
            start = end;
            self.scopes.apply(&operation).ok()?;
            look = self.look();
        }
        push(&mut looks, start..text.len(), look);
        Some(looks)
    }

    fn look(&self) -> Option<Look> {
        let known = |scope: &Scope| SCOPES.iter().find(|(known, _)| known.is_prefix_of(*scope)).map(|(_, look)| *look);
        self.scopes.as_slice().iter().rev().find_map(known).flatten()
    }
}

fn push(looks: &mut Vec<(Range<usize>, Look)>, range: Range<usize>, look: Option<Look>) {
    let Some(look) = look.filter(|_| !range.is_empty()) else { return };
    match looks.last_mut() {
        Some((before, same)) if before.end == range.start && *same == look => before.end = range.end,
        _ => looks.push((range, look)),
    }
}
