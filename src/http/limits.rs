//! How large a request may be, and how long it may take to come.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, RequestHead, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::middleware::Next;
use actix_web::web::{self, Bytes, BytesMut};
use actix_web::{Error, HttpMessage, ResponseError};
use futures_util::{StreamExt, stream};

use super::error::ApiError;
use super::negotiate::wants_page;
use super::page;

/// What a request may be at most; shared by all workers.
pub struct Limits {
    /// `PORTCULLIS_MAX_HEADERS`
    pub headers: usize,
    /// `PORTCULLIS_MAX_BODY`
    pub body: usize,
    /// `PORTCULLIS_REQUEST_TIMEOUT`
    pub timeout: Duration,
}

/// The middleware: takes a body off the wire before anything is looked up for
/// its request, so that a client that dribbles holds nothing, and that half a
/// request does nothing. actix-http drops a handler that is at work when a
/// broken chunk comes in, and then nobody is told what was done.
pub async fn keep(
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
            // For who wants to read it; a logout, for one, does not.
            Err(ApiError::TooLarge) => request.set_payload(too_large()),
            Err(error) => return Ok(refuse(request, &error)),
        }
    }
    Ok(next.call(request).await?.map_into_boxed_body())
}

/// Bytes of the target and the headers, about as they came: actix-http itself
/// takes 128 KiB, and has no setting for it.
fn size(head: &RequestHead) -> usize {
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |text| text.as_str().len());
    let headers = head.headers().iter();
    // The colon, the space and the line break.
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + 4);
    target + headers.sum::<usize>()
}

fn refuse(request: ServiceRequest, error: &ApiError) -> ServiceResponse<BoxBody> {
    let answer = match wants_page(request.head()) {
        true => page::answer(error),
        false => error.error_response(),
    };
    request.into_response(answer)
}

fn too_large() -> Payload {
    let error = stream::iter([Err(PayloadError::Overflow)]);
    Payload::Stream {
        payload: Box::pin(error),
    }
}

async fn receive(head: &RequestHead, payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let stated = head
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if stated.is_some_and(|length| length > limit) {
        return Err(ApiError::TooLarge);
    }
    collect(payload, limit).await
}

/// The body of a request that has come past [`keep`].
pub async fn received(payload: Payload) -> Result<Bytes, ApiError> {
    collect(payload, usize::MAX).await
}

async fn collect(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| match error {
            PayloadError::Overflow => ApiError::TooLarge,
            _ => ApiError::Parse("Request body is incomplete.".to_owned()),
        })?;
        if body.len() + chunk.len() > limit {
            return Err(ApiError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
