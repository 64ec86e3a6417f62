//! The pages in a real browser: Chromium without a window, driven through
//! ChromeDriver, against a real server. Screenshots go to `target/screenshots/`.
//!
//! Needs `chromedriver` on the PATH, so it is run by its name only:
//! `cargo test --test browser`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::{Client, ClientBuilder, Locator};
use portcullis::app::Application;
use portcullis::auth::users::Profile;
use portcullis::settings::{Settings, Values};
use serde_json::json;

const USERNAME: &str = "user123";
const PASSWORD: &str = "securepassword";

/// ChromeDriver on a port of its own, ended with the value.
struct Driver {
    process: Child,
    url: String,
}

impl Driver {
    fn start() -> Self {
        let mut process = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .spawn()
            .expect("chromedriver on the PATH (Debian: chromium-driver)");
        let stdout = process.stdout.take().expect("its output");
        // «ChromeDriver was started successfully on port 12345.»
        let port = BufReader::new(stdout)
            .lines()
            .map(|line| line.expect("a line"))
            .find_map(|line| {
                let rest = line.split_once("started successfully on port ")?.1;
                Some(rest.trim_end_matches('.').to_owned())
            })
            .expect("ChromeDriver starts");
        let url = format!("http://127.0.0.1:{port}");
        Self { process, url }
    }

    async fn browser(&self, profile: &std::path::Path, width: u32) -> Client {
        let arguments = [
            "--headless".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        // A window cannot be as narrow as a phone; an emulated screen can.
        let screen = json!({"width": width, "height": 800, "pixelRatio": 1, "touch": false});
        let capabilities = json!({
            "goog:chromeOptions": {
                "args": arguments,
                "mobileEmulation": {"deviceMetrics": screen},
            },
        });
        ClientBuilder::new(hyper_connector())
            .capabilities(capabilities.as_object().expect("an object").clone())
            .connect(&self.url)
            .await
            .expect("a browser")
    }
}

fn hyper_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Site {
    url: String,
    _folder: tempfile::TempDir,
}

async fn start_site() -> Site {
    let folder = tempfile::tempdir().expect("a folder");
    let database = format!("sqlite://{}", folder.path().join("browser.db").display());
    let values = Values::from_flags([
        ("DATABASE_URL", database),
        ("PORTCULLIS_BIND", "127.0.0.1:0".to_owned()),
        ("PORTCULLIS_PASSWORD_COST", "4".to_owned()),
    ])
    .expect("settings");
    let settings = Settings::new(values).expect("settings");
    let application = Application::build(&settings).expect("a server");
    let auth = application.auth();
    let encoded = auth
        .passwords
        .hash(PASSWORD.to_owned())
        .await
        .expect("a hash");
    let profile = Profile {
        username: USERNAME.to_owned(),
        email: "user123@example.com".to_owned(),
        first_name: "Ada".to_owned(),
        last_name: "Lovelace".to_owned(),
        ..Default::default()
    };
    assert!(auth.users.create(profile, encoded).await.expect("a user"));
    let url = format!("http://127.0.0.1:{}", application.port());
    actix_web::rt::spawn(application.run_until_stopped());
    Site {
        url,
        _folder: folder,
    }
}

/// A person at a browser of their own, before a site of their own. The fields
/// end in this order.
struct Person {
    browser: Client,
    _driver: Driver,
    _profile: tempfile::TempDir,
    site: Site,
}

impl Person {
    /// Sits down before a screen of that width, in pixels.
    async fn at_screen(width: u32) -> Self {
        let site = start_site().await;
        let driver = Driver::start();
        let profile = tempfile::tempdir().expect("a folder");
        Self {
            browser: driver.browser(profile.path(), width).await,
            _driver: driver,
            _profile: profile,
            site,
        }
    }

    async fn closes_the_browser(self) {
        self.browser.close().await.expect("closed");
    }

    async fn goes_to(&self, path: &str) {
        let url = format!("{}{path}", self.site.url);
        self.browser.goto(&url).await.expect(path);
    }

    async fn is_at(&self, path: &str) {
        let url = self.browser.current_url().await.expect("a URL");
        assert_eq!(url.as_str(), format!("{}{path}", self.site.url));
    }

    /// Types into the fields as a person does, and presses Enter.
    async fn logs_in(&self, username: &str, password: &str) {
        for (name, text) in [("username", username), ("password", password)] {
            let field = self.find(&format!("input[name={name}]")).await;
            field.clear().await.expect("an empty field");
            field.send_keys(text).await.expect("typing");
        }
        self.clicks("main form button").await;
    }

