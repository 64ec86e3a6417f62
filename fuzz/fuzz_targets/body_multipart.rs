//! Bodies: multipart.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../body.rs"]
mod body;

fuzz_target!(|bytes: &[u8]| {
    body::check("multipart/form-data; boundary=x", bytes);
    // One that no input holds, or else it would end its own part.
    let boundary = "0123456789abcdefghijklmnopqrstuvwxyz-of-the-fuzzer";
    if bytes
        .windows(boundary.len())
        .any(|at| at == boundary.as_bytes())
    {
        return;
    }
    let content_type = format!("multipart/form-data; boundary={boundary}");
    body::round_trip(&content_type, bytes, |pairs| {
        let part = |(name, value): &(&str, &str)| {
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
            )
        };
        let parts: String = pairs.iter().map(part).collect();
        format!("{parts}--{boundary}--\r\n").into_bytes()
    });
});
