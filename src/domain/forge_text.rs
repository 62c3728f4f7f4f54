//! What a task says on a forge: title, commit message and the text of the pull request.
//!
//! A model writes it, and a repository may have told the model what to write. So it can say anything and do nothing: nobody is
//! mentioned, no issue is closed, no command of the forge is given, no check is skipped, nothing is loaded from elsewhere, no
//! text is hidden.

use super::{
    check::CheckRun,
    explanation::{self, Block, Span},
    pull_request::PullRequest,
    task::{Status, Task},
    verification::{Verdict, Verification},
};

const MAX_TITLE: usize = 72;
const MAX_MESSAGE: usize = 4_000;
/// GitHub takes 65536 with everything around it.
const MAX_EXPLANATION: usize = 20_000;
/// Parts what a forge would read as one, and is not seen.
const GAP: char = '\u{200b}';

/// The title that the model gave, else the beginning of the instruction.
pub(crate) fn title(task: &Task) -> String {
    let given = task.summary.as_deref().and_then(|summary| parted(summary).0);
    let title = given.map(plain_line).filter(|title| !title.is_empty());
    cut(&title.unwrap_or_else(|| plain_line(task.instruction.title())), MAX_TITLE)
}

pub(crate) fn commit_message(task: &Task, co_author: Option<&str>) -> String {
    let explanation = task.summary.as_deref().map_or("", |summary| parted(summary).1);
    let explanation: Vec<String> =
        cut(explanation.trim(), MAX_MESSAGE).lines().map(|line| no_trailer(&inert(line))).collect();
    let co_author = co_author.map(|name| format!("Co-authored-by: {name}"));
    let parts = [Some(title(task)), Some(explanation.join("\n")), co_author];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// The text of the pull request, in Markdown. `page` is the address of the task's page, where others reach it.
pub(crate) fn body(task: &Task, checks: &[CheckRun], page: Option<&str>) -> String {
    let mut body = explained(task);
    match &task.verification {
        Some(verification) => body.push_str(&verified(verification, checks)),
        None if checks.is_empty() => {}
        None => {
            body.push_str("\n### Checks\n\nClaimed: as the agent ran them itself after its last change. Nobody ran them again.\n\n");
            body.extend(checks.iter().map(|check| format!("- {}: {}\n", check.status.as_str(), code(&check.command))));
        }
    }
    format!("{body}{}", made_by(task, page))
}

/// What an issue is told when a task begins with it.
pub(crate) fn begun(task: &Task, page: Option<&str>) -> String {
    format!("Atelier works on this: {}.\n", link(task, page))
}

/// What it is told at the end.
pub(crate) fn ended(task: &Task, page: Option<&str>) -> String {
    let outcome = match (&task.status, &task.failure) {
        (Status::Completed, _) => explained(task),
        (_, Some(failure)) => format!("Atelier did not finish this: {}\n", inert(&failure.message)),
        (_, None) => "The task was cancelled.\n".to_owned(),
    };
    let request = match &task.pull_request {
        Some(PullRequest { url: Some(url), .. }) => format!("\nThe change: {url}\n"),
        Some(known) if task.status == Status::Completed => format!("\n{}\n", inert(&known.message())),
        _ => String::new(),
    };
    format!("{outcome}{request}{}", made_by(task, page))
}

/// The explanation without its title.
fn explained(task: &Task) -> String {
    let explanation = task.summary.as_deref().map_or("", |summary| parted(summary).1);
    markdown(&cut(explanation.trim(), MAX_EXPLANATION))
}

fn made_by(task: &Task, page: Option<&str>) -> String {
    format!("\n---\nMade by Atelier with {}: {}.\n", code(&task.model.to_string()), link(task, page))
}

fn link(task: &Task, page: Option<&str>) -> String {
    let id = &task.id;
    page.map_or_else(|| format!("task `{id}`"), |page| format!("[task {id}]({page})"))
}

/// What was verified, and what is only claimed.
fn verified(verification: &Verification, claimed: &[CheckRun]) -> String {
    let verdict = match verification.verdict() {
        Verdict::Passed => "All of them passed",
        Verdict::Failed => "**Not all of them passed**",
        Verdict::Incomplete | Verdict::UnderWay => "**Not all of them were run**",
    };
    let mut text = format!(
        "\n### Checks\n\n{verdict}, run by Atelier on a clean copy of the source with this patch, without network:\n\n"
    );
    text.extend(verification.checks.iter().map(|check| {
        let command = check.command.as_ref();
        let exit = check.exit_code.filter(|code| *code != 0);
        let exit = exit.map(|code| format!(" (exit code {code})")).unwrap_or_default();
        let claim = claimed.iter().find(|run| run.command == command && run.status.as_str() != check.status.as_str());
        let claim = claim.map(|run| format!("; the agent claims: {}", run.status.as_str())).unwrap_or_default();
        format!("- {}{exit}: {}{claim}\n", check.status.as_str(), code(command))
    }));
    let problem = verification.problem.as_deref().and_then(|problem| problem.lines().next());
    text.extend(problem.map(|problem| {
        let problem = Span { text: cut(problem, MAX_MESSAGE), is_code: false, is_strong: false, reference: None };
        format!("\n{}\n", lines(&[problem]))
    }));
    text
}

/// The title line of an explanation, and the rest.
fn parted(summary: &str) -> (Option<&str>, &str) {
    let summary = summary.trim_start();
    let (first, rest) = summary.split_once('\n').unwrap_or((summary, ""));
    let bare = first.trim_matches(|c: char| c.is_whitespace() || matches!(c, '#' | '*'));
    match bare.split_at_checked("title:".len()) {
        Some((word, title)) if word.eq_ignore_ascii_case("title:") => (Some(title.trim_matches(['*', ' '])), rest),
        _ => (None, summary),
    }
}

/// One line without anything that would do something on a forge.
pub(crate) fn plain_line(text: &str) -> String {
    inert(text).split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'")
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{}…", kept.trim_end())
}

/// The text as it reads, with what a forge would act upon taken apart.
fn inert(text: &str) -> String {
    let text: String = text.chars().filter_map(shown).collect();
    let mut inert = String::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        inert.push(c);
        let rest = &text[at + c.len_utf8()..];
        let next = rest.chars().next();
        let is_acted_upon = match c {
            // People, issues, merge requests, epics, milestones, labels, snippets.
            '@' | '#' | '!' | '&' | '%' | '~' | '$' => {
                next.is_some_and(|next| next.is_alphanumeric() || matches!(next, '"' | '_' | '{'))
            }
            '-' => next.is_some_and(|next| next.is_ascii_digit()) && inert.to_ascii_lowercase().ends_with("gh-"),
            '/' => inert.ends_with("://"),
            'w' | 'W' => next == Some('.') && inert.to_ascii_lowercase().ends_with("www"),
            // `[skip ci]` and its like.
            '[' => ["skip", "ci ", "no ", "actions"].iter().any(|word| starts_with(rest, word)),
            '*' => starts_with(rest, "no_ci"),
            _ => false,
        };
        if is_acted_upon {
            inert.push(GAP);
        }
    }
    inert
}

