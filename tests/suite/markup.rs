//! What every page of `templates/` holds to, in every state: escaping, the content
//! security policy, labels, CSRF tokens, contrast.

use askama::Template;
use portcullis::auth::LoginWith;
use portcullis::http::response::pages::{
    AccountPage, ErrorPage, LoginPage, Problem, SignedOutPage, TokenView,
};

const HOSTILE: &str = r#"<script>"'&"#;
const CSS: &str = include_str!("../../static/portcullis.css");

fn login<'a>(text: &'a str, problem: Option<Problem<'a>>) -> String {
    LoginPage {
        csrf_token: text,
        next: text,
        login_with: LoginWith::Either,
        username: text,
        problem,
    }
    .render()
    .unwrap()
}

fn account<'a>(text: &'a str, token: TokenView<'a>) -> String {
    AccountPage {
        csrf_token: text,
        username: text,
        full_name: text,
        email: text,
        last_login: Some(text),
        token,
    }
    .render()
    .unwrap()
}

fn error(text: &str) -> String {
    ErrorPage {
        status: 404,
        title: text,
        message: text,
        home: true,
    }
    .render()
    .unwrap()
}

/// Every template in every state, with `text` in every field.
fn every_page(text: &str) -> Vec<String> {
    vec![
        login(text, None),
        login(text, Some(Problem::Wrong(text))),
        login(text, Some(Problem::TooOld(text))),
        account(text, TokenView::Hidden),
        account(text, TokenView::Shown(text)),
        account(text, TokenView::None),
        SignedOutPage.render().unwrap(),
        error(text),
    ]
}

/// The tags of a page, without the text between them.
fn tags(page: &str) -> impl Iterator<Item = &str> {
    page.split('<')
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
}

/// The value of `name="…"` in a tag.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

#[test]
fn every_field_is_escaped() {
    let escaped = "&#60;script&#62;&#34;&#39;&#38;";
    let fields = [3, 4, 4, 6, 6, 5, 0, 3];
    for (page, fields) in every_page(HOSTILE).iter().zip(fields) {
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches(escaped).count(), fields, "{page}");
    }
}

#[test]
fn a_strict_content_security_policy_holds() {
    for page in every_page(HOSTILE) {
        for tag in tags(&page) {
            assert!(!tag.starts_with("script") && !tag.starts_with("style"));
            for word in tag.split_ascii_whitespace().skip(1) {
                let name = word.split('=').next().unwrap();
                assert!(name != "style" && !name.starts_with("on"), "{tag}");
            }
            for name in ["src", "href", "action"] {
                let target = attribute(tag, name).unwrap_or("/");
                assert!(target.starts_with('/') && !target.starts_with("//"));
            }
        }
    }
    assert!(!CSS.contains("url(") && !CSS.contains("@import"));
}

#[test]
fn every_visible_input_has_a_label_and_every_reference_a_target() {
    for page in every_page("x") {
        let ids: Vec<_> = tags(&page).filter_map(|t| attribute(t, "id")).collect();
        let labels: Vec<_> = tags(&page).filter_map(|t| attribute(t, "for")).collect();
        for tag in tags(&page) {
            if tag.starts_with("input ") && attribute(tag, "type") != Some("hidden") {
                assert!(labels.contains(&attribute(tag, "id").unwrap()), "{tag}");
            }
            for name in ["for", "aria-describedby", "aria-labelledby"] {
                if let Some(id) = attribute(tag, name) {
                    assert_eq!(ids.iter().filter(|i| **i == id).count(), 1, "{tag}");
                }
            }
        }
        assert_eq!(page.matches("<h1>").count(), 1);
        assert_eq!(page.matches("<main>").count(), 1);
    }
}

