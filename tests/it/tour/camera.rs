//! Pictures of all pages, for people to look at: `dev/screenshots`.

use std::path::PathBuf;

use data_encoding::BASE64;
use serde_json::json;

use super::{Look, Tour};

/// What is further down is left away.
const MAX_HEIGHT: u64 = 2600;

#[tokio::test]
#[ignore = "dev/screenshots runs it"]
async fn every_page_is_photographed() {
    let folder = PathBuf::from(std::env::var_os("ATELIER_SCREENSHOTS").expect("dev/screenshots says where to"));
    let tour = Box::pin(Tour::prepare()).await;
    let browser = tour.browser().await;
    for language in ["en", "zh-CN"] {
        for theme in ["light", "dark"] {
            for width in [Look::WIDE, Look::NARROW] {
                tour.wear(&browser, Look { theme, width, language }).await;
                let folder = folder.join(format!("{language}-{theme}-{width}"));
                std::fs::create_dir_all(&folder).unwrap();
                for stop in &tour.stops {
                    browser.page.goto(&tour.atelier.url(&stop.address)).await.unwrap();
                    let height = "scrollTo(0, 0); return document.documentElement.scrollHeight";
                    let height = browser.page.execute(height, vec![]).await.unwrap().as_u64().unwrap();
                    let clip = json!({ "x": 0, "y": 0, "width": width, "height": height.min(MAX_HEIGHT), "scale": 1 });
                    let options = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
                    let picture = browser.devtools("Page.captureScreenshot", options).await;
                    let bytes = BASE64.decode(picture["data"].as_str().unwrap().as_bytes()).unwrap();
                    std::fs::write(folder.join(format!("{}.png", stop.name)), bytes).unwrap();
                }
            }
        }
    }
}
