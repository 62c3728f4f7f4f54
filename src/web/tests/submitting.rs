//! The ways in: JSON, forms, archives.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};

use super::{Site, site::request};

/// An archive of one file.
pub(super) fn zip() -> Vec<u8> {
    const ZIP: &[u8] = b"UEsDBBQAAAAAAAAAIQAGHuE8CQAAAAkAAAAHAAAAbWFpbi5weXByaW50KDEpClBLAQIUAxQAAAAAAAAAIQAGHuE8CQAAAAkAAAAHAAAAAAAAAAAAAACkAQAAAABtYWluLnB5UEsFBgAAAAABAAEANQAAAC4AAAAAAA==";
    data_encoding::BASE64.decode(ZIP).unwrap()
}

const GIT: &str = r#"{"source": {"git_url": "https://example.org/team/tool"}, "task": "Fix it\nsoon"}"#;

#[tokio::test]
async fn json_becomes_a_queued_task() {
    let site = Site::new().await;
    let answer = site.post_json("/api/tasks", GIT).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let task = answer.json();
    let id = task["id"].as_str().unwrap();
    assert_eq!(answer.header(header::LOCATION), format!("/api/tasks/{id}"));
    insta::assert_json_snapshot!(task, {".id" => "[id]", ".url" => "[url]", ".created_at" => "[time]", ".turns[].created_at" => "[time]"});
    assert_eq!(site.get(&format!("/api/tasks/{id}")).await.json(), task);
    let list = site.get("/api/tasks?status=queued").await.json();
    assert_eq!((list["tasks"][0]["id"].as_str(), &list["next"]), (Some(id), &serde_json::Value::Null));
}

