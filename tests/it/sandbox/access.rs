//! Which image, and what of the code the agent may write.

use super::{running, stdout};
use crate::harness::{Atelier, Settings, Zip};

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let atelier = Atelier::start().await;
    let task = atelier.submit_zip(Zip::new().file("a", "a"), "Go.", &[("image", "no-such-image:1")]).await;
    let ended = task.failed("image_missing").await;
    assert!(ended["error"]["message"].as_str().unwrap().contains("no-such-image:1"));
}

#[tokio::test]
async fn analyze_reads_but_cannot_write_the_code() {
    let with_setup = Zip::new().file("a", "read me").executable("setup.sh", "#!/bin/sh\necho made > made\n");
    for source in [Zip::new().file("a", "read me").bytes(), with_setup.bytes()] {
        let (atelier, _model) = running(&["cat a; touch b || touch a"], Settings::new()).await;
        let task = atelier.submit_zip_bytes(source, "Explain.", &[("mode", "analyze")]).await;
        let ended = task.completed().await;
        let result = task.tool_results().await[0].clone();
        assert_eq!(stdout(&result), "read me");
        assert_ne!(result["returncode"], 0, "{result}");
        assert_eq!(ended["diff"]["files"], 0);
    }
}