fn starts_with(text: &str, word: &str) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// None for what nobody sees: controls, marks of direction, characters of no width, tags that only a model reads.
fn shown(c: char) -> Option<char> {
    match c {
        '\n' => Some(c),
        '\t' => Some(' '),
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0e}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e0fff}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

/// `Co-authored-by:` and its like count only where they are ours. GitLab takes a line that begins with a slash for a command.
fn no_trailer(line: &str) -> String {
    if line.trim_start().starts_with('/') {
        return format!("{GAP}{line}");
    }
    match line.split_once(':') {
        Some((name, rest))
            if !name.trim().is_empty() && name.trim().chars().all(|c| c.is_alphanumeric() || c == '-') =>
        {
            format!("{name}{GAP}:{rest}")
        }
        _ => line.to_owned(),
    }
}

fn markdown(explanation: &str) -> String {
    explanation::parse(explanation, &|_| false).into_iter().map(block).collect()
}

fn block(block: Block) -> String {
    match block {
        Block::Heading(spans) => format!("### {}\n\n", lines(&spans).replace('\n', " ")),
        Block::Paragraph(spans) => format!("{}\n\n", lines(&spans)),
        Block::List(items) => {
            let items = items.iter().map(|item| {
                let marker = if item.marker.starts_with(|c: char| c.is_ascii_digit()) { &*item.marker } else { "-" };
                format!("{}{marker} {}\n", "    ".repeat(item.depth), lines(&item.spans).replace('\n', " "))
            });
            items.collect::<String>() + "\n"
        }
        Block::Quoted(quoted) => {
            let quoted: String = quoted.chars().filter_map(shown).collect();
            let fence = "`".repeat(longest_run(&quoted).max(2) + 1);
            format!("{fence}text\n{}\n{fence}\n\n", quoted.trim_end_matches('\n'))
        }
    }
}

