//! The tools as they are offered to one model: those its task may use, each in the way it was trained on.

use serde_json::{Value, json};

use crate::{
    domain::{model_name::ModelName, task::Mode},
    llm::Tool,
};

/// Which way of `edit_file` a model is told of. The others work all the same: models remember them from elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EditWay {
    /// A text that occurs once is replaced by another.
    Replace,
    /// The `*** Begin Patch` form.
    Patch,
}

/// Finding a text takes less room than a patch and asks for no counting; OpenAI's models were trained on their own form.
const REPLACE: &str = "Change or create a text file, in one of two ways: \
(1) file_path + old_text + new_text replaces a text that occurs exactly once in the file; copy old_text from the file to \
the letter, with enough lines around it to be unique. \
(2) file_path + new_content writes the whole file and creates missing folders. \
The line ends, the mode and a missing final newline of an existing file are kept. The result has the unified diff of what \
really changed; a failure says why and leaves the file untouched. Delete and move files with run_command.";

const PATCH: &str = "Change, create, delete or move text files, in one of two ways: \
(1) diff_patch applies a patch to one or several files, all or nothing. \
(2) file_path + new_content writes the whole file and creates missing folders. \
The line ends, the mode and a missing final newline of an existing file are kept. The result has the unified diff of what \
really changed; a failure says why and leaves every file untouched.";

const DIFF_PATCH: &str = "*** Begin Patch, then for each file *** Add File: PATH, *** Delete File: PATH or *** Update File: \
PATH (which *** Move to: PATH may follow), then *** End Patch. Paths are relative to the code directory. After Add File \
every line begins with +. After Update File come hunks: @@, or @@ and a line that stands above, then lines that begin with \
a space, - or +, with three lines of context before and after the change. *** End of File marks a hunk at the end. Hunks \
are found by their lines, from top to bottom; one that fits nowhere or at several places is refused and shown beside the \
closest lines";

impl EditWay {
    /// The way the family of the model knows best, by the model's name: many providers serve several families.
    pub(crate) fn of(model: &ModelName) -> Self {
        let id = model.id().to_lowercase();
        // `openai/gpt-5` at a gateway, `ft:gpt-4.1:team` after fine-tuning.
        let name = id.rsplit('/').next().unwrap_or_default();
        let name = name.strip_prefix("ft:").unwrap_or(name);
        let is_o_series = name.strip_prefix('o').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        let is_openai = name.starts_with("gpt") || name.starts_with("chatgpt") || name.contains("codex") || is_o_series;
        if is_openai { Self::Patch } else { Self::Replace }
    }
}

/// What the model may call.
pub(super) fn tools(mode: Mode, edit_way: EditWay) -> Vec<Tool> {
    atelier_agent::tools::definitions()
        .into_iter()
        .filter(|tool| mode.changes_code() || tool.name != "edit_file")
        .map(|tool| Tool { name: tool.name.into(), description: tool.description.into(), parameters: tool.parameters })
        .map(|tool| if tool.name == "edit_file" { narrowed(tool, edit_way) } else { tool })
        .collect()
}

/// `edit_file` with one way to change and one to write anew: a choice of five is spent thought, and a source of mistakes.
fn narrowed(mut tool: Tool, edit_way: EditWay) -> Tool {
    let (description, kept): (_, &[&str]) = match edit_way {
        EditWay::Replace => (REPLACE, &["file_path", "old_text", "new_text", "new_content"]),
        EditWay::Patch => (PATCH, &["diff_patch", "file_path", "new_content"]),
    };
    description.clone_into(&mut tool.description);
    if let Some(properties) = tool.parameters.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| kept.contains(&name.as_str()));
        let mut describe = |name: &str, text: &str| {
            if let Some(property) = properties.get_mut(name) {
                property["description"] = json!(text);
            }
        };
        describe("new_content", "Whole new file");
        match edit_way {
            EditWay::Replace => describe("file_path", "Path relative to the code directory"),
            EditWay::Patch => {
                describe("file_path", "With new_content: path relative to the code directory");
                describe("diff_patch", DIFF_PATCH);
            }
        }
    }
    if edit_way == EditWay::Replace {
        tool.parameters["required"] = json!(["file_path"]);
    }
    tool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openai_families_are_known_by_name_wherever_they_are_served() {
        for (name, way) in [
            ("openai/gpt-5", EditWay::Patch),
            ("openai/ft:gpt-4.1-mini:team", EditWay::Patch),
            ("openai/o4-mini", EditWay::Patch),
            ("gateway/openai/GPT-5.1-codex", EditWay::Patch),
            ("ollama/gpt-oss:20b", EditWay::Patch),
            ("anthropic/claude-sonnet-4-5", EditWay::Replace),
            ("openai/qwen3-coder", EditWay::Replace),
            ("local/olmo-2", EditWay::Replace),
            ("scripted/leap-year", EditWay::Replace),
        ] {
            assert_eq!(EditWay::of(&name.parse().unwrap()), way, "{name}");
        }
    }

    #[test]
    fn each_way_is_described_without_a_word_of_the_other() {
        for (way, is_offered, is_not) in
            [(EditWay::Replace, "old_text", "diff_patch"), (EditWay::Patch, "diff_patch", "old_text")]
        {
            let tools = tools(Mode::Modify, way);
            let edit = tools.iter().find(|tool| tool.name == "edit_file").unwrap();
            let text = format!("{} {}", edit.description, edit.parameters);
            assert!(text.contains(is_offered) && text.contains("new_content"), "{text}");
            assert!(!text.contains(is_not) && !text.contains("replace_lines"), "{text}");
        }
        assert!(tools(Mode::Analyze, EditWay::Patch).iter().all(|tool| tool.name != "edit_file"));
    }

    /// The offered arguments are those the agent knows.
    #[test]
    fn nothing_is_offered_that_the_agent_does_not_take() {
        let taken = atelier_agent::tools::definitions().into_iter().find(|tool| tool.name == "edit_file").unwrap();
        for way in [EditWay::Replace, EditWay::Patch] {
            for tool in tools(Mode::Modify, way).iter().filter(|tool| tool.name == "edit_file") {
                let offered = tool.parameters["properties"].as_object().unwrap();
                assert!(
                    offered.len() >= 3 && offered.keys().all(|name| !taken.parameters["properties"][name].is_null())
                );
            }
        }
    }
}
