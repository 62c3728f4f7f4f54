//! What a user is told when a provider fails, and that nothing leaks.

use super::super::super::model_server::{ModelServer, Reply};
use super::super::super::{RetryPolicy, answer_with_retries};
use super::*;
use crate::domain::failure::FailureKind;

async fn failure(kind: HostedKind, path: &str, reply: Reply) -> LlmError {
    let server = ModelServer::start().await;
    server.will(reply);
    let error = ask(settings(&server, kind, path), &question()).await.unwrap_err();
    assert!(!error.to_string().contains(KEY), "{kind:?} shows the key: {error}");
    error
}

#[tokio::test]
async fn a_refused_key_is_named_by_its_variable_and_not_shown() {
    for (kind, path) in KINDS {
        let error = failure(kind, path, Reply::status(401, &format!("Incorrect API key provided: {KEY}."))).await;
        let text = error.to_string();
        assert!(text.contains("ACME_API_KEY") && text.contains("Incorrect API key provided: ***."), "{kind:?}: {text}");
        assert!(!error.is_retryable());
        assert_eq!(error.failure().kind, FailureKind::LlmError);
    }
}

#[tokio::test]
async fn a_missing_key_is_noticed_without_asking_the_provider() {
    let server = ModelServer::start().await;
    let without = HostedSettings { api_key: None, base_url: None, ..settings(&server, HostedKind::Anthropic, "") };
    let text = ask(without, &question()).await.unwrap_err().to_string();
    assert_eq!(text, "acme needs an API key: check the environment variable ACME_API_KEY and restart the server");
}

#[tokio::test]
async fn what_passes_is_retryable_and_what_stays_is_not() {
    for (kind, path) in KINDS {
        for status in [429, 500, 502, 503, 529] {
            let error = failure(kind, path, Reply::status(status, "busy").with_header("retry-after", "7")).await;
            let LlmError::Unavailable { retry_after, message, .. } = &error else {
                panic!("{kind:?} {status}: {error:?}")
            };
            assert_eq!(*retry_after, Some(Duration::from_secs(7)), "{kind:?} {status}");
            assert!(message.contains("busy"), "{message}");
            assert_eq!(error.failure().kind, FailureKind::LlmUnavailable);
        }
        for status in [400, 402, 403, 404, 413] {
            let error = failure(kind, path, Reply::status(status, "not like this")).await;
            assert!(
                matches!(error, LlmError::Refused { status: Some(was), .. } if was == status),
                "{kind:?}: {error:?}"
            );
            assert!(error.to_string().contains("not like this"), "{kind:?}: {error}");
        }
    }
    let empty = Reply::status(429, "You exceeded your current quota, please check your plan and billing details.");
    assert!(!failure(HostedKind::OpenAi, "/v1", empty).await.is_retryable());
}

#[tokio::test]
async fn a_redirect_is_refused_and_nothing_reaches_the_other_host() {
    for (kind, path) in KINDS {
        let canary = ModelServer::start().await;
        let error = failure(kind, path, Reply::redirect(&format!("{}/v1/messages", canary.url()))).await;
        assert!(error.to_string().starts_with("redirect refused: acme answered 307"), "{kind:?}: {error}");
        assert_eq!(error.failure().kind, FailureKind::LlmError);
        assert!(canary.received().is_empty(), "{kind:?}");
    }
}

