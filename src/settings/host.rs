//! Patterns of hosts, as in Django's `ALLOWED_HOSTS`.

pub(super) fn parse_pattern(text: &str) -> Result<String, String> {
    let name = text.strip_prefix('.').unwrap_or(text);
    let is_host = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._[]:".contains(&b));
    if text != "*" && (name.is_empty() || !is_host) {
        return Err(format!("`{text}` is not a host name"));
    }
    Ok(text.to_ascii_lowercase())
}
