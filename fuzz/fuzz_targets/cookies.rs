//! `Cookie` headers, one a line.
#![no_main]

use actix_web::cookie::Cookie;
use actix_web::http::header::{COOKIE, HeaderValue};
use actix_web::test::TestRequest;
use libfuzzer_sys::fuzz_target;
use portcullis::http::request::cookies::RequestCookies;

fuzz_target!(|bytes: &[u8]| {
    let headers: Vec<&[u8]> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|header| HeaderValue::from_bytes(header).is_ok())
        .take(3)
        .collect();
    let cookies = read(&headers);
    let device = cookies.device.as_ref();
    let session = cookies.session_key();
    let [header] = headers.as_slice() else {
        assert!(session.is_none() && device.is_none() && cookies.csrf.is_none());
        return;
    };

    if let Some(key) = session {
        assert!((8..=40).contains(&key.expose().len()));
        assert!(key.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        stands_there_once(header, "sessionid", key.expose());
    }
    if let Some(device) = device {
        assert!(device.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        stands_there_once(header, "portcullis_device", device.expose());
    }
    if let Some(csrf) = &cookies.csrf {
        stands_there_once(header, "csrftoken", csrf);
    }

    // A second one of a name takes the first away; another's changes nothing.
    let twice = read(&[&[*header, b"; sessionid=abcdefgh"].concat()]);
    let never_was = session.is_none() && twice.session_key().is_some();
    assert!(twice.session_key().is_none() || never_was);
    assert_eq!(twice.csrf, cookies.csrf);
    let more = read(&[&[*header, b"; sessionid2=abcdefgh; =; ;x"].concat()]);
    assert_eq!(
        more.session_key().map(|key| key.expose()),
        session.map(|key| key.expose())
    );
    assert_eq!(more.csrf, cookies.csrf);
});

fn read(headers: &[&[u8]]) -> RequestCookies {
    let mut request = TestRequest::default();
    for header in headers {
        request = request.append_header((COOKIE, HeaderValue::from_bytes(header).unwrap()));
    }
    RequestCookies::of(&request.to_srv_request(), "sessionid")
}

/// In the very bytes, and as another parser of cookies reads them. That one
/// also trims Unicode spaces and leaves nameless pairs out, so it may see more.
fn stands_there_once(header: &[u8], name: &str, value: &str) {
    let text = String::from_utf8_lossy(header);
    let is_blank = [' ', '\t'];
    let names = text.split(';').filter_map(|pair| pair.split_once('='));
    let exact = names.filter(|(found, _)| found.trim_matches(is_blank) == name);
    assert_eq!(exact.count(), 1, "{name} in {text:?}");
    let same = |cookie: &Cookie<'_>| {
        let unquoted = cookie.value().trim_start_matches('"').trim_end_matches('"');
        cookie.name() == name && unquoted.trim() == value.trim()
    };
    let read = text
        .split(';')
        .any(|pair| Cookie::parse(pair).is_ok_and(|cookie| same(&cookie)));
    // A lone quote, or blanks within quotes, are read in more than one way.
    assert!(read || header.contains(&b'"'), "{name}={value} in {text:?}");
}