#[test]
fn every_post_carries_the_csrf_token() {
    for page in every_page("x") {
        let forms = page.matches(r#"<form "#).count();
        let posts = page.matches(r#"method="post""#).count();
        let token = r#"<input type="hidden" name="csrfmiddlewaretoken" value="x">"#;
        assert_eq!(
            (forms, forms),
            (posts, page.matches(token).count()),
            "{page}"
        );
    }
}

#[test]
fn the_first_visit_starts_at_the_username_and_a_retry_at_the_password() {
    let focused = |page: &str| {
        let tag = tags(page).find(|t| t.ends_with(" autofocus")).unwrap();
        attribute(tag, "id").unwrap().to_owned()
    };
    let first = login("", None);
    assert_eq!(focused(&first), "username");
    assert!(!first.contains(r#"name="next""#) && !first.contains("aria-invalid"));

    let again = login("user123", Some(Problem::Wrong("Invalid credentials")));
    assert_eq!(focused(&again), "password");
    assert_eq!(
        again
            .matches(r#"aria-invalid="true" aria-describedby="error""#)
            .count(),
        2
    );
    assert!(again.contains("<title>Error: Log in"));

    let too_old = login("user123", Some(Problem::TooOld("Too old")));
    assert_eq!(focused(&too_old), "password");
    assert!(!too_old.contains("aria-invalid"), "nothing typed is wrong");
    assert_eq!(too_old.matches(r#"aria-describedby="error""#).count(), 2);
    assert!(too_old.contains("<title>Error: Log in"));
}

#[test]
fn the_token_is_on_the_page_only_when_shown() {
    let key = "9944b09199c62bcf9418ad846dd0e4bbdfc6ee4b";
    assert!(account("x", TokenView::Shown(key)).contains(key));
    let hidden = account("x", TokenView::Hidden);
    assert!(hidden.contains(r#"name="show_token" value="1""#));
    assert!(!account("x", TokenView::None).contains("show_token"));
}

#[test]
fn the_last_login_can_be_read_by_machines() {
    let page = account("2026-11-22 11:59 UTC", TokenView::Hidden);
    let time = r#"<time datetime="2026-11-22 11:59Z">2026-11-22 11:59 UTC</time>"#;
    assert!(page.contains(time), "{page}");
    for text in ["last Sunday", "last Sunday UTC"] {
        let page = account(text, TokenView::Hidden);
        assert!(page.contains(&format!("<time>{text}</time>")), "{page}");
    }
}

/// The WCAG 2 relative luminance of `#rrggbb`.
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let byte = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
        let c = f64::from(byte) / 255.0;
        if c <= 0.04045 {
            c / 12.92
        } else {
            ((c + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

#[test]
fn the_contrast_table_in_the_stylesheet_is_true_and_meets_wcag_aa() {
    let (light, dark) = CSS.split_once("prefers-color-scheme: dark").unwrap();
    let contrast = |theme: &str, front: &str, back: &str| {
        let luminance = |name: &str| {
            let (_, rest) = theme.split_once(&format!("  --{name}: ")).unwrap();
            luminance(&rest[..7])
        };
        let (a, b) = (luminance(front), luminance(back));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    };
    let rows = [
        ("text", "card", 4.5),
        ("soft", "card", 4.5),
        ("text", "well", 4.5),
        ("accent", "card", 4.5),
        ("accent-hover", "card", 4.5),
        ("accent-hover", "well", 4.5),
        ("on-accent", "accent", 4.5),
        ("on-accent", "accent-hover", 4.5),
        ("alarm", "alarm-well", 4.5),
        ("alarm", "card", 3.0),
        ("edge", "card", 3.0),
    ];
    for (front, back, least) in rows {
        let pair = [light, dark].map(|theme| contrast(theme, front, back));
        let pair_text = format!("{front} on {back}");
        let row = format!(" * {pair_text:<26}{:>5.1}{:>6.1}\n", pair[0], pair[1]);
        assert!(pair.iter().all(|ratio| *ratio >= least), "{row}");
        assert!(CSS.contains(&row), "missing from the table:\n{row}");
    }
}
