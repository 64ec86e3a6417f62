//! The few static files, embedded in the binary.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, ETAG, EntityTag, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use crate::http::response::pages::{FAVICON_URL, STYLESHEET_URL};

/// One embedded file.
pub struct StaticFile {
    /// Where it is served.
    pub path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

/// All of them.
pub const FILES: [StaticFile; 2] = [
    StaticFile {
        path: STYLESHEET_URL,
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../../../static/portcullis.css"),
    },
    StaticFile {
        path: FAVICON_URL,
        content_type: "image/svg+xml; charset=utf-8",
        bytes: include_bytes!("../../../static/favicon.svg"),
    },
];

/// `GET /static/…`: the file, or 304 for a browser that has it.
pub async fn show_file(request: HttpRequest) -> HttpResponse {
    let Some(file) = FILES.iter().find(|file| file.path == request.path()) else {
        return HttpResponse::NotFound().finish();
    };
    let digest = Sha256::digest(file.bytes);
    let tag = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    let tag = EntityTag::new_strong(tag);
    let known = request.headers().get(IF_NONE_MATCH);
    let known = known.and_then(|known| known.to_str().ok());
    let cached = known.is_some_and(|known| known.contains(tag.tag()));
    let mut response = HttpResponse::Ok();
    response
        .insert_header((ETAG, tag.to_string()))
        .insert_header((CACHE_CONTROL, "public, max-age=3600"));
    match cached {
        true => response.status(StatusCode::NOT_MODIFIED).finish(),
        false => response.content_type(file.content_type).body(file.bytes),
    }
}
