//! The page of settings: what it finds out of the machine, and the question to a provider that only a click asks.

use std::time::Duration;

use reqwest::Method;

use crate::{
    harness::{Atelier, Browser, Settings},
    model_server::{ModelServer, Reply},
};

async fn page(atelier: &Atelier) -> String {
    atelier.get("/settings").await.text().await.unwrap()
}

async fn try_provider(atelier: &Atelier, form: &'static str) -> String {
    let asked = atelier.request(Method::POST, "/settings/try").header("sec-fetch-site", "same-origin");
    let answer = asked.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap();
    assert!(answer.status().is_success() || answer.status().is_redirection(), "{}", answer.status());
    page(atelier).await
}

#[tokio::test]
async fn a_provider_is_asked_by_a_click_and_says_what_came_back() {
    let model = ModelServer::start().await;
    let atelier = Atelier::start_with(Settings::new().model("openai", &model.url())).await;
    let before = page(&atelier).await;
    assert!(before.contains("Test call") && before.contains("value=\"test-model\""), "{before}");
    assert_eq!(model.received().len(), 0, "looking costs nothing");

    model.will(Reply::text("yes").usage(1234, 0, 2));
    let after = try_provider(&atelier, "provider=mock&model=test-model").await;
    assert_eq!(model.received().len(), 1);
    assert!(
        after.contains("mock/test-model answered after") && after.contains("1\u{202f}234 tokens in, 2 out"),
        "{after}"
    );
    assert_eq!(atelier.get_json("/api/usage").await["input_tokens"], 1234, "it counts as today's");

    model.will(Reply::status(401, "no such key"));
    let after = try_provider(&atelier, "provider=mock&model=other").await;
    assert!(after.contains("mock/other: ") && after.contains("ATELIER_TEST_KEY"), "it says what to do: {after}");
    assert!(!after.contains("sk-canary-7f3a9") && !after.contains("answered after"), "{after}");
}

#[tokio::test]
async fn the_machine_is_looked_at_aside() {
    let atelier = Atelier::start().await;
    let first = page(&atelier).await;
    assert!(first.contains("Look again") && first.contains("being looked at"), "{first}");
    let found = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let page = page(&atelier).await;
            if !page.contains("being looked at") {
                return page;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let found = found.await.expect("found out within 20 s");
    assert!(!found.contains("Look again") && found.contains("<dt>runc</dt>"), "{found}");
    let again = Atelier::start().await;
    let browser = Browser::open().await;
    browser.page.goto(&again.login_link("/settings")).await.unwrap();
    browser.reads("Workspaces").await;
    browser.complains_of_nothing().await;
    for kind in ["Workspaces", "Results", "Uploads", "Logs", "Database", "Image"] {
        assert!(found.contains(&format!("<dt>{kind}</dt>")), "{kind}: {found}");
    }
}
