//! `Accept` headers and `?format=`.
#![no_main]

use actix_web::http::header::{ACCEPT, HeaderValue};
use actix_web::test::TestRequest;
use libfuzzer_sys::fuzz_target;
use portcullis::http::negotiate::{Renderers, negotiate, wants_page};

fuzz_target!(|input: (&[u8], &str)| {
    let (accept, query) = input;
    let Ok(accept) = HeaderValue::from_bytes(accept) else {
        return;
    };
    let uri = format!("/login/?{query}");
    if uri.parse::<actix_web::http::Uri>().is_err() {
        return;
    }
    let request = TestRequest::with_uri(&uri)
        .insert_header((ACCEPT, accept))
        .to_srv_request();
    let _ = wants_page(request.head());
    for renderers in [Renderers::JsonAndHtml, Renderers::Json] {
        if let Err(error) = negotiate(request.head(), renderers) {
            assert!([404, 406].contains(&error.status().as_u16()));
        }
    }
});
