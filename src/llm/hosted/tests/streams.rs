//! Streams that go wrong, each in its own way: they end by a limit, cost bounded memory, and nothing of them is acted upon.

use std::time::Instant;

use super::super::super::model_server::{ModelServer, Pieces, Reply};
use super::*;
use crate::domain::failure::FailureKind;

/// A wire format, and its words for what the tests say.
struct Wire {
    kind: HostedKind,
    path: &'static str,
    content_type: &'static str,
    /// Some text and a whole tool call, but no end.
    beginning: &'static str,
    /// Keeps the connection alive.
    ping: &'static str,
    /// What comes before a further piece of text, and after it.
    piece: (&'static str, &'static str),
    /// Says that the answer is whole.
    finish: &'static str,
    overloaded: &'static str,
}

const WIRES: [Wire; 3] = [
    Wire {
        kind: HostedKind::OpenAi,
        path: "/v1",
        content_type: "text/event-stream",
        beginning: concat!(
            r#"data: {"choices":[{"delta":{"content":"I will"}}]}"#,
            "\n\n",
            r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"rm","arguments":"{}"}}]}}]}"#,
            "\n\n"
        ),
        ping: ": keep-alive\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"\"}}]}\n\n",
        piece: ("data: {\"choices\":[{\"delta\":{\"content\":\"", "\"}}]}\n\n"),
        finish: "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        overloaded: "data: {\"error\":{\"type\":\"server_error\",\"message\":\"Overloaded\"}}\n\n",
    },
    Wire {
        kind: HostedKind::Anthropic,
        path: "",
        content_type: "text/event-stream",
        beginning: concat!(
            "event: message_start\n",
            r#"data: {"type":"message_start","message":{"id":"m","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}"#,
            "\n\n",
            r#"data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"c","name":"rm","input":{}}}"#,
            "\n\n",
            r#"data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"I will"}}"#,
            "\n\n"
        ),
        ping: "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        piece: (
            "data: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\"",
            "\"}}\n\n",
        ),
        finish: "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":9}}\n\n",
        overloaded: "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
    },
    Wire {
        kind: HostedKind::Ollama,
        path: "",
        content_type: "application/x-ndjson",
        beginning: concat!(
            r#"{"message":{"role":"assistant","content":"I will"},"done":false}"#,
            "\n",
            r#"{"message":{"role":"assistant","content":"","tool_calls":[{"function":{"name":"rm","arguments":{}}}]},"done":false}"#,
            "\n"
        ),
        ping: "\n{\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":false}\n",
        piece: ("{\"message\":{\"content\":\"", "\"},\"done\":false}\n"),
        finish: "{\"message\":{\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"eval_count\":9}\n",
        overloaded: "{\"error\":\"Overloaded\"}\n",
    },
];

const QUICK: Timeouts = Timeouts {
    connect: Duration::from_secs(5),
    first_byte: Duration::from_secs(5),
    idle: Duration::from_millis(300),
    total: Duration::from_secs(5),
};

impl Wire {
    async fn ask(&self, timeouts: Timeouts, reply: impl Into<Reply>) -> Result<Answer, LlmError> {
        let server = ModelServer::start().await;
        server.will(reply);
        ask(HostedSettings { timeouts, ..settings(&server, self.kind, self.path) }, &question()).await
    }

    /// Begins to answer and then says `then`, without an end.
    fn going_on(&self, then: &str, every: Duration) -> Pieces {
        let begun = Pieces::once(self.content_type, self.beginning);
        Pieces { then: then.to_owned(), times: usize::MAX, every, ..begun }
    }

    fn piece(&self, text: &str) -> String {
        format!("{}{text}{}", self.piece.0, self.piece.1)
    }
}

fn unavailable(answer: Result<Answer, LlmError>, word: &str, kind: HostedKind) -> LlmError {
    let error = answer.unwrap_err();
    assert!(error.to_string().contains(word), "{kind:?}: {error}");
    assert_eq!(error.failure().kind, FailureKind::LlmUnavailable, "{kind:?}: {error}");
    assert!(error.is_retryable());
    error
}

/// The most memory this process ever had: each test is a process of its own.
fn peak_mib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() >> 10
}

#[tokio::test]
async fn f17_pings_and_single_bytes_are_no_sign_of_life() {
    for wire in WIRES {
        for then in [wire.ping, "x"] {
            let asked = Instant::now();
            let answer = wire.ask(QUICK, wire.going_on(then, Duration::from_millis(20))).await;
            unavailable(answer, "did not go on with its answer within 0.3 s (idle_timeout_s)", wire.kind);
            assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", wire.kind);
        }
    }
}

#[tokio::test]
async fn f17_an_answer_that_goes_on_and_on_ends_with_the_total_timeout() {
    for wire in WIRES {
        let timeouts = Timeouts { total: Duration::from_millis(800), ..QUICK };
        let answer = wire.ask(timeouts, wire.going_on(&wire.piece("so"), Duration::from_millis(50))).await;
        let error = unavailable(answer, "did not finish its answer within 0.8 s (request_timeout_s)", wire.kind);
        let usage = error.usage();
        assert!(usage.input_tokens > 0 && usage.output_tokens > 0, "what came was paid for: {usage:?}");
    }
}

