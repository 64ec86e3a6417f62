//! The user: DRF's serializer of it.

use actix_web::HttpResponse;
use serde::Serialize;

use crate::http::request::current_user::CurrentUser;
use crate::http::response::json;
use crate::models::UserId;

#[derive(Serialize)]
struct UserBody<'a> {
    id: &'a UserId,
    username: &'a str,
    email: &'a str,
    first_name: &'a str,
    last_name: &'a str,
}

/// `GET /api/v1/user/`.
pub async fn show_user(user: CurrentUser) -> HttpResponse {
    let user = &user.user;
    let body = UserBody {
        id: &user.id,
        username: &user.username,
        email: &user.email,
        first_name: &user.first_name,
        last_name: &user.last_name,
    };
    json::ok(&body)
}