#[tokio::test]
async fn silence_a_broken_answer_and_a_closed_port_are_unavailable() {
    for (kind, path) in KINDS {
        let server = ModelServer::start().await;
        server.will(Reply::hang());
        let timeouts = Timeouts { first_byte: Duration::from_millis(200), ..TIMEOUTS };
        let impatient = HostedSettings { timeouts, ..settings(&server, kind, path) };
        let error = ask(impatient, &question()).await.unwrap_err();
        assert_eq!(error.to_string(), "acme did not begin to answer within 0.2 s (first_byte_timeout_s)", "{kind:?}");
        let error = failure(kind, path, Reply::cut()).await;
        assert!(error.is_retryable() && error.to_string().contains("broke off"), "{kind:?}: {error:?}");
        let gone = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            format!("http://{}{path}", listener.local_addr().unwrap())
        };
        let to_nowhere = HostedSettings { base_url: Some(gone), ..settings(&server, kind, path) };
        let error = ask(to_nowhere, &question()).await.unwrap_err();
        assert!(matches!(error, LlmError::Unavailable { .. }), "{kind:?}: {error:?}");
        assert!(error.to_string().contains("out of reach at http://127.0.0.1:"), "{kind:?}: {error}");
        assert!(error.to_string().contains("onnection refused"), "{kind:?}: {error}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_called_so() {
    for (kind, path) in KINDS {
        for (content_type, body) in [
            ("text/html", "<html><title>Welcome</title></html>"),
            ("application/json", "{\"choices\":[{\"message\":"),
            ("application/json", "{\"hello\":\"world\"}"),
            ("application/json", "[]"),
            ("application/json", "null"),
        ] {
            let error = failure(kind, path, Reply::body(content_type, body)).await;
            assert!(matches!(error, LlmError::BadOutput { .. }), "{kind:?} {body}: {error:?}");
            assert_eq!(error.failure().kind, FailureKind::LlmBadOutput);
        }
        let inside = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        let error = failure(kind, path, Reply::body("application/json", inside)).await;
        assert!(matches!(&error, LlmError::Unavailable { message, .. } if message.contains("Overloaded")), "{error:?}");
        let refused = r#"{"error":{"code":404,"message":"no such model"}}"#;
        let error = failure(kind, path, Reply::body("application/json", refused)).await;
        assert!(matches!(error, LlmError::Refused { status: Some(404), .. }), "{kind:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_answer_cut_by_the_limit_runs_no_tool() {
    for (kind, path) in KINDS {
        let cut = Reply::text("I will").tool_call("read_file", json!({})).cut_by_limit().usage(10, 0, 500);
        let error = failure(kind, path, cut.into()).await;
        let LlmError::Truncated { message, text, usage } = error else { panic!("{kind:?}: {error:?}") };
        assert_eq!((text.as_str(), usage.output_tokens), ("I will", 500), "{kind:?}");
        assert!(message.contains("raise max_output_tokens"), "{message}");
    }
}

#[tokio::test]
async fn an_answer_of_many_megabytes_is_not_taken() {
    let text = "x".repeat(11 << 20);
    let error = failure(HostedKind::OpenAi, "/v1", Reply::text(&text).into()).await;
    assert!(error.to_string().contains("more than the 10 MB allowed"), "{}", &error.to_string()[..100]);
}

#[tokio::test]
async fn the_key_an_answer_repeats_is_masked_in_the_log() {
    let server = ModelServer::start().await;
    server.will(Reply::text(&format!("Your key is {KEY}")));
    let answer = ask(settings(&server, HostedKind::OpenAi, "/v1"), &question()).await.unwrap();
    assert!(answer.raw.contains("Your key is ***") && !answer.raw.contains(KEY));
}

#[tokio::test]
async fn nothing_prints_the_key() {
    let server = ModelServer::start().await;
    let settings = settings(&server, HostedKind::OpenAi, "/v1");
    assert!(!format!("{settings:?}").contains(KEY));
    assert!(!format!("{:?}", Hosted::new(settings).unwrap()).contains(KEY));
}

#[tokio::test]
async fn a_busy_provider_is_asked_again_until_it_answers() {
    let server = ModelServer::start().await;
    server.will(Reply::status(529, "Overloaded").with_header("retry-after-ms", "30"));
    server.will(Reply::status(500, "oops"));
    server.will(Reply::text("Here."));
    let model = Hosted::new(settings(&server, HostedKind::Anthropic, "")).unwrap();
    let messages = question();
    let request = Request {
        model_id: "model-max",
        messages: &messages,
        tools: &[],
        max_output_tokens: 500,
        listener: Listener::default(),
        hold: Hold::default(),
    };
    let policy = RetryPolicy { first_wait: Duration::from_millis(1), ..RetryPolicy::default() };
    let mut waits = Vec::new();
    let answer = answer_with_retries(&model, &request, &policy, |attempt, wait, _| waits.push((attempt, wait))).await;
    assert_eq!(answer.unwrap().message.text, "Here.");
    assert_eq!(waits[0], (1, Duration::from_millis(30)));
    assert_eq!(server.received().len(), 3);
}