    async fn find(&self, css: &str) -> fantoccini::elements::Element {
        self.browser
            .wait()
            .at_most(Duration::from_secs(10))
            .for_element(Locator::Css(css))
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    async fn clicks(&self, css: &str) {
        self.find(css).await.click().await.expect(css);
    }

    async fn reads(&self) -> String {
        self.find("main").await.text().await.expect("text")
    }

    async fn waits_for(&self, text: &str) {
        let path = format!("//main[contains(., \"{text}\")]");
        self.browser
            .wait()
            .at_most(Duration::from_secs(10))
            .for_element(Locator::XPath(&path))
            .await
            .unwrap_or_else(|error| panic!("{text}: {error}"));
    }

    /// Wherever the login led, its page has come.
    async fn waits_for_account_or_404(&self) {
        self.find("main").await;
        let path = "//main[not(.//input[@name='password'])]";
        self.browser
            .wait()
            .at_most(Duration::from_secs(10))
            .for_element(Locator::XPath(path))
            .await
            .expect("another page than the form");
    }

    /// Keeps a picture of the page.
    async fn looks(&self, name: &str) {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/screenshots");
        std::fs::create_dir_all(&folder).expect("a folder");
        let picture = self.browser.screenshot().await.expect("a picture");
        std::fs::write(folder.join(format!("{name}.png")), picture).expect("a file");
    }

    /// What must hold on every page: nothing is cut off at the side, and the
    /// strict policy has let the stylesheet in.
    async fn finds_the_page_sound(&self) {
        let script = "return [...document.styleSheets].flatMap(s => [...s.cssRules]).length";
        let rules = self
            .browser
            .execute(script, vec![])
            .await
            .expect("a number");
        assert!(
            rules.as_i64().expect("a number") > 10,
            "{rules} style rules"
        );

        let script = "return document.documentElement.scrollWidth - window.innerWidth";
        let over = self
            .browser
            .execute(script, vec![])
            .await
            .expect("a number");
        assert!(
            over.as_i64().expect("a number") <= 0,
            "scrolls sideways by {over}"
        );
    }
}

#[actix_web::test]
async fn a_person_logs_in_sees_the_account_and_logs_out() {
    for width in [320, 1280] {
        let person = Person::at_screen(width).await;
        let browser = &person.browser;

        person.goes_to("/account/").await;
        person.is_at("/login/?next=/account/").await;
        person.looks(&format!("login-{width}")).await;
        person.finds_the_page_sound().await;
        let focused = "return document.activeElement.name";
        let name = browser.execute(focused, vec![]).await.expect("a name");
        assert_eq!(name, "username", "the first field has the focus");

        person.logs_in(USERNAME, "wrong").await;
        let alert = person.find("[role=alert]").await;
        assert!(!alert.text().await.expect("text").is_empty());
        person.looks(&format!("login-error-{width}")).await;
        person.finds_the_page_sound().await;

        person.logs_in(USERNAME, PASSWORD).await;
        person.waits_for("user123@example.com").await;
        person.is_at("/account/").await;
        assert!(person.reads().await.contains("Ada Lovelace"));
        person.looks(&format!("account-{width}")).await;
        person.finds_the_page_sound().await;

        let cookies = "return document.cookie";
        let seen = browser.execute(cookies, vec![]).await.expect("cookies");
        let seen = seen.as_str().expect("text").to_owned();
        assert!(!seen.contains("sessionid"), "no script sees the session");

        person.clicks("button[name=show_token]").await;
        let token = person.find("main code").await.text().await.expect("text");
        let digits = token.chars().filter(char::is_ascii_hexdigit).count();
        assert!(digits >= 40, "{token}");
        person.looks(&format!("account-token-{width}")).await;

        person.clicks("form[action='/logout/'] button").await;
        person.waits_for("logged out").await;
        person.looks(&format!("signed-out-{width}")).await;
        person.finds_the_page_sound().await;

        person.goes_to("/account/").await;
        person.is_at("/login/?next=/account/").await;
        person.goes_to("/nowhere/").await;
        person.looks(&format!("not-found-{width}")).await;
        person.finds_the_page_sound().await;
        person.closes_the_browser().await;
    }
}

#[actix_web::test]
async fn nobody_is_sent_to_another_site_after_the_login() {
    let person = Person::at_screen(1280).await;
    let browser = &person.browser;

    for next in [
        "https://evil.example/",
        "//evil.example/",
        "/%5Cevil.example",
    ] {
        person.goes_to(&format!("/login/?next={next}")).await;
        person.logs_in(USERNAME, PASSWORD).await;
        person.waits_for_account_or_404().await;
        let url = browser.current_url().await.expect("a URL");
        assert!(
            url.as_str().starts_with(&person.site.url),
            "{next} led to {url}"
        );
    }
    person.closes_the_browser().await;
}

#[actix_web::test]
async fn the_form_works_by_keyboard_alone() {
    let person = Person::at_screen(1280).await;
    let browser = &person.browser;

    person.goes_to("/login/").await;
    let keys = format!("{USERNAME}\u{E004}{PASSWORD}\u{E007}");
    let focused = browser.active_element().await.expect("a focused field");
    focused.send_keys(&keys).await.expect("typing");

    person.waits_for("user123@example.com").await;
    person.closes_the_browser().await;
}
