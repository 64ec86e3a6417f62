//! The bytes of a body.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::web::{Bytes, BytesMut};
use futures_util::StreamExt;

use crate::http::response::error::ApiError;

/// Reads a body off the wire, if it is no longer than `limit`.
pub async fn read_within(mut payload: Payload, limit: usize) -> Result<Bytes, ApiError> {
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

/// Takes a body that the limits' middleware has read already.
pub async fn received(payload: Payload) -> Result<Bytes, ApiError> {
    read_within(payload, usize::MAX).await
}
