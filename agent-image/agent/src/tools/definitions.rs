//! The tools as a model is told of them.

use serde_json::{Value, json};

use super::Tool;

/// A tool for the list that goes to the model.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDefinition {
    pub name: &'static str,
    pub description: &'static str,
    /// JSON schema of the arguments.
    pub parameters: Value,
}

/// Every tool of the agent.
pub fn definitions() -> Vec<ToolDefinition> {
    Tool::ALL.into_iter().map(define).collect()
}

fn define(tool: Tool) -> ToolDefinition {
    let (description, properties, required) = match tool {
        Tool::EditFile => (EDIT_FILE, edit_file(), json!([])),
        Tool::ReadFile => (READ_FILE, read_file(), json!(["file_path"])),
        Tool::ListFiles => (LIST_FILES, list_files(), json!([])),
        Tool::SearchFiles => (SEARCH_FILES, search_files(), json!(["pattern"])),
        Tool::RunCommand => (RUN_COMMAND, run_command(), json!(["command"])),
    };
    let parameters = json!({
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    ToolDefinition { name: tool.name(), description, parameters }
}

const EDIT_FILE: &str = "Change, create, delete or move text files. Use exactly one way per call: \
(1) old_text + new_text replaces a text that occurs exactly once in the file; copy old_text from the file to the letter, \
with enough lines around it to be unique; this is the best way for one small change. \
(2) diff_patch changes several places or several files at once, all or nothing. \
(3) new_content alone writes the whole file and creates missing folders. \
(4) new_content + insert_after_line inserts lines. \
(5) new_content + replace_lines replaces a range of lines. \
Line numbers count from 0. The line ends, the mode and a missing final newline of an existing file are kept. \
The result has the unified diff of what really changed; a failure says why and leaves every file untouched.";

const DIFF_PATCH: &str = "A unified diff (---, +++, @@; also /dev/null for new and deleted files, rename from/to), or the \
form *** Begin Patch / *** Add File: PATH / *** Delete File: PATH / *** Update File: PATH / *** Move to: PATH / \
@@ line above the hunk / *** End of File / *** End Patch. Every line of a hunk begins with a space, - or +. Hunks are \
found by their lines, from top to bottom; line numbers only help to choose, so give three lines of context, or a line \
after @@ that stands above. A hunk that fits nowhere or at several places is refused and shown beside the closest lines";

fn edit_file() -> Value {
    json!({
        "file_path": { "type": "string", "description": "Path relative to the code directory; only a diff_patch that names its files can do without" },
        "old_text": { "type": "string", "description": "Text to replace; must occur exactly once" },
        "new_text": { "type": "string", "description": "What replaces old_text; empty deletes it" },
        "new_content": { "type": "string", "description": "Whole new file, or the lines for insert_after_line or replace_lines (empty deletes the range)" },
        "insert_after_line": { "type": "integer", "minimum": -1, "description": "With new_content: insert after this line, counted from 0; -1 inserts at the top. Leave it out to write the whole file" },
        "replace_lines": { "type": "array", "items": { "type": "integer", "minimum": 0 }, "minItems": 2, "maxItems": 2, "description": "With new_content: first and last line to replace, counted from 0, both included" },
        "diff_patch": { "type": "string", "description": DIFF_PATCH },
    })
}

const READ_FILE: &str = "Read a part of a text file, counted in characters (not lines). The result has content, start, \
end and total_length; when there is more, message says where to go on. Binary files and files over 10 MiB are refused.";

fn read_file() -> Value {
    json!({
        "file_path": { "type": "string", "description": "Path relative to the code directory" },
        "start": { "type": "integer", "minimum": 0, "default": 0, "description": "First character" },
        "end": { "type": "integer", "minimum": 0, "default": 4000, "description": "Character to stop before; at most 100000 characters a call" },
    })
}

const LIST_FILES: &str = "List the files beneath a folder, sorted, as paths relative to the code directory. What \
.gitignore names and .git are left out; a folder that depth does not reach, or an empty one, stands there as \
FOLDER/. A message says when the list was cut.";

fn list_files() -> Value {
    json!({
        "path": { "type": "string", "default": ".", "description": "Folder relative to the code directory" },
        "depth": { "type": "integer", "minimum": 1, "description": "How many levels to list; 1 is the folder alone. Leave it out for all" },
        "limit": { "type": "integer", "minimum": 1, "default": 500, "description": "Most paths to list, at most 5000" },
    })
}

const SEARCH_FILES: &str = "Search text files line by line for a regular expression (the syntax of ripgrep). The result \
has matches as PATH:LINE:TEXT, context lines as PATH-LINE-TEXT and -- between places, as grep prints them; LINE counts \
from 1 (for edit_file's replace_lines subtract 1). What .gitignore names, .git, binary files and files over 20 MiB are \
skipped. A message says when the search was cut short.";

fn search_files() -> Value {
    json!({
        "pattern": { "type": "string", "description": "Regular expression; it matches within one line" },
        "path": { "type": "string", "default": ".", "description": "File or folder to search, relative to the code directory" },
        "glob": { "type": "string", "description": "Only files that match, for example *.rs, src/**/*.{ts,tsx}; !*.min.js leaves files out" },
        "case_insensitive": { "type": "boolean", "default": false },
        "context": { "type": "integer", "minimum": 0, "maximum": 20, "default": 0, "description": "Lines to show before and after each match" },
        "limit": { "type": "integer", "minimum": 1, "default": 100, "description": "Most matching lines, at most 1000" },
    })
}

const RUN_COMMAND: &str = "Run a command in the code directory and wait for it. The result has returncode (128 + N after \
signal N), stdout and stderr; long output loses its middle, and says how many bytes. A command that fails is still a \
success of the tool: look at returncode. There is no terminal and no input; commands start in a fresh shell \
each time, so a cd or an exported variable does not last. A command that takes longer than its timeout is killed with \
everything it started; what you leave running in the background goes on.";

fn run_command() -> Value {
    json!({
        "command": { "type": "string", "description": "The command line, for example: grep -rn \"TODO\" src | head -50" },
        "workdir": { "type": "string", "default": ".", "description": "Folder to start in, relative to the code directory" },
        "timeout": { "type": "number", "exclusiveMinimum": 0, "description": "Seconds until the command is killed; the default is 20, the most 600, unless this task was given others" },
    })
}
