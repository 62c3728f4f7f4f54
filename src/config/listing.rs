//! Every setting with its value and where that comes from, for people to look at.

use toml::{Table, Value};

use super::resolve::replaced_by_environment;
use crate::redact;

/// One setting. Secrets are never among them: the file only names variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedSetting {
    /// The heading it stands under, such as `sandbox`; empty for those above all headings.
    pub(crate) section: String,
    pub(crate) name: String,
    /// As TOML writes it.
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Default,
    /// The operator's file.
    File,
    CommandLine,
    /// This variable goes before whatever the file says.
    Environment(&'static str),
}

/// What was merged, and the two that were merged over the defaults.
pub(super) fn list(merged: &Table, file: &Table, overrides: &Table) -> Vec<ListedSetting> {
    let mut settings = Vec::new();
    walk(merged, &mut Vec::new(), &mut |path, value| {
        let (name, sections) = path.split_last().map_or(("", path), |(name, sections)| (*name, sections));
        let section = sections.join(".");
        let from_environment = replaced_by_environment(&section, name);
        let (value, origin) = match from_environment {
            Some((variable, text)) => (text, Origin::Environment(variable)),
            None if has(overrides, path) => (value.to_string(), Origin::CommandLine),
            None if has(file, path) => (value.to_string(), Origin::File),
            None => (value.to_string(), Origin::Default),
        };
        let value = redact::mask(&value).into_owned();
        settings.push(ListedSetting { section, name: name.to_owned(), value, origin });
    });
    settings
}

fn walk<'a>(table: &'a Table, path: &mut Vec<&'a str>, visit: &mut impl FnMut(&[&'a str], &Value)) {
    // Plain values first, as in the file: a section ends where the next one begins.
    for wants_tables in [false, true] {
        for (key, value) in table {
            path.push(key);
            match value {
                Value::Table(inner) if wants_tables => walk(inner, path, visit),
                Value::Table(_) => {}
                value if !wants_tables => visit(path, value),
                _ => {}
            }
            path.pop();
        }
    }
}

fn has(table: &Table, path: &[&str]) -> bool {
    let Some((first, rest)) = path.split_first() else { return true };
    match table.get(*first) {
        Some(Value::Table(inner)) => has(inner, rest),
        Some(_) => rest.is_empty(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_says_where_it_comes_from() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let merged =
            table("data_dir = '/x'\n[agent]\ncommand = ['a']\nmax_steps = 7\n[llm.providers.mine]\nkind = 'openai'");
        let listed = list(&merged, &table("[agent]\nmax_steps = 7"), &table("data_dir = '/x'"));
        let rows: Vec<String> = listed
            .iter()
            .map(|setting| format!("{}/{} {} {:?}", setting.section, setting.name, setting.value, setting.origin))
            .collect();
        let expected = [
            "/data_dir \"/x\" CommandLine",
            "agent/command [\"a\"] Default",
            "agent/max_steps 7 File",
            "llm.providers.mine/kind \"openai\" Default",
        ];
        assert_eq!(rows, expected);
    }
}
