//! `finetuning_data/<id>.jsonl` as the agent left it, line by line. A container wrote it, so nothing in it is believed.

use std::{
    io::{self, Read},
    path::Path,
};

use serde_json::{Map, Value};

use super::clean::{Unfit, check_line, clean};
use crate::{artifacts, domain::task_id::TaskId};

const MAX_BYTES: u64 = 32 << 20;

/// All lines of one task, each with the task's id, every one with its line end; one that is not fit keeps all of them back.
pub(super) fn lines(logs: &Path, id: &TaskId) -> io::Result<Result<Vec<u8>, Unfit>> {
    let Some(file) = artifacts::open(logs, &format!("finetuning_data/{id}.jsonl"))? else {
        return Ok(Err(Unfit("there is no transcript".to_owned())));
    };
    let mut text = Vec::new();
    if file.take(MAX_BYTES + 1).read_to_end(&mut text)? as u64 > MAX_BYTES {
        return Ok(Err(Unfit(format!("its transcript is larger than {MAX_BYTES} bytes"))));
    }
    Ok(merged(&text, id))
}

fn merged(text: &[u8], id: &TaskId) -> Result<Vec<u8>, Unfit> {
    let mut out = Vec::with_capacity(text.len());
    for (number, line) in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
        let place = format!("line {} of the transcript", number + 1);
        let exchange = exchange(line).ok_or_else(|| Unfit(format!("{place} is not what the agent writes")))?;
        let Value::Object(mut exchange) = clean(&Value::Object(exchange), &place)? else { continue };
        exchange.insert("task_id".to_owned(), id.as_str().into());
        let line = Value::Object(exchange).to_string();
        check_line(&line)?;
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    if out.is_empty() { Err(Unfit("its transcript is empty".to_owned())) } else { Ok(out) }
}

fn exchange(line: &[u8]) -> Option<Map<String, Value>> {
    let Value::Object(exchange) = serde_json::from_slice(line).ok()? else { return None };
    let is_whole = exchange.len() == 3
        && exchange.get("iteration")?.is_u64()
        && exchange.get("agent_input")?.is_object()
        && exchange.contains_key("mcp_reply");
    is_whole.then_some(exchange)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_that_is_not_fit_keeps_the_task_back() {
        let id = TaskId::generate(jiff::Timestamp::UNIX_EPOCH);
        let good = r#"{"iteration":1,"agent_input":{"event":"start"},"mcp_reply":{"event":"finish"}}"#;
        let text = String::from_utf8(merged(format!("{good}\n{good}\n").as_bytes(), &id).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| line.contains(id.as_str())), "{text}");
        for bad in ["{", "[]", r#"{"iteration":1}"#, r#"{"iteration":1,"agent_input":{},"mcp_reply":{},"task_id":"x"}"#]
        {
            let error = merged(format!("{good}\n{bad}\n").as_bytes(), &id).unwrap_err();
            assert!(error.to_string().starts_with("line 2"), "{error}");
        }
        let secret = r#"{"iteration":1,"agent_input":{"out":"client_secret=Zk3vQ9xLr7TbW2mNc8Yp"},"mcp_reply":{}}"#;
        assert!(merged(secret.as_bytes(), &id).unwrap_err().to_string().contains("still holds"));
        assert!(merged(b"", &id).is_err());
    }
}