#[tokio::test]
async fn what_is_wrong_is_said_at_its_field() {
    let site = Site::new().await;
    for (json, status, field, words) in [
        ("{", 400, "", "not JSON"),
        (r#"{"task": "x", "sauce": 1}"#, 422, "sauce", "unknown field `sauce`"),
        (r#"{"task": "x"}"#, 422, "source", "upload a zip"),
        (r#"{"source": {"git_url": "https://h/x"}, "task": ""}"#, 422, "task", "say what"),
        (r#"{"source": {"git_url": "https://h/x"}, "task": "x", "mode": "pr"}"#, 422, "mode", "[forge.NAME]"),
        (r#"{"source": {"git_url": "https://h/x"}, "task": "x", "model": "nobody/m"}"#, 422, "model", "openai"),
        (
            r#"{"source": {"git_url": "https://h/x"}, "task": "x", "limits": {"max_stops": 1}}"#,
            422,
            "max_stops",
            "max_steps",
        ),
        (r#"{"source": {"git_url": "ext::sh -c x"}, "task": "x"}"#, 422, "git_url", "characters"),
    ] {
        let answer = site.post_json("/api/tasks", json).await;
        let problem = answer.json();
        assert_eq!(answer.status, status, "{json}");
        assert_eq!(problem["errors"][0]["field"].as_str().unwrap_or_default(), field, "{json}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{json}: {problem}");
    }
    let plain = request(Method::POST, "/api/tasks").header(header::CONTENT_TYPE, "text/plain").body(Body::from(GIT));
    assert_eq!(site.send(plain.unwrap()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(site.get("/api/tasks").await.json()["tasks"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn an_archive_moves_into_the_folder_of_its_task() {
    let site = Site::new().await;
    let answer =
        site.post_form("/api/tasks", &[("task", "Look"), ("mode", "analyze")], Some(("my code.zip", &zip()))).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    let task = answer.json();
    assert_eq!(task["source"]["name"], "my code.zip");
    let folder = site.state.data_dir.task(&task["id"].as_str().unwrap().parse().unwrap());
    assert_eq!(std::fs::read(folder.upload()).unwrap(), zip());
    assert_eq!(site.uploads(), 0);

    let again = site.post_json(&format!("/api/tasks/{}/retry", task["id"].as_str().unwrap()), "").await;
    assert_eq!(again.status, StatusCode::CREATED, "{}", again.body);
    let again = again.json();
    assert_ne!(again["id"], task["id"]);
    for same in ["source", "task", "mode", "model", "image", "limits"] {
        assert_eq!(again[same], task[same]);
    }
    std::fs::remove_file(folder.upload()).unwrap();
    let gone = site.post_json(&format!("/api/tasks/{}/retry", task["id"].as_str().unwrap()), "").await;
    assert_eq!(gone.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_refused_archive_leaves_nothing_behind() {
    let site = Site::with("[source]\nmax_zip_bytes = 1000").await;
    let task = [("task", "Look")];
    for (archive, status) in [
        (vec![b'x'; 500], StatusCode::UNPROCESSABLE_ENTITY),
        (vec![b'x'; 1001], StatusCode::PAYLOAD_TOO_LARGE),
        (vec![b'x'; 2_000_000], StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(site.post_form("/api/tasks", &task, Some(("x.zip", &archive))).await.status, status);
        assert_eq!(site.uploads(), 0);
    }
    let both = [("task", "Look"), ("git_url", "https://example.org/x/y")];
    assert_eq!(
        site.post_form("/api/tasks", &both, Some(("x.zip", &zip()[..]))).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(site.uploads(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing_behind() {
    let site = Site::new().await;
    let head = "--limit\r\nContent-Disposition: form-data; name=\"archive\"; filename=\"a.zip\"\r\n\r\nPK";
    let (sender, receiver) = tokio::sync::mpsc::channel::<Result<&str, std::io::Error>>(1);
    sender.send(Ok(head)).await.unwrap();
    let body = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receiver));
    let request =
        request(Method::POST, "/api/tasks").header(header::CONTENT_TYPE, "multipart/form-data; boundary=limit");
    let mut answer = Box::pin(site.send(request.body(body).unwrap()));
    while site.uploads() == 0 {
        assert!(futures_util::poll!(&mut answer).is_pending());
        tokio::task::yield_now().await;
    }
    drop(answer);
    while site.uploads() > 0 {
        tokio::task::yield_now().await;
    }
    drop(sender);
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed() {
    let site = Site::new().await;
    let fields = [("task", "Fix <it>"), ("git_url", "ssh://h/x"), ("max_steps", "many"), ("image", "my/image")];
    let answer = site.post_form("/tasks", &fields, None).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    for words in ["Fix &lt;it&gt;", "ssh://h/x", "value=\"many\"", "my/image", "must be a whole number"] {
        assert!(answer.body.contains(words), "{words}");
    }
    let answer = site.post_form("/tasks", &[("task", "Fix it"), ("git_url", "https://example.org/x/y")], None).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert!(answer.header(header::LOCATION).starts_with("/tasks/2"));
}

#[tokio::test]
async fn nothing_is_taken_when_the_queue_is_full_or_the_server_stops() {
    let site = Site::with("[queue]\nmax_queued = 1").await;
    assert_eq!(site.post_json("/api/tasks", GIT).await.status, StatusCode::CREATED);
    let full = site.post_json("/api/tasks", GIT).await;
    assert_eq!((full.status, full.header(header::RETRY_AFTER)), (StatusCode::TOO_MANY_REQUESTS, "60"));
    site.state.shutdown.cancel();
    let stopping = site.post_json("/api/tasks", GIT).await;
    assert_eq!(
        (stopping.status, stopping.json()["kind"].as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, Some("stopping"))
    );
    assert_eq!(std::fs::read_dir(site.state.data_dir.tasks()).unwrap().count(), 1);
}

#[tokio::test]
async fn r16_a_url_is_judged_while_it_is_typed_and_nobody_is_asked_who_may_not_be() {
    let site = Site::new().await;
    let judged = async |url: &str| {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("git_url", url)
            .append_pair("refs", "yes")
            .finish();
        let request = request(Method::POST, "/new/repository")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body));
        site.send(request.unwrap()).await.json()["error"].as_str().unwrap_or("taken").to_owned()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap();
    for bad in [format!("http://{here}/a/b"), format!("https://{here}/a/b"), "https://169.254.169.254/a".to_owned()] {
        assert!(judged(&bad).await.contains("allow_private_hosts"), "{bad}: {}", judged(&bad).await);
    }
    assert!(judged("ssh://example.org/a").await.contains("only https://"));
    let asked = tokio::time::timeout(std::time::Duration::from_millis(50), listener.accept()).await;
    assert!(asked.is_err(), "nobody was asked");
}

#[tokio::test]
async fn a_link_fills_the_form_and_a_file_has_to_be_chosen_again() {
    let site = Site::new().await;
    let link = "/new?git_url=https%3A%2F%2Fexample.org%2Fa%2Fb&git_ref=main&task=%3Cb%3E";
    let form = site.send(request(Method::GET, link).body(Body::empty()).unwrap()).await.body;
    assert!(form.contains(r#"value="https://example.org/a/b""#) && form.contains("&lt;b&gt;</textarea>"), "{form}");
    let refused = site.post_form("/tasks", &[("task", "Look.")], Some(("my code.zip", b"no zip"))).await;
    assert!(refused.body.contains("Choose my code.zip again"), "{}", refused.body);
    // What was asked for once is a link the next time.
    site.post_json("/api/tasks", r#"{"source": {"git_url": "https://example.org/a/b", "git_ref": "v1"}, "task": "x"}"#)
        .await;
    let form = site.send(request(Method::GET, "/new").body(Body::empty()).unwrap()).await.body;
    assert!(
        form.contains(r#"href="/new?git_url=https%3A%2F%2Fexample.org%2Fa%2Fb&#38;git_ref=v1""#)
            || form.contains(r#"href="/new?git_url=https%3A%2F%2Fexample.org%2Fa%2Fb&amp;git_ref=v1""#),
        "{form}"
    );
}