/// The spans, with nothing at the beginning of a line that would make it more than a line.
fn lines(spans: &[Span]) -> String {
    let text: String = spans.iter().map(span).collect();
    let lines = text.lines().map(|line| {
        let line = line.trim();
        let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        match line.as_bytes().get(digits) {
            Some(b'.' | b')') if digits > 0 => format!("{}\\{}", &line[..digits], &line[digits..]),
            Some(b'-' | b'+' | b'=' | b'/' | b':') if digits == 0 => format!("\\{line}"),
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn span(span: &Span) -> String {
    if span.is_code {
        return code(&span.text);
    }
    let mut text = String::new();
    for c in inert(&span.text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '&' | '~' | '|' | '#' | '$' | '^' | '{' | '}') {
            text.push('\\');
        }
        text.push(c);
    }
    // Stars beside a space would be stars.
    if span.is_strong && !text.starts_with(' ') && !text.ends_with(' ') { format!("**{text}**") } else { text }
}

/// As a span of code, in which no forge reads anything.
fn code(text: &str) -> String {
    let text: String = text.chars().filter_map(shown).map(|c| if c == '\n' { ' ' } else { c }).collect();
    let ticks = "`".repeat(longest_run(&text) + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_line_is_found_and_taken_off() {
        for (summary, title, rest) in [
            ("Title: Mend the leap years\n\nWhy.", Some("Mend the leap years"), "\nWhy."),
            ("**Title: Mend it**\nWhy.", Some("Mend it"), "Why."),
            ("# title: Mend it", Some("Mend it"), ""),
            ("It is mended.\nTitle: no", None, "It is mended.\nTitle: no"),
            ("", None, ""),
        ] {
            assert_eq!(parted(summary), (title, rest), "{summary}");
        }
        assert_eq!(plain_line("  a\u{202e}\u{e0041}\tb\u{0} `c`"), "a b 'c'");
        assert_eq!(cut(&"x".repeat(100), MAX_TITLE).chars().count(), MAX_TITLE);
    }

    #[test]
    fn r23_nobody_is_mentioned_and_nothing_is_closed() {
        for (text, wanted) in [
            ("@ada, fixes #1 and team/tool#2", "@_ada, fixes #_1 and team/tool#_2"),
            ("closes GH-7, !8, &9, ~bug, %\"v1\"", "closes GH-_7, !_8, &_9, ~_bug, %_\"v1\""),
            ("fixes https://forge/o/r/issues/1", "fixes https://_forge/o/r/issues/1"),
            ("see www.evil.org", "see www_.evil.org"),
            ("[skip ci] [CI skip] [no ci] ***NO_CI***", "[_skip ci] [_CI skip] [_no ci] ***_NO_CI***"),
            ("a # b, C# and x! stay, as does 50 %", "a # b, C# and x! stay, as does 50 %"),
        ] {
            assert_eq!(inert(text).replace(GAP, "_"), wanted);
        }
        assert_eq!(no_trailer("Co-authored-by: Eve <e@x>").replace(GAP, "_"), "Co-authored-by_: Eve <e@x>");
        assert_eq!(no_trailer("It works: yes"), "It works: yes");
    }

    #[test]
    fn r23_markdown_says_it_and_does_nothing() {
        let explanation = "# Why <b>\n\n![x](https://evil/?d=1) <img src=x> [a](javascript:b) **bold** `code @x`\n/merge\n1. one\n- \
                           two `a`\n\n```sh\n<script>``` @ada\n```\n---\n| a |\n<!-- hidden -->";
        let text = markdown(explanation).replace(GAP, "_");
        let mut is_escaped = false;
        let acting: String = text
            .chars()
            .filter(|c| {
                let was_escaped = is_escaped;
                is_escaped = *c == '\\' && !was_escaped;
                !was_escaped && *c != '\\'
            })
            .collect();
        for harmful in ["[", " <", "\n/merge", "|", "\n---"] {
            assert!(!acting.contains(harmful), "{harmful}: {text}");
        }
        insta::assert_snapshot!(text);
    }
}
