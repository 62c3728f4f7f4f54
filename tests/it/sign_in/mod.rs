//! Signing in with an account elsewhere, against a provider on loopback.

mod provider;

use reqwest::{Response, StatusCode, header::LOCATION};
use toml::Value;

use crate::harness::{Atelier, Settings};
use provider::{CLIENT_ID, CLIENT_SECRET, Provider, Twist, User};

const ANNA: User = User { subject: "1001", login: "anna-l", email: "Anna@example.org", verified: true };
const BOB: User = User { subject: "1002", login: "bob", email: "bob@elsewhere.net", verified: true };

async fn server(kind: &str, provider: &Provider, allowed: &[&str]) -> Atelier {
    let address = if kind == "oidc" { "auth.company.issuer" } else { "auth.company.base_url" };
    let allowed: Vec<Value> = allowed.iter().map(|one| Value::from(*one)).collect();
    let settings = Settings::new()
        .set("auth.company.kind", kind)
        .set(address, provider.url())
        .set("auth.company.client_id", CLIENT_ID)
        .set("auth.company.client_secret_env", "TEST_CLIENT_SECRET")
        .set("auth.company.allowed", allowed)
        .environment("TEST_CLIENT_SECRET", CLIENT_SECRET)
        .allow_host("127.0.0.1");
    Atelier::start_with(settings).await
}

/// A browser of somebody: it keeps cookies.
struct Person {
    http: reqwest::Client,
    cookies: Vec<String>,
}

impl Person {
    fn new() -> Self {
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { http, cookies: Vec::new() }
    }

    async fn get(&mut self, address: &str) -> Response {
        let cookies = self.cookies.join("; ");
        let request = self.http.get(address).header("cookie", cookies).header("accept", "text/html");
        let answer = request.send().await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            self.cookies.push(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        }
        answer
    }

    /// To the provider: the address the login page leads to.
    async fn begin(&mut self, atelier: &Atelier) -> String {
        location(&self.get(&atelier.url("/login/company?next=/account")).await)
    }

    /// There and back.
    async fn sign_in(&mut self, atelier: &Atelier, provider: &Provider, user: &User) -> Response {
        let there = self.begin(atelier).await;
        self.get(&provider.agree(&there, user.clone())).await
    }

    /// The heading of the account page.
    async fn name(&mut self, atelier: &Atelier) -> String {
        let page = self.get(&atelier.url("/account")).await.text().await.unwrap();
        page.split("<h1>").nth(1).unwrap_or_default().split('<').next().unwrap().to_owned()
    }
}

fn location(answer: &Response) -> String {
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    answer.headers()[LOCATION].to_str().unwrap().to_owned()
}