#[tokio::test]
async fn f17_a_stream_that_breaks_off_is_no_answer() {
    for wire in WIRES {
        let whole = Pieces::once(wire.content_type, wire.beginning);
        unavailable(wire.ask(QUICK, whole).await, "broke off", wire.kind);
        let half = format!("{}{}", wire.beginning, wire.piece.0);
        let cut = Pieces { cut: true, ..Pieces::once(wire.content_type, &half) };
        unavailable(wire.ask(QUICK, cut).await, "broke off", wire.kind);
        let ended_in_json = wire.ask(QUICK, Pieces::once(wire.content_type, &half)).await.unwrap_err();
        assert!(ended_in_json.is_retryable() && ended_in_json.to_string().contains("broken JSON"), "{ended_in_json}");
        let failed = Pieces::once(wire.content_type, &format!("{}{}", wire.beginning, wire.overloaded));
        unavailable(wire.ask(QUICK, failed).await, "Overloaded", wire.kind);
    }
}

#[tokio::test]
async fn f17_an_answer_that_is_whole_counts_however_the_connection_ends() {
    for wire in WIRES {
        let said = format!("{}{}", wire.beginning, wire.finish);
        for (times, cut) in [(0, false), (0, true), (usize::MAX, false)] {
            let then = Pieces {
                then: ":\n".to_owned(),
                times,
                every: Duration::from_millis(20),
                cut,
                ..Pieces::once(wire.content_type, &said)
            };
            let answer = wire.ask(QUICK, then).await.unwrap();
            assert_eq!(
                (answer.message.text.as_str(), answer.message.tool_calls.len()),
                ("I will", 1),
                "{:?}",
                wire.kind
            );
        }
    }
}

#[tokio::test]
async fn f17_hundreds_of_megabytes_are_left_where_they_are() {
    let text = "x".repeat(64 << 10);
    for wire in WIRES {
        let flood = Pieces { times: 3200, ..wire.going_on(&text, Duration::ZERO) };
        let line = Pieces { first: wire.piece.0.to_owned(), ..flood };
        let pieces = Pieces { times: 3200, ..wire.going_on(&wire.piece(&text), Duration::ZERO) };
        let body = Pieces { then: text.clone(), times: 3200, ..Pieces::once("application/json", "{\"a\":\"") };
        for reply in [line, pieces, body] {
            let error = wire.ask(TIMEOUTS, reply).await.unwrap_err();
            assert!(error.to_string().contains(" MB allowed"), "{:?}: {error}", wire.kind);
            assert_eq!(error.failure().kind, FailureKind::LlmBadOutput);
        }
        let page = Pieces { then: text.clone(), times: 3200, ..Pieces::once("text/html", "<html>") };
        let error = wire.ask(TIMEOUTS, page).await.unwrap_err();
        assert!(error.to_string().contains("text/html instead of JSON (an HTML page)"), "{error}");
    }
    assert!(peak_mib() < 150, "{} MiB", peak_mib());
}

#[tokio::test]
async fn f17_a_compressed_bomb_is_not_opened() {
    let zeros = "head -c 100000000 /dev/zero | gzip -1";
    let bomb = std::process::Command::new("sh").args(["-c", zeros]).output().unwrap().stdout;
    for wire in WIRES {
        for content_type in [wire.content_type, "application/json"] {
            let reply = Reply::body(content_type, &bomb).with_header("content-encoding", "gzip");
            let error = wire.ask(TIMEOUTS, reply).await.unwrap_err();
            assert!(error.to_string().contains("compressed"), "{error}");
            assert_eq!(error.failure().kind, FailureKind::LlmBadOutput);
        }
    }
    assert!(peak_mib() < 100, "{} MiB", peak_mib());
}

#[tokio::test]
async fn who_does_not_stream_is_understood_too() {
    for (kind, path) in KINDS {
        let server = ModelServer::start().await;
        server.will(Reply::text("Hello.").tool_call("read_file", json!({"path": "a"})).unstreamed());
        server.will(Reply::text("Goodbye."));
        let answer = ask(settings(&server, kind, path), &question()).await.unwrap();
        assert_eq!((answer.message.text.as_str(), answer.message.tool_calls.len()), ("Hello.", 1), "{kind:?}");
        let not_asked = HostedSettings { stream: false, ..settings(&server, kind, path) };
        assert_eq!(ask(not_asked, &question()).await.unwrap().message.text, "Goodbye.", "{kind:?}");
        let streams: Vec<bool> = server
            .received()
            .iter()
            .map(|request| request.body["stream"] == true || request.path.contains(":stream"))
            .collect();
        assert_eq!(streams, [true, false], "{kind:?}");
    }
}

#[tokio::test]
async fn r64_a_hundred_calls_arrive_and_fifty_megabytes_do_not() {
    for (kind, path) in KINDS {
        let server = ModelServer::start().await;
        let many =
            (0..100).fold(Reply::text("All."), |reply, number| reply.tool_call("read_file", json!({"path": number})));
        server.will(many);
        let answer = ask(settings(&server, kind, path), &question()).await.unwrap();
        let paths = answer.message.tool_calls.iter().map(|call| call.arguments["path"].as_u64().unwrap());
        assert!(paths.eq(0..100), "{kind:?}");
        server.will(Reply::text(&"x".repeat(50 << 20)));
        let error = ask(settings(&server, kind, path), &question()).await.unwrap_err();
        assert_eq!(error.failure().kind, FailureKind::LlmBadOutput, "{kind:?}: {error}");
    }
}
