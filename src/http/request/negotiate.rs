//! DRF's content negotiation: `?format=` and `Accept`. As in DRF, q-values are ignored,
//! more specific types go first, and the first renderer that fits wins: JSON before HTML.

use actix_web::dev::RequestHead;
use actix_web::http::header::{ACCEPT, HeaderValue};

use crate::http::response::error::ApiError;

/// What a view can answer in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renderers {
    /// DRF's default: JSON and its browsable pages, for which we answer JSON.
    JsonAndHtml,
    /// JSON only.
    Json,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `application/json`.
    Json {
        /// Spaces a level, from `Accept: application/json; indent=4`.
        indent: Option<usize>,
    },
    /// `text/html`.
    Html,
}

/// Bytes of an `Accept` header that are read.
const MAX_ACCEPT: usize = 4096;
const COMPACT: Format = Format::Json { indent: None };

/// The form of answer that a client takes.
pub fn negotiate(head: &RequestHead, renderers: Renderers) -> Result<Format, ApiError> {
    let html = renderers == Renderers::JsonAndHtml;
    let query = head.uri.query();
    let accept = head.headers().get(ACCEPT).map(HeaderValue::as_bytes);
    // What most programs send.
    if query.is_none() && matches!(accept, None | Some(b"*/*" | b"application/json")) {
        return Ok(COMPACT);
    }
    let query = query.unwrap_or_default();
    let asked = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == "format")
        .last();
    match asked.as_ref().map(|(_, format)| format.as_ref()) {
        None | Some("") => {}
        Some("json") => return Ok(COMPACT),
        Some("api") if html => return Ok(Format::Html),
        Some(_) => return Err(ApiError::NotFound),
    }
    let Some(accept) = accept else {
        return Ok(COMPACT);
    };
    let accept = String::from_utf8_lossy(accept);
    let accept = accept.as_ref();
    let accept = accept.get(..MAX_ACCEPT).unwrap_or(accept);
    by_accept(accept, html).ok_or(ApiError::NotAcceptable)
}

/// Whether a browser wants a page: it takes HTML rather than JSON.
pub fn wants_page(head: &RequestHead) -> bool {
    matches!(negotiate(head, Renderers::JsonAndHtml), Ok(Format::Html))
}

fn by_accept(accept: &str, html: bool) -> Option<Format> {
    let mut ranges: Vec<Range<'_>> = accept.split(',').filter_map(Range::parse).collect();
    ranges.sort_by_key(|range| std::cmp::Reverse(range.precedence()));
    // All of one precedence are tried together, JSON before HTML.
    for level in ranges.chunk_by(|a, b| a.precedence() == b.precedence()) {
        let json = level
            .iter()
            .find(|range| range.takes("application", "json"));
        if let Some(indent) = json.map(Range::indent) {
            return Some(Format::Json { indent });
        }
        if html && level.iter().any(|range| range.takes("text", "html")) {
            return Some(Format::Html);
        }
    }
    None
}

struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    parameters: &'a str,
}

impl<'a> Range<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let (kind, subtype) = essence.trim().split_once('/')?;
        Some(Self {
            kind,
            subtype,
            parameters,
        })
    }

    /// 3 with parameters, then the full type, `type/*`, `*/*`.
    fn precedence(&self) -> u8 {
        match (self.kind, self.subtype) {
            ("*", _) => 0,
            (_, "*") => 1,
            _ if self.names().next().is_none() => 2,
            _ => 3,
        }
    }

    /// Parameters other than q, which do not make a type more specific here.
    fn names(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.parameters
            .split(';')
            .filter_map(|parameter| parameter.trim().split_once('='))
            .filter(|(name, _)| !name.trim().eq_ignore_ascii_case("q"))
    }

    fn takes(&self, kind: &str, subtype: &str) -> bool {
        let fits = |have: &str, want: &str| have == "*" || have.eq_ignore_ascii_case(want);
        fits(self.kind, kind) && fits(self.subtype, subtype)
    }

    fn indent(&self) -> Option<usize> {
        self.names()
            .find(|(name, _)| *name == "indent")
            .and_then(|(_, value)| value.parse().ok())
            .map(|spaces: usize| spaces.min(8))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers_of_real_clients() {
        let json = Some(COMPACT);
        let page = Some(Format::Html);
        for (accept, format) in [
            ("*/*", json),
            ("application/json, text/plain, */*", json),
            ("application/json", json),
            ("application/*", json),
            (
                "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
                page,
            ),
            ("text/html", page),
            ("text/*", page),
            ("text/html;q=0.1,application/json", json),
            ("application/json;q=0.1,text/html", json),
            ("application/json;q=0", json),
            (
                "application/json; indent=4",
                Some(Format::Json { indent: Some(4) }),
            ),
            ("application/json; charset=utf-8", json),
            ("", None),
            ("garbage", None),
            ("text/plain", None),
            ("application/xml", None),
        ] {
            assert_eq!(by_accept(accept, true), format, "{accept}");
        }
        assert_eq!(by_accept("text/html", false), None);
    }
}
