//! `Accept` headers and `?format=`: one on the first line, the other below.
#![no_main]

use actix_web::http::header::{ACCEPT, HeaderValue};
use actix_web::test::TestRequest;
use libfuzzer_sys::fuzz_target;
use portcullis::http::request::negotiate::{Format, Renderers, negotiate, wants_page};

fuzz_target!(|text: &str| {
    let (accept, query) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(value) = HeaderValue::from_bytes(accept.as_bytes()) else {
        return;
    };
    let uri = format!("/login/?{query}");
    if uri.parse::<actix_web::http::Uri>().is_err() {
        return;
    }
    let request = TestRequest::with_uri(&uri)
        .insert_header((ACCEPT, value))
        .to_srv_request();
    let asks_format =
        url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "format");
    let lower = accept.to_ascii_lowercase();
    for renderers in [Renderers::JsonAndHtml, Renderers::Json] {
        match negotiate(request.head(), renderers) {
            Ok(Format::Html) => {
                assert_eq!(renderers, Renderers::JsonAndHtml, "it has no HTML");
                let takes_html = lower.contains("text/html") || lower.contains('*');
                assert!(takes_html || asks_format, "{text:?}");
            }
            Ok(Format::Json { indent }) => {
                assert!(indent.is_none_or(|spaces| spaces <= 8 && accept.contains("indent")));
                let takes_json = lower.contains("application/json") || lower.contains('*');
                assert!(takes_json || asks_format, "{text:?}");
            }
            Err(error) => match error.status().as_u16() {
                404 => assert!(asks_format, "{text:?}"),
                // What is no ASCII is read as nothing, which takes nothing.
                406 => {
                    let takes_all = accept.split(',').any(|range| range.trim() == "*/*");
                    assert!(!takes_all || !accept.is_ascii(), "{text:?}");
                }
                other => panic!("{other}"),
            },
        }
    }
    let page = negotiate(request.head(), Renderers::JsonAndHtml);
    assert_eq!(wants_page(request.head()), matches!(page, Ok(Format::Html)));
});
