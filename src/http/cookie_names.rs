//! Names on the wire that more than one file uses. The session cookie's is a setting.

/// Django's cookie that holds the CSRF secret.
pub const CSRF_COOKIE: &str = "csrftoken";
/// Django's form field that holds the CSRF token.
pub const CSRF_FIELD: &str = "csrfmiddlewaretoken";
/// Our cookie that tells a known browser from a new one.
pub const DEVICE_COOKIE: &str = "portcullis_device";
