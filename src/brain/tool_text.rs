//! The result of a tool as the model reads it: plain text, since JSON escapes cost tokens and clarity.

use serde_json::Value;

use atelier_agent::wire::Object;

/// `name: value` a line; a value of several lines, or a list of texts, stands below its name.
pub(super) fn render(result: &Object) -> String {
    let mut text = String::new();
    for (name, value) in result {
        let value = match value {
            Value::String(text) => text.clone(),
            Value::Array(lines) if lines.iter().all(Value::is_string) => {
                lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
            }
            other => other.to_string(),
        };
        let separator = if value.contains('\n') { ":\n" } else { ": " };
        text.push_str(name);
        text.push_str(separator);
        text.push_str(value.trim_end_matches('\n'));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_several_lines_stand_below_their_name() {
        let result = serde_json::json!({"status": "success", "returncode": 1, "stdout": "a\nb\n"});
        let text = render(result.as_object().unwrap());
        assert!(text.contains("returncode: 1\n") && text.contains("stdout:\na\nb\n"), "{text}");
    }
}
