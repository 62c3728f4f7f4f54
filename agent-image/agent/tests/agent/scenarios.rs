//! The folders beneath `tests/scenarios`: `input/` is the code, `call.json` the call, `result.json` what must be in the
//! result, `expected/` the code afterwards (without it: unchanged). `links.json` names symbolic links, before and after;
//! they are no files here, since not every copy of a repository keeps links.
//!
//! `message` in `result.json` is a part of the real one; every other field is the whole value.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use atelier_agent::tools::definitions;
use serde_json::{Value, json};

use crate::brain::tool_call;
use crate::workbench::{Workbench, tree};

#[test]
fn every_scenario_plays_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut scenarios: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    scenarios.retain(|path| path.is_dir());
    scenarios.sort();
    assert!(scenarios.len() >= 140, "{} scenarios", scenarios.len());
    let complaints: Vec<String> = scenarios.iter().flat_map(|scenario| play(scenario)).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

fn play(scenario: &Path) -> Vec<String> {
    let name = scenario.file_name().unwrap().display();
    let input = scenario.join("input");
    let json = |file: &str| -> Value { serde_json::from_slice(&fs::read(scenario.join(file)).unwrap()).unwrap() };
    let (call, expected) = (json("call.json"), json("result.json"));
    let bench = Workbench::new();
    if input.exists() {
        let copied = Command::new("cp").arg("-a").arg(input.join(".")).arg(bench.code()).status().unwrap();
        assert!(copied.success(), "{name}");
    }
    let links: BTreeMap<String, String> = if scenario.join("links.json").exists() {
        serde_json::from_value(json("links.json")).unwrap()
    } else {
        BTreeMap::new()
    };
    for (name, target) in &links {
        let link = bench.code().join(name);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }
    let before = tree(&bench.code());
    let result = bench.call(call["name"].as_str().unwrap(), &call["arguments"]);
    let mut complaints = Vec::new();
    for (field, wanted) in expected.as_object().unwrap() {
        let got = &result[field];
        let fits = match (field.as_str(), got.as_str(), wanted.as_str()) {
            ("message", Some(got), Some(wanted)) => got.contains(wanted),
            _ => got == wanted,
        };
        if !fits {
            complaints.push(format!("{name}: {field} is {got}, not {wanted}"));
        }
    }
    let wanted = if scenario.join("expected").exists() {
        let mut expected = tree(&scenario.join("expected"));
        expected.extend(links.iter().map(|(name, target)| (name.into(), format!("-> {target}"))));
        expected
    } else {
        before
    };
    let after = tree(&bench.code());
    if after != wanted {
        complaints.push(format!("{name}: the code is {after:#?}, not {wanted:#?}"));
    }
    complaints
}

#[test]
fn a_model_is_told_of_exactly_the_tools_and_arguments_there_are() {
    for tool in definitions() {
        let properties = tool.parameters["properties"].as_object().unwrap();
        let required = tool.parameters["required"].as_array().unwrap();
        assert!(required.iter().all(|name| properties.contains_key(name.as_str().unwrap())), "{}", tool.name);

        // Every documented argument, each with a value that no tool can take: the tool complains of the value, not of
        // the name.
        for name in properties.keys() {
            let message =
                Workbench::new().call(tool.name, &json!({ name: { "not": "a value" } }))["message"].to_string();
            assert!(message.contains("invalid type"), "{} {name}: {message}", tool.name);
        }
        let message = Workbench::new().call(tool.name, &json!({ "made_up": 1 }))["message"].to_string();
        assert!(message.contains("unknown field `made_up`"), "{}: {message}", tool.name);
        // What the tool expects is what the model was told.
        let told = properties.keys().filter(|name| message.contains(&format!("`{name}`"))).count();
        assert_eq!((told, message.matches('`').count() / 2), (properties.len(), properties.len() + 1), "{message}");
    }
    let unknown = tool_call("fly", &json!({}));
    let message = Workbench::new().calls(vec![unknown]).remove(0)["message"].to_string();
    for tool in definitions() {
        assert!(message.contains(tool.name), "{message}");
    }
}
