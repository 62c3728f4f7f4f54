//! A task with a pull request goes on: one request, a commit a turn.

use serde_json::json;

use super::{LAST_WORD, forge, submit};
use crate::{
    forges::ALL,
    harness::Atelier,
    model_server::{ModelServer, Reply},
    turns::{completed, run, tell},
};

#[tokio::test]
async fn each_turn_is_a_further_commit_of_the_same_request() {
    for kind in ALL {
        let forge = forge(kind).await;
        let model = ModelServer::start().await;
        let atelier = Atelier::start_with(forge.settings().model("openai", &model.url())).await;
        model.will(run("echo hello > greeting.txt"));
        model.will(Reply::text(LAST_WORD));
        let id = submit(&atelier, &forge, "pr").await.id;
        let first = atelier.task(&id).completed().await;
        let branch = format!("atelier/{id}");
        let commit = forge.git(&["rev-parse", &branch]);
        // The other branch moves on, in a file that the turn does not touch.
        forge.commit("main", &[("other.txt", "two\n")]);

        model.will(run("echo hello you > greeting.txt && echo new > new.txt"));
        model.will(Reply::text("Title: Greet whoever reads\n\nNow it says who."));
        tell(&atelier, &id, "Say who is greeted.").await;
        let second = completed(&atelier, &id, 2).await;

        assert_eq!(second["pull_request"], first["pull_request"], "{kind:?}");
        assert_eq!((forge.pulls().len(), forge.branches().len()), (1, 1));
        assert_eq!(forge.git(&["rev-parse", &format!("{branch}^")]), commit, "a further commit, {kind:?}");
        assert_eq!(forge.git(&["log", "-1", "--format=%s", &branch]), "Greet whoever reads");
        assert_eq!(forge.git(&["show", &format!("{branch}:greeting.txt")]), "hello you");
        let changed = forge.git(&["diff", "--name-only", &format!("{branch}^"), &branch]);
        assert_eq!(changed, "greeting.txt\nnew.txt", "nothing of the other branch");

        // Merged meanwhile: the next turn is left out, and says so.
        forge.close(1);
        model.will(run("echo third > new.txt"));
        model.will(Reply::text("Third."));
        tell(&atelier, &id, "Once more.").await;
        completed(&atelier, &id, 3).await;
        assert_eq!(forge.git(&["log", "-1", "--format=%s", &branch]), "Greet whoever reads");
        let warnings = json!(atelier.task(&id).events_of("warning").await).to_string();
        assert!(warnings.contains("not in the pull request"), "{warnings}");
    }
}
