//! A share link, made by one person and opened by another who has no login.

use serde_json::json;

use crate::harness::{Atelier, Browser, Zip, leap_year};

#[tokio::test]
async fn r56_a_link_opens_in_a_clean_browser_until_it_is_revoked() {
    let atelier = Atelier::start().await;
    let task = atelier.submit_zip(Zip::new().folder(&leap_year()), "Mend the tests.", &[]).await;
    task.completed().await;
    let owner = Browser::open().await;
    owner.page.goto(&atelier.login_link(&format!("/tasks/{}/share", task.id))).await.unwrap();
    owner.click(".share-form button.primary").await;
    let link = owner.sees("#share-link").await.text().await.unwrap();

    let visitor = Browser::open().await;
    visitor.page.goto(&link).await.unwrap();
    visitor.reads("What was wrong").await;
    let buttons = "return [...document.querySelectorAll('main button')].filter(b => b.form?.method === 'post').length";
    assert_eq!(visitor.page.execute(buttons, vec![]).await.unwrap(), json!(0));
    visitor.click("#outcome a[href$='/diff']").await;
    visitor.reads("year % 400 == 0").await;
    assert!(visitor.page.current_url().await.unwrap().as_str().starts_with(&link));

    visitor.complains_of_nothing().await;
    owner.click(".shares button.danger").await;
    owner.reads("None yet.").await;
    owner.complains_of_nothing().await;
    visitor.page.refresh().await.unwrap();
    visitor.reads("This link opens nothing").await;
    visitor.page.goto(&link).await.unwrap();
    visitor.reads("This link opens nothing").await;
    assert!(visitor.page.current_url().await.unwrap().as_str().starts_with(&link), "nothing leads to a login");
}

#[tokio::test]
async fn r56_a_link_is_made_and_revoked_in_a_dialog_of_the_task() {
    let atelier = Atelier::start().await;
    let task = atelier.submit_zip(Zip::new().folder(&leap_year()), "Mend the tests.", &[]).await;
    task.completed().await;
    let owner = Browser::open().await;
    let path = format!("/tasks/{}", task.id);
    owner.page.goto(&atelier.login_link(&path)).await.unwrap();
    owner.click("[data-share]").await;
    owner.sees("dialog#share[open] .share-form").await;
    owner.click("#share input[value=diff]").await;
    owner.click("#share .share-form button.primary").await;
    let link = owner.sees("#share #share-link").await.text().await.unwrap();
    assert_eq!(owner.page.current_url().await.unwrap().path(), path, "the page of the task stays");

    let visitor = Browser::open().await;
    visitor.page.goto(&link).await.unwrap();
    visitor.reads("year % 400 == 0").await;
    owner.click("#share .shares button.danger").await;
    owner.reads("None yet.").await;
    visitor.page.refresh().await.unwrap();
    visitor.reads("This link opens nothing").await;
    owner.click("#share form[method=dialog] button").await;
    owner.does_not_read("Share by a link").await;
    owner.complains_of_nothing().await;
}
