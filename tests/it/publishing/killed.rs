//! The server is killed in the middle of publishing: one branch and one pull request come of it (F10).

use serde_json::json;

use super::{LAST_WORD, MEND, forge, outcome, publish, server, submit};
use crate::{
    forges::{ALL, Hold},
    restarts::wait_for,
};

#[tokio::test]
async fn f10_killed_between_push_and_request_there_is_one_of_each() {
    for kind in ALL {
        let forge = forge(kind).await;
        let (mut atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
        forge.hold(Some(Hold::BeforeItIsMade));
        let id = submit(&atelier, &forge, "pr").await.id;
        wait_for("the request to be sent", || forge.held() == 1).await;
        let pushed = forge.git(&["rev-parse", &format!("atelier/{id}")]);
        assert!(forge.pulls().is_empty());
        forge.hold(None);
        atelier.kill_and_start_again().await;

        let ended = atelier.task(&id).completed().await;
        assert_eq!(ended["pull_request"]["state"], "opened", "{ended}");
        assert_eq!((forge.pulls().len(), forge.branches().len()), (1, 1));
        assert_eq!(forge.git(&["rev-parse", &format!("atelier/{id}")]), pushed, "what was pushed is found again");
        assert!(!atelier.data_dir().join("tasks").join(&id).join("publish").exists());
    }
}

#[tokio::test]
async fn f10_killed_between_request_and_row_the_request_is_found_again() {
    for kind in ALL {
        let forge = forge(kind).await;
        let (mut atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
        forge.hold(Some(Hold::BeforeTheAnswer));
        let id = submit(&atelier, &forge, "pr").await.id;
        wait_for("the request to be made", || forge.held() == 1).await;
        assert_eq!(forge.pulls().len(), 1);
        forge.hold(None);
        atelier.kill_and_start_again().await;

        let ended = atelier.task(&id).completed().await;
        let known = &ended["pull_request"];
        assert_eq!((&known["state"], &known["number"]), (&json!("opened"), &json!(1)), "{known}");
        assert_eq!((forge.pulls().len(), forge.branches().len()), (1, 1));
    }
}

#[tokio::test]
async fn f10_a_button_that_was_pressed_before_the_kill_is_not_forgotten() {
    let forge = forge(ALL[0]).await;
    let (mut atelier, _model) = server(forge.settings(), MEND, LAST_WORD).await;
    let id = submit(&atelier, &forge, "modify").await.id;
    atelier.task(&id).completed().await;
    forge.hold(Some(Hold::BeforeTheAnswer));
    assert_eq!(publish(&atelier, &atelier.task(&id), &json!({})).await.status(), 202);
    wait_for("the request to be made", || forge.held() == 1).await;
    // Pressed twice, it is done once.
    assert_eq!(publish(&atelier, &atelier.task(&id), &json!({})).await.status(), 202);
    forge.hold(None);
    atelier.kill_and_start_again().await;
    assert_eq!(outcome(&atelier.task(&id)).await["state"], "opened");
    assert_eq!((forge.pulls().len(), forge.branches().len(), forge.held()), (1, 1, 1));
}
