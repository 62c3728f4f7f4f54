//! `search_files`: the lines that match, found by ripgrep's libraries.

use std::time::{Duration, Instant};

use grep_matcher::LineTerminator;
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use serde::{Deserialize, Serialize};
use tokio::task::yield_now;

use super::search_lines::{FileLines, Lines};
use super::walk::{Found, Walk};
use super::{ToolError, object};
use crate::wire::Object;
use crate::workspace::{Problem, RelativePath, Workspace};

const MOST_MATCHES: usize = 1000;
const MOST_CONTEXT: usize = 20;
const LARGEST_FILE: u64 = 20 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    pattern: String,
    path: Option<String>,
    glob: Option<String>,
    case_insensitive: Option<bool>,
    context: Option<usize>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Searched {
    matches: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

pub(super) async fn search_files(workspace: &Workspace, arguments: &Arguments) -> Result<Object, ToolError> {
    let start = workspace.locate(arguments.path.as_deref().unwrap_or("."))?;
    let mut search = Search::new(workspace, arguments)?;
    let message = match Walk::new(workspace, start.clone(), usize::MAX) {
        Ok(walk) => search.walk(walk, PATIENCE).await,
        Err(error) if matches!(error.problem, Problem::NotADirectory) => {
            // Asked for by its name, it is no file to be skipped silently.
            workspace.open_file(&start, LARGEST_FILE)?;
            search.file(&start);
            search.message(None, 0)
        }
        Err(error) => return Err(error.into()),
    };
    object(&Searched { matches: search.lines.found, message })
}

struct Search<'a> {
    workspace: &'a Workspace,
    matcher: RegexMatcher,
    files: Override,
    engine: Searcher,
    lines: Lines,
    read: usize,
    skipped: usize,
}

impl<'a> Search<'a> {
    fn new(workspace: &'a Workspace, arguments: &Arguments) -> Result<Self, ToolError> {
        let limit = arguments.limit.unwrap_or(100).min(MOST_MATCHES);
        if limit == 0 {
            return Err(ToolError::Arguments("limit counts from 1".to_owned()));
        }
        Ok(Self {
            workspace,
            matcher: matcher(arguments)?,
            files: files(arguments.glob.as_deref())?,
            engine: engine(arguments.context.unwrap_or(0).min(MOST_CONTEXT)),
            lines: Lines::new(limit),
            read: 0,
            skipped: 0,
        })
    }

    /// Returns what is to be said about the search.
    async fn walk(&mut self, mut walk: Walk<'_>, patience: Duration) -> Option<String> {
        let began = Instant::now();
        while self.lines.full.is_none() {
            let Some(found) = walk.next() else { break };
            if began.elapsed() > patience {
                return self.message(Some(format!("stopped after {} s", patience.as_secs())), walk.unreadable);
            }
            if let Found::File(path) = found
                && !self.files.matched(path.as_path(), false).is_ignore()
            {
                self.file(&path);
                // A signal to stop is heard between two files.
                yield_now().await;
            }
        }
        self.message(None, walk.unreadable)
    }

    fn file(&mut self, path: &RelativePath) {
        let Ok(file) = self.workspace.open_file(path, LARGEST_FILE) else {
            self.skipped += 1;
            return;
        };
        self.read += 1;
        let lines = FileLines::new(path.as_path().display().to_string(), &self.matcher, &mut self.lines);
        if self.engine.search_file(&self.matcher, &file, lines).is_err() {
            self.skipped += 1;
        }
    }

    fn message(&self, stopped: Option<String>, unreadable: usize) -> Option<String> {
        let Self { read, skipped, .. } = self;
        let matches = self.lines.matches;
        let full = self.lines.full.map(|full| format!("cut after {matches} matching lines, {full}"));
        let cut = stopped.or(full).map(|cut| format!("{cut}: narrow the pattern, the path or the glob"));
        let none = (matches == 0).then(|| format!("no match in {read} files"));
        let gaps = (skipped + unreadable > 0)
            .then(|| format!("skipped {skipped} files and {unreadable} folders that are too large or cannot be read"));
        let parts: Vec<String> = [cut, none, gaps].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

fn matcher(arguments: &Arguments) -> Result<RegexMatcher, ToolError> {
    let mut builder = RegexMatcherBuilder::new();
    builder.multi_line(true).crlf(true).case_insensitive(arguments.case_insensitive.unwrap_or(false));
    let matcher = builder.build(&arguments.pattern);
    matcher.map_err(|error| ToolError::Arguments(format!("pattern: {error}")))
}

fn files(glob: Option<&str>) -> Result<Override, ToolError> {
    let mut builder = OverrideBuilder::new("");
    let added = glob.map_or(Ok(()), |glob| builder.add(glob).map(|_| ()));
    let built = added.and_then(|()| builder.build());
    built.map_err(|error| ToolError::Arguments(format!("glob: {error}")))
}

fn engine(context: usize) -> Searcher {
    SearcherBuilder::new()
        .binary_detection(BinaryDetection::quit(0))
        .line_terminator(LineTerminator::crlf())
        .before_context(context)
        .after_context(context)
        .heap_limit(usize::try_from(2 * LARGEST_FILE).ok())
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_search_that_takes_too_long_says_so() {
        let code = tempfile::tempdir().unwrap();
        std::fs::write(code.path().join("a.txt"), "x").unwrap();
        let workspace = Workspace::open(code.path()).unwrap();
        let arguments = serde_json::from_str(r#"{"pattern":"x"}"#).unwrap();
        let mut search = Search::new(&workspace, &arguments).unwrap();
        let walk = Walk::new(&workspace, RelativePath::root(), usize::MAX).unwrap();
        let message = search.walk(walk, Duration::ZERO).await.unwrap();
        assert!(message.starts_with("stopped after 0 s: narrow"), "{message}");
    }
}
