//! HTML pages: one struct for each template in `templates/`, and what handlers
//! and middleware answer with.
//!
//! A page is plain data that a handler fills. Askama escapes every field. No
//! page holds a script, an inline style or anything from another origin, so all
//! work under `default-src 'none'; style-src 'self'; img-src 'self'`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use askama::Template;

use super::error::ApiError;

/// Where the one stylesheet is served.
pub const STYLESHEET_URL: &str = "/static/portcullis.css";

/// Where the logo is served: the favicon, and the image in the header.
pub const FAVICON_URL: &str = "/static/favicon.svg";

/// `GET /login/`, and the same form again after a failed `POST`.
#[derive(Template)]
#[template(path = "login.html")]
pub struct LoginPage<'a> {
    /// The masked CSRF token for the hidden field.
    pub csrf_token: &'a str,
    /// Where to go after the login, checked; empty for the default.
    pub next: &'a str,
    /// The name that was typed before; empty on the first visit.
    pub username: &'a str,
    /// The one message for a failed login.
    pub error: Option<&'a str>,
}

/// `/account/`: who is logged in, their token on request, and the way out.
#[derive(Template)]
#[template(path = "account.html")]
pub struct AccountPage<'a> {
    /// The masked CSRF token for the hidden fields.
    pub csrf_token: &'a str,
    /// The name they log in with.
    pub username: &'a str,
    /// First and last name; left out when empty.
    pub full_name: &'a str,
    /// Left out when empty.
    pub email: &'a str,
    /// The time of the last login as text, such as `2026-11-22 11:59 UTC`.
    pub last_login: Option<&'a str>,
    /// What to show of the API token.
    pub token: TokenView<'a>,
}

/// What the account page shows of the API token.
#[derive(Clone, Copy)]
pub enum TokenView<'a> {
    /// There is one; a button asks for it.
    Hidden,
    /// The key itself, because they asked.
    Shown(&'a str),
    /// There is none: the next login makes one.
    None,
}

impl TokenView<'_> {
    /// Whether the user has a token, seen or not, which a logout would end.
    fn exists(&self) -> bool {
        !matches!(self, Self::None)
    }
}

/// What `POST /logout/` from the account page leads to.
#[derive(Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage;

/// Any refusal or failure, for a client that reads HTML.
#[derive(Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    /// The HTTP status, shown small above the title.
    pub status: u16,
    /// What happened, in a few words.
    pub title: &'a str,
    /// What the reader can do about it.
    pub message: &'a str,
    /// Whether to offer the way to the account page.
    pub home: bool,
}

/// A page with this status.
pub fn html(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(text) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .body(text),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Sends the browser on, with GET.
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, location))
        .finish()
}

/// The page for an error.
pub fn answer(error: &ApiError) -> HttpResponse {
    let mut response = match error {
        ApiError::Throttled(seconds) => throttled_page(*seconds),
        _ => error_page(error.status()),
    };
    error.add_headers(&mut response);
    response
}

/// The page for a refusal or a failure.
pub fn error_page(status: StatusCode) -> HttpResponse {
    let (title, message) = match status.as_u16() {
        400 => ("Bad request", "That request could not be understood."),
        401 => ("Please log in", "You are not logged in."),
        403 => (
            "Not allowed",
            "This form was sent from another site, or is too old. Go back, reload the page, and try again with cookies switched on.",
        ),
        404 => ("Page not found", "There is no page at this address."),
        405 => (
            "Not allowed",
            "This address does not take that kind of request.",
        ),
        408 => (
            "Too slow",
            "Your request took too long to arrive. Please try again.",
        ),
        413 => ("Too large", "That is more than this form takes."),
        415 => (
            "Bad request",
            "The form was sent in a format that is not known here.",
        ),
        503 => (
            "Busy right now",
            "The service is too busy to answer. Please try again in a moment.",
        ),
        _ => (
            "Something went wrong",
            "The service could not answer. Please try again.",
        ),
    };
    error_with(status, title, message)
}

fn throttled_page(seconds: u64) -> HttpResponse {
    let wait = match seconds.div_ceil(60) {
        1 => "a minute".to_owned(),
        minutes => format!("{minutes} minutes"),
    };
    let message = format!(
        "Too many logins have failed. Please wait {wait} before you try again; until then no password is checked."
    );
    error_with(StatusCode::TOO_MANY_REQUESTS, "Too many attempts", &message)
}

fn error_with(status: StatusCode, title: &str, message: &str) -> HttpResponse {
    let page = ErrorPage {
        status: status.as_u16(),
        title,
        message,
        home: true,
    };
    html(status, &page)
}

/// The `datetime` attribute for `2026-11-22 11:59 UTC`, where HTML wants a `Z`;
/// `None` for text in any other form.
fn machine_time(text: &str) -> Option<String> {
    let instant = text.strip_suffix(" UTC")?;
    let is_numeric = |c: char| c.is_ascii_digit() || "-:. ".contains(c);
    instant
        .chars()
        .all(is_numeric)
        .then(|| format!("{instant}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = r#"<script>"'&"#;
    const CSS: &str = include_str!("../../../static/portcullis.css");

    fn login<'a>(text: &'a str, error: Option<&'a str>) -> String {
        LoginPage {
            csrf_token: text,
            next: text,
            username: text,
            error,
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
            login(text, Some(text)),
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
        let fields = [3, 4, 6, 6, 5, 0, 3];
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

        let again = login("user123", Some("Invalid credentials"));
        assert_eq!(focused(&again), "password");
        assert_eq!(
            again
                .matches(r#"aria-invalid="true" aria-describedby="error""#)
                .count(),
            2
        );
        assert!(again.contains("<title>Error: Log in"));
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
        assert_eq!(machine_time("last Sunday"), None);
        assert_eq!(machine_time("last Sunday UTC"), None);
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
}
