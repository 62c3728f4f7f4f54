//! Several people on one server: each sees their own tasks, the owner sees all.

use axum::{
    body::Body,
    http::{Method, StatusCode},
};

use super::{
    Site,
    access::routes,
    site::{Answer, Browser, request},
};
use crate::{
    domain::{task::Stage, task_id::TaskId},
    web::router::Access,
};

const GIT: &str = r#"{"source": {"git_url": "https://example.org/team/tool"}, "task": "Mend the gate"}"#;

async fn submitted(site: &Site, browser: &Browser) -> TaskId {
    let answer = browser.post_json(site, "/api/tasks", GIT).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    answer.json()["id"].as_str().unwrap().parse().unwrap()
}

fn ids(list: &Answer) -> Vec<String> {
    let list = list.json();
    list["tasks"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn r57_the_task_of_another_is_not_found_on_any_route() {
    let site = Site::new().await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    let id = submitted(&site, &bob).await;
    let logs = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(logs.join("diff.patch"), "canary").unwrap();

    let token = shown(&anna.post(&site, "/account/tokens", &[("name", "git")]).await.body, "atl_");
    let mut walked = 0;
    for (method, path, access) in routes(&site).await {
        if !path.contains("{id}") {
            continue;
        }
        if access == Access::Token {
            let path = path.replace("{id}", &format!("{id}.git"));
            let answer = with_token(&site, method.clone(), &path, &token).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
            assert_eq!(answer.body, if method == Method::HEAD { "" } else { "There is no task with this id." });
            continue;
        }
        assert_eq!(access, Access::Person, "{path}: the id of a task is in it");
        let path = path.replace("{id}", id.as_str()).replace("{*name}", "diff.patch").replace("{*path}", "a.rs");
        let answer = site.send(anna.request(method.clone(), &path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert!(!answer.body.contains("canary") && !answer.body.contains("Mend"), "{method} {path}: {}", answer.body);
        if method == Method::GET {
            assert_eq!(answer.json()["kind"], "no_such_task", "{path}");
        }
        walked += 1;
    }
    assert!(walked > 10);
    // Nothing of it was done.
    assert_eq!(bob.api(&site, &format!("/api/tasks/{id}")).await.json()["status"], "queued");
    assert_eq!(bob.api(&site, &format!("/logs/{id}/diff.patch")).await.body, "canary");
    assert_eq!(site.get(&format!("/api/tasks/{id}")).await.status, StatusCode::OK, "the owner sees it");
    assert_eq!(site.get("/api/tasks").await.json()["tasks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn r57_lists_counts_usage_and_exports_hold_ones_own_tasks_only() {
    let site = Site::new().await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    let (hers, his) = (submitted(&site, &anna).await, submitted(&site, &bob).await);
    let of_owner = site.post_json("/api/tasks", GIT).await.json()["id"].as_str().unwrap().to_owned();
    let db = &site.state.db;
    db.claim_next(Vec::new()).await.unwrap();
    db.enter_stage(&hers, Stage::Agent).await.unwrap();
    let usage = crate::domain::usage::Usage { input_tokens: 1200, output_tokens: 34, ..Default::default() };
    db.record(&hers, crate::db::Record { usage, steps: 1, ..Default::default() }).await.unwrap();

    assert_eq!(ids(&anna.api(&site, "/api/tasks").await), [hers.as_str()]);
    assert_eq!(ids(&bob.api(&site, "/api/tasks").await), [his.as_str()]);
    assert_eq!(ids(&bob.api(&site, "/api/tasks?status=running").await), [""; 0]);
    assert_eq!(ids(&site.get("/api/tasks").await), [of_owner.as_str(), his.as_str(), hers.as_str()]);
    let page = bob.get(&site, "/").await.body;
    assert!(page.contains(his.as_str()) && !page.contains(hers.as_str()) && !page.contains(&of_owner), "{page}");
    assert!(page.contains("queued <span class=\"count\">1</span>"), "{page}");

    assert_eq!(anna.api(&site, "/api/usage").await.json()["input_tokens"], 1200);
    assert_eq!(bob.api(&site, "/api/usage").await.json()["input_tokens"], 0);
    assert_eq!(site.get("/api/usage").await.json()["input_tokens"], 1200);

    db.end_task(&hers, crate::db::Ending::Completed).await.unwrap();
    let looked_at = |report: Answer| report.json()["left_out"].as_array().unwrap().len();
    assert_eq!(looked_at(anna.api(&site, "/api/export/report?rating=any").await), 1);
    assert_eq!(looked_at(bob.api(&site, "/api/export/report?rating=any").await), 0);
}

#[tokio::test]
async fn r55_what_is_the_owners_is_refused_to_others() {
    let site = Site::new().await;
    let anna = site.person("Anna").await;
    for (method, path, access) in routes(&site).await {
        let path = path.replace("{person}", "1").replace("{invite}", "1");
        if access == Access::Owner && method != Method::HEAD {
            let answer = site.send(anna.request(method.clone(), &path).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path}");
            assert_eq!(answer.json()["kind"], "owner_only");
        }
    }
    assert_eq!(site.send(request(Method::GET, "/settings").body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    assert!(!anna.get(&site, "/").await.body.contains("/people"));
}

#[tokio::test]
async fn r57_the_settings_show_others_what_concerns_their_tasks_only() {
    let site = Site::with("[agent]\nmax_steps = 77\n[llm.providers.mine]\nkind = 'ollama'").await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    let (hers, his) = (submitted(&site, &anna).await, submitted(&site, &bob).await);
    let usage = crate::domain::usage::Usage { input_tokens: 4321, ..Default::default() };
    site.state.db.note_usage(crate::domain::person::PersonId::OWNER, usage).await.unwrap();

    let page = anna.get(&site, "/settings").await.body;
    assert!(page.contains(hers.as_str()) && !page.contains(his.as_str()), "{page}");
    assert!(page.contains("<code>max_steps</code>") && page.contains("<code>77</code>"), "{page}");
    for of_owner in ["4\u{202f}321", "Bob", "mine", "Docker", "data_dir", "docker_host"] {
        assert!(!page.contains(of_owner), "{of_owner}: {page}");
    }
    let page = site.get("/settings").await.body;
    let place = |id: &TaskId, name: &str| {
        let row = page.split("<li value=").find(|row| row.contains(id.as_str())).unwrap();
        assert!(row.contains(&format!("by {name}")), "{row}");
        row.split('"').nth(1).unwrap().to_owned()
    };
    assert_eq!((place(&hers, "Anna"), place(&his, "Bob")), ("1".to_owned(), "2".to_owned()));
    assert!(page.contains("4\u{202f}321") && page.contains("of $50.00"), "{page}");
    assert!(page.contains("[agent] max_cost_usd_per_day · default"), "each value says where it is from: {page}");
}

#[tokio::test]
async fn whose_a_task_is_stands_on_list_and_page_where_several_are_here() {
    let site = Site::new().await;
    let alone: TaskId = site.post_json("/api/tasks", GIT).await.json()["id"].as_str().unwrap().parse().unwrap();
    assert!(!site.get("/").await.body.contains("<span>owner</span>"));
    assert!(!site.get(&format!("/tasks/{alone}")).await.body.contains("by owner"));
    let anna = site.person("Anna").await;
    let hers = submitted(&site, &anna).await;
    let list = site.get("/").await.body;
    assert!(list.contains("<span>Anna</span>"), "{list}");
    assert!(site.get(&format!("/tasks/{hers}")).await.body.contains("by Anna"));
    assert!(!anna.get(&site, "/").await.body.contains("<span>Anna</span>"), "she sees only her own");
}

#[tokio::test]
async fn somebody_takes_another_name_and_logs_in_by_it() {
    let site = Site::new().await;
    let owner = site.owner().await;
    let anna = invited(&site, &owner, "Anna").await;
    site.person("Bob").await;
    for (taken, reason) in [("bob", "somebody else has this name"), (" ", "at most 60 characters")] {
        let refused = anna.post(&site, "/account/name", &[("name", taken)]).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.body.contains(reason), "{}", refused.body);
    }
    assert_eq!(anna.post(&site, "/account/name", &[("name", "ANNA")]).await.status, StatusCode::SEE_OTHER, "her own");
    assert_eq!(anna.post(&site, "/account/name", &[("name", "Anna Li")]).await.status, StatusCode::SEE_OTHER);
    assert!(anna.get(&site, "/").await.body.contains("Anna Li"));
    let log_in = async |name: &str| {
        Site::stranger().post(&site, "/login", &[("name", name), ("password", PASSWORD)]).await.status
    };
    assert_eq!((log_in("anna").await, log_in("anna li").await), (StatusCode::UNAUTHORIZED, StatusCode::SEE_OTHER));
}

/// What the forms of the page name, in their order.
fn named_sessions(page: &str) -> Vec<String> {
    let values = page.split("name=\"session\" value=\"").skip(1);
    values.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn r55_one_session_is_ended_by_its_person_or_by_the_owner() {
    let site = Site::new().await;
    let owner = site.owner().await;
    let here = invited(&site, &owner, "Anna").await;
    let log_in = async || {
        let form = [("name", "Anna"), ("password", PASSWORD)];
        Site::stranger().post(&site, "/login", &form).await.logged_in()
    };
    let elsewhere = log_in().await;
    let sessions = named_sessions(&here.get(&site, "/account").await.body);
    assert_eq!(sessions.len(), 1, "the one she reads it in has no button");
    let bob = site.person("Bob").await;
    bob.post(&site, "/account/sessions/end", &[("session", &sessions[0])]).await;
    assert_eq!(elsewhere.api(&site, "/api/tasks").await.status, StatusCode::OK, "another's stays");
    here.post(&site, "/account/sessions/end", &[("session", &sessions[0])]).await;
    assert_eq!(elsewhere.api(&site, "/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(here.api(&site, "/api/tasks").await.status, StatusCode::OK);

    let again = log_in().await;
    let anna = site.state.db.names().await.unwrap().into_iter().find(|(_, name)| name == "Anna").unwrap().0;
    let page = owner.get(&site, &format!("/people/{anna}")).await.body;
    let newest = &named_sessions(&page)[0];
    owner.post(&site, &format!("/people/{anna}/sessions/end"), &[("session", newest)]).await;
    assert_eq!(again.api(&site, "/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(here.api(&site, "/api/tasks").await.status, StatusCode::OK);
}

#[tokio::test]
async fn r55_a_login_makes_a_new_session_and_ends_the_one_before() {
    let site = Site::new().await;
    let anna = site.person("Anna").await;
    let link = format!("/login?token={}", super::site::TOKEN);
    let answer = site.send(anna.request(Method::GET, &link).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(anna.api(&site, "/api/tasks").await.status, StatusCode::UNAUTHORIZED);
}

/// The secret in the address that a page shows once.
fn shown(page: &str, start: &str) -> String {
    let from = page.find(start).unwrap_or_else(|| panic!("no {start} in {page}"));
    page[from..].split('<').next().unwrap().to_owned()
}

const PASSWORD: &str = "correct horse battery";

async fn invited(site: &Site, owner: &Browser, name: &str) -> Browser {
    let answer = owner.post(site, "/people/invites", &[("name", name), ("email", "")]).await;
    let link = shown(&answer.body, "http://localhost:8080/invite/").replace("http://localhost:8080", "");
    Site::stranger().post(site, &link, &[("password", PASSWORD)]).await.logged_in()
}

async fn log_in(site: &Site, name: &str, password: &str) -> Answer {
    Site::stranger().post(site, "/login", &[("name", name), ("password", password)]).await
}

#[tokio::test]
async fn an_invitation_leads_one_person_in_once() {
    let site = Site::new().await;
    let owner = site.owner().await;
    let made = owner.post(&site, "/people/invites", &[("name", " Anna Li "), ("email", "Anna@Example.org")]).await;
    let link = shown(&made.body, "http://localhost:8080/invite/").replace("http://localhost:8080", "");
    assert!(link.len() >= "/invite/".len() + 22, "{link}");
    let database = std::fs::read(site.state.data_dir.database()).unwrap();
    let secret = link.trim_start_matches("/invite/").as_bytes();
    assert!(!database.windows(secret.len()).any(|window| window == secret));
    assert!(owner.get(&site, "/people").await.body.contains("anna@example.org"));

    let stranger = Site::stranger();
    for _ in 0..2 {
        assert!(stranger.get(&site, &link).await.body.contains("Welcome, Anna Li"), "looking takes nothing up");
    }
    assert_eq!(stranger.post(&site, &link, &[("password", "short")]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let anna = stranger.post(&site, &link, &[("password", PASSWORD)]).await.logged_in();
    assert_eq!(anna.get(&site, "/").await.status, StatusCode::OK);
    assert_eq!(stranger.post(&site, &link, &[("password", PASSWORD)]).await.status, StatusCode::NOT_FOUND);

    assert_eq!(
        log_in(&site, "anna li", PASSWORD).await.logged_in().get(&site, "/account").await.status,
        StatusCode::OK
    );
    for (name, password) in [("anna li", "wrong"), ("nobody", PASSWORD), ("owner", ""), ("", "")] {
        assert_eq!(log_in(&site, name, password).await.status, StatusCode::UNAUTHORIZED, "{name} {password}");
    }
    let again = owner.post(&site, "/people/invites", &[("name", "ANNA LI"), ("email", "")]).await;
    assert!(again.status == StatusCode::UNPROCESSABLE_ENTITY && again.body.contains("somebody else has this name"));
}

#[tokio::test]
async fn an_invitation_that_is_over_or_taken_back_leads_nowhere() {
    let site = Site::new().await;
    let owner = site.owner().await;
    let mut links = Vec::new();
    for name in ["Anna", "Bob"] {
        let made = owner.post(&site, "/people/invites", &[("name", name), ("email", "")]).await;
        links.push(shown(&made.body, "http://localhost:8080/invite/").replace("http://localhost:8080", ""));
    }
    let invite = site.state.db.invites().await.unwrap().into_iter().find(|invite| invite.name == "Anna").unwrap();
    owner.post(&site, &format!("/people/invites/{}/take-back", invite.id), &[]).await;
    assert_eq!(Site::stranger().get(&site, &links[0]).await.status, StatusCode::NOT_FOUND);
    assert_eq!(Site::stranger().get(&site, &links[1]).await.status, StatusCode::OK);
    crate::wall_clock::shifted::set(jiff::SignedDuration::from_hours(8 * 24));
    assert_eq!(Site::stranger().get(&site, &links[1]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn r55_five_wrong_passwords_a_minute_for_one_name_are_enough() {
    let site = Site::new().await;
    let anna = invited(&site, &site.owner().await, "Anna").await;
    for _ in 0..5 {
        assert_eq!(log_in(&site, "Anna", "wrong wrong wrong").await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(log_in(&site, "anna", PASSWORD).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(anna.get(&site, "/").await.status, StatusCode::OK, "who is in stays in");
}

#[tokio::test]
async fn r55_a_new_password_ends_the_other_sessions() {
    let site = Site::new().await;
    let anna = invited(&site, &site.owner().await, "Anna").await;
    let elsewhere = log_in(&site, "Anna", PASSWORD).await.logged_in();
    let wrong = [("current", "not mine at all"), ("password", "another long one")];
    assert_eq!(anna.post(&site, "/account/password", &wrong).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(elsewhere.get(&site, "/account").await.status, StatusCode::OK);

    let right = [("current", PASSWORD), ("password", "another long one")];
    assert_eq!(anna.post(&site, "/account/password", &right).await.status, StatusCode::OK);
    assert_eq!(anna.get(&site, "/account").await.status, StatusCode::OK);
    assert_eq!(elsewhere.api(&site, "/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&site, "Anna", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    log_in(&site, "Anna", "another long one").await.logged_in();
}

/// A request of a program.
async fn with_token(site: &Site, method: Method, path: &str, token: &str) -> Answer {
    let request = super::site::anonymous(method, path).header("authorization", format!("Bearer {token}"));
    site.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_token_stands_for_its_person_until_it_is_revoked() {
    let site = Site::new().await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    let (hers, _) = (submitted(&site, &anna).await, submitted(&site, &bob).await);
    let made = anna.post(&site, "/account/tokens", &[("name", "ci")]).await;
    let token = shown(&made.body, "atl_");
    assert!(!anna.get(&site, "/account").await.body.contains(&token), "shown once");
    let database = std::fs::read(site.state.data_dir.database()).unwrap();
    assert!(!database.windows(token.len()).any(|window| window == token.as_bytes()));

    assert_eq!(ids(&with_token(&site, Method::GET, "/api/tasks", &token).await), [hers.as_str()]);
    let listed = || async { site.state.db.api_tokens_of(crate::domain::person::PersonId(2)).await.unwrap().remove(0) };
    while listed().await.seen_at.is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    for (method, path) in [(Method::GET, "/account"), (Method::POST, "/account/tokens"), (Method::GET, "/people")] {
        assert_eq!(with_token(&site, method, path, &token).await.status, StatusCode::FORBIDDEN, "{path}");
    }

    let revoke = format!("/account/tokens/{}/revoke", listed().await.id);
    bob.post(&site, &revoke, &[]).await;
    assert_eq!(with_token(&site, Method::GET, "/api/tasks", &token).await.status, StatusCode::OK, "not his to revoke");
    anna.post(&site, &revoke, &[]).await;
    assert_eq!(with_token(&site, Method::GET, "/api/tasks", &token).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_is_removed_is_out_at_once_also_of_open_streams_and_their_tasks_stay() {
    let site = Site::new().await;
    let owner = site.owner().await;
    let anna = invited(&site, &owner, "Anna").await;
    let id = submitted(&site, &anna).await;
    let token = shown(&anna.post(&site, "/account/tokens", &[("name", "ci")]).await.body, "atl_");
    let streams: Vec<_> = [format!("/api/tasks/{id}/events"), format!("/tasks/{id}/live"), "/live".to_owned()]
        .into_iter()
        .map(|path| {
            let (router, request) =
                (site.router.clone(), anna.request(Method::GET, &path).body(Body::empty()).unwrap());
            tokio::spawn(async move {
                let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
                axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap()
            })
        })
        .collect();

    let person = site.state.db.people().await.unwrap().into_iter().find(|known| known.person.name == "Anna").unwrap();
    owner.post(&site, &format!("/people/{}/remove", person.person.id), &[]).await;

    for stream in streams {
        tokio::time::timeout(std::time::Duration::from_secs(5), stream).await.expect("the stream ends").unwrap();
    }
    assert_eq!(anna.api(&site, "/api/tasks").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(with_token(&site, Method::GET, "/api/tasks", &token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(log_in(&site, "Anna", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    let task = site.get(&format!("/api/tasks/{id}")).await.json();
    assert_eq!((task["status"].as_str(), task["owner"].as_str()), (Some("queued"), Some("Anna")));
    owner.post(&site, "/people/1/remove", &[]).await;
    assert_eq!(owner.get(&site, "/people").await.status, StatusCode::OK, "the owner cannot be removed");
}

#[tokio::test]
async fn people_take_turns_also_over_a_restart() {
    let site = Site::new().await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    let mut hers = Vec::new();
    for _ in 0..5 {
        hers.push(submitted(&site, &anna).await);
    }
    let his = [submitted(&site, &bob).await, submitted(&site, &bob).await];
    let place = async |browser: &Browser, id: &TaskId| {
        browser.api(&site, &format!("/api/tasks/{id}")).await.json()["queue"].clone()
    };
    let db = &site.state.db;
    let mut started = Vec::new();
    let start_and_end = async |db: &crate::db::Db| {
        let id = db.claim_next(Vec::new()).await.unwrap().unwrap().task.id;
        db.end_task(&id, crate::db::Ending::Completed).await.unwrap();
        id
    };
    started.push(start_and_end(db).await);
    let waits = place(&bob, &his[0]).await;
    assert_eq!((waits["position"].as_u64(), waits["reason"].as_str()), (Some(1), Some("next")));
    let waits = place(&anna, &hers[2]).await;
    assert_eq!(waits["position"].as_u64(), Some(4), "{waits}");
    assert!(waits["message"].as_str().unwrap().contains("people take turns"), "{waits}");
    let again = crate::db::Db::open(&site.state.data_dir.database()).await.unwrap();
    while started.len() < 7 {
        started.push(start_and_end(&again).await);
    }
    let expected = [&hers[0], &his[0], &hers[1], &his[1], &hers[2], &hers[3], &hers[4]];
    assert_eq!(started.iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_list_shows_first_who_starts_next_also_when_many_wait() {
    let site = Site::new().await;
    let bob = site.person("Bob").await;
    for _ in 0..25 {
        assert_eq!(site.post_json("/api/tasks", GIT).await.status, StatusCode::CREATED);
    }
    let his = submitted(&site, &bob).await;
    let list = site.get("/").await.body;
    let rows: Vec<&str> = list.split("<li class=\"task-row\"").skip(1).collect();
    assert_eq!(rows.len(), 20, "the others are a link away");
    assert!(rows[0].contains("Next in line"), "{}", rows[0]);
    assert!(rows[1].contains(&format!("row-{his}")) && rows[1].contains("Place 2 in line; people take turns"));
    for (row, place) in rows[1..].iter().zip(2..) {
        assert!(row.contains(&format!("Place {place} in line")), "{row}");
    }
}

#[tokio::test]
async fn r59_of_a_flood_as_many_are_taken_as_fit_and_nothing_half_made_stays() {
    let site = Site::new().await;
    let answers = futures_util::future::join_all((0..1500).map(|number| {
        let site = &site;
        async move {
            // Some bring an archive.
            match number % 50 {
                0 => {
                    let zip = super::submitting::zip();
                    site.post_form("/api/tasks", &[("task", "Go.")], Some(("a.zip", &zip))).await
                }
                _ => site.post_json("/api/tasks", GIT).await,
            }
        }
    }))
    .await;
    let with = |status: StatusCode| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((with(StatusCode::CREATED), with(StatusCode::TOO_MANY_REQUESTS)), (1000, 500));
    let refused = answers.iter().find(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS).unwrap();
    assert_eq!(refused.header(axum::http::header::RETRY_AFTER), "60");
    let all = crate::domain::person::Scope::All;
    assert_eq!(site.state.db.count_tasks(all, crate::domain::task::Status::Queued).await.unwrap(), 1000);
    assert_eq!(std::fs::read_dir(site.state.data_dir.tasks()).unwrap().count(), 1000);
    assert_eq!(site.uploads(), 0);
}

#[tokio::test]
async fn r59_one_person_cannot_fill_the_queue() {
    let site = Site::with("[queue]\nmax_queued_per_person = 2").await;
    let (anna, bob) = (site.person("Anna").await, site.person("Bob").await);
    for _ in 0..2 {
        submitted(&site, &anna).await;
    }
    let full = anna.post_json(&site, "/api/tasks", GIT).await;
    assert_eq!(full.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(full.json()["kind"], "person_queue_full");
    assert_eq!(full.header(axum::http::header::RETRY_AFTER), "60");
    submitted(&site, &bob).await;
    for _ in 0..3 {
        assert_eq!(site.post_json("/api/tasks", GIT).await.status, StatusCode::CREATED, "the owner may");
    }
}

#[tokio::test]
async fn r53_no_form_of_another_site_is_taken_and_looking_changes_nothing() {
    let site = Site::new().await;
    let owner = site.owner().await;
    let id = submitted(&site, &owner).await;
    let stored = || {
        let read = |end: &str| std::fs::read(format!("{}{end}", site.state.data_dir.database().display())).unwrap();
        (read(""), read("-wal"))
    };
    let before = stored();
    for (method, path, access) in routes(&site).await {
        let path = super::access::example(path).replace("20261120_abcdefghijkl", id.as_str());
        if method == Method::GET && path != "/live" && !path.ends_with("/live") && !path.ends_with("/events") {
            owner.get(&site, &path).await;
        }
        if method == Method::POST {
            for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
                let mut request = owner.request(method.clone(), &path).body(Body::empty()).unwrap();
                request.headers_mut().remove("sec-fetch-site");
                request.headers_mut().insert(name, value.parse().unwrap());
                // Where git asks, a cookie is worth nothing.
                let refused = if access == Access::Token { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
                assert_eq!(site.send(request).await.status, refused, "{method} {path} {name}");
            }
        }
    }
    assert!(stored() == before, "something was written");
}

#[tokio::test]
async fn r57_a_path_that_leads_out_leads_nowhere() {
    let site = Site::new().await;
    let anna = site.person("Anna").await;
    let id = submitted(&site, &anna).await;
    let logs = site.state.data_dir.task_logs(&id);
    std::fs::create_dir_all(&logs).unwrap();
    std::fs::write(site.state.data_dir.path().join("canary"), "canary-5512").unwrap();
    for name in [
        "../../canary",
        "..%2f..%2fcanary",
        "%2e%2e/%2e%2e/canary",
        "..%5c..%5ccanary",
        "%00",
        "/etc/passwd",
        "//etc/passwd",
        "a/../../../canary",
    ] {
        for base in [format!("/logs/{id}"), format!("/tasks/{id}/source")] {
            let answer = anna.api(&site, &format!("{base}/{name}")).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{base}/{name}");
            assert!(!answer.body.contains("canary-5512") && !answer.body.contains("root:"), "{base}/{name}");
        }
    }
    for id in ["0", "-1", "99999999999999999999", "..", "%2e%2e", "20261120_AAAAAAAAAAAA"] {
        assert_eq!(anna.api(&site, &format!("/api/tasks/{id}")).await.status, StatusCode::NOT_FOUND, "{id}");
    }
}
