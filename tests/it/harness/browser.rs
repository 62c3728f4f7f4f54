//! A real browser: headless Chromium, driven over the `WebDriver` protocol.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use fantoccini::{Client, ClientBuilder, Locator, wd::WebDriverCompatibleCommand};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::processes::processes_that_name;

/// A browser with a fresh profile. It ends with the test.
pub(crate) struct Browser {
    pub(crate) page: Client,
    driver: Child,
    folder: TempDir,
}

const PATIENCE: Duration = Duration::from_mins(1);

impl Browser {
    pub(crate) async fn open() -> Self {
        let port = free_port();
        let folder = tempfile::tempdir().unwrap();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is installed; `dev/test` does that");
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--window-size=1280,1600".to_owned(),
            format!("--user-data-dir={}", folder.path().join("profile").display()),
        ];
        let options = json!({ "args": arguments });
        let capabilities = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } })
            .as_object()
            .unwrap()
            .clone();
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(capabilities);
        let address = format!("http://127.0.0.1:{port}");
        let page = tokio::time::timeout(PATIENCE, async {
            loop {
                match builder.connect(&address).await {
                    Ok(page) => return page,
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        let page = page.await.expect("the driver answers");
        Self { page, driver, folder }
    }

    /// Waits until an element is there.
    pub(crate) async fn sees(&self, selector: &str) -> fantoccini::elements::Element {
        let wait = self.page.wait().at_most(PATIENCE).for_element(Locator::Css(selector));
        wait.await.expect(selector)
    }

    /// Scrolls to an element and clicks it as soon as nothing lies over it.
    pub(crate) async fn click(&self, selector: &str) {
        let scroll = format!("document.querySelector({selector:?}).scrollIntoView({{ block: 'center' }})");
        let clicks = async {
            self.sees(selector).await;
            while self.page.execute(&scroll, vec![]).await.is_err() || self.sees(selector).await.click().await.is_err()
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, clicks).await.is_ok(), "{selector} cannot be clicked");
    }

    /// Waits until the page shows a text.
    pub(crate) async fn reads(&self, text: &str) {
        let reading = async {
            while !self.sees("body").await.text().await.unwrap_or_default().contains(text) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, reading).await;
        let instead = || async { self.sees("body").await.text().await.unwrap() };
        assert!(outcome.is_ok(), "the page never shows {text:?}: {}", instead().await);
    }
}

impl Browser {
    /// Presses keys, wherever the focus is.
    pub(crate) async fn types(&self, keys: &str) {
        self.page.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// Waits until the page does not show a text (any more).
    pub(crate) async fn does_not_read(&self, text: &str) {
        let reading = async {
            while self.sees("body").await.text().await.map_or(true, |body| body.contains(text)) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, reading).await.is_ok(), "the page goes on showing {text:?}");
    }

    /// What `WebDriver` has no words for.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let command = json!({ "cmd": command, "params": parameters });
        self.page.issue_cmd(DevTools(command)).await.unwrap()
    }

    /// No error of a script, nothing that the policy of a page refused, nothing that could not be loaded.
    pub(crate) async fn complains_of_nothing(&self) {
        self.complains_of_nothing_but("nothing at all").await;
    }

    /// The same, but for complaints with these words.
    pub(crate) async fn complains_of_nothing_but(&self, words: &str) {
        let log = self.page.issue_cmd(ReadLog).await.unwrap();
        let complaints: Vec<_> = log
            .as_array()
            .unwrap()
            .iter()
            .filter(|entry| entry["level"] == "SEVERE")
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .filter(|message| !message.contains(words))
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

/// A command of the browser's own protocol, which chromedriver hands on.
#[derive(Debug)]
struct DevTools(Value);

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(self.0.to_string()))
    }
}

/// What the browser wrote to its console since it was asked last.
#[derive(Debug)]
struct ReadLog;

impl WebDriverCompatibleCommand for ReadLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (reqwest::Method, Option<String>) {
        (reqwest::Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.driver.kill();
        let _ = self.driver.wait();
        // The driver leaves its browser behind; every process of that names our folder.
        let _ = Command::new("kill").arg("-KILL").args(processes_that_name(self.folder.path())).status();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
