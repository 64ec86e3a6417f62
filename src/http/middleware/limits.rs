//! How large a request may be, and how long it may take to come.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, RequestHead, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes};
use actix_web::{Error, HttpMessage, ResponseError};
use futures_util::stream;

use crate::http::request::negotiate::wants_page;
use crate::http::request::payload;
use crate::http::response::error::ApiError;
use crate::http::response::pages;

/// What a request may be at most; shared by all workers.
pub struct Limits {
    /// `PORTCULLIS_MAX_HEADERS`
    pub headers: usize,
    /// `PORTCULLIS_MAX_BODY`
    pub body: usize,
    /// `PORTCULLIS_REQUEST_TIMEOUT`
    pub timeout: Duration,
}

/// The middleware: reads the whole body first. So a slow client holds nothing, and half a
/// request does nothing: actix-http drops a handler at work when a broken chunk comes in.
pub async fn enforce(
    limits: web::Data<Limits>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if size(request.head()) > limits.headers {
        return Ok(refuse(request, &ApiError::HeadersTooLarge));
    }
    let payload = request.take_payload();
    if !matches!(payload, Payload::None) {
        let receiving = receive(request.head(), payload, limits.body);
        let received = tokio::time::timeout(limits.timeout, receiving).await;
        match received.unwrap_or(Err(ApiError::TooSlow)) {
            Ok(bytes) => request.set_payload(Payload::from(bytes)),
            // For handlers that read it; a logout does not.
            Err(ApiError::TooLarge) => {
                let payload = Box::pin(stream::iter([Err(PayloadError::Overflow)]));
                request.set_payload(Payload::Stream { payload });
            }
            Err(error) => return Ok(refuse(request, &error)),
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Bytes of target and headers, about as they came. actix-http's own limit is 128 KiB.
fn size(head: &RequestHead) -> usize {
    let target = head.uri.path_and_query();
    let target = target.map_or(0, |text| text.as_str().len());
    let headers = head.headers().iter();
    // The colon, the space and the line break.
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 4);
    target + headers.sum::<usize>()
}

fn refuse(request: ServiceRequest, error: &ApiError) -> ServiceResponse<BoxBody> {
    let answer = match wants_page(request.head()) {
        true => pages::answer(error),
        false => error.error_response(),
    };
    request.into_response(answer)
}

async fn receive(head: &RequestHead, payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let stated = head.headers().get(CONTENT_LENGTH);
    let stated = stated.and_then(|length| length.to_str().ok()?.parse().ok());
    if stated.is_some_and(|length: usize| length > limit) {
        return Err(ApiError::TooLarge);
    }
    payload::read_within(payload, limit).await
}
