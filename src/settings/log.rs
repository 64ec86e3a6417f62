//! What is logged, and in which form.

use tracing_subscriber::EnvFilter;

use super::entry::{key, settings};
use super::parse::one_of;

/// The form of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

settings! {
    /// What is logged, and in which form.
    pub struct LogSettings {
        LOG {
            /// Log filter, such as info or portcullis=debug; actix_http=debug shows what was no
            /// HTTP, actix_session=info each session key that nobody has
            pub filter: String = key("PORTCULLIS_LOG").default("info"), filter;
            /// text, or json for machines
            pub format: LogFormat = key("PORTCULLIS_LOG_FORMAT").default("text"),
                one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        }
    }
}

fn filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|_| "not a filter such as info or portcullis=debug".to_owned())
}