async fn invite(atelier: &Atelier, name: &str, email: &str) {
    let form = format!("name={name}&email={email}");
    let request = atelier.request(reqwest::Method::POST, "/people/invites").body(form);
    let answer = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn who_is_allowed_signs_in_by_openid_connect_and_is_the_same_person_again() {
    let provider = Provider::start().await;
    let atelier = server("oidc", &provider, &["*@example.org"]).await;
    let login = Person::new().get(&atelier.url("/login")).await.text().await.unwrap();
    assert!(login.contains("href=\"/login/company?next="), "{login}");

    let mut anna = Person::new();
    let answer = anna.sign_in(&atelier, &provider, &ANNA).await;
    assert_eq!(location(&answer), "/account");
    assert_eq!(anna.name(&atelier).await, "anna-l");
    let mut elsewhere = Person::new();
    elsewhere.sign_in(&atelier, &provider, &ANNA).await;
    assert_eq!(elsewhere.name(&atelier).await, "anna-l");
    let people = atelier.get("/people").await.text().await.unwrap();
    assert_eq!(people.matches("company (anna-l)").count(), 1, "{people}");

    let refused = Person::new().sign_in(&atelier, &provider, &BOB).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(refused.text().await.unwrap().contains("nobody here has invited you"));
    assert!(!atelier.server_log().contains(CLIENT_SECRET));
    let settings = atelier.get("/settings").await.text().await.unwrap();
    assert!(settings.contains("TEST_CLIENT_SECRET") && !settings.contains(CLIENT_SECRET));
}

#[tokio::test]
async fn an_id_token_that_is_not_to_be_believed_lets_nobody_in() {
    let provider = Provider::start().await;
    let atelier = server("oidc", &provider, &["*@example.org"]).await;
    for twist in [Twist::Nonce, Twist::Audience, Twist::Issuer, Twist::Expired, Twist::Signature, Twist::NoSignature] {
        provider.twist(twist);
        let mut anna = Person::new();
        let answer = anna.sign_in(&atelier, &provider, &ANNA).await;
        assert_eq!(answer.status(), StatusCode::BAD_GATEWAY, "{twist:?}");
        assert!(answer.headers().get("set-cookie").is_none(), "{twist:?}");
    }
    let people = atelier.get("/people").await.text().await.unwrap();
    assert!(!people.contains("anna"), "{people}");
    provider.twist(Twist::None);
    assert_eq!(location(&Person::new().sign_in(&atelier, &provider, &ANNA).await), "/account");
}

#[tokio::test]
async fn a_login_ends_in_the_browser_it_began_in_and_once() {
    let provider = Provider::start().await;
    let atelier = server("oidc", &provider, &["*@example.org"]).await;
    let (mut anna, mut mallory) = (Person::new(), Person::new());
    // Mallory began it, and sends Anna the end of it.
    let there = mallory.begin(&atelier).await;
    let back = provider.agree(&there, BOB);
    assert_eq!(anna.get(&back).await.status(), StatusCode::BAD_REQUEST);
    // A state that nobody was given.
    let there = anna.begin(&atelier).await;
    let back = provider.agree(&there, ANNA);
    let mut wrong = url::Url::parse(&back).unwrap();
    let code = wrong.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    wrong.query_pairs_mut().clear().append_pair("code", &code).append_pair("state", "made-up");
    assert_eq!(anna.get(wrong.as_str()).await.status(), StatusCode::BAD_REQUEST);

    assert_eq!(location(&anna.get(&back).await), "/account");
    assert_eq!(anna.get(&back).await.status(), StatusCode::BAD_REQUEST, "once");
    assert_eq!(Person::new().get(&atelier.url("/login/nobody")).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_invitation_is_taken_up_by_a_verified_address_only() {
    let provider = Provider::start().await;
    let atelier = server("oidc", &provider, &[]).await;
    invite(&atelier, "Robert", "bob@elsewhere.net").await;
    let unverified = User { verified: false, ..BOB };
    assert_eq!(Person::new().sign_in(&atelier, &provider, &unverified).await.status(), StatusCode::FORBIDDEN);
    let mut bob = Person::new();
    assert_eq!(location(&bob.sign_in(&atelier, &provider, &BOB).await), "/account");
    assert_eq!(bob.name(&atelier).await, "Robert");
    assert_eq!(Person::new().sign_in(&atelier, &provider, &ANNA).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_was_removed_stays_out_until_they_are_invited_again() {
    let provider = Provider::start().await;
    let atelier = server("oidc", &provider, &["*@example.org"]).await;
    let mut anna = Person::new();
    anna.sign_in(&atelier, &provider, &ANNA).await;
    atelier.request(reqwest::Method::POST, "/people/2/remove").send().await.unwrap();
    assert_eq!(location(&anna.get(&atelier.url("/account")).await), "/login?next=%2Faccount");
    assert_eq!(Person::new().sign_in(&atelier, &provider, &ANNA).await.status(), StatusCode::FORBIDDEN);
    invite(&atelier, "Anna", "anna@example.org").await;
    let mut anna = Person::new();
    anna.sign_in(&atelier, &provider, &ANNA).await;
    assert_eq!(anna.name(&atelier).await, "Anna");
}

#[tokio::test]
async fn who_is_allowed_signs_in_with_github() {
    let provider = Provider::start().await;
    let atelier = server("github", &provider, &["login:Anna-L"]).await;
    let mut anna = Person::new();
    assert_eq!(location(&anna.sign_in(&atelier, &provider, &ANNA).await), "/account");
    assert_eq!(anna.name(&atelier).await, "anna-l");
    // Somebody else who took the login after it was given up is somebody else, by number.
    let other = User { subject: "2002", email: "x@evil.example", ..ANNA };
    let mut impostor = Person::new();
    impostor.sign_in(&atelier, &provider, &other).await;
    assert_eq!(impostor.name(&atelier).await, "anna-l 2");
    assert_eq!(Person::new().sign_in(&atelier, &provider, &BOB).await.status(), StatusCode::FORBIDDEN);
    assert!(!atelier.server_log().contains(CLIENT_SECRET) && !atelier.server_log().contains("gho_"));
}
