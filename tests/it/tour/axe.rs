//! What axe-core finds.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Look, Tour};
use crate::harness::Browser;

/// With all rules, or with those that the colours of a theme can break.
const LOOKS: [(Look, &str); 4] = [
    (Look { theme: "light", width: Look::WIDE, language: "en" }, "{}"),
    (Look { theme: "dark", width: Look::NARROW, language: "zh-CN" }, "{}"),
    (
        Look { theme: "dark", width: Look::WIDE, language: "en" },
        "{ runOnly: ['color-contrast', 'link-in-text-block'] }",
    ),
    (
        Look { theme: "light", width: Look::NARROW, language: "zh-CN" },
        "{ runOnly: ['color-contrast', 'link-in-text-block'] }",
    ),
];

#[tokio::test]
async fn nothing_on_any_page_keeps_people_out() {
    let axe = std::fs::read_to_string(program()).expect("axe-core is there; `dev/prepare images axe` fetches it");
    let tour = Box::pin(Tour::prepare()).await;
    let browser = tour.browser().await;
    browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": axe })).await;
    let mut found = Vec::new();
    for (look, rules) in LOOKS {
        tour.wear(&browser, look).await;
        for stop in &tour.stops {
            browser.page.goto(&tour.atelier.url(&stop.address)).await.unwrap();
            found.extend(findings(&browser, rules, &format!("{} {look:?}", stop.name)).await);
        }
        browser.page.goto(&tour.atelier.url("/new")).await.unwrap();
        browser.page.execute("document.getElementById('keys').showModal()", vec![]).await.unwrap();
        found.extend(findings(&browser, rules, &format!("keys {look:?}")).await);
    }
    assert!(found.is_empty(), "{} findings\n{}", found.len(), found.join("\n"));
    // Pages that are not there say so with their status.
    browser.complains_of_nothing_but("the server responded with a status of 404").await;
    assert_eq!(browser.page.execute("return typeof axe.version", vec![]).await.unwrap(), Value::from("string"));
}

/// With everything unfolded.
async fn findings(browser: &Browser, rules: &str, place: &str) -> Vec<String> {
    let script = "const done = arguments[0];
        for (const details of document.querySelectorAll('details')) details.open = true;
        axe.run(document, { resultTypes: ['violations'], ...RULES }).then(({ violations }) => done({
          violations: violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary, html }) => [id, target.join(' '), html, failureSummary])),
          overflow: Math.max(0, document.documentElement.scrollWidth - innerWidth),
        }))";
    let seen = browser.page.execute_async(&script.replace("RULES", rules), vec![]).await.unwrap();
    let mut found: Vec<_> =
        seen["violations"].as_array().unwrap().iter().map(|what| format!("{place}: {what:#}")).collect();
    if seen["overflow"] != json!(0) {
        found.push(format!("{place}: {} pixels wider than the window", seen["overflow"]));
    }
    found
}

/// Where `dev/prepare` puts it.
fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache"));
    let files = std::fs::read_dir(cache.join("atelier")).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_axe = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("axe-core-");
    files
        .filter(is_axe)
        .filter(|path| path.extension().is_some_and(|extension| extension == "js"))
        .max()
        .unwrap_or_default()
}
