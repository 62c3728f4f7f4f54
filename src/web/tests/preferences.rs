//! The switches at the foot of every page.

use axum::{
    body::Body,
    http::{Method, StatusCode, header},
};

use super::{Site, site::anonymous};

#[tokio::test]
async fn theme_and_language_hold_without_a_login_and_nothing_flashes() {
    let site = Site::new().await;
    let chosen = async |fields: &str| {
        let asked = anonymous(Method::POST, "/preferences")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(fields.to_owned()));
        site.send(asked.unwrap()).await
    };
    let answer = chosen("theme=dark&next=/login").await;
    assert_eq!((answer.status, answer.header(header::LOCATION)), (StatusCode::SEE_OTHER, "/login"));
    let theme = answer.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    let language = chosen("language=zh-CN").await.header(header::SET_COOKIE).split(';').next().unwrap().to_owned();
    let with = anonymous(Method::GET, "/login").header(header::COOKIE, format!("{theme}; {language}"));
    let page = site.send(with.header(header::ACCEPT, "text/html").body(Body::empty()).unwrap()).await.body;
    assert!(page.contains("<html lang=\"zh-CN\" data-theme=\"dark\""), "{page}");
    assert!(page.contains("value=\"dark\" aria-pressed=\"true\"") && page.contains("content=\"dark\""), "{page}");

    for taken_back in ["theme=system", "language=browser"] {
        assert!(chosen(taken_back).await.header(header::SET_COOKIE).contains("Max-Age=0"), "{taken_back}");
    }
    assert_eq!(chosen("theme=light&next=//evil.example").await.header(header::LOCATION), "/");
    for bad in ["theme=pink", "language=xx"] {
        assert_eq!(chosen(bad).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}
