//! `Cookie` headers.
#![no_main]

use actix_web::http::header::{COOKIE, HeaderValue};
use actix_web::test::TestRequest;
use libfuzzer_sys::fuzz_target;
use portcullis::http::cookies::RequestCookies;

fuzz_target!(|headers: Vec<&[u8]>| {
    let mut request = TestRequest::default();
    let mut valid = Vec::new();
    for header in headers.iter().take(3) {
        if let Ok(value) = HeaderValue::from_bytes(header) {
            request = request.append_header((COOKIE, value));
            valid.push(*header);
        }
    }
    let cookies = RequestCookies::of(&request.to_srv_request(), "sessionid");
    let count = |name: &[u8]| {
        let all = valid.concat();
        all.windows(name.len()).filter(|at| *at == name).count()
    };
    if let Some(key) = cookies.session_key() {
        let key = key.expose();
        assert!((8..=40).contains(&key.len()));
        assert!(key.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(count(b"sessionid") >= 1 && count(key.as_bytes()) >= 1);
        assert_eq!(valid.len(), 1);
    }
    if let Some(device) = &cookies.device {
        assert!(device.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert!(count(b"portcullis_device") >= 1);
    }
    if cookies.csrf.is_some() {
        assert!(count(b"csrftoken") >= 1);
    }
});
